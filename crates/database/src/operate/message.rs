//! Pure: what the command line asks a running site about its database.

use serde::{Deserialize, Serialize};

use crate::record::{RequestRecord, Restart, Wanted};

/// A change of what people ask of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Pause(bool),
    Switchover(Wanted),
    Promote(Wanted),
    Restart(Restart),
    /// This very switchover, promotion or restart is not wanted any more.
    TakeBack(RequestRecord),
}

impl Change {
    /// `before` with this change.
    pub fn on(&self, before: &RequestRecord) -> RequestRecord {
        let mut next = before.clone();
        match self {
            Self::Pause(paused) => next.paused = *paused,
            Self::Switchover(wanted) => next.switchover = Some(wanted.clone()),
            Self::Promote(wanted) => next.force = Some(wanted.clone()),
            Self::Restart(restart) => next.restart = Some(restart.clone()),
            Self::TakeBack(mine) => {
                next.switchover = next
                    .switchover
                    .filter(|it| Some(it) != mine.switchover.as_ref());
                next.force = next.force.filter(|it| Some(it) != mine.force.as_ref());
                next.restart = next.restart.filter(|it| Some(it) != mine.restart.as_ref());
            }
        }
        next
    }
}

/// What is asked about the accounts of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Users {
    List,
    Add { name: String, read_only: bool },
    Remove { name: String },
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub name: String,
    /// From where it may come: a host or a pattern.
    pub host: String,
    pub locked: bool,
    /// Whose it is and what for, in a few words.
    pub what: String,
    /// Made by `mainstay db users add`: it can be removed again.
    pub ours_to_remove: bool,
}

#[cfg(test)]
mod tests {
    use site::name::MemberName;

    use super::*;
    use crate::record::Generation;

    #[test]
    fn only_what_was_asked_for_is_taken_back() {
        let wanted = |to: &str| Wanted {
            generation: Generation(4),
            to: Some(MemberName::new(to)),
        };
        let mut record = Change::Pause(true).on(&RequestRecord::default());
        record = Change::Switchover(wanted("db-2")).on(&record);
        let others = RequestRecord {
            switchover: Some(wanted("db-3")),
            ..RequestRecord::default()
        };
        assert_eq!(Change::TakeBack(others).on(&record), record);
        let mine = record.clone();
        let after = Change::TakeBack(mine).on(&record);
        assert_eq!(after.switchover, None);
        assert!(after.paused, "maintenance ends by `resume` only");
    }
}
