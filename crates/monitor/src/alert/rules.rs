//! Pure: which conditions hold now that a person should know of.
//!
//! What cannot be seen is not taken for well: a condition that was firing stays while its subject is
//! out of sight.

mod backup;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Serialize, Serializer};
use telemetry::{Event, Severity};

use crate::limits::{Hold, Holds};
use crate::status::{MemberStatus, ServerStatus, SiteStatus, State};

/// The kinds of alert. To add one: a line here and in each `match`, and a function below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    SiteDown,
    NoPrimary,
    EndpointDown,
    ReplicaBroken,
    ReplicaRebuilding,
    ReplicaLags,
    InstanceCrashLooping,
    ProcessCrashLooping,
    BackupFailed,
    BackupBad,
    BackupOld,
    BackupNotVerified,
    LogsNotArchived,
}

impl Kind {
    /// The word for machines, in `alert` of the webhook and in the event log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SiteDown => "site-down",
            Self::NoPrimary => "no-primary",
            Self::EndpointDown => "endpoint-down",
            Self::ReplicaBroken => "replica-broken",
            Self::ReplicaRebuilding => "replica-rebuilding",
            Self::ReplicaLags => "replica-lags",
            Self::InstanceCrashLooping => "instance-crash-looping",
            Self::ProcessCrashLooping => "process-crash-looping",
            Self::BackupFailed => "backup-failed",
            Self::BackupBad => "backup-bad",
            Self::BackupOld => "backup-old",
            Self::BackupNotVerified => "backup-not-verified",
            Self::LogsNotArchived => "logs-not-archived",
        }
    }

    /// `Error`: visitors notice, or the next fault will be noticed at once.
    pub fn severity(self) -> Severity {
        match self {
            Self::SiteDown
            | Self::NoPrimary
            | Self::EndpointDown
            | Self::ReplicaBroken
            | Self::BackupBad
            | Self::BackupOld => Severity::Error,
            Self::ReplicaRebuilding
            | Self::ReplicaLags
            | Self::InstanceCrashLooping
            | Self::ProcessCrashLooping
            | Self::BackupFailed
            | Self::BackupNotVerified
            | Self::LogsNotArchived => Severity::Warning,
        }
    }

    pub fn hold(self, holds: &Holds) -> Hold {
        match self {
            Self::SiteDown => holds.site_down,
            Self::NoPrimary => holds.no_primary,
            Self::EndpointDown => holds.endpoint_down,
            Self::ReplicaBroken => holds.replica_broken,
            Self::ReplicaRebuilding => holds.replica_rebuilding,
            Self::ReplicaLags => holds.replica_lags,
            Self::InstanceCrashLooping | Self::ProcessCrashLooping => holds.crash_looping,
            Self::BackupFailed | Self::BackupBad => holds.backup_failed,
            Self::BackupOld | Self::LogsNotArchived => holds.backup_old,
            Self::BackupNotVerified => holds.backup_not_verified,
        }
    }

    /// The first thing to do at three in the morning.
    pub fn next(self) -> &'static str {
        match self {
            Self::SiteDown => {
                "Run `mainstay status` to see which endpoints are down and why, then \
                 `mainstay logs web` and `mainstay logs app`."
            }
            Self::NoPrimary => {
                "Visitors can read but not write. Run `mainstay status` and \
                 `mainstay logs database`; do not start a database server by hand."
            }
            Self::EndpointDown => {
                "The other endpoints serve. Run `mainstay status`, then `mainstay logs` with the \
                 name of the server."
            }
            Self::ReplicaBroken => {
                "The primary serves reads and writes. Run `mainstay logs database`; a replica that \
                 lost its place is rebuilt by itself."
            }
            Self::ReplicaRebuilding => {
                "Until it is done there is no second copy. Look at the disk and the network of its \
                 server, and at `mainstay logs database`."
            }
            Self::ReplicaLags => {
                "Its reads go to the primary until it has caught up. Look for long writes, and at \
                 the load and the disk of its server."
            }
            Self::InstanceCrashLooping => {
                "Read its last lines with `mainstay logs app`. Did it begin with a release or a \
                 change of the environment?"
            }
            Self::ProcessCrashLooping => {
                "Read its last lines with `mainstay logs` and the name of the role."
            }
            Self::BackupFailed => {
                "It is tried again by itself. The reason names the place or the tool: usually a disk that \
                 is full or a share that is gone. `mainstay db backup` tries now."
            }
            Self::BackupBad => {
                "A full backup is taken in its place by itself. Look at the disk it is kept on; \
                 `mainstay db backups` shows which ones are good."
            }
            Self::BackupOld => {
                "Run `mainstay status` for why none is taken, then `mainstay db backup`."
            }
            Self::BackupNotVerified => {
                "Run `mainstay db backup --verify`: it says what keeps the trial from being made, usually \
                 room for a copy of the data."
            }
            Self::LogsNotArchived => {
                "What is written now could not be restored. Look at the place backups are kept at; \
                 `mainstay logs` has the reason."
            }
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub kind: Kind,
    /// `site`, `database`, `endpoint app-1`, `replica db-1.2`, `instance app-1/2`, `web on app-1`.
    pub subject: String,
    /// One sentence.
    pub what: String,
}

