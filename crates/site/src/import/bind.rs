//! Pure: `bind` lines → addresses, certificates and what is asked of clients.
//!
//! Source: HAProxy configuration manual, section 5.1 "Bind options" and 11 "Address formats".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ledger::{Ledger, Unfit};
use super::lexer::Line;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) line: u32,
    pub(super) at: Place,
    pub(super) tls: bool,
    pub(super) accept_proxy: bool,
    /// PEM files with certificate and key.
    pub(super) certificates: Vec<String>,
    /// Authorities of clients' certificates, and whether one is required.
    pub(super) clients: Option<(String, bool)>,
    pub(super) h2: bool,
    pub(super) tls13_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Unix(String),
}

impl Place {
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(path) => format!("unix:{path}"),
        }
    }

    /// Its port on every address of the machine.
    pub(super) fn everywhere(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => address.ip().is_unspecified().then_some(address.port()),
            Self::Unix(_) => None,
        }
    }
}

const NEEDLESS: [&str; 20] = [
    "defer-accept",
    "tfo",
    "no-sslv3",
    "no-tlsv10",
    "no-tlsv11",
    "no-tls-tickets",
    "force-tlsv12",
    "v6only",
    "allow-0rtt",
    "strict-sni",
    "generate-certificates",
    "prefer-client-ciphers",
    "no-alpn",
    "quic-force-retry",
    "expose-fd",
    "listeners",
    "no-strict-sni",
    "ssl-skip-self-issued-ca",
    "tls-tickets",
    "tls-ticket-keys-none",
];
const NEEDLESS_WITH_VALUE: [&str; 26] = [
    "name",
    "id",
    "backlog",
    "process",
    "thread",
    "shards",
    "nice",
    "level",
    "severity-output",
    "ciphers",
    "ciphersuites",
    "curves",
    "ecdhe",
    "sigalgs",
    "client-sigalgs",
    "ssl-max-ver",
    "tls-ticket-keys",
    "mss",
    "tcp-ut",
    "maxconn",
    "nbconn",
    "npn",
    "uid",
    "gid",
    "label",
    "cc",
];

pub(super) fn binds<'a>(
    lines: impl Iterator<Item = &'a Line>,
    base: Option<&str>,
    ca_base: Option<&str>,
    ledger: &mut Ledger,
) -> Vec<Bind> {
    let mut binds = Vec::new();
    for line in lines {
        ledger.carried(line.number);
        if line.variable {
            ledger.lost(
                line.number,
                "its address comes from the environment",
                "the address itself",
            );
            continue;
        }
        let options = Options::read(line, base, ca_base, ledger);
        for address in line
            .word(1)
            .split(',')
            .filter(|address| !address.is_empty())
        {
            match place(address, line.words.iter().any(|word| word == "v4v6")) {
                Ok(at) => binds.push(Bind {
                    line: line.number,
                    at,
                    ..options.clone()
                }),
                Err(unfit) => ledger.lost_part(line.number, address, unfit.why, unfit.instead),
            }
        }
    }
    binds
}

struct Options;

