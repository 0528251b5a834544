//! Pure: (what there is, the time, the schedule) → what is due, and why.
//!
//! The wall clock counts here, because a schedule goes on over restarts. A clock that is wrong must
//! neither stop backups for ever nor cause one after the other: a backup from the future is not seen,
//! and at most one thing is due per look, each of which moves its own mark.

use std::fmt;
use std::time::Duration;

use site::name::MemberName;

use super::catalog::{Backup, Catalog};
use super::moment::Moment;
use super::record::Kind;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Between two full backups.
    pub full: Duration,
    /// Between two backups of either kind; `None`: full ones only.
    pub incremental: Option<Duration>,
    /// Between two trial restores; `None`: never.
    pub verify: Option<Duration>,
}

/// Whose data can be copied now: a member, and its data directory's mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copyable {
    pub member: MemberName,
    pub lineage: Option<String>,
}

/// Failures in a row, of whatever was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    pub count: u32,
    pub last: Moment,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    Full,
    /// Of that member's data, on top of that backup.
    Incremental {
        base: String,
        member: MemberName,
    },
    Verify {
        id: String,
    },
    /// Not before.
    Nothing {
        until: Moment,
    },
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    NoFull,
    FullIsOld(Duration),
    NewestIsOld(Duration),
    /// An incremental backup is due, and no member has the data its base was taken of.
    BaseNotHere(String),
    NotVerified(String),
    AllIsFresh,
    AfterFailures(u32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFull => f.write_str("there is no full backup of this data yet"),
            Self::FullIsOld(age) => write!(f, "the newest full backup is {} s old", age.as_secs()),
            Self::NewestIsOld(age) => write!(f, "the newest backup is {} s old", age.as_secs()),
            Self::BaseNotHere(base) => {
                write!(f, "no member has the data that {base} was taken of")
            }
            Self::NotVerified(id) => write!(f, "{id} was never restored on trial"),
            Self::AllIsFresh => f.write_str("all is fresh enough"),
            Self::AfterFailures(count) => write!(f, "{count} failures in a row; waiting"),
        }
    }
}

/// After the first failure; it doubles.
const RETRY: Duration = Duration::from_secs(60);
/// The longest wait after failures: an hour, so that a disk made larger in the morning is seen by noon.
const RETRY_AT_MOST: Duration = Duration::from_secs(3600);
/// How far servers' clocks may differ before a backup counts as from the future.
const CLOCKS: Duration = Duration::from_secs(300);

pub fn due(
    catalog: &Catalog,
    history: u64,
    copyable: &[Copyable],
    failures: Failures,
    now: Moment,
    schedule: &Schedule,
) -> (Due, Reason) {
    let retry = failures.last.after(backoff(failures.count));
    // A last failure in the future is one of a wrong clock.
    if failures.count > 0 && now < retry && failures.last <= now.after(CLOCKS) {
        let reason = Reason::AfterFailures(failures.count);
        return (Due::Nothing { until: retry }, reason);
    }
    let seen = |backup: &&Backup| !backup.is_bad() && backup.taken() <= now.after(CLOCKS);
    let known: Vec<&Backup> = catalog
        .of_history(history)
        .filter(seen)
        .filter(|backup| catalog.chain(&backup.manifest.id).is_some())
        .collect();
    let is_full = |backup: &&&Backup| backup.manifest.kind == Kind::Full;
    let (Some(full), Some(newest)) = (known.iter().rev().find(is_full), known.last()) else {
        return (Due::Full, Reason::NoFull);
    };
    let age = now.since(full.taken());
    if age >= schedule.full {
        return (Due::Full, Reason::FullIsOld(age));
    }
    let age = now.since(newest.taken());
    if schedule.incremental.is_some_and(|every| age >= every) {
        return incremental(newest, copyable, age);
    }
    match verify(catalog, newest, now, schedule) {
        Ok(id) => (Due::Verify { id: id.clone() }, Reason::NotVerified(id)),
        Err(verify_at) => {
            let mut until = full.taken().after(schedule.full).min(verify_at);
            if let Some(every) = schedule.incremental {
                until = until.min(newest.taken().after(every));
            }
            (Due::Nothing { until }, Reason::AllIsFresh)
        }
    }
}

fn backoff(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    RETRY.saturating_mul(doubled).min(RETRY_AT_MOST)
}

fn incremental(newest: &Backup, copyable: &[Copyable], age: Duration) -> (Due, Reason) {
    let base = newest.manifest.id.clone();
    let same = |copyable: &&Copyable| {
        copyable.member == newest.manifest.member
            && copyable.lineage.as_ref() == Some(&newest.manifest.lineage)
    };
    match copyable.iter().find(same) {
        Some(Copyable { member, .. }) => {
            let member = member.clone();
            (Due::Incremental { base, member }, Reason::NewestIsOld(age))
        }
        None => (Due::Full, Reason::BaseNotHere(base)),
    }
}

/// What to restore on trial now, or when it will be time.
fn verify(
    catalog: &Catalog,
    newest: &Backup,
    now: Moment,
    schedule: &Schedule,
) -> Result<String, Moment> {
    let never = Moment(u64::MAX);
    let Some(every) = schedule.verify else {
        return Err(never);
    };
    if newest.verification.is_some() {
        return Err(never);
    }
    let last = catalog
        .backups
        .iter()
        .filter_map(|backup| Some(Moment(backup.verification.as_ref()?.at_ms)))
        .filter(|at| *at <= now.after(CLOCKS))
        .max();
    match last {
        Some(last) if now.since(last) < every => Err(last.after(every)),
        _ => Ok(newest.manifest.id.clone()),
    }
}

#[cfg(test)]
mod tests;
