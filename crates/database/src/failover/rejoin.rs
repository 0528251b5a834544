//! Pure: may a member with this history follow the primary, or must its data be replaced first?
//!
//! What a server committed itself while it was primary is harmless as far as its successor has it:
//! the history of the cluster state says where the successor's generation began.

use std::time::Duration;

use mysql::gtid::mariadb::Position;
use site::name::MemberName;

use super::lease;
use super::view::{Status, Time, View};
use crate::record::{Lease, StateRecord, SyncSet};

/// A primary that gave the lease up waits for its successor this long before it starts its server: started
/// before, the server commits what nobody acknowledged, and its data has to be replaced. Longer than
/// between two renewals of an elected one that applies what it received.
const SUCCESSOR: Duration = lease::RENEW_EVERY.saturating_add(Duration::from_secs(1));

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejoin {
    /// Empty, or everything it has is the primary's too.
    Follow,
    /// It has committed transactions of its own (MariaDB GTIDs, named for people).
    Extra(String),
    /// It has transactions, and no position says where they came from.
    HistoryUnknown,
}

/// May it begin to follow? `began`: where the first generation after its own began, if it was primary.
pub fn plan(status: &Status, began: Option<&Position>) -> Rejoin {
    if status.start_from {
        return Rejoin::Follow;
    }
    if let Some(extra) = extra(status, began) {
        return Rejoin::Extra(extra);
    }
    if status.slave_pos.is_empty() && !status.binlog_pos.is_empty() && began.is_none() {
        return Rejoin::HistoryUnknown;
    }
    Rejoin::Follow
}

/// Transactions that were committed on this server are harmless when its replicated position or the
/// beginning of its successor's generation contains them; else the primary does not know them.
pub fn extra(status: &Status, began: Option<&Position>) -> Option<String> {
    let known = [Some(&status.slave_pos), began];
    let extra: Vec<String> = status
        .own
        .iter()
        .filter(|gtid| {
            let gtids = known.iter().flatten().flat_map(|position| position.gtids());
            !gtids
                .filter(|other| other.domain == gtid.domain)
                .any(|other| other.sequence >= gtid.sequence)
        })
        .map(ToString::to_string)
        .collect();
    (!extra.is_empty()).then(|| extra.join(","))
}

/// What a server that has more has in common with the primary: the extra ones come after.
pub fn common(status: &Status, began: Option<&Position>) -> Position {
    let mut all = status.slave_pos.clone();
    if let Some(began) = began {
        all.join(began);
    }
    all
}

/// `me` was primary, and another is and has every acknowledged write. Then its server may forget, when it
/// starts after a crash, what was written and not committed: nobody acknowledged it, or the other has it.
/// (`--init-rpl-role=SLAVE`; without a successor this could cut the last acknowledged write.)
pub fn is_succeeded(view: &View, me: &MemberName) -> bool {
    let wrote = view.obeyed.as_ref().is_some_and(|it| it.primary == *me);
    let state = view.state().filter(|state| state.is_open());
    wrote && state.is_some_and(|state| state.primary != *me && state.sync_set != SyncSet::Async)
}

/// Until when `me`, whose server is down, waits for the one that is to take its place.
pub fn successor_due(view: &View, me: &MemberName) -> Option<Time> {
    let state = view.state().filter(|state| state.writer == *me)?;
    let given_up = state.lease == Lease::Released || state.primary != *me;
    let others = state.sync_set.members().is_some();
    (given_up && others).then(|| view.seen_at.after(SUCCESSOR))
}

/// Where the successor of `me` began, when `me` was primary as far back as the history goes.
pub fn began_after(state: &StateRecord, me: &MemberName) -> Option<Position> {
    let mine = state
        .history
        .iter()
        .rposition(|change| change.primary == *me)?;
    let successor = state.history.get(mine + 1)?;
    successor.began.parse().ok()
}
