//! Pure: one `server` line → an endpoint, and what it says of its backend.
//!
//! Source: HAProxy configuration manual, sections 5.2 "Server and default-server options" and 11
//! "Address formats".

use std::net::{IpAddr, SocketAddr};

use super::ledger::{Ledger, Unfit};
use super::lexer::Line;
use super::limits::milliseconds;
use super::server_options;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) line: u32,
    pub(super) name: String,
    /// As endpoints have it.
    pub(super) address: Option<String>,
    /// As it is written.
    pub(super) written: String,
    /// Why there is none that endpoints can have.
    pub(super) why_not: String,
    pub(super) weight: Option<u16>,
    pub(super) backup: bool,
    pub(super) disabled: bool,
    pub(super) check: bool,
    /// Milliseconds.
    pub(super) inter: Option<u64>,
    pub(super) fastinter: Option<u64>,
    pub(super) slowstart: Option<u64>,
    pub(super) rise: Option<u32>,
    pub(super) fall: Option<u32>,
    pub(super) port: Option<u16>,
    pub(super) maxconn: Option<u32>,
    pub(super) consecutive: Option<u32>,
    pub(super) observe: bool,
    pub(super) check_ssl: bool,
    pub(super) proxy: Option<&'static str>,
    pub(super) h2: bool,
    pub(super) tls: Tls,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) on: bool,
    pub(super) verify: Option<bool>,
    pub(super) authority: Option<String>,
    pub(super) name: Option<String>,
    /// One PEM file with certificate and key.
    pub(super) certificate: Option<String>,
}

/// Words with a value.
const VALUES: [&str; 18] = [
    "weight",
    "rise",
    "fall",
    "maxconn",
    "port",
    "error-limit",
    "observe",
    "inter",
    "fastinter",
    "slowstart",
    "verify",
    "ca-file",
    "crt",
    "sni",
    "verifyhost",
    "alpn",
    "proto",
    "npn",
];

impl Server {
    /// `defaults`: the words of `default-server` before it.
    pub(super) fn read(
        line: &Line,
        name: &str,
        address: &str,
        words: &[String],
        defaults: &[String],
        ledger: &mut Ledger,
    ) -> Self {
        let mut server = Self {
            line: line.number,
            name: name.to_owned(),
            written: address.to_owned(),
            ..Self::default()
        };
        let read = match line.variable && address.contains('$') {
            true => Err("its address comes from the environment".to_owned()),
            false => self::address(address),
        };
        match read {
            Ok(address) => server.address = Some(address),
            Err(why) => server.why_not = why,
        }
        // What is wrong with a default is told where it stands.
        server.options(line.number, defaults, false, ledger);
        server.options(line.number, words, true, ledger);
        server
    }

    fn options(&mut self, line: u32, words: &[String], tell: bool, ledger: &mut Ledger) {
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            if self.flag(word) {
                continue;
            }
            let done = match word {
                "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" => {
                    self.proxy = Some("v2");
                    let why = "the PROXY protocol's header says addresses, and nothing of TLS";
                    Err(Unfit::new(why, ""))
                }
                word if server_options::is_known(word) => server_options::other(word, &mut words),
                word if VALUES.contains(&word) => {
                    self.value(word, words.next().unwrap_or_default())
                }
                word => server_options::other(word, &mut words),
            };
            if let (Err(unfit), true) = (done, tell) {
                ledger.lost_part(line, word, unfit.why, unfit.instead);
            }
        }
    }

    /// Words that stand alone.
    fn flag(&mut self, word: &str) -> bool {
        match word {
            "check" => self.check = true,
            "no-check" => self.check = false,
            "backup" => self.backup = true,
            "no-backup" => self.backup = false,
            "disabled" => self.disabled = true,
            "ssl" => self.tls.on = true,
            "no-ssl" => self.tls.on = false,
            "check-ssl" => self.check_ssl = true,
            "no-check-ssl" => self.check_ssl = false,
            "send-proxy" => self.proxy = Some("v1"),
            "send-proxy-v2" => self.proxy = Some("v2"),
            "no-send-proxy" | "no-send-proxy-v2" => self.proxy = None,
            _ => return false,
        }
        true
    }

    fn value(&mut self, word: &str, value: &str) -> Result<(), Unfit> {
        match word {
            "weight" => self.weight = u16::try_from(number(value, 0, 256, "weight")?).ok(),
            "rise" => self.rise = Some(number(value, 1, 100, "rise")?),
            "fall" => self.fall = Some(number(value, 1, 100, "fall")?),
            // No bound at all.
            "maxconn" if value == "0" => self.maxconn = None,
            "maxconn" => self.maxconn = Some(number(value, 1, 1_000_000, "max-requests")?),
            "port" => self.port = u16::try_from(number(value, 1, 65535, "port")?).ok(),
            "error-limit" => self.consecutive = Some(number(value, 1, 1000, "consecutive")?),
            "observe" => self.observe = true,
            "inter" => self.inter = Some(time(value, 100, "interval")?),
            "fastinter" => self.fastinter = Some(time(value, 100, "interval-in-doubt")?),
            "slowstart" => self.slowstart = Some(time(value, 0, "slow-start")?),
            "verify" => self.tls.verify = Some(value != "none"),
            "ca-file" => {
                self.tls.authority = Some(value.to_owned()).filter(|file| file != "@system-ca")
            }
            "crt" => self.tls.certificate = Some(value.to_owned()),
            "sni" => return self.sni(value),
            "verifyhost" => return self.server_name(value),
            "alpn" => self.h2 = value.split(',').next() == Some("h2"),
            "proto" if value == "h2" => self.h2 = true,
            "proto" if value != "h1" && value != "none" => {
                let why = format!("endpoints speak HTTP/1.1 or HTTP/2, not `{value}`");
                return Err(Unfit::new(why, "protocol = \"h2\""));
            }
            _ => {}
        }
        Ok(())
    }

    fn sni(&mut self, expression: &str) -> Result<(), Unfit> {
        match expression
            .strip_prefix("str(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            Some(name) => self.server_name(name),
            None => Err(Unfit::new(
                "the name that endpoints are asked for is one for the backend",
                "server-name = \"shop.internal\" in `tls`",
            )),
        }
    }

    fn server_name(&mut self, name: &str) -> Result<(), Unfit> {
        if crate::domain::domain(name).is_err() {
            return Err(Unfit::new(
                format!("`{name}` is no name of a server"),
                "server-name = \"shop.internal\" in `tls`",
            ));
        }
        self.tls.name = Some(name.to_owned());
        Ok(())
    }
}

