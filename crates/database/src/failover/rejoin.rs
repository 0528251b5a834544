//! Pure: may a member with this history follow the primary, or must its data be replaced first?

use super::view::Status;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejoin {
    /// Empty, or everything it has was received by replication.
    Follow,
    /// It has committed transactions of its own (MariaDB GTIDs, named for people).
    Extra(String),
    /// It has transactions, and no position says where they came from.
    HistoryUnknown,
}

/// May it begin to follow?
pub fn plan(status: &Status) -> Rejoin {
    if status.start_from {
        return Rejoin::Follow;
    }
    if let Some(extra) = extra(status) {
        return Rejoin::Extra(extra);
    }
    if status.slave_pos.is_empty() && !status.binlog_pos.is_empty() {
        return Rejoin::HistoryUnknown;
    }
    Rejoin::Follow
}

/// Transactions that were committed on this server are harmless when its replicated position contains
/// them (it was primary once and its position was carried over); else the primary does not know them.
pub fn extra(status: &Status) -> Option<String> {
    let extra: Vec<String> = status
        .own
        .iter()
        .filter(|gtid| {
            let replicated = status.slave_pos.gtids().iter();
            !replicated
                .filter(|other| other.domain == gtid.domain)
                .any(|other| other.sequence >= gtid.sequence)
        })
        .map(ToString::to_string)
        .collect();
    (!extra.is_empty()).then(|| extra.join(","))
}
