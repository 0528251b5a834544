//! Pure: a database cluster as text: the drawing, what is waited for, the next step; and what the other
//! verbs of `mainstay db` say.

use database::backup::moment::Moment;
use database::operate::advice;
use database::operate::message::Account;
use database::operate::promotion::Loss;
use database::operate::status::{ClusterStatus, Member};
use database::record::{Lease, RequestRecord, StateRecord, SyncSet, Wanted};
use site::name::MemberName;

use super::status::table;
use super::text::{line, or_dash};

/// Changes of primary that are shown.
const CHANGES: usize = 4;

/// The whole page of `mainstay db status`.
pub(crate) fn page(status: &ClusterStatus) -> String {
    let mut text = String::new();
    head(&mut text, status);
    drawing(&mut text, status);
    if let Some(state) = &status.state {
        facts(&mut text, status, state);
    }
    sentences(&mut text, status);
    for trouble in advice::of(status) {
        line(&mut text, format_args!("\n! {}", trouble.what));
        line(&mut text, format_args!("  next: {}", trouble.next));
    }
    text
}

fn head(text: &mut String, status: &ClusterStatus) {
    let members = status.members.len();
    let s = if members == 1 { "" } else { "s" };
    let how = match status.acknowledged {
        true => "semi-synchronous",
        false => "asynchronous",
    };
    let generation = match &status.state {
        Some(state) => format!("generation {}", state.generation),
        None => "no primary yet".to_owned(),
    };
    line(
        text,
        format_args!(
            "{}: {members} database member{s}, {generation}, {how} replication",
            status.site
        ),
    );
    if !status.running {
        line(
            text,
            format_args!("NOT RUNNING: as it was written down last"),
        );
    }
    if status.is_paused() {
        line(
            text,
            format_args!("*** MAINTENANCE: no failover, no server is started again ***"),
        );
    }
    text.push('\n');
}

