//! Pure: a cluster of three for the tests of this folder.

use site::name::MemberName;

use super::status::{ClusterStatus, Member};
use crate::record::{FORMAT, Generation, Lease, RequestRecord, StateRecord, SyncSet};

pub(super) fn name(name: &str) -> MemberName {
    MemberName::new(name)
}

/// `db-1` is primary, the others acknowledge.
pub(super) fn cluster() -> ClusterStatus {
    ClusterStatus {
        site: "foobar".to_owned(),
        at_ms: 0,
        running: true,
        acknowledged: true,
        state: Some(state()),
        request: RequestRecord::default(),
        members: ["db-1", "db-2", "db-3"].map(member).into(),
    }
}

fn state() -> StateRecord {
    StateRecord {
        format: FORMAT,
        primary: name("db-1"),
        generation: Generation(4),
        revision: 40,
        lease: Lease::Held,
        writer: name("db-1"),
        sync_set: SyncSet::Members([name("db-2"), name("db-3")].into()),
        forced: false,
        position_of: 0,
        position: "0-101-20".to_owned(),
        why: String::new(),
        history: Vec::new(),
    }
}

fn member(of: &str) -> Member {
    let is_primary = of == "db-1";
    Member {
        name: name(of),
        server: of.to_owned(),
        address: String::new(),
        socket: None,
        role: if is_primary { "primary" } else { "replica" }.to_owned(),
        state: "running".to_owned(),
        writable: is_primary,
        serves: true,
        needs_you: false,
        in_sync_set: !is_primary,
        whole: true,
        generation: Some(Generation(4)),
        lag_ms: Some(0),
        behind: Some(0),
        received: "0-101-20".to_owned(),
        applied: "0-101-20".to_owned(),
        pid: of.bytes().last().map(u32::from),
        restarts: 0,
        reason: String::new(),
        seen: RequestRecord::default(),
        refusal: None,
        nobody: Vec::new(),
    }
}

/// The one of that name.
pub(super) fn at<'c>(cluster: &'c mut ClusterStatus, of: &str) -> &'c mut Member {
    let mut members = cluster.members.iter_mut();
    members.find(|member| member.name == name(of)).unwrap()
}

/// `to` is primary in the next generation.
pub(super) fn hand_over(cluster: &mut ClusterStatus, to: &str) {
    let Some(state) = &mut cluster.state else {
        return;
    };
    state.generation = state.generation.next();
    state.primary = name(to);
    state.writer = name(to);
    let generation = state.generation;
    let names = cluster.members.iter().map(|member| member.name.clone());
    state.sync_set = SyncSet::Members(names.filter(|member| *member != name(to)).collect());
    for member in &mut cluster.members {
        let is_primary = member.name == name(to);
        member.role = if is_primary { "primary" } else { "replica" }.to_owned();
        member.writable = is_primary;
        member.in_sync_set = !is_primary;
        member.generation = Some(generation);
    }
}
