//! Pure: which certificate a client is shown, by the server name it asks for (RFC 6066 section 3):
//! exact names before wildcards, a wildcard for exactly one label (RFC 6125 section 6.4.3), without
//! regard to case, else the default. One set that never changes, shared by all threads.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureAlgorithm;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Named;

/// Names → everything that was added under them, in that order.
#[derive(Debug)]
pub struct Names<T> {
    exact: HashMap<String, Vec<T>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<T>>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        }
    }
}

impl<T> Names<T> {
    pub fn add(&mut self, name: &str, value: T) {
        let name = plain(name);
        let (names, name) = match name.strip_prefix("*.") {
            Some(rest) => (&mut self.wildcard, rest),
            None => (&mut self.exact, &*name),
        };
        names.entry(name.to_owned()).or_default().push(value);
    }

    /// What stands under the name, or under the wildcard for it.
    pub fn find(&self, name: &str) -> Option<&[T]> {
        let name = plain(name);
        let under_wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact
            .get(&*name)
            .or_else(under_wildcard)
            .map(Vec::as_slice)
    }
}

/// Lower case, without the dot of the root.
fn plain(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    // rustls gives lower case already.
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// The certificates of a listener.
#[derive(Debug)]
pub struct Certificates {
    names: Names<Arc<CertifiedKey>>,
    default: Vec<Arc<CertifiedKey>>,
}

impl Certificates {
    /// The first is the default. Several for one name: elliptic curves before RSA, which costs the
    /// server more than ten times as much; a client that cannot gets the other.
    pub fn new(mut certificates: Vec<Named>) -> Option<Self> {
        let first = certificates.first()?.clone();
        certificates.sort_by_key(|named| named.key.key.algorithm() == SignatureAlgorithm::RSA);
        let mut names = Names::default();
        for named in certificates {
            for name in &named.names {
                names.add(name, Arc::clone(&named.key));
            }
        }
        let by_name = first.names.first().and_then(|name| names.find(name));
        let default = by_name.map_or_else(|| vec![first.key], <[_]>::to_vec);
        Some(Self { names, default })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().and_then(|name| self.names.find(name));
        let certificates = asked.unwrap_or(&self.default);
        if let [only] = certificates {
            return Some(Arc::clone(only));
        }
        let schemes = hello.signature_schemes();
        certificates
            .iter()
            .find(|certificate| certificate.key.choose_scheme(schemes).is_some())
            .or(certificates.first())
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Names<u8> {
        let mut names = Names::default();
        names.add("www.Foobar.com", 1);
        names.add("*.foobar.com", 2);
        names.add("foobar.com", 3);
        names.add("*.shop.foobar.com", 4);
        names.add("www.foobar.com", 5);
        names
    }

    #[test]
    fn exact_names_come_before_wildcards() {
        let names = names();
        for (name, expected) in [
            ("www.foobar.com", Some(&[1, 5][..])),
            ("WWW.FOOBAR.COM", Some(&[1, 5])),
            ("www.foobar.com.", Some(&[1, 5])),
            ("api.foobar.com", Some(&[2])),
            ("foobar.com", Some(&[3])),
            ("a.shop.foobar.com", Some(&[4])),
            ("shop.foobar.com", Some(&[2])),
            ("a.b.foobar.com", None),
            ("com", None),
            ("", None),
            ("*.foobar.com", Some(&[2])),
        ] {
            assert_eq!(names.find(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_wildcard_is_for_one_label(label in "[a-z0-9-]{1,10}", more in "[a-z0-9.-]{0,20}") {
            let mut names = Names::default();
            names.add("*.foobar.com", ());
            let one = format!("{label}.foobar.com");
            prop_assert!(names.find(&one).is_some());
            let two = format!("{more}.{label}.foobar.com");
            prop_assert!(names.find(&two).is_none());
        }
    }
}
