//! Pure: options of servers that a site file has no key for: what is to be said of each.
//!
//! Source: HAProxy configuration manual, section 5.2.

use super::ledger::Unfit;

/// Options with a value that HAProxy has and Mainstay has no need of, or has not.
const WITH_VALUE: [(&str, &str, &str); 35] = [
    (
        "check-sni",
        "",
        "a check asks for the same name as requests",
    ),
    (
        "proxy-v2-options",
        "the PROXY protocol's header says addresses, and nothing of TLS",
        "",
    ),
    ("cookie", "", "values of the cookie are made by Mainstay"),
    ("id", "", "an endpoint is known by its name"),
    ("init-addr", "", "nothing is looked up"),
    ("resolvers", "", "nothing is looked up"),
    ("resolve-prefer", "", "nothing is looked up"),
    ("resolve-net", "", "nothing is looked up"),
    ("resolve-opts", "", "nothing is looked up"),
    (
        "pool-max-conn",
        "",
        "connections to endpoints are kept as they are needed",
    ),
    (
        "pool-purge-delay",
        "",
        "connections to endpoints are kept as they are needed",
    ),
    (
        "pool-low-conn",
        "",
        "connections to endpoints are kept as they are needed",
    ),
    (
        "max-reuse",
        "",
        "connections to endpoints are kept as they are needed",
    ),
    ("log-proto", "", "for logs"),
    (
        "ciphers",
        "",
        "only what TLS 1.2 and 1.3 have that is safe is offered",
    ),
    (
        "ciphersuites",
        "",
        "only what TLS 1.2 and 1.3 have that is safe is offered",
    ),
    (
        "curves",
        "",
        "only what TLS 1.2 and 1.3 have that is safe is offered",
    ),
    (
        "sigalgs",
        "",
        "only what TLS 1.2 and 1.3 have that is safe is offered",
    ),
    ("ssl-min-ver", "", "TLS 1.2 is the oldest that is spoken"),
    (
        "check-alpn",
        "",
        "a check speaks HTTP/1.1, or what the backend speaks",
    ),
    (
        "check-proto",
        "",
        "a check speaks HTTP/1.1, or what the backend speaks",
    ),
    ("minconn", "`max-requests` does not grow with the load", ""),
    (
        "maxqueue",
        "requests wait for the backend, not for one endpoint",
        "queue = 1000",
    ),
    (
        "downinter",
        "there is `interval` and `interval-in-doubt`",
        "",
    ),
    (
        "addr",
        "a check asks the endpoint's own address",
        "port of `health`, if it is another port",
    ),
    (
        "agent-addr",
        "Mainstay asks no agents",
        "health of the backend",
    ),
    (
        "agent-port",
        "Mainstay asks no agents",
        "health of the backend",
    ),
    (
        "agent-inter",
        "Mainstay asks no agents",
        "health of the backend",
    ),
    (
        "agent-send",
        "Mainstay asks no agents",
        "health of the backend",
    ),
    (
        "track",
        "every backend checks its own endpoints",
        "health of the backend",
    ),
    (
        "on-error",
        "an endpoint that fails requests is taken out for a while",
        "ejection of the backend",
    ),
    (
        "on-marked-down",
        "open connections of an endpoint that goes down are left alone",
        "",
    ),
    (
        "on-marked-up",
        "a visitor is not taken from a backup endpoint",
        "",
    ),
    (
        "source",
        "the system chooses the address that is connected from",
        "",
    ),
    ("ssl-max-ver", "the newest TLS that both speak is taken", ""),
];

const FLAGS: [(&str, &str, &str); 12] = [
    ("enabled", "", "it is"),
    ("check-send-proxy", "", "a check begins as requests do"),
    ("no-ssl-reuse", "", ""),
    ("no-sslv3", "", "TLS 1.2 is the oldest that is spoken"),
    ("no-tlsv10", "", "TLS 1.2 is the oldest that is spoken"),
    ("no-tlsv11", "", "TLS 1.2 is the oldest that is spoken"),
    ("tfo", "", ""),
    ("allow-0rtt", "", ""),
    ("non-stick", "", ""),
    ("check-via-socks4", "Mainstay speaks no SOCKS", ""),
    (
        "agent-check",
        "Mainstay asks no agents",
        "health of the backend",
    ),
    (
        "redir",
        "a route redirects, not an endpoint",
        "redirect of a route",
    ),
];

pub(super) fn is_known(word: &str) -> bool {
    let of = |(name, _, _): &(&str, &str, &str)| *name == word;
    WITH_VALUE.iter().any(of) || FLAGS.iter().any(of)
}

pub(super) fn other<'a>(
    word: &str,
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<(), Unfit> {
    let with_value = WITH_VALUE.iter().find(|(name, _, _)| *name == word);
    let flag = FLAGS.iter().find(|(name, _, _)| *name == word);
    if with_value.is_some() {
        words.next();
    }
    match with_value.or(flag) {
        Some((_, "", _)) => Ok(()),
        Some((_, why, instead)) => Err(Unfit::new(*why, *instead)),
        None => Err(Unfit::new(
            "endpoints have no such setting",
            "address, name, weight and backup; the rest is the backend's",
        )),
    }
}