impl Condition {
    /// The same for as long as the same thing is wrong with the same part.
    pub fn id(&self) -> String {
        format!("{}:{}", self.kind.as_str(), self.subject)
    }
}

/// What a rule reads.
struct Look<'a> {
    status: &'a SiteStatus,
    recent: &'a [Event],
    firing: &'a BTreeMap<String, Condition>,
    max_lag: Duration,
}

/// What is wrong. `recent`: the events since the rules looked last; `firing`: by id, what people have
/// been told of. Nothing is wrong with a site that is only starting.
pub fn conditions(
    status: &SiteStatus,
    recent: &[Event],
    firing: &BTreeMap<String, Condition>,
    max_lag: Duration,
) -> Vec<Condition> {
    if status.state == State::Starting {
        return Vec::new();
    }
    let look = Look {
        status,
        recent,
        firing,
        max_lag,
    };
    let mut found = Vec::new();
    site_down(&look, &mut found);
    endpoints(&look, &mut found);
    no_primary(&look, &mut found);
    replicas(&look, &mut found);
    crash_loops(&look, &mut found);
    backup::backups(&look, &mut found);
    found
}

impl Look<'_> {
    fn firing(&self, kind: Kind, subject: &str) -> Option<&Condition> {
        self.firing.get(&format!("{}:{subject}", kind.as_str()))
    }

    /// Those of `kind` that fire about a subject that is not in `seen`.
    fn unseen(&self, kind: Kind, seen: &BTreeSet<String>, found: &mut Vec<Condition>) {
        let unseen = self
            .firing
            .values()
            .filter(|c| c.kind == kind && !seen.contains(&c.subject));
        found.extend(unseen.cloned());
    }
}

fn site_down(look: &Look<'_>, found: &mut Vec<Condition>) {
    let endpoints = &look.status.endpoints;
    let balancers = |server: &ServerStatus| server.roles.iter().any(|role| role == "balancer");
    if endpoints.iter().any(|endpoint| endpoint.up) || !look.status.servers.iter().any(balancers) {
        return;
    }
    let what = if endpoints.is_empty() {
        "no balancer answers: the site cannot be reached".to_owned()
    } else {
        "no endpoint is up: visitors get errors".to_owned()
    };
    found.push(Condition {
        kind: Kind::SiteDown,
        subject: "site".to_owned(),
        what,
    });
}

/// An endpoint is down when a balancer says so, even if another one reaches it.
fn endpoints(look: &Look<'_>, found: &mut Vec<Condition>) {
    let mut down: BTreeMap<&str, (Vec<&str>, &str)> = BTreeMap::new();
    for endpoint in look.status.endpoints.iter().filter(|e| !e.up) {
        let (by, reason) = down.entry(&endpoint.name).or_default();
        by.push(&endpoint.balancer);
        *reason = &endpoint.reason;
    }
    for (name, (by, reason)) in down {
        found.push(Condition {
            kind: Kind::EndpointDown,
            subject: format!("endpoint {name}"),
            what: sentence(
                &format!("endpoint {name} is down for {}", by.join(" and ")),
                reason,
            ),
        });
    }
    // No balancer answers: nothing is known of any endpoint.
    if look.status.endpoints.is_empty() {
        look.unseen(Kind::EndpointDown, &BTreeSet::new(), found);
    }
}