impl Tls {
    /// Whether both can be one `tls` of a backend.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        self == other || !self.on && !other.on
    }
}

fn number(text: &str, least: u32, most: u32, key: &str) -> Result<u32, Unfit> {
    match text.parse::<u32>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(Unfit::new(
            format!("`{text}`: `{key}` is from {least} to {most}"),
            "",
        )),
    }
}

/// From `least` to an hour.
fn time(text: &str, least: u64, key: &str) -> Result<u64, Unfit> {
    let time = milliseconds(text)?;
    match (least..=3_600_000).contains(&time) {
        true => Ok(time),
        false => Err(Unfit::new(
            format!("`{text}`: `{key}` is from {least}ms to 1h"),
            "",
        )),
    }
}

/// `10.0.0.5:80`, `[2001:db8::5]:80` or `unix:/path`.
pub(super) fn address(text: &str) -> Result<String, String> {
    let text = ["ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"]
        .iter()
        .find_map(|family| text.strip_prefix(family))
        .unwrap_or(text);
    if let Some(path) = text
        .strip_prefix("unix@")
        .or_else(|| text.starts_with('/').then_some(text))
    {
        let fits = path.starts_with('/') && path.len() < 108 && !path.chars().any(char::is_control);
        return fits
            .then(|| format!("unix:{path}"))
            .ok_or_else(|| "its socket has no absolute path".to_owned());
    }
    if text.contains('@') {
        return Err("there are addresses with ports, and unix sockets".to_owned());
    }
    if text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) {
        return Err("it has no port".to_owned());
    }
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| "it is a host name, and has no port".to_owned())?;
    let port = match port.parse::<u16>() {
        // `+1` is so much more than the port of the client's connection.
        Ok(number) if number > 0 && !port.starts_with('+') => number,
        _ => return Err("it has no port of its own".to_owned()),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // RFC 6761, section 6.3.
    let host = if host == "localhost" {
        "127.0.0.1"
    } else {
        host
    };
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => Err("it means every address".to_owned()),
        Ok(ip) => Ok(SocketAddr::new(ip, port).to_string()),
        Err(_) if host.is_empty() || host == "*" => Err("it means every address".to_owned()),
        Err(_) => Err("it is a host name; endpoints are IP addresses".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_are_read_in_every_spelling() {
        for (text, wanted) in [
            ("10.0.0.5:80", "10.0.0.5:80"),
            ("ipv4@10.0.0.5:80", "10.0.0.5:80"),
            ("localhost:80", "127.0.0.1:80"),
            ("2001:db8::5:80", "[2001:db8::5]:80"),
            ("[2001:db8::5]:80", "[2001:db8::5]:80"),
            ("unix@/run/app.sock", "unix:/run/app.sock"),
            ("/run/app.sock", "unix:/run/app.sock"),
        ] {
            assert_eq!(address(text).as_deref(), Ok(wanted), "{text}");
        }
        for text in [
            "app.internal:80",
            "app",
            "10.0.0.5",
            "0.0.0.0:80",
            ":80",
            "abns@x",
            "10.0.0.5:+1",
            "",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
