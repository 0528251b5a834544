//! Pure: whose data is copied.

use std::time::Duration;

use crate::report::{MemberReport, MemberState, Role};

/// The members that can be copied now, the best first: replicas by lag, then the primary. How busy they
/// are is not known; the most current replica is usually the least busy.
pub(super) fn sources(members: &[MemberReport], max_lag: Duration) -> Vec<&MemberReport> {
    let limit = u64::try_from(max_lag.as_millis()).unwrap_or(u64::MAX);
    let running = |member: &&MemberReport| member.state == MemberState::Running;
    let mut replicas: Vec<&MemberReport> = members
        .iter()
        .filter(running)
        .filter(|m| m.role == Role::Replica && m.lag_ms.is_some_and(|lag| lag <= limit))
        .collect();
    replicas.sort_by(|a, b| (a.lag_ms, a.name.as_str()).cmp(&(b.lag_ms, b.name.as_str())));
    let primary = members
        .iter()
        .filter(running)
        .filter(|m| m.role == Role::Primary);
    // The primary's disk and memory are left alone where that is possible.
    replicas.extend(primary);
    replicas
}

#[cfg(test)]
mod tests {
    use site::name::{MemberName, ServerName};

    use super::*;

    fn member(name: &str, role: Role, lag_ms: Option<u64>) -> MemberReport {
        MemberReport {
            state: MemberState::Running,
            role,
            lag_ms,
            ..MemberReport::starting(MemberName::new(name), ServerName::new(name))
        }
    }

    #[test]
    fn a_current_replica_comes_before_the_primary_and_a_late_one_not_at_all() {
        let members = [
            member("db-1", Role::Primary, Some(0)),
            member("db-2", Role::Replica, Some(400)),
            member("db-3", Role::Replica, Some(20)),
            member("db-4", Role::Replica, Some(9000)),
            member("db-5", Role::Replica, None),
            member("db-6", Role::Unknown, None),
        ];
        let found = sources(&members, Duration::from_secs(5));
        let names: Vec<&str> = found.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["db-3", "db-2", "db-1"]);
    }
}