fn no_primary(look: &Look<'_>, found: &mut Vec<Condition>) {
    let members = &look.status.members;
    let takes_writes =
        |m: &MemberStatus| m.role == "primary" && m.state == "running" && !m.read_only;
    if members.is_empty() || members.iter().any(takes_writes) {
        return;
    }
    let primary = members.iter().find(|m| m.role == "primary");
    found.push(Condition {
        kind: Kind::NoPrimary,
        subject: "database".to_owned(),
        what: sentence(
            "no database server takes writes",
            primary.map(|m| m.reason.as_str()).unwrap_or_default(),
        ),
    });
}

fn replicas(look: &Look<'_>, found: &mut Vec<Condition>) {
    for member in look.status.members.iter().filter(|m| m.role == "replica") {
        let subject = format!("replica {}", member.name);
        let mut add = |kind, what| {
            let subject = subject.clone();
            found.push(Condition {
                kind,
                subject,
                what,
            });
        };
        if member.state == "rebuilding" {
            add(
                Kind::ReplicaRebuilding,
                sentence(&format!("{subject} is still being rebuilt"), &member.reason),
            );
            continue;
        }
        let Some(lag) = member.lag_ms.filter(|_| member.state == "running") else {
            add(
                Kind::ReplicaBroken,
                sentence(
                    &format!("{subject} does not follow its primary"),
                    &member.reason,
                ),
            );
            // It has hardly caught up by that.
            if let Some(late) = look.firing(Kind::ReplicaLags, &subject) {
                add(Kind::ReplicaLags, late.what.clone());
            }
            continue;
        };
        let lag = Duration::from_millis(lag);
        // Half: or the alert would end and begin anew around its bound.
        let bound = match look.firing(Kind::ReplicaLags, &subject) {
            Some(_) => look.max_lag / 2,
            None => look.max_lag,
        };
        if lag > bound {
            let what = format!("{subject} is {} behind its primary", rough(lag));
            add(Kind::ReplicaLags, what);
        }
    }
    if look.status.members.is_empty() {
        for kind in [Kind::ReplicaBroken, Kind::ReplicaLags] {
            look.unseen(kind, &BTreeSet::new(), found);
        }
    }
}

/// It begins when the supervisor says so (in its state, or in an event between two states) and lasts
/// until the process is ready: on its way there it passes through `starting` each time.
fn crash_loops(look: &Look<'_>, found: &mut Vec<Condition>) {
    let mut seen = BTreeSet::new();
    for server in &look.status.servers {
        for process in &server.processes {
            let (kind, subject, event_subject) = match process.name.strip_prefix("app/") {
                Some(number) => {
                    let subject = format!("instance {}/{number}", server.name);
                    (Kind::InstanceCrashLooping, subject.clone(), subject)
                }
                None => {
                    let subject = format!("{} on {}", process.name, server.name);
                    (Kind::ProcessCrashLooping, subject, process.name.clone())
                }
            };
            seen.insert(subject.clone());
            let told = |event: &Event| {
                event.kind == kind.as_str()
                    && event.server == server.name
                    && event.subject == event_subject
            };
            let begins = process.state == "crash-looping" || look.recent.iter().any(told);
            let lasts = process.state != "ready" && look.firing(kind, &subject).is_some();
            if begins || lasts {
                let what = sentence(&format!("{subject} ends again and again"), &process.reason);
                found.push(Condition {
                    kind,
                    subject,
                    what,
                });
            }
        }
    }
    if seen.is_empty() {
        for kind in [Kind::InstanceCrashLooping, Kind::ProcessCrashLooping] {
            look.unseen(kind, &seen, found);
        }
    }
}

fn rough(lag: Duration) -> String {
    match lag.as_secs() {
        0..120 => format!("{:.1} s", lag.as_secs_f64()),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

fn sentence(what: &str, reason: &str) -> String {
    if reason.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {reason}")
    }
}

#[cfg(test)]
mod tests;
