//! Pure: which full backup, which incremental ones and which logs reach a time or a GTID; or the nearest
//! moment that can be reached.
//!
//! A time T means: every transaction stamped before T, to the second, and none after it (as
//! `mariadb-binlog --stop-datetime` has it; a binary log knows no fractions). A GTID means: up to that
//! transaction, with it.

use mysql::gtid::mariadb::Position;

use super::catalog::{Backup, Catalog};
use super::moment::Moment;
use super::record::LogRecord;

/// How far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// As the backup shows it.
    Backup,
    /// As far as there are logs.
    Latest,
    Time(Moment),
    Position(Position),
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Begin with this one; `None`: the best there is.
    pub backup: Option<String>,
    pub until: Until,
}

/// What is done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Ids, the full one first.
    pub chain: Vec<String>,
    /// Where the last of them stands.
    pub from: Position,
    /// Ids, in the order they are applied.
    pub logs: Vec<String>,
    pub until: Until,
    pub history: u64,
}

/// It cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no backup yet; `mainstay db backup` takes one")]
    NoBackup,
    #[error("there is no backup `{0}`; `mainstay db backups` lists them")]
    Unknown(String),
    #[error(
        "`{0}` cannot be restored: it, or a backup it builds on, is missing or failed its trial restore; \
         `mainstay db backups` shows which are good"
    )]
    Broken(String),
    #[error(
        "{wanted} is before the earliest state that can be restored; the earliest is {earliest}"
    )]
    TooEarly { wanted: String, earliest: String },
    #[error(
        "{wanted} is beyond what is archived; the nearest state that can be restored is {latest} \
         ({position})"
    )]
    TooLate {
        wanted: String,
        latest: String,
        position: String,
    },
}

/// The newest history that can do it is taken.
pub fn plan(catalog: &Catalog, wanted: &Wanted) -> Result<Plan, Refusal> {
    if catalog.backups.is_empty() {
        return Err(Refusal::NoBackup);
    }
    if let Some(id) = &wanted.backup {
        let backup = catalog
            .backup(id)
            .ok_or_else(|| Refusal::Unknown(id.clone()))?;
        if catalog.chain(id).is_none() {
            return Err(Refusal::Broken(id.clone()));
        }
        return from(catalog, backup, wanted);
    }
    let usable = |backup: &&Backup| catalog.chain(&backup.manifest.id).is_some();
    let mut candidates: Vec<&Backup> = catalog.backups.iter().filter(usable).collect();
    candidates.sort_by_key(|backup| (backup.manifest.history, backup.taken()));
    let newest = candidates.last().ok_or_else(|| {
        Refusal::Broken(
            catalog
                .backups
                .last()
                .map(|b| b.manifest.id.clone())
                .unwrap_or_default(),
        )
    })?;
    if matches!(wanted.until, Until::Backup | Until::Latest) {
        return from(catalog, newest, wanted);
    }
    let mut first_refusal = None;
    let early = |backup: &&&Backup| is_before(backup, &wanted.until);
    for backup in candidates.iter().rev().filter(early) {
        match from(catalog, backup, wanted) {
            Ok(plan) => return Ok(plan),
            Err(refusal) => _ = first_refusal.get_or_insert(refusal),
        }
    }
    Err(first_refusal.unwrap_or_else(|| too_early(&candidates, &wanted.until)))
}

fn from(catalog: &Catalog, backup: &Backup, wanted: &Wanted) -> Result<Plan, Refusal> {
    let id = &backup.manifest.id;
    let chain = catalog
        .chain(id)
        .ok_or_else(|| Refusal::Broken(id.clone()))?
        .iter()
        .map(|backup| backup.manifest.id.clone())
        .collect();
    let explicit = matches!(wanted.until, Until::Time(_) | Until::Position(_));
    if explicit && !is_before(backup, &wanted.until) {
        return Err(too_early(&[backup], &wanted.until));
    }
    let reach = reach(catalog, backup, &wanted.until);
    if !reach.enough {
        return Err(Refusal::TooLate {
            wanted: shown(&wanted.until),
            latest: reach.latest.to_string(),
            position: reach.position.to_string(),
        });
    }
    Ok(Plan {
        chain,
        from: backup.position(),
        logs: reach.logs.iter().map(|log| log.id.clone()).collect(),
        until: wanted.until.clone(),
        history: backup.manifest.history,
    })
}

