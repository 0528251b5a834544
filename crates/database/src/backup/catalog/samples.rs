//! Backups and logs for tests.

use std::collections::BTreeMap;

use proptest::prelude::*;
use site::name::MemberName;

use super::super::record::{FORMAT, Kind, LogRecord, Manifest, Stored, Verification};
use super::{Backup, Catalog};

pub(in super::super) const MEMBER: &str = "db-1";

fn stored(name: &str) -> Stored {
    Stored {
        name: name.to_owned(),
        plain_bytes: 100,
        bytes: 10,
        sha256: String::new(),
        recipient: None,
    }
}

/// Taken at a second, at a sequence number; `base`: none for a full one.
pub(in super::super) fn backup(id: &str, base: Option<&str>, at_s: u64, sequence: u64) -> Backup {
    Backup {
        manifest: Manifest {
            format: FORMAT,
            site: "foobar".to_owned(),
            id: id.to_owned(),
            kind: match base {
                None => Kind::Full,
                Some(_) => Kind::Incremental,
            },
            base: base.map(str::to_owned),
            history: 1,
            member: MemberName::new(MEMBER),
            lineage: "l".to_owned(),
            began_ms: at_s * 1000,
            ended_ms: at_s * 1000,
            position: format!("0-1-{sequence}"),
            from_lsn: 0,
            to_lsn: sequence * 100,
            server_version: "10.11".to_owned(),
            data: stored(id),
        },
        verification: None,
    }
}

pub(in super::super) fn tried(mut backup: Backup, at_s: u64, failed: Option<&str>) -> Backup {
    backup.verification = Some(Verification {
        format: FORMAT,
        id: backup.manifest.id.clone(),
        at_ms: at_s * 1000,
        took_ms: 1,
        failed: failed.map(str::to_owned),
        tables: BTreeMap::new(),
    });
    backup
}

/// Transactions after `before` up to `after`, one a second, closed at the last one's second.
pub(in super::super) fn log(before: u64, after: u64, last_s: u64) -> LogRecord {
    LogRecord {
        format: FORMAT,
        site: "foobar".to_owned(),
        id: format!("{last_s:010}-{MEMBER}-bin.{after:06}"),
        history: 1,
        member: MemberName::new(MEMBER),
        file: format!("bin.{after:06}"),
        before: format!("0-1-{before}"),
        after: format!("0-1-{after}"),
        first_s: Some(last_s.saturating_sub(after.saturating_sub(before + 1))),
        last_s: Some(last_s),
        closed_s: last_s,
        transactions: after - before,
        data: stored("log"),
    }
}

/// A life of a site: one transaction a second (number = second), backups and logs as they come.
pub(in super::super) fn catalog() -> impl Strategy<Value = Catalog> {
    let step = (1..50_u64, 0..6_u8, any::<bool>());
    proptest::collection::vec(step, 1..30).prop_map(|steps| {
        let (mut now, mut logged, mut history) = (100_u64, 100_u64, 1_u64);
        let (mut backups, mut logs) = (Vec::<Backup>::new(), Vec::new());
        for (number, (wait, what, flag)) in (0..).zip(steps) {
            now += wait;
            let base = backups
                .last()
                .filter(|last| last.manifest.history == history)
                .map(|last: &Backup| last.manifest.id.clone());
            let new = match (what, base) {
                (0 | 1, _) | (2, None) => Some(None),
                (2, base) => Some(base),
                (3, _) => {
                    let mut log = log(logged, now, now);
                    log.history = history;
                    logs.push(log);
                    logged = now;
                    None
                }
                (4, _) => {
                    if let Some(last) = backups.pop() {
                        backups.push(tried(last, now, flag.then_some("bad")));
                    }
                    None
                }
                _ => {
                    if flag {
                        history += 1;
                        logged = now;
                    }
                    None
                }
            };
            if let Some(base) = new {
                let mut made = backup(&format!("b{number}"), base.as_deref(), now, now);
                made.manifest.history = history;
                backups.push(made);
            }
        }
        Catalog::new(backups, logs)
    })
}
