//! `mainstay db restart [MEMBER]`: every database server, or one, ended in order and started again; the
//! primary last, after a switchover. The first trouble ends it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use database::operate::message::Change;
use database::operate::rolling::{self, Begun, Step};
use database::operate::switchover::{self, Ask};
use database::record::{RequestRecord, Restart};
use site::name::MemberName;

use super::looking::Looking;
use super::switchover::hand_over;
use super::{Flags, refused};
use crate::report::Failure;

/// For the switchover among the steps.
const SWITCHOVER: Duration = Duration::from_secs(60);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only this one, which is not the primary of others [default: all, the primary last]
    member: Option<String>,
    /// Seconds for each step, the crash recovery of a large database included
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait: u64,
    #[command(flatten)]
    flags: Flags,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let mut looking = Looking::at(&args.flags.state())?;
    let only = args.member.as_deref().map(MemberName::new);
    let begun = rolling::begin(&looking.status()?, only.as_ref()).map_err(refused)?;
    let mut asked = None;
    let ended = steps(
        &mut looking,
        begun,
        &mut asked,
        Duration::from_secs(args.wait),
    );
    if let Some((restart, _)) = asked {
        take_back(&looking, restart)?;
    }
    ended
}

fn take_back(looking: &Looking, restart: Restart) -> anyhow::Result<()> {
    let mine = RequestRecord {
        restart: Some(restart),
        ..RequestRecord::default()
    };
    looking.ask(&Change::TakeBack(mine)).map(drop)
}

/// The restart that was asked for last, and when.
type Asked = Option<(Restart, Instant)>;

fn steps(
    looking: &mut Looking,
    mut begun: Begun,
    asked: &mut Asked,
    patience: Duration,
) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    let mut since = Instant::now();
    loop {
        let status = looking.status()?;
        let step = rolling::next(&status, &begun);
        let waits = match &step {
            Step::Wait(what) => Some(what.clone()),
            Step::Restart(it) if asked.as_ref().is_some_and(|(asked, _)| asked == it) => {
                Some(format!("{} ends", it.member))
            }
            _ => None,
        };
        if let Some(what) = waits {
            if since.elapsed() >= patience {
                let what = format!("waited {} s until {what}", patience.as_secs());
                let next = "`mainstay db status` shows what keeps it; then run it again";
                return Err(Failure::new(what, next).into());
            }
            if looking.pause() {
                let what = format!("interrupted while waiting until {what}");
                return Err(Failure::new(
                    what,
                    "`mainstay db restart` goes through all of them again",
                )
                .into());
            }
            continue;
        }
        // What was asked for is over.
        if !matches!(step, Step::Stop(_))
            && let Some((restart, since)) = asked.take()
        {
            let took = since.elapsed().as_secs_f64();
            writeln!(
                out,
                "{}: restarted, and all is well after {took:.1} s",
                restart.member
            )?;
            take_back(looking, restart)?;
        }
        since = Instant::now();
        match step {
            Step::Stop(trouble) => return Err(refused(trouble)),
            Step::Done => {
                if let Some(primary) = status.serving_primary() {
                    let generation = begun.generation;
                    writeln!(
                        out,
                        "done; {} is primary (generation {generation})",
                        primary.name
                    )?;
                }
                return Ok(0);
            }
            Step::Restart(restart) => {
                looking.ask(&Change::Restart(restart.clone()))?;
                *asked = Some((restart, Instant::now()));
            }
            Step::Switchover => {
                if let Ask::For(wanted) = switchover::ask(&status, None).map_err(refused)? {
                    let done = hand_over(looking, &wanted, SWITCHOVER)?;
                    begun.generation = done.generation;
                    writeln!(
                        out,
                        "{} is primary in generation {}; writes were held for {:.2} s",
                        done.primary,
                        done.generation,
                        done.held.as_secs_f64()
                    )?;
                }
            }
            Step::Wait(_) => {}
        }
    }
}