/// How far the logs go on from a backup.
struct Reach<'a> {
    logs: Vec<&'a LogRecord>,
    position: Position,
    /// Everything before it is there.
    latest: Moment,
    /// What is wanted lies within.
    enough: bool,
}

fn reach<'a>(catalog: &'a Catalog, backup: &Backup, until: &Until) -> Reach<'a> {
    let mut reach = Reach {
        logs: Vec::new(),
        position: backup.position(),
        latest: backup.taken(),
        enough: false,
    };
    let mut rest: Vec<(&LogRecord, Position, Position)> = catalog
        .logs
        .iter()
        .filter(|log| log.history == backup.manifest.history)
        .filter_map(|log| Some((log, log.before.parse().ok()?, log.after.parse().ok()?)))
        .collect();
    loop {
        reach.enough = match until {
            Until::Backup => true,
            Until::Latest => false,
            Until::Time(time) => reach.latest >= *time || passed(&reach.logs, *time),
            Until::Position(wanted) => reach.position.contains(wanted),
        };
        if reach.enough {
            return reach;
        }
        // What is known already says only how late it is.
        rest.retain(|(log, before, after)| {
            let known = reach.position.contains(after);
            if known && reach.position.contains(before) {
                reach.latest = reach.latest.max(Moment::from_s(log.closed_s));
            }
            !known
        });
        if let Until::Time(time) = until
            && reach.latest >= *time
        {
            reach.enough = true;
            return reach;
        }
        let of = reach.logs.last().map(|log| log.member.clone());
        let joins = rest
            .iter()
            .filter(|(_, before, _)| reach.position.contains(before))
            // The same server's log goes on where the last one ended; and then the shortest step.
            .min_by_key(|(log, _, _)| (of.as_ref() != Some(&log.member), &log.id));
        let Some((log, _, after)) = joins else {
            reach.enough = *until == Until::Latest;
            return reach;
        };
        reach.latest = reach.latest.max(Moment::from_s(log.closed_s));
        reach.position.join(after);
        reach.logs.push(log);
    }
}

/// Does the last log hold something at or after that time? Then it is known where to stop.
fn passed(logs: &[&LogRecord], time: Moment) -> bool {
    logs.last()
        .and_then(|log| log.last_s)
        .is_some_and(|last| Moment::from_s(last) >= time)
}

fn is_before(backup: &Backup, until: &Until) -> bool {
    match until {
        Until::Backup | Until::Latest => true,
        // The copy may hold what was written in the second in which it ended.
        Until::Time(time) => backup.taken().s() < time.s(),
        Until::Position(wanted) => wanted.contains(&backup.position()),
    }
}

fn too_early(candidates: &[&Backup], until: &Until) -> Refusal {
    let earliest = candidates.iter().min_by_key(|backup| backup.taken());
    let earliest = earliest.map(|backup| match until {
        Until::Position(_) => format!("{} ({})", backup.manifest.position, backup.manifest.id),
        _ => {
            let next = Moment::from_s(backup.taken().s().saturating_add(1));
            format!("{next} ({})", backup.manifest.id)
        }
    });
    Refusal::TooEarly {
        wanted: shown(until),
        earliest: earliest.unwrap_or_default(),
    }
}

fn shown(until: &Until) -> String {
    match until {
        Until::Backup => "the backup".to_owned(),
        Until::Latest => "the latest state".to_owned(),
        Until::Time(time) => time.to_string(),
        Until::Position(position) => position.to_string(),
    }
}

#[cfg(test)]
mod tests;
