//! Pure: what rules look at in a request, put into the form they are written in.

use std::net::IpAddr;

use http::head::{Fields, RequestHead, traits};

use super::path::{self, BadPath, Path};

/// Room for what has to be rewritten; kept by the caller from request to request.
#[derive(Debug, Default)]
pub struct Scratch {
    host: Vec<u8>,
    path: Vec<u8>,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Lower case, without port and without the dot at the end.
    pub host: &'a [u8],
    pub path: Path<'a>,
    /// As sent, without the `?`.
    pub query: &'a str,
    pub method: &'a str,
    pub fields: Fields<'a, 'a>,
    /// The one that counts: see `trusted`.
    pub client: IpAddr,
}

impl<'a> Facts<'a> {
    pub fn of(
        head: &RequestHead<'a, 'a>,
        client: IpAddr,
        scratch: &'a mut Scratch,
    ) -> Result<Self, BadPath> {
        let (authority, target) = traits::target(head);
        let (path, query) = split(target);
        Ok(Self {
            host: lower(host(authority).as_bytes(), &mut scratch.host),
            path: path::normal(path.as_bytes(), &mut scratch.path)?,
            query,
            method: head.method,
            fields: head.fields,
            client,
        })
    }
}

/// Path and query of a target. `http://host?query` has the path `/` (RFC 9112 section 3.2.1).
pub fn split(target: &str) -> (&str, &str) {
    match target.split_once('?') {
        Some(("", query)) => ("/", query),
        Some(parts) => parts,
        None => (target, ""),
    }
}

/// The name in an authority: no port, no dot at the end (the root's, RFC 1034 section 3.1).
pub fn host(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    host.strip_suffix('.').unwrap_or(host)
}

fn lower<'a>(text: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if !text.iter().any(u8::is_ascii_uppercase) {
        return text;
    }
    scratch.clear();
    scratch.extend(text.iter().map(u8::to_ascii_lowercase));
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_name_and_a_port() {
        for (authority, expected) in [
            ("www.foobar.com", "www.foobar.com"),
            ("www.foobar.com:8080", "www.foobar.com"),
            ("www.foobar.com.", "www.foobar.com"),
            ("www.foobar.com.:80", "www.foobar.com"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[2001:db8::1]:80", "[2001:db8::1]"),
            ("", ""),
        ] {
            assert_eq!(host(authority), expected, "{authority}");
        }
    }

    #[test]
    fn a_target_is_a_path_and_a_query() {
        assert_eq!(split("/a?b=c?d"), ("/a", "b=c?d"));
        assert_eq!(split("?b"), ("/", "b"));
        assert_eq!(split("/a"), ("/a", ""));
    }
}
