//! `mainstay db promote MEMBER`: the manual override: a member becomes primary although writes may be
//! lost. It says what is lost first, and wants the number of the generation whose writes those are.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use database::operate::message::Change;
use database::operate::promotion::{self, Loss, Weighed};
use database::record::{RequestRecord, Wanted};
use site::name::MemberName;

use super::looking::Looking;
use super::{Flags, refused};
use crate::render;
use crate::report::Failure;

/// Nobody could be elected for so long: what can be done without loss takes a fraction of it.
const SURE: Duration = Duration::from_secs(3);
/// A lease that is not renewed ends within it, and everybody has been heard or not.
const ELECTION: Duration = Duration::from_secs(15);
/// What was received is applied first.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Who becomes primary
    member: String,
    /// The generation whose writes may be lost, instead of typing it when asked
    #[arg(long, value_name = "GENERATION")]
    lose_writes_of: Option<u64>,
    #[command(flatten)]
    flags: Flags,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let mut looking = Looking::at(&args.flags.state())?;
    let member = MemberName::new(&args.member);
    let loss = weighed(&mut looking, &member)?;
    std::io::stderr()
        .lock()
        .write_all(render::database::loss(&loss).as_bytes())?;
    confirmed(args, &loss)?;
    // Somebody may have thought for an hour.
    let now = weighed(&mut looking, &member)?;
    if now.generation != loss.generation {
        let what = format!("generation {} began meanwhile", now.generation);
        return Err(Failure::new(what, "`mainstay db status` shows who is primary").into());
    }
    order(&mut looking, &promotion::wanted(&loss))
}

/// Looks until it is sure that nothing better can be done.
fn weighed(looking: &mut Looking, member: &MemberName) -> anyhow::Result<Loss> {
    let since = Instant::now();
    let mut nobody: Option<Instant> = None;
    loop {
        match promotion::weigh(&looking.status()?, member) {
            Weighed::No(trouble) => return Err(refused(trouble)),
            Weighed::NotYet(why) => {
                nobody = None;
                if since.elapsed() >= ELECTION {
                    let next =
                        "wait for its outcome; `mainstay db status` shows what is waited for";
                    return Err(Failure::new(why, next).into());
                }
            }
            Weighed::Loss(loss) => {
                let since = *nobody.get_or_insert_with(Instant::now);
                if since.elapsed() >= SURE {
                    return Ok(*loss);
                }
            }
        }
        if looking.pause() {
            return Err(Failure::new("interrupted; nothing was asked for", "").into());
        }
    }
}

fn confirmed(args: &Args, loss: &Loss) -> anyhow::Result<()> {
    let typed = match args.lose_writes_of {
        Some(generation) => generation.to_string(),
        None if std::io::stdin().is_terminal() => {
            let mut err = std::io::stderr().lock();
            write!(err, "Type the number of the generation to go on: ")?;
            err.flush()?;
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            line.trim().to_owned()
        }
        None => String::new(),
    };
    if typed == loss.generation.to_string() {
        return Ok(());
    }
    let what = match typed.is_empty() {
        true => "nothing was done: the generation was not confirmed".to_owned(),
        false => format!(
            "nothing was done: it is generation {} whose writes may be lost, not `{typed}`",
            loss.generation
        ),
    };
    let next = format!(
        "mainstay db promote {} --lose-writes-of {}",
        loss.member, loss.generation
    );
    Err(Failure::new(what, next).into())
}

fn order(looking: &mut Looking, wanted: &Wanted) -> anyhow::Result<u8> {
    let mine = RequestRecord {
        force: Some(wanted.clone()),
        ..RequestRecord::default()
    };
    looking.ask(&Change::Promote(wanted.clone()))?;
    let since = Instant::now();
    let ended = loop {
        let status = looking.status()?;
        if let Some(generation) = promotion::is_done(&status, wanted) {
            looking.ask(&Change::TakeBack(mine))?;
            let primary = wanted.to.as_ref().map(ToString::to_string);
            writeln!(
                std::io::stdout().lock(),
                "{} is primary in generation {generation}",
                primary.unwrap_or_default()
            )?;
            return Ok(0);
        }
        if let Some(other) = status.serving_primary() {
            break format!("{} became primary meanwhile, without loss", other.name);
        }
        if since.elapsed() >= PATIENCE {
            break format!("it does not take writes within {} s", PATIENCE.as_secs());
        }
        if looking.pause() {
            break "interrupted".to_owned();
        }
    };
    looking.ask(&Change::TakeBack(mine))?;
    let next = "the order is taken back; `mainstay db status` shows how it stands";
    Err(Failure::new(ended, next).into())
}
