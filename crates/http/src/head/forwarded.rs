//! Pure: which fields stop at this hop, and which of a client's claims are not passed on.

use super::Fields;
use super::fields::list_has;

/// A field of a response from one of ours to another: "nothing was done with this request, ask
/// elsewhere". A web server whose instances are all dead sends it, so that its balancer can do better
/// than pass on the error. Never goes on to a client, and is not believed of an application.
pub const NOT_HANDLED: &str = "Mainstay-Not-Handled";

/// Fields of one connection only (RFC 9110 section 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What a head's `Connection` says, looked up once for all its fields.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'h, 'b> {
    fields: Fields<'h, 'b>,
    /// It names fields (most say `keep-alive` or `close`, or are not there).
    names_fields: bool,
}

impl<'h, 'b> Hop<'h, 'b> {
    pub fn of(fields: Fields<'h, 'b>) -> Self {
        let plain = |value: &[u8]| {
            value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close")
        };
        Self {
            fields,
            names_fields: !fields.all("connection").all(plain),
        }
    }

    /// Whether this field ends at this hop.
    pub fn ends(self, name: &str) -> bool {
        // Lengths first: nearly every field is told apart by its length.
        let known = matches!(name.len(), 2 | 7 | 10 | 16 | 17 | 18 | 19)
            && HOP_BY_HOP.iter().any(|hop| hop.eq_ignore_ascii_case(name));
        known || self.names_fields && named_by_connection(self.fields, name)
    }
}

/// `Connection: close, X-Foo` makes `X-Foo` hop-by-hop. A client must not use that to strip what we
/// rely on, so the fields that carry the request's meaning cannot be named.
fn named_by_connection(fields: Fields<'_, '_>, name: &str) -> bool {
    const KEPT: [&str; 5] = [
        "host",
        "content-length",
        "content-type",
        "cookie",
        "authorization",
    ];
    fields.all("connection").any(|value| {
        list_has(value, name) && !KEPT.iter().any(|kept| kept.eq_ignore_ascii_case(name))
    })
}

/// Whether a name says where a request came from, in the spelling that WSGI, CGI and PHP cannot tell
/// apart (`X_Forwarded_For`): such a field is dropped from every request.
pub fn is_disguised(name: &str) -> bool {
    name.as_bytes().contains(&b'_') && name.len() <= 32 && is_forwarding(&name.replace('_', "-"))
}

/// Fields that say where a request came from: only ours are passed on.
pub fn is_forwarding(name: &str) -> bool {
    name.get(..12)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-forwarded-"))
        || name.eq_ignore_ascii_case("x-real-ip")
        || name.eq_ignore_ascii_case("forwarded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Storage, request};

    #[test]
    fn hop_by_hop_fields_are_known() {
        let bytes = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Mine, Cookie\r\n\r\n";
        let mut storage = Storage::new();
        let fields = request(bytes, &mut storage).unwrap().fields;
        for name in [
            "Connection",
            "TE",
            "Upgrade",
            "Keep-Alive",
            "x-mine",
            "Transfer-Encoding",
        ] {
            assert!(Hop::of(fields).ends(name), "{name}");
        }
        for name in ["Host", "Cookie", "Accept", "X-Other"] {
            assert!(!Hop::of(fields).ends(name), "{name}");
        }
    }

    #[test]
    fn disguised_forwarding_fields_are_seen() {
        assert!(is_disguised("X_Forwarded-For"));
        assert!(is_disguised("x_real_ip"));
        assert!(!is_disguised("my_field"));
        assert!(!is_disguised("X-Forwarded-For"));
    }
}
