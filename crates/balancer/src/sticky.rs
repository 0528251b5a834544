//! Pure: a visitor stays with his endpoint by a cookie that names it.
//!
//! The value is the endpoint's id, a hash of its name (its address may change, and is nobody's business),
//! and a signature with the site's key (HMAC-SHA-256, RFC 2104, cut to 128 bits as its section 5
//! allows), both in hexadecimal. Without a signature, anybody could aim all his requests at the one
//! endpoint he chose. Since the value follows from backend, endpoint and key, all values are made once
//! per snapshot; a request costs one lookup and one comparison.
//!
//! Who is bound to an endpoint that drains stays with it; one that is dead loses him, and he gets a new
//! cookie with his next answer: see `Standing::takes_bound`.

use std::fmt;

use aws_lc_rs::hmac;
use http::head::Fields;
use subtle::ConstantTimeEq as _;

use crate::hash::{Map, stable};
use http::head::cookie;

/// Hexadecimal digits of an id, and of a signature.
const ID: usize = 16;
const SIGNATURE: usize = 32;
/// Cookies of this name looked at in one request: a browser sends one; some send one per path.
const LOOKED_AT: usize = 4;

/// The cookies of one backend.
#[derive(Debug)]
pub struct Sticky {
    name: Box<str>,
    values: Vec<String>,
    /// By id.
    endpoints: Map<Box<[u8]>, usize>,
}

/// What a request's cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Index of the endpoint.
    To(usize),
    No(Unbound),
}

/// Why a request is bound to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    NoCookie,
    /// Not what we write.
    Malformed,
    /// An endpoint that is not there (any more), or of another backend.
    Unknown,
    /// An endpoint's id with another signature: forged, or the key has changed.
    Forged,
}

impl fmt::Display for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCookie => "no cookie",
            Self::Malformed => "a cookie that is not ours",
            Self::Unknown => "a cookie of an endpoint that is not there",
            Self::Forged => "a cookie with a wrong signature",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be the name of a cookie")]
pub struct BadName(String);

impl Sticky {
    /// `endpoints`: names in the backend's order. `key`: the site's.
    pub fn new<'n>(
        cookie: &str,
        backend: &str,
        endpoints: impl IntoIterator<Item = &'n str>,
        key: &[u8],
    ) -> Result<Self, BadName> {
        if !is_token(cookie) {
            return Err(BadName(cookie.to_owned()));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let mut values = Vec::new();
        let mut by_id = Map::default();
        for (index, name) in endpoints.into_iter().enumerate() {
            let id = format!("{:016x}", stable(name.as_bytes()));
            let mut context = hmac::Context::with_key(&key);
            // The purpose, so that no other signature with this key can serve as one.
            for part in [b"sticky", backend.as_bytes(), name.as_bytes()] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part);
            }
            let mut value = id.clone();
            let signature = context.sign();
            for byte in signature.as_ref().iter().take(SIGNATURE / 2) {
                value.push_str(&format!("{byte:02x}"));
            }
            by_id.insert(id.into_bytes().into(), index);
            values.push(value);
        }
        Ok(Self {
            name: cookie.into(),
            values,
            endpoints: by_id,
        })
    }

    /// To which endpoint a request is bound, by the first of its cookies that binds it.
    pub fn bound(&self, fields: Fields<'_, '_>) -> Bound {
        let mut why = Unbound::NoCookie;
        for value in cookie::values(fields, &self.name).take(LOOKED_AT) {
            match self.check(value) {
                Ok(index) => return Bound::To(index),
                Err(unbound) => why = unbound,
            }
        }
        Bound::No(why)
    }

    fn check(&self, value: &[u8]) -> Result<usize, Unbound> {
        let (id, signature) = value.split_at_checked(ID).ok_or(Unbound::Malformed)?;
        if signature.len() != SIGNATURE {
            return Err(Unbound::Malformed);
        }
        let index = *self.endpoints.get(id).ok_or(Unbound::Unknown)?;
        let ours = self.values.get(index).ok_or(Unbound::Unknown)?;
        // In constant time: the time must not tell how much of a guess is right.
        if bool::from(ours.as_bytes().ct_eq(value)) {
            Ok(index)
        } else {
            Err(Unbound::Forged)
        }
    }

    /// The field for an answer that binds its visitor to `endpoint`, with its line end. For the length
    /// of the browser's session.
    pub fn set_cookie(&self, endpoint: usize, secure: bool, out: &mut Vec<u8>) {
        let Some(value) = self.values.get(endpoint) else {
            return;
        };
        let secure = if secure { "; Secure" } else { "" };
        let parts = [
            "Set-Cookie: ",
            &self.name,
            "=",
            value,
            "; Path=/; HttpOnly; SameSite=Lax",
            secure,
            "\r\n",
        ];
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let of_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(of_token)
}

#[cfg(test)]
mod tests {
    use http::head::{Storage, request};

    use super::*;

    fn sticky(names: &[&str], key: &[u8]) -> Sticky {
        Sticky::new("stay", "web", names.iter().copied(), key).unwrap()
    }

    fn field(sticky: &Sticky, endpoint: usize) -> String {
        let mut out = Vec::new();
        sticky.set_cookie(endpoint, true, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn value(sticky: &Sticky, endpoint: usize) -> String {
        let field = field(sticky, endpoint);
        let begin = "Set-Cookie: stay=".len();
        field[begin..field.find(';').unwrap()].to_owned()
    }

    fn bound(sticky: &Sticky, cookies: &str) -> Bound {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookies}\r\n\r\n");
        let mut storage = Storage::new();
        sticky.bound(request(text.as_bytes(), &mut storage).unwrap().fields)
    }

    #[test]
    fn what_is_set_is_understood() {
        let sticky = sticky(&["app-1", "app-2"], b"secret");
        let text = field(&sticky, 1);
        assert!(
            text.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"),
            "{text}"
        );
        for endpoint in [0, 1] {
            let cookies = format!("a=b; stay={}; c=d", value(&sticky, endpoint));
            assert_eq!(bound(&sticky, &cookies), Bound::To(endpoint));
        }
        let doubled = format!("stay=old; stay={}", value(&sticky, 1));
        assert_eq!(bound(&sticky, &doubled), Bound::To(1));
    }

    #[test]
    fn the_order_of_endpoints_means_nothing() {
        let before = sticky(&["app-1", "app-2"], b"secret");
        let after = sticky(&["app-0", "app-2", "app-1"], b"secret");
        let cookies = format!("stay={}", value(&before, 0));
        assert_eq!(bound(&after, &cookies), Bound::To(2));
    }

    #[test]
    fn what_is_not_ours_binds_to_nothing() {
        let ours = sticky(&["app-1"], b"secret");
        let no = |cookies: &str| bound(&ours, cookies);
        assert_eq!(no("x=y"), Bound::No(Unbound::NoCookie));
        assert_eq!(no("stay=x"), Bound::No(Unbound::Malformed));
        let gone = sticky(&["app-9"], b"secret");
        let cookie = format!("stay={}", value(&gone, 0));
        assert_eq!(no(&cookie), Bound::No(Unbound::Unknown));
        let other_key = sticky(&["app-1"], b"other");
        let cookie = format!("stay={}", value(&other_key, 0));
        assert_eq!(no(&cookie), Bound::No(Unbound::Forged));
        let mut forged = value(&ours, 0);
        let last = if forged.pop() == Some('0') { '1' } else { '0' };
        forged.push(last);
        assert_eq!(no(&format!("stay={forged}")), Bound::No(Unbound::Forged));
        assert!(Sticky::new("a b", "web", [], b"k").is_err());
    }
}
