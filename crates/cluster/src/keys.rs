//! Pure: the one list of keys, each with its only writer and what guards it.
//!
//! The type of a value lives with its owner. Events are not stored here: they are a log, not a state.

use site::name::MemberName;

/// What is written down of a key, for people and for the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Capital words stand for a name.
    pub path: &'static str,
    pub holds: &'static str,
    pub writer: &'static str,
    pub guard: &'static str,
}

/// Every key there is.
pub const ALL: [Key; 8] = [
    Key {
        path: DATABASE_STATE,
        holds: "who is primary, in which generation; its lease; the sync set",
        writer: "the holder of the lease, and who takes it over",
        guard: "created if absent; later the version before",
    },
    Key {
        path: DATABASE_REQUEST,
        holds: "what people ask of the database cluster: pause, switchover, a forced failover",
        writer: "`mainstay db`",
        guard: "the version before",
    },
    Key {
        path: "database/members/NAME",
        holds: "what a database member is now, and how it is reached on its machine",
        writer: "the keeper of member NAME",
        guard: "the version before",
    },
    Key {
        path: DATABASE_HISTORY,
        holds: "which course of the data this is: it grows when a restored state takes its place",
        writer: "the keeper of backups, once; `mainstay db restore --in-place`",
        guard: "created if absent; later the version before",
    },
    Key {
        path: APP_RELEASE,
        holds: "the current release and the one before",
        writer: "`mainstay up`; later `deploy` and `rollback`",
        guard: "the version before",
    },
    Key {
        path: "app/migrated/HASH",
        holds: "who runs or ran the migration of release HASH, and how it ended",
        writer: "the agent that created it",
        guard: "created if absent; later the version before",
    },
    Key {
        path: SITE_NETWORK,
        holds: "the loopback addresses and ports the site was given under `up`",
        writer: "`mainstay up`",
        guard: "created if absent",
    },
    Key {
        path: BALANCER_ENDPOINTS,
        holds: "what people want of endpoints: drained, in maintenance, another weight",
        writer: "`mainstay endpoint`",
        guard: "the version before",
    },
];

pub const DATABASE_STATE: &str = "database/state";
pub const DATABASE_REQUEST: &str = "database/request";
/// Prefix of all members' reports.
pub const DATABASE_MEMBERS: &str = "database/members/";
pub const DATABASE_HISTORY: &str = "database/history";
pub const APP_RELEASE: &str = "app/release";
pub const SITE_NETWORK: &str = "site/network";
pub const BALANCER_ENDPOINTS: &str = "balancer/endpoints";

/// `database/members/NAME`
pub fn database_member(name: &MemberName) -> String {
    format!("{DATABASE_MEMBERS}{name}")
}

/// `app/migrated/HASH`
pub fn app_migrated(hash: &str) -> String {
    format!("app/migrated/{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_list_once_and_is_accepted() {
        let made = [
            DATABASE_STATE.to_owned(),
            DATABASE_REQUEST.to_owned(),
            database_member(&MemberName::new("NAME")),
            DATABASE_HISTORY.to_owned(),
            APP_RELEASE.to_owned(),
            app_migrated("HASH"),
            SITE_NETWORK.to_owned(),
            BALANCER_ENDPOINTS.to_owned(),
        ];
        let listed: Vec<&str> = ALL.iter().map(|key| key.path).collect();
        assert_eq!(listed, made);
        for key in made {
            assert_eq!(crate::entry::check(&key, ""), Ok(()));
        }
    }
}
