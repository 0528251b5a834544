//! `mainstay db switchover [TO]`: asks the primary to hand over, waits for how it ends, and takes the
//! request back when it does not.

use std::io::Write as _;
use std::time::{Duration, Instant};

use database::operate::message::Change;
use database::operate::switchover::{self, Ask, Outcome};
use database::record::{Generation, RequestRecord, Wanted};
use site::name::MemberName;

use super::looking::Looking;
use super::{Flags, refused};
use crate::report::Failure;

/// A refusal that may pass is believed after this long: a member that has just been started shows in about
/// four seconds that it has everything.
const SETTLE: Duration = Duration::from_secs(6);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Who becomes primary [default: whoever is fit]
    to: Option<String>,
    /// Take the request back after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    #[command(flatten)]
    flags: Flags,
}

/// A switchover that was done.
pub(super) struct Done {
    pub(super) primary: MemberName,
    pub(super) generation: Generation,
    /// As far as it was seen.
    pub(super) held: Duration,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let mut looking = Looking::at(&args.flags.state())?;
    let to = args.to.as_deref().map(MemberName::new);
    let status = looking.status()?;
    let mut out = std::io::stdout().lock();
    let wanted = match switchover::ask(&status, to.as_ref()).map_err(refused)? {
        Ask::Is(primary) => {
            writeln!(out, "{primary} is the primary already")?;
            return Ok(0);
        }
        Ask::For(wanted) => wanted,
    };
    let from = status.state.map(|state| state.primary.to_string());
    let done = hand_over(&mut looking, &wanted, Duration::from_secs(args.wait))?;
    writeln!(
        out,
        "{} is primary in generation {}, in the place of {}; writes were held for {:.2} s",
        done.primary,
        done.generation,
        from.unwrap_or_default(),
        done.held.as_secs_f64()
    )?;
    Ok(0)
}

/// Asks and waits.
pub(super) fn hand_over(
    looking: &mut Looking,
    wanted: &Wanted,
    patience: Duration,
) -> anyhow::Result<Done> {
    let mine = RequestRecord {
        switchover: Some(wanted.clone()),
        ..RequestRecord::default()
    };
    looking.ask(&Change::Switchover(wanted.clone()))?;
    let since = Instant::now();
    let mut held: Option<Instant> = None;
    let mut refused_since: Option<Instant> = None;
    let ended = loop {
        let status = looking.status()?;
        let outcome = switchover::outcome(&status, wanted);
        if outcome == Outcome::Held {
            held.get_or_insert_with(Instant::now);
        }
        match outcome {
            Outcome::Done {
                primary,
                generation,
            } => {
                let held = held.map(|since| since.elapsed()).unwrap_or_default();
                looking.ask(&Change::TakeBack(mine))?;
                return Ok(Done {
                    primary,
                    generation,
                    held,
                });
            }
            Outcome::Another(primary) => {
                break format!("there was a failover meanwhile: {primary} is primary");
            }
            Outcome::Refused(why) => break format!("no switchover: {why}"),
            Outcome::NotYet(why) => {
                let since = *refused_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= SETTLE {
                    break format!("no switchover: {why}");
                }
            }
            Outcome::Waiting => {
                held = None;
                refused_since = None;
            }
            Outcome::Held => refused_since = None,
        }
        if since.elapsed() >= patience {
            let primary = status.state.and_then(|state| {
                let member = status
                    .members
                    .into_iter()
                    .find(|it| it.name == state.primary);
                member.map(|member| format!(": {}: {}", member.name, member.reason))
            });
            break format!(
                "not done within {} s{}",
                patience.as_secs(),
                primary.unwrap_or_default()
            );
        }
        if looking.pause() {
            break "interrupted".to_owned();
        }
    };
    looking.ask(&Change::TakeBack(mine))?;
    let next =
        "the request is taken back; `mainstay db status` shows who is primary, and what is wrong";
    Err(Failure::new(ended, next).into())
}
