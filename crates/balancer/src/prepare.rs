//! Pure: from a request's bytes to what is sent to an endpoint, or to the status of a refusal.

use std::net::IpAddr;

use http::body::{Framing, framing};
use http::head::traits::{self, Traits};
use http::head::write::{self, Origin};
use http::head::{self, Storage};
use http::{Fault, Kind, Phase};

/// Paths of our own between balancer and web server; not for visitors.
const INTERNAL: &str = "/.mainstay/";

/// What the rest of an exchange needs to know of a request.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The head as it goes on, with the body when all of it was there.
    pub(crate) outgoing: Vec<u8>,
    /// Of what is still to be sent.
    pub(crate) framing: Framing,
    /// Bytes of the client's buffer that `outgoing` contains.
    pub(crate) taken: usize,
    pub(crate) traits: Traits,
    pub(crate) upgrade: Option<String>,
}

/// Text for the access log; reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: String,
}

/// Why a request goes nowhere.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) why: Fault,
    /// The request was well-formed and has no body: the connection can go on.
    pub(crate) keep: bool,
    pub(crate) is_head: bool,
}

/// Who asks, and what is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) client: IpAddr,
    pub(crate) scheme: &'a str,
    pub(crate) domains: &'a [String],
    pub(crate) request_body: u64,
}

/// `bytes`: what is buffered, of which `length` is the head.
pub(crate) fn prepare(
    bytes: &[u8],
    length: usize,
    terms: &Terms<'_>,
    line: &mut Line,
    mut outgoing: Vec<u8>,
) -> Result<Prepared, Refusal> {
    let malformed = |kind: Kind| {
        let why = Fault::client(Phase::RequestHead, kind);
        Refusal {
            status: why.status(),
            why,
            keep: false,
            is_head: false,
        }
    };
    let (head_bytes, rest) = bytes
        .split_at_checked(length)
        .ok_or(malformed(Kind::Malformed("the head")))?;
    let mut storage = Storage::new();
    let head = head::request(head_bytes, &mut storage).map_err(malformed)?;
    replace(&mut line.method, head.method);
    replace(&mut line.target, head.target);
    let (authority, path) = traits::target(&head);
    replace(&mut line.host, authority);
    let framing = framing::of_request(&head).map_err(malformed)?;
    let traits = Traits::of(&head);
    let refuse = |status, what| Refusal {
        status,
        why: Fault::client(Phase::RequestHead, Kind::Malformed(what)),
        keep: traits.keeps_by_default() && framing == Framing::None,
        is_head: traits.is_head,
    };
    if !serves(terms.domains, authority) {
        return Err(refuse(421, "a host that is not this site's"));
    }
    if path.starts_with(INTERNAL) {
        return Err(refuse(404, "an internal path"));
    }
    if matches!(framing, Framing::Length(length) if length > terms.request_body) {
        return Err(refuse(413, "a request body over the limit"));
    }
    let upgrade = traits::upgrade(&head);
    let origin = Origin {
        client: terms.client,
        scheme: terms.scheme,
        request_id: &line.id,
    };
    write::outgoing(
        &head,
        path,
        framing,
        upgrade,
        authority,
        Some(&origin),
        &mut outgoing,
    );
    // A body that is all here goes along: one write, and the request can be repeated.
    let whole = match framing {
        Framing::Length(length) => usize::try_from(length).ok().and_then(|n| rest.get(..n)),
        _ => None,
    };
    let (framing, body) = match whole {
        Some(body) => (Framing::None, body),
        None => (framing, &[][..]),
    };
    outgoing.extend_from_slice(body);
    let upgrade = upgrade.map(str::to_owned);
    Ok(Prepared {
        outgoing,
        framing,
        taken: length + body.len(),
        traits,
        upgrade,
    })
}

fn replace(text: &mut String, with: &str) {
    text.clear();
    text.push_str(with);
}

