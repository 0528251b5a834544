//! Pure: addresses with ports, of listeners and endpoints: `10.0.0.5:80`, `[2001:db8::5]:80`,
//! `unix:/path`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::at::At;
use crate::hint::quoted;
use crate::problem::Code;
use crate::source::Problems;
use crate::target::balancer::Bind;

/// What the address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// May be every address of the machine.
    Listening,
    Connecting,
}

pub(super) fn bind(at: &At<String>, purpose: For, problems: &mut Problems<'_>) -> Option<Bind> {
    let text = at.value.as_str();
    if let Some(path) = text.strip_prefix("unix:") {
        // `sun_path` has 108 bytes with its end (unix(7)).
        if path.starts_with('/') && path.len() < 108 && !path.chars().any(char::is_control) {
            return Some(Bind::Unix(PathBuf::from(path)));
        }
        let what = format!("`{path}` is no absolute path of at most 107 bytes");
        problems.add(Code::BadValue, &at.span, what, "\"unix:/run/foobar.sock\"");
        return None;
    }
    // `*:80` and `:80` are HAProxy's and nginx's ways to say "every address".
    let every = text.strip_prefix('*').unwrap_or(text);
    if let (For::Listening, Some(port)) = (purpose, every.strip_prefix(':'))
        && port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        let write = format!("\"0.0.0.0:{port}\", or \"[::]:{port}\" for IPv6 too");
        let what = format!("`{text}` does not say which family of addresses");
        problems.add(Code::BadValue, &at.span, what, write);
        return None;
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => {
            let what = format!("`{text}` has no port");
            let write = quoted(&SocketAddr::new(address.ip(), 80).to_string());
            problems.add(Code::BadValue, &at.span, what, write);
            None
        }
        Ok(address) if purpose == For::Connecting && address.ip().is_unspecified() => {
            let what = format!(
                "{} means \"every address\"; nothing can be sent there",
                address.ip()
            );
            problems.add(
                Code::BadValue,
                &at.span,
                what,
                "\"127.0.0.1:8080\" for this machine",
            );
            None
        }
        Ok(address) => Some(Bind::Tcp(address)),
        Err(_) => {
            let (what, write) = no_address(text);
            problems.add(Code::BadValue, &at.span, what, write);
            None
        }
    }
}

fn no_address(text: &str) -> (String, String) {
    let rest = text.split_once("://").map(|(_, rest)| rest);
    if let Some(rest) = rest {
        let host = rest.split('/').next().unwrap_or(rest);
        let what = format!("`{text}` is a URL; here stands an address with its port");
        return (what, quoted(host));
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        let with = if text.contains(':') {
            format!("[{text}]:80")
        } else {
            format!("{text}:80")
        };
        return (format!("`{text}` has no port"), quoted(&with));
    }
    let named = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        && text.chars().any(char::is_alphabetic);
    let what = if named {
        format!("`{text}` is a host name; this version takes IP addresses only")
    } else {
        format!("`{text}` is no address with a port")
    };
    (
        what,
        "\"10.0.0.5:80\", \"[2001:db8::5]:80\" or \"unix:/path\"".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Source;

    fn check(text: &str, purpose: For) -> Result<String, String> {
        let at = At {
            value: text.to_owned(),
            span: 0..0,
        };
        let mut problems = Problems::new(Source::new("", "site.toml"));
        match bind(&at, purpose, &mut problems) {
            Some(bind) => Ok(bind.to_string()),
            None => Err(problems.list.iter().map(|p| p.what.clone()).collect()),
        }
    }

    #[test]
    fn addresses_with_ports_are_read() {
        for text in ["10.0.0.5:80", "[2001:db8::5]:80", "unix:/run/x.sock"] {
            assert_eq!(check(text, For::Connecting).as_deref(), Ok(text));
        }
        assert_eq!(
            check("0.0.0.0:80", For::Listening).as_deref(),
            Ok("0.0.0.0:80")
        );
    }

    #[test]
    fn near_misses_are_explained() {
        for (text, part) in [
            ("0.0.0.0:80", "every address"),
            ("10.0.0.5", "no port"),
            ("10.0.0.5:0", "no port"),
            ("http://10.0.0.5:80/", "URL"),
            ("app.internal:80", "host name"),
            ("unix:run/x", "absolute"),
            ("", "no address"),
        ] {
            let what = check(text, For::Connecting).unwrap_err();
            assert!(what.contains(part), "{text}: {what}");
        }
        assert!(
            check("*:80", For::Listening)
                .unwrap_err()
                .contains("family")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".*") {
            drop(check(&text, For::Listening));
        }
    }
}
