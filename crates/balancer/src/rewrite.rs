//! Pure: the path an endpoint sees, when a route says another than was sent. The query stays.
//!
//! It is made from the normal path (see `route::path`), so that what the rule matched is what the
//! endpoint gets, and is percent-encoded anew; a path that was normal goes on byte by byte.

use site::target::balancer::{PathMatch, Rewrite};

use crate::escaped;
use crate::pattern::Groups;
use crate::redirect::one_slash;
use crate::route::path::{Path, normal};
use crate::template::{BadTemplate, Name, Piece, pieces};

/// The compiled form of `Rewrite`.
#[derive(Debug)]
pub enum Rewriting {
    /// So many bytes of the normal path are replaced.
    Prefix {
        length: usize,
        with: Box<[u8]>,
    },
    Path(PathTemplate),
}

#[derive(Debug)]
pub struct PathTemplate {
    pieces: Box<[Piece]>,
    /// The template has a query of its own: the request's is added to it.
    has_query: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRewrite {
    #[error("a prefix is replaced, but the route does not match one")]
    NoPrefix,
    #[error("{0:?} must begin with a slash")]
    Begin(String),
    #[error("{0:?} is not a host")]
    Host(String),
    #[error(transparent)]
    Template(#[from] BadTemplate),
}

impl Rewriting {
    /// `groups`: how many the route's pattern has.
    pub fn new(rewrite: &Rewrite, when: &PathMatch, groups: usize) -> Result<Self, BadRewrite> {
        match (rewrite, when) {
            (Rewrite::Prefix(with), PathMatch::Prefix(prefix)) => {
                let mut scratch = Vec::new();
                // What cannot be matched was refused with the route.
                let prefix = normal(prefix.as_bytes(), &mut scratch);
                let prefix = prefix.map_or(&[][..], |prefix| prefix.bytes);
                if !with.is_empty() && !with.starts_with('/') {
                    return Err(BadRewrite::Begin(with.clone()));
                }
                let mut encoded = Vec::new();
                escaped::put(with.as_bytes(), escaped::sent_path, &mut encoded);
                Ok(Self::Prefix {
                    length: prefix.strip_suffix(b"/").unwrap_or(prefix).len(),
                    with: encoded.into(),
                })
            }
            (Rewrite::Prefix(_), _) => Err(BadRewrite::NoPrefix),
            (Rewrite::Path(template), _) => {
                let pieces = pieces(template, &["path"], groups)?;
                let begins = match pieces.first() {
                    Some(Piece::Text(text)) => text.starts_with('/'),
                    Some(Piece::Name(name)) => *name == Name::Path,
                    None => false,
                };
                if !begins {
                    return Err(BadRewrite::Begin(template.clone()));
                }
                let has_query = |piece: &Piece| matches!(piece, Piece::Text(t) if t.contains('?'));
                Ok(Self::Path(PathTemplate {
                    has_query: pieces.iter().any(has_query),
                    pieces: pieces.into(),
                }))
            }
        }
    }

    /// Adds path and query, as a request line has them.
    pub fn put(&self, path: Path<'_>, groups: &Groups, query: &str, out: &mut Vec<u8>) {
        let begin = out.len();
        let has_query = match self {
            Self::Prefix { length, with } => {
                let rest = path.bytes.get(*length..).unwrap_or_default();
                if rest.is_empty() {
                    out.extend_from_slice(if with.is_empty() { b"/" } else { with });
                } else {
                    out.extend_from_slice(with.strip_suffix(b"/").unwrap_or(with));
                    // It does, when the route has matched.
                    if !rest.starts_with(b"/") {
                        out.push(b'/');
                    }
                    put_path(rest, path.changed, out);
                }
                false
            }
            Self::Path(template) => {
                for piece in &template.pieces {
                    match piece {
                        Piece::Text(text) => {
                            escaped::put(text.as_bytes(), escaped::sent_query, out);
                        }
                        Piece::Name(Name::Group(number)) => {
                            let text = groups.text(*number, path.bytes);
                            escaped::put(text, escaped::decoded_piece, out);
                        }
                        // The one that is left in NAMES.
                        Piece::Name(_) => put_path(path.bytes, path.changed, out),
                    }
                }
                template.has_query
            }
        };
        one_slash(begin, out);
        if !query.is_empty() {
            out.push(if has_query { b'&' } else { b'?' });
            out.extend_from_slice(query.as_bytes());
        }
    }
}

/// A path that was decoded is encoded; one that was not stays.
fn put_path(path: &[u8], decoded: bool, out: &mut Vec<u8>) {
    if decoded {
        escaped::put(path, escaped::decoded_path, out);
    } else {
        out.extend_from_slice(path);
    }
}

/// A host that a person wrote for endpoints, with or without port.
pub fn host(text: &str) -> Result<&str, BadRewrite> {
    let of_host = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
    if text.is_empty() || !text.bytes().all(of_host) {
        return Err(BadRewrite::Host(text.to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::Pattern;
    use crate::route::facts::split;

    fn rewritten(rewrite: &Rewrite, when: &PathMatch, target: &str) -> String {
        let pattern = match when {
            PathMatch::Regex(text) => Some(Pattern::new(text).unwrap()),
            _ => None,
        };
        let groups = pattern.as_ref().map_or(0, Pattern::groups);
        let rewriting = Rewriting::new(rewrite, when, groups).unwrap();
        let (path, query) = split(target);
        let mut scratch = Vec::new();
        let path = normal(path.as_bytes(), &mut scratch).unwrap();
        let groups = pattern
            .and_then(|pattern| pattern.find(path.bytes))
            .unwrap_or_default();
        let mut out = Vec::new();
        rewriting.put(path, &groups, query, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn prefixes_are_replaced_and_stripped() {
        let of = |with: &str, target: &str| {
            let when = PathMatch::Prefix("/api/".to_owned());
            rewritten(&Rewrite::Prefix(with.to_owned()), &when, target)
        };
        for with in ["", "/"] {
            assert_eq!(of(with, "/api/x?a=b"), "/x?a=b");
            assert_eq!(of(with, "/api"), "/");
            assert_eq!(of(with, "/api/"), "/");
            assert_eq!(of(with, "/api?a"), "/?a");
        }
        assert_eq!(of("/v2", "/api/x"), "/v2/x");
        assert_eq!(of("/v2/", "/api/x"), "/v2/x");
        assert_eq!(of("/v2/", "/api"), "/v2/");
        assert_eq!(of("", "/%61pi//x%20y%25?z=%20"), "/x%20y%25?z=%20");
        assert_eq!(of("", "/y/../api//evil.com"), "/evil.com");
    }

    #[test]
    fn paths_are_made_from_groups() {
        let of = |to: &str, target: &str| {
            let when = PathMatch::Regex("^/([a-z]+)/(.*)$".to_owned());
            rewritten(&Rewrite::Path(to.to_owned()), &when, target)
        };
        assert_eq!(of("/{2}/{1}", "/a/b?c"), "/b/a?c");
        assert_eq!(
            of("/index.php?p={2}", "/a/b%26c?d=e"),
            "/index.php?p=b%26c&d=e"
        );
        assert_eq!(of("/sub{path}", "/a/b%3f"), "/sub/a/b%3F");
        assert_eq!(of("{path}.html", "/a/b"), "/a/b.html");
        assert_eq!(of("/{2}", "/a//b"), "/b");
    }

    #[test]
    fn what_makes_no_path_is_refused() {
        let new = |rewrite, when: &PathMatch| Rewriting::new(&rewrite, when, 0).map(|_| ());
        let prefix = PathMatch::Prefix("/a".to_owned());
        let text = "x".to_owned();
        let with = Rewrite::Prefix(text.clone());
        assert_eq!(
            new(with.clone(), &PathMatch::Any),
            Err(BadRewrite::NoPrefix)
        );
        assert_eq!(new(with, &prefix), Err(BadRewrite::Begin(text.clone())));
        assert_eq!(
            new(Rewrite::Path(text.clone()), &prefix),
            Err(BadRewrite::Begin(text))
        );
        assert!(host("foobar.com:80").is_ok() && host("a b").is_err() && host("").is_err());
    }

    proptest! {
        #[test]
        fn it_is_always_a_request_target(
            path in "/api(/|%2f|%20|%25|%3f|a|\\.|é|\"){0,12}", query in "[a-z=&%]{0,9}",
        ) {
            let target = format!("{path}?{query}");
            let normal_path = normal(path.as_bytes(), &mut Vec::new()).map(|path| path.bytes.len());
            prop_assume!(normal_path.is_ok());
            for (rewrite, when) in [
                (Rewrite::Prefix(String::new()), PathMatch::Prefix("/api".to_owned())),
                (Rewrite::Path("/{1}".to_owned()), PathMatch::Regex("^/api(.*)$".to_owned())),
            ] {
                let out = rewritten(&rewrite, &when, &target);
                prop_assert!(out.starts_with('/') && !out.starts_with("//"), "{out}");
                prop_assert!(!out.contains([' ', '\r', '\n', '#']), "{out}");
            }
        }
    }
}