impl Options {
    fn read(line: &Line, base: Option<&str>, ca_base: Option<&str>, ledger: &mut Ledger) -> Bind {
        let mut bind = Bind {
            line: line.number,
            at: Place::Unix(String::new()),
            tls: false,
            accept_proxy: false,
            certificates: Vec::new(),
            clients: None,
            h2: true,
            tls13_only: false,
        };
        let (mut authority, mut verify) = (None, None);
        let number = line.number;
        let mut words = line.from(2).iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default();
            match word {
                "ssl" => bind.tls = true,
                "accept-proxy" => bind.accept_proxy = true,
                "v4v6" => {}
                "crt" => {
                    let name = value();
                    match super::backend::file(name, base) {
                        Some(path) if looks_like_a_file(&path) => bind.certificates.push(path),
                        _ => ledger.lost_part(
                            number,
                            &format!("crt {name}"),
                            "certificates are named one by one; what is in a directory is not known here",
                            "certificates = [{ chain = \"…\", key = \"…\" }] in [balancer], one for each file",
                        ),
                    }
                }
                "crt-list" => {
                    let name = value();
                    ledger.lost_part(
                        number,
                        &format!("crt-list {name}"),
                        "certificates are named one by one; what is in the list is not known here",
                        "certificates = [{ chain = \"…\", key = \"…\" }] in [balancer], one for each line",
                    );
                }
                "ca-file" => authority = super::backend::file(value(), ca_base),
                "verify" => verify = Some(value().to_owned()),
                "alpn" => bind.h2 = value().split(',').any(|name| name == "h2"),
                "ssl-min-ver" => bind.tls13_only = value() == "TLSv1.3",
                "force-tlsv13" | "no-tlsv12" => bind.tls13_only = true,
                "proto" => match value() {
                    "h1" | "h2" => {}
                    other => ledger.lost_part(
                        number,
                        word,
                        format!("a listener speaks HTTP/1.1 and HTTP/2, or bytes, not `{other}`"),
                        "",
                    ),
                },
                "interface" | "namespace" | "user" | "group" | "mode" | "ca-sign-file"
                | "ca-sign-pass" | "crl-file" | "ca-verify-file" | "crt-ignore-err"
                | "ca-ignore-err" | "no-ca-names" | "ocsp-update" | "idle-ping" => {
                    let with = if word == "no-ca-names" { "" } else { value() };
                    ledger.lost_part(
                        number,
                        format!("{word} {with}").trim_end(),
                        "a listener has no such setting",
                        "",
                    );
                }
                "transparent" | "accept-netscaler-cip" => {
                    ledger.lost_part(number, word, "a listener has no such setting", "")
                }
                word if NEEDLESS.contains(&word) => {}
                word if NEEDLESS_WITH_VALUE.contains(&word) => {
                    value();
                }
                other => ledger.lost_part(number, other, "a listener has no such setting", ""),
            }
        }
        match (authority, verify.as_deref()) {
            (Some(file), Some("required")) => bind.clients = Some((file, true)),
            (Some(file), Some("optional")) => bind.clients = Some((file, false)),
            (_, Some("required" | "optional")) => {
                ledger.lost_part(
                    number,
                    "verify",
                    "the authority of clients' certificates is not named",
                    "client-certificates = { authority = \"tls/clients.pem\" }",
                );
            }
            _ => {}
        }
        bind
    }
}

/// A directory has no ending as files with certificates have.
fn looks_like_a_file(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'))
}

/// Where it listens.
fn place(text: &str, v4v6: bool) -> Result<Place, Unfit> {
    let refuse = |why: &str, instead: &str| Err(Unfit::new(why, instead));
    if text.starts_with("quic") {
        return refuse(
            "Mainstay speaks no HTTP/3",
            "nothing: clients come over HTTP/2",
        );
    }
    if let Some(path) = text
        .strip_prefix("unix@")
        .or_else(|| text.starts_with('/').then_some(text))
    {
        let fits = path.starts_with('/') && path.len() < 108 && !path.chars().any(char::is_control);
        return match fits {
            true => Ok(Place::Unix(path.to_owned())),
            false => refuse(
                "a socket has an absolute path",
                "bind = \"unix:/run/foobar.sock\"",
            ),
        };
    }
    let (family, text) = ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"]
        .iter()
        .find_map(|family| Some((*family, text.strip_prefix(family)?)))
        .unwrap_or(("", text));
    if text.contains('@') {
        return refuse(
            "a listener is an address with a port, or a unix socket",
            "bind = \"0.0.0.0:80\"",
        );
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return refuse("it has no port", "bind = \"0.0.0.0:80\"");
    };
    if port.contains('-') {
        return refuse("a listener has one port", "one listener for each port");
    }
    let Some(port) = port.parse::<u16>().ok().filter(|port| *port > 0) else {
        return refuse("it has no port", "bind = \"0.0.0.0:80\"");
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let v6 = family.ends_with("6@");
    let ip = match host {
        "" | "*" if v6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        "" | "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        // IPv4 is the family that the balancer's own ports have.
        "::" if v4v6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        host => match host.parse() {
            Ok(ip) => ip,
            Err(_) => {
                return refuse(
                    "it is a host name; listeners are IP addresses",
                    "bind = \"10.0.0.1:80\"",
                );
            }
        },
    };
    Ok(Place::Tcp(SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_in_every_spelling() {
        for (text, wanted) in [
            ("*:80", "0.0.0.0:80"),
            (":80", "0.0.0.0:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            (":::80", "[::]:80"),
            ("[::]:80", "[::]:80"),
            ("[2001:db8::1]:443", "[2001:db8::1]:443"),
            ("ipv6@:80", "[::]:80"),
            ("/run/x.sock", "unix:/run/x.sock"),
        ] {
            assert_eq!(place(text, false).unwrap().shown(), wanted, "{text}");
        }
        for text in [
            "",
            "80",
            ":",
            ":8000-8010",
            "www.foobar.com:80",
            "fd@3",
            "quic4@:443",
            "unix@x",
        ] {
            assert!(place(text, false).is_err(), "{text}");
        }
    }
}
