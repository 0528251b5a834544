//! Pure: a member's target, for the tests of this crate.

use std::time::Duration;

use site::name::{MemberName, ServerName};
use site::target::{MemberAddress, MemberTarget};

/// The primary of a site with a replica on the same server.
pub(crate) fn target() -> MemberTarget {
    let member = |name: &str, last: u8| MemberAddress {
        name: MemberName::new(name),
        server: ServerName::new("db-1"),
        address: ([127, 0, 3, last], 3306).into(),
    };
    MemberTarget {
        name: MemberName::new("db-1"),
        listen: ([127, 0, 3, 1], 3306).into(),
        server_id: 101,
        first_primary: true,
        schema: "foobar_app".to_owned(),
        user: "foobar".to_owned(),
        members: vec![member("db-1", 1), member("db-1.2", 2)],
        acknowledged: true,
        buffer_pool: 64 << 20,
        settings: [("max_allowed_packet".to_owned(), "32M".to_owned())].into(),
        max_lag: Duration::from_secs(5),
    }
}
