//! Pure: what a request says about itself, for those who pass it on.

use super::RequestHead;
use super::parse::absolute;

/// Facts that outlive the head's bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traits {
    pub is_head: bool,
    /// RFC 9110 section 9.2.2.
    pub idempotent: bool,
    pub minor: u8,
    /// The client will send another request on this connection.
    pub keep: bool,
}

impl Traits {
    pub fn of(head: &RequestHead<'_, '_>) -> Self {
        let keep = match head.minor {
            0 => head.fields.has_token("connection", "keep-alive"),
            _ => !head.fields.has_token("connection", "close"),
        };
        let idempotent = matches!(
            head.method,
            "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE"
        );
        Self {
            is_head: head.method == "HEAD",
            idempotent,
            minor: head.minor,
            keep,
        }
    }

    /// Whether the connection goes on without the answer saying so: an HTTP/1.0 client that is not told
    /// would wait for the end of the connection.
    pub fn keeps_by_default(self) -> bool {
        self.keep && self.minor == 1
    }
}

/// Host and origin-form target. An absolute-form target overrides Host (RFC 9112 section 3.2.2).
pub fn target<'b>(head: &RequestHead<'_, 'b>) -> (&'b str, &'b str) {
    match absolute(head.target) {
        Some((authority, "")) => (authority, "/"),
        Some((authority, path)) => (authority, path),
        None => (head.fields.text("host").unwrap_or_default(), head.target),
    }
}

/// The protocol a client wants to change to (RFC 9110 section 7.8).
pub fn upgrade<'b>(head: &RequestHead<'_, 'b>) -> Option<&'b str> {
    let wanted = head.minor == 1 && head.fields.has_token("connection", "upgrade");
    // h2c would let a client speak past us to the upstream, wherever in the list it stands.
    head.fields
        .text("upgrade")
        .filter(|_| wanted && !head.fields.has_token("upgrade", "h2c"))
}