/// The primary, and below it who follows it.
fn drawing(text: &mut String, status: &ClusterStatus) {
    let header = [
        "MEMBER",
        "SERVER",
        "ROLE",
        "STATE",
        "LAG",
        "BEHIND",
        "GENERATION",
        "GTID",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    let primary = status.state.as_ref().map(|state| &state.primary);
    let (named, others): (Vec<&Member>, Vec<&Member>) = status
        .members
        .iter()
        .partition(|member| Some(&member.name) == primary);
    rows.extend(named.iter().map(|member| row(status, member, "")));
    for (n, member) in others.iter().enumerate() {
        let branch = match (named.is_empty(), n + 1 == others.len()) {
            (true, _) => "",
            (false, true) => "└─ ",
            (false, false) => "├─ ",
        };
        rows.push(row(status, member, branch));
    }
    table(text, &rows);
}

fn row(status: &ClusterStatus, member: &Member, branch: &str) -> [String; 8] {
    let is_replica = member.role == "replica";
    let state = match (member.state.as_str(), member.writable) {
        ("running", true) => "writable",
        ("running", false) if member.in_sync_set && member.whole => "acknowledges",
        ("running", false) if member.in_sync_set => "settling",
        ("running", false) if is_replica && member.serves => "follows",
        ("running", false) => "read-only",
        ("down", _) => "DOWN",
        (state, _) => state,
    };
    let lag = match member.lag_ms {
        Some(ms) if is_replica => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        None if is_replica && status.running => "?".to_owned(),
        _ => "-".to_owned(),
    };
    [
        format!("{branch}{}", member.name),
        match member.address.is_empty() {
            true => member.server.clone(),
            false => format!("{} {}", member.server, member.address),
        },
        member.role.clone(),
        state.to_owned(),
        lag,
        match member.behind {
            Some(behind) if member.role != "primary" => behind.to_string(),
            _ => "-".to_owned(),
        },
        member
            .generation
            .map_or_else(|| "-".to_owned(), |generation| generation.to_string()),
        or_dash(&member.applied).to_owned(),
    ]
}

/// What the cluster state says.
fn facts(text: &mut String, status: &ClusterStatus, state: &StateRecord) {
    let primary = &state.primary;
    let lease = match state.lease {
        Lease::Held if !status.running => format!("was held by {primary}"),
        Lease::Held => format!("held by {primary}"),
        Lease::Released => format!("released by {primary}: free"),
    };
    line(text, format_args!("lease     {lease}"));
    let set = match &state.sync_set {
        SyncSet::Async => "none: nobody acknowledges (asynchronous)".to_owned(),
        SyncSet::Members(set) if set.is_empty() => format!("empty: {primary} writes alone"),
        set @ SyncSet::Members(_) => {
            format!("{set}: a write is on one of them before it is confirmed")
        }
    };
    line(text, format_args!("sync set  {set}"));
    if !state.is_open() {
        let forced = match state.forced {
            true => ", by order",
            false => "",
        };
        line(
            text,
            format_args!("elected   {primary}{forced}; {} wrote last", state.writer),
        );
    }
    let mut name = "changes";
    for at in (0..state.history.len()).rev().take(CHANGES) {
        let Some(change) = state.history.get(at) else {
            continue;
        };
        let from = at.checked_sub(1).and_then(|at| state.history.get(at));
        let from = from.map_or_else(String::new, |from| format!("{} → ", from.primary));
        line(
            text,
            format_args!(
                "{name:<8}  {}  generation {}: {from}{}: {}",
                Moment(change.at_ms),
                change.generation,
                change.primary,
                change.why
            ),
        );
        name = "";
    }
    asked(text, &status.request, state);
    text.push('\n');
}

/// What was asked for and is not over.
fn asked(text: &mut String, request: &RequestRecord, state: &StateRecord) {
    let open = |wanted: &&Wanted| wanted.generation == state.generation;
    let to = |wanted: &Wanted| {
        let to = wanted.to.as_ref().map(MemberName::as_str);
        to.unwrap_or("whoever is fit").to_owned()
    };
    if let Some(wanted) = request.switchover.as_ref().filter(open) {
        line(
            text,
            format_args!("asked     a switchover to {}", to(wanted)),
        );
    }
    if let Some(wanted) = request.force.as_ref().filter(open) {
        line(
            text,
            format_args!("asked     {} is promoted, whatever is lost", to(wanted)),
        );
    }
    if let Some(restart) = &request.restart {
        line(
            text,
            format_args!("asked     a restart of {}", restart.member),
        );
    }
}

fn sentences(text: &mut String, status: &ClusterStatus) {
    let width = status.members.iter().map(|it| it.name.as_str().len()).max();
    let width = width.unwrap_or_default();
    for member in &status.members {
        line(
            text,
            format_args!("{:<width$}  {}", member.name.as_str(), member.reason),
        );
    }
}

/// What a forced promotion may cost.
pub(crate) fn loss(loss: &Loss) -> String {
    let mut text = String::new();
    let Loss { member, writer, .. } = loss;
    line(
        &mut text,
        format_args!(
            "{member} would become primary without the proof that it has every confirmed write of generation {}.",
            loss.generation
        ),
    );
    for (name, why) in &loss.nobody {
        line(&mut text, format_args!("  {name} {why}"));
    }
    if let SyncSet::Members(_) = &loss.sync_set {
        line(&mut text, format_args!("  sync set: {}", loss.sync_set));
    }
    line(
        &mut text,
        format_args!(
            "  {writer} had {} when it last renewed its lease",
            or_dash(&loss.had)
        ),
    );
    line(
        &mut text,
        format_args!("  {member} has {}", or_dash(&loss.received)),
    );
    let known = match loss.at_least {
        0 => "Nothing is known to be missing; what was written in the last seconds may be."
            .to_owned(),
        1 => "At least 1 transaction is lost, and what was written in the last seconds after it."
            .to_owned(),
        n => format!(
            "At least {n} transactions are lost, and what was written in the last seconds after them."
        ),
    };
    line(&mut text, format_args!("{known}"));
    line(
        &mut text,
        format_args!(
            "When a member that has them comes back, what it alone has stays in its old data directory, which is \
             moved aside."
        ),
    );
    text
}

/// `mainstay db users`.
pub(crate) fn accounts(accounts: &[Account]) -> String {
    let mut rows = vec![["USER", "FROM", "LOCKED", "WHAT"].map(str::to_owned)];
    rows.extend(accounts.iter().map(|account| {
        let from = match account.host.as_str() {
            "%" => "anywhere",
            host => host,
        };
        [
            account.name.clone(),
            from.to_owned(),
            if account.locked { "locked" } else { "" }.to_owned(),
            account.what.clone(),
        ]
    }));
    let mut text = String::new();
    table(&mut text, &rows);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// For the client of `mainstay db shell`: where it is, and what it may do.
pub(crate) fn shell_options(site: &str, member: &Member, read_only: bool) -> String {
    let name = &member.name;
    let role = match (read_only, member.role.as_str()) {
        (true, "primary") => "primary, read-only",
        (true, _) => "read-only",
        (false, _) => "primary",
    };
    let mut text = format!("[mariadb-client]\nprompt = \"{site} {name} ({role})> \"\n");
    if read_only {
        text.push_str("init-command = \"SET SESSION TRANSACTION READ ONLY\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use database::record::{Change, Generation};

    use super::*;

    fn name(name: &str) -> MemberName {
        MemberName::new(name)
    }

    fn member(of: &str, role: &str, state: &str, reason: &str) -> Member {
        let is_primary = role == "primary";
        Member {
            name: name(of),
            server: of.to_owned(),
            address: "127.0.7.14:3307".to_owned(),
            socket: None,
            role: role.to_owned(),
            state: state.to_owned(),
            writable: is_primary,
            serves: state == "running",
            needs_you: false,
            in_sync_set: role == "replica",
            whole: true,
            generation: Some(Generation(4)),
            lag_ms: (role == "replica").then_some(240),
            behind: Some(u64::from(!is_primary) * 2),
            received: "0-1-20".to_owned(),
            applied: "0-1-18".to_owned(),
            pid: Some(41),
            restarts: 0,
            reason: reason.to_owned(),
            seen: RequestRecord::default(),
            refusal: None,
            nobody: Vec::new(),
        }
    }

    fn cluster() -> ClusterStatus {
        let change = |generation, primary, why: &str| Change {
            generation: Generation(generation),
            primary: name(primary),
            began: String::new(),
            at_ms: 1_795_616_556_000 + generation * 1000,
            why: why.to_owned(),
        };
        ClusterStatus {
            site: "foobar".to_owned(),
            at_ms: 0,
            running: true,
            acknowledged: true,
            state: Some(StateRecord {
                format: database::record::FORMAT,
                primary: name("db-1"),
                generation: Generation(4),
                revision: 40,
                lease: Lease::Held,
                writer: name("db-1"),
                sync_set: SyncSet::Members([name("db-2"), name("db-3")].into()),
                forced: false,
                position: "0-1-20".to_owned(),
                position_of: 39,
                why: String::new(),
                history: vec![
                    change(3, "db-2", "db-1 did not renew its lease"),
                    change(4, "db-1", "switchover from db-2, as asked for"),
                ],
            }),
            request: RequestRecord::default(),
            members: vec![
                member(
                    "db-1",
                    "primary",
                    "running",
                    "this is the primary and takes writes",
                ),
                member("db-2", "replica", "running", "this replica follows db-1"),
                member("db-3", "replica", "running", "this replica follows db-1"),
            ],
        }
    }

    #[test]
    fn a_cluster_that_is_well() {
        insta::assert_snapshot!(page(&cluster()));
    }

    #[test]
    fn nobody_may_be_promoted() {
        let mut status = cluster();
        let why = "db-1 has given the lease up; nobody may be promoted: db-2 was not heard";
        let down = "the server is down: mariadbd was ended by signal 9";
        status.members[0] = member("db-1", "unknown", "down", down);
        status.members[0].needs_you = true;
        status.members[1] = member("db-2", "unknown", "down", down);
        let last = &mut status.members[2];
        last.reason = why.to_owned();
        last.lag_ms = None;
        last.serves = false;
        last.nobody = vec![(name("db-2"), "was not heard".to_owned())];
        if let Some(state) = &mut status.state {
            state.lease = Lease::Released;
        }
        insta::assert_snapshot!(page(&status));
    }

    #[test]
    fn in_maintenance_with_a_request_and_alone() {
        let mut status = cluster();
        status.request.paused = true;
        status.request.switchover = Some(Wanted {
            generation: Generation(4),
            to: None,
        });
        status.members[1].in_sync_set = false;
        status.members[2].in_sync_set = false;
        if let Some(state) = &mut status.state {
            state.sync_set = SyncSet::alone();
        }
        insta::assert_snapshot!(page(&status));
    }

    #[test]
    fn a_cluster_that_does_not_run() {
        let mut status = cluster();
        status.running = false;
        for member in &mut status.members {
            member.state = "stopped".to_owned();
            member.address.clear();
            member.generation = None;
            member.lag_ms = None;
            member.reason = "it does not run".to_owned();
        }
        insta::assert_snapshot!(page(&status));
    }

    #[test]
    fn what_a_forced_promotion_costs() {
        insta::assert_snapshot!(loss(&Loss {
            member: name("db-3"),
            generation: Generation(4),
            writer: name("db-1"),
            had: "0-1-20".to_owned(),
            received: "0-1-13".to_owned(),
            at_least: 7,
            nobody: vec![
                (name("db-1"), "was not heard".to_owned()),
                (name("db-2"), "was not heard".to_owned()),
            ],
            sync_set: SyncSet::Members([name("db-2"), name("db-3")].into()),
        }));
    }
}
