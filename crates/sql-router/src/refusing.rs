//! Pure: what a client is told that may not log in.

use std::net::IpAddr;

use mysql::error_code::{self, ErrorCode};

use crate::account::Refusal;

/// The error. `with_password`: the client has given one.
pub(crate) fn words(
    refusal: &Refusal,
    user: &str,
    peer: IpAddr,
    with_password: bool,
) -> (ErrorCode, String) {
    match refusal {
        Refusal::Denied => {
            let using = if with_password { "YES" } else { "NO" };
            let message =
                format!("Access denied for user '{user}'@'{peer}' (using password: {using})");
            (error_code::ACCESS_DENIED, message)
        }
        Refusal::Plugin(plugin) => {
            let message = format!(
                "the account '{user}' uses the authentication plugin `{plugin}`, which the SQL \
                 router cannot check; give it mysql_native_password or ed25519"
            );
            (error_code::PLUGIN_NOT_LOADED, message)
        }
        Refusal::Tls => {
            let message = format!("the account '{user}' requires TLS");
            (error_code::ACCESS_DENIED, message)
        }
        Refusal::Certificate => {
            let message = format!(
                "the account '{user}' requires a certificate of the client, which the SQL router \
                 cannot pass on; let it REQUIRE SSL, or connect to the server itself"
            );
            (error_code::ACCESS_DENIED, message)
        }
        Refusal::WritesThrough => {
            let message = format!(
                "the account '{user}' has SUPER or READ ONLY ADMIN and could write to a replica; \
                 the SQL router refuses it: revoke them, or connect to the server itself"
            );
            (error_code::ACCESS_DENIED, message)
        }
    }
}
