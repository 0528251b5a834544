//! Pure: what is wrong with a cluster, and what to do next about it: for somebody at three in the
//! morning. Most pressing first; empty when all is well.

use super::status::{ClusterStatus, Member};
use crate::record::{StateRecord, SyncSet};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub what: String,
    pub next: String,
}

impl Trouble {
    pub(super) fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            next: next.into(),
        }
    }
}

/// All of it.
pub fn of(status: &ClusterStatus) -> Vec<Trouble> {
    if status.members.is_empty() {
        return Vec::new();
    }
    if !status.running {
        let what = "nothing runs: this is what was written down last";
        return vec![Trouble::new(what, "mainstay up")];
    }
    let mut all = Vec::new();
    if status.is_paused() {
        all.push(Trouble::new(
            "MAINTENANCE: nobody is elected, and no server is started again",
            "`mainstay db resume` ends it",
        ));
    }
    let Some(state) = &status.state else {
        all.push(Trouble::new(
            "there is no primary yet: nothing can be written",
            "wait for the first one; the sentence of each member says what it waits for",
        ));
        return all;
    };
    if status.serving_primary().is_none() {
        all.push(no_primary(status, state));
    }
    all.extend(status.members.iter().filter_map(|it| member(status, it)));
    if let Some(alone) = alone(status, state) {
        all.push(alone);
    }
    all
}

fn no_primary(status: &ClusterStatus, state: &StateRecord) -> Trouble {
    if status.is_paused() {
        return Trouble::new(
            format!(
                "{} takes no writes, and nobody takes its place",
                state.primary
            ),
            "end the maintenance: `mainstay db resume`. It is started again, or another is elected",
        );
    }
    let stuck = status.members.iter().find(|it| !it.nobody.is_empty());
    let Some(stuck) = stuck else {
        return Trouble::new(
            "no primary takes writes: an election or a start is under way",
            "look again in ten seconds; `mainstay logs database` shows what the servers say",
        );
    };
    let why: Vec<String> = stuck
        .nobody
        .iter()
        .map(|(name, why)| format!("{name} {why}"))
        .collect();
    let what = format!(
        "nothing can be written, and nobody may be promoted without loss: {}",
        why.join("; ")
    );
    let back: Vec<&str> = status
        .members
        .iter()
        .filter(|it| it.state != "running")
        .map(|it| it.name.as_str())
        .collect();
    let back = match back.is_empty() {
        true => "the members named".to_owned(),
        false => back.join(" or "),
    };
    Trouble::new(
        what,
        format!(
            "bring {back} back: that loses nothing and the rest is done by itself. Only when that cannot be: \
             `mainstay db promote {}` says what would be lost, and asks",
            stuck.name
        ),
    )
}

fn member(status: &ClusterStatus, member: &Member) -> Option<Trouble> {
    let name = &member.name;
    let logs = format!("`mainstay logs database-{name}` shows what its server says");
    let what = format!("{name}: {}", member.reason);
    if member.needs_you {
        return Some(Trouble::new(
            what,
            format!("mend what it names, it is tried again by itself; {logs}"),
        ));
    }
    match member.state.as_str() {
        "running" => {}
        "starting" => return Some(Trouble::new(what, "wait: it is being started")),
        "rebuilding" => {
            let next = "wait: it follows by itself when the copy is complete";
            return Some(Trouble::new(what, next));
        }
        _ if status.is_paused() => {
            let next = "it is not started again in maintenance; `mainstay db resume` ends that";
            return Some(Trouble::new(what, next));
        }
        _ => {
            return Some(Trouble::new(
                what,
                format!("it is started again by itself; {logs}"),
            ));
        }
    }
    let is_replica = member.role == "replica" && status.serving_primary().is_some();
    (is_replica && !member.serves).then(|| {
        Trouble::new(
            what,
            format!(
                "it is put right by itself, by a copy of the primary's data if need be; {logs}"
            ),
        )
    })
}

/// The primary has nobody who could take its place.
fn alone(status: &ClusterStatus, state: &StateRecord) -> Option<Trouble> {
    let is_alone = match &state.sync_set {
        SyncSet::Members(set) => set.is_empty(),
        SyncSet::Async => return None,
    };
    if !is_alone || status.members.len() < 2 || status.serving_primary().is_none() {
        return None;
    }
    Some(Trouble::new(
        format!(
            "no replica acknowledges: {} writes alone, and nobody may take its place",
            state.primary
        ),
        "wait until a replica has caught up; it is taken into the sync set by itself",
    ))
}