/// Whether the host is one of the site's, without its port. HTTP/1.0 without a Host is served.
fn serves(domains: &[String], authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    host.is_empty()
        || domains
            .iter()
            .any(|domain| domain.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(String, Framing), u16> {
        let domains = ["www.foobar.com".to_owned()];
        let terms = Terms {
            client: [192, 0, 2, 7].into(),
            scheme: "http",
            domains: &domains,
            request_body: 10,
        };
        let length = head::find_end(text.as_bytes(), 0).unwrap();
        let mut line = Line {
            id: "abc".to_owned(),
            ..Line::default()
        };
        prepare(text.as_bytes(), length, &terms, &mut line, Vec::new())
            .map(|prepared| {
                (
                    String::from_utf8(prepared.outgoing).unwrap(),
                    prepared.framing,
                )
            })
            .map_err(|refusal| refusal.status)
    }

    #[test]
    fn a_small_body_goes_along() {
        let text = "POST /a HTTP/1.1\r\nHost: www.foobar.com\r\nContent-Length: 3\r\n\r\nabcGET";
        let (outgoing, framing) = check(text).unwrap();
        assert!(outgoing.ends_with("\r\n\r\nabc"), "{outgoing}");
        assert_eq!(framing, Framing::None);
        let (outgoing, framing) = check(&text.replace(": 3", ": 9")).unwrap();
        assert!(outgoing.ends_with("\r\n\r\n"), "{outgoing}");
        assert_eq!(framing, Framing::Length(9));
    }

    #[test]
    fn only_this_site_is_served() {
        let get = |host: &str| check(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).is_ok();
        assert!(get("www.foobar.com"));
        assert!(get("WWW.FOOBAR.COM:8080"));
        assert!(get("www.foobar.com."));
        assert!(!get("foobar.com"));
        assert!(!get("www.foobar.com.evil"));
    }

    #[test]
    fn refusals() {
        let host = "Host: www.foobar.com\r\n";
        assert_eq!(
            check(&format!("GET /.mainstay/health HTTP/1.1\r\n{host}\r\n")),
            Err(404)
        );
        let large = format!("POST / HTTP/1.1\r\n{host}Content-Length: 11\r\n\r\n");
        assert_eq!(check(&large), Err(413));
        assert_eq!(
            check(&format!("GET / HTTP/1.1\r\n{host}{host}\r\n")),
            Err(400)
        );
    }

    #[test]
    fn an_old_client_that_is_refused_is_not_kept_waiting() {
        let keep = |version: &str| {
            let host = "Host: www.foobar.com\r\nConnection: keep-alive\r\n";
            let text = format!("GET /.mainstay/x HTTP/{version}\r\n{host}\r\n");
            let terms = Terms {
                client: [192, 0, 2, 7].into(),
                scheme: "http",
                domains: &["www.foobar.com".to_owned()],
                request_body: 10,
            };
            let mut line = Line::default();
            let bytes = text.as_bytes();
            let refusal = prepare(bytes, bytes.len(), &terms, &mut line, Vec::new()).unwrap_err();
            (refusal.status, refusal.keep)
        };
        assert_eq!(keep("1.1"), (404, true));
        assert_eq!(keep("1.0"), (404, false));
    }

    #[test]
    fn the_authority_of_an_absolute_target_is_the_host() {
        let (outgoing, _) =
            check("GET http://www.foobar.com/x HTTP/1.1\r\nHost: other\r\n\r\n").unwrap();
        assert!(
            outgoing.starts_with("GET /x HTTP/1.1\r\nHost: www.foobar.com\r\n"),
            "{outgoing}"
        );
        let (outgoing, _) =
            check("GET http://www.foobar.com?a=b HTTP/1.1\r\nHost: other\r\n\r\n").unwrap();
        assert!(outgoing.starts_with("GET /?a=b HTTP/1.1\r\n"), "{outgoing}");
    }

    #[test]
    fn a_websocket_upgrade_is_passed_on_and_h2c_is_not() {
        let ask = |protocol: &str| {
            let text = format!(
                "GET / HTTP/1.1\r\nHost: www.foobar.com\r\nConnection: Upgrade\r\n\
                 Upgrade: {protocol}\r\n\r\n"
            );
            check(&text).unwrap().0.contains("Connection: upgrade")
        };
        assert!(ask("websocket"));
        assert!(!ask("h2c"));
        assert!(!ask("websocket, H2C"));
        assert!(!ask("websocket\r\nUpgrade: h2c"));
    }
}
