//! Pure: by which plugin a client is asked for its password.
//!
//! The greeting names mysql_native_password, which every client but those of MySQL 9 knows and which proves a
//! password without showing it. So it is the first choice; caching_sha2_password, which brings the password
//! itself, is for clients that prefer it where nobody listens, for those that know no other, and for accounts
//! whose servers want a signature that only the password makes (ed25519).

use mysql::auth::{CACHING_SHA2, CLEAR, NATIVE};

/// The plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Native,
    Sha2,
    Clear,
}

impl Ask {
    pub(crate) fn plugin(self) -> &'static str {
        match self {
            Self::Native => NATIVE,
            Self::Sha2 => CACHING_SHA2,
            Self::Clear => CLEAR,
        }
    }
}

/// What is known of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'a> {
    /// That it chose itself; none of old ones.
    pub(crate) plugin: Option<&'a str>,
    /// TLS or a unix socket.
    pub(crate) private: bool,
    /// It says that it is one of MySQL 9.
    pub(crate) lacks_native: bool,
}

/// `needs_password`: the account cannot be used by less than the password.
pub(crate) fn ask(client: Client<'_>, needs_password: bool) -> Ask {
    match client.plugin {
        Some(CLEAR) if client.private => Ask::Clear,
        Some(CACHING_SHA2) if client.private => Ask::Sha2,
        _ if needs_password || client.lacks_native => Ask::Sha2,
        _ => Ask::Native,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_asked_for_what_it_knows() {
        let rows: [(Option<&str>, bool, bool, bool, Ask); 10] = [
            (None, false, false, false, Ask::Native),
            (Some(NATIVE), true, false, false, Ask::Native),
            (Some(CACHING_SHA2), true, false, false, Ask::Sha2),
            // It would need RSA; it knows the other one, too.
            (Some(CACHING_SHA2), false, false, false, Ask::Native),
            (Some(CACHING_SHA2), false, true, false, Ask::Sha2),
            (Some(CLEAR), true, false, false, Ask::Clear),
            // Never in clear where others listen.
            (Some(CLEAR), false, false, false, Ask::Native),
            (Some(CLEAR), false, false, true, Ask::Sha2),
            (Some("client_ed25519"), false, false, true, Ask::Sha2),
            (Some("dialog"), true, false, false, Ask::Native),
        ];
        for (plugin, private, lacks_native, needs_password, expected) in rows {
            let client = Client {
                plugin,
                private,
                lacks_native,
            };
            assert_eq!(ask(client, needs_password), expected, "{client:?}");
        }
    }
}
