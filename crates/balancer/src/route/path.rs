//! Pure: a path as rules see it, so that a rule on `/admin` cannot be got around by another spelling.
//!
//! As nginx does for `location` (ngx_http_core_module), in this order: escapes are decoded, once
//! (`/%61dmin` is `/admin`, `%2f` is a slash, `%252e` stays `%2e`); slashes in a row are one; `.` and
//! `..` are resolved (RFC 3986 section 5.2.4). A path that leaves the root, has an escape that is none,
//! or contains a control character (`%00`, `%0d`) is refused: no rule could say what it means.
//!
//! Only for matching: an endpoint gets the path as it was sent unless the route rewrites it. Letters
//! keep their case, and what some application servers cut out themselves (`;jsessionid=…`, `\`) is left:
//! a site with such endpoints writes its rules as patterns.

use std::fmt;

/// Ready to be matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<'a> {
    pub bytes: &'a [u8],
    /// It was spelled otherwise.
    pub changed: bool,
}

/// Why no rule can look at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPath {
    /// `%` without two hexadecimal digits.
    Escape,
    Control,
    /// `/../x`
    AboveRoot,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Escape => "a % in the path without two hexadecimal digits",
            Self::Control => "a control character in the path",
            Self::AboveRoot => "a path that leads above the root",
        })
    }
}

/// `path`: of an origin-form target, without the query; `*` stays what it is.
pub fn normal<'a>(path: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Path<'a>, BadPath> {
    if is_normal(path) {
        return Ok(Path {
            bytes: path,
            changed: false,
        });
    }
    scratch.clear();
    let mut rest = path;
    // Where the segment that is being read begins.
    let mut begin = 0;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => (escape(*high, *low).ok_or(BadPath::Escape)?, tail),
            (b'%', _) => return Err(BadPath::Escape),
            (byte, tail) => (*byte, tail),
        };
        rest = tail;
        match byte {
            0..0x20 | 0x7f => return Err(BadPath::Control),
            b'/' => {
                end_segment(scratch, begin)?;
                // Not after another one.
                if scratch.last() != Some(&b'/') {
                    scratch.push(b'/');
                }
                begin = scratch.len();
            }
            byte => scratch.push(byte),
        }
    }
    end_segment(scratch, begin)?;
    Ok(Path {
        bytes: scratch,
        changed: true,
    })
}

/// Takes a finished `.` or `..` back.
fn end_segment(out: &mut Vec<u8>, begin: usize) -> Result<(), BadPath> {
    match out.get(begin..) {
        Some(b".") => out.truncate(begin),
        Some(b"..") => {
            // `out` up to `begin` is `/` or `/…/`.
            let parent = out.get(..begin.saturating_sub(1)).unwrap_or_default();
            let slash = parent.iter().rposition(|b| *b == b'/');
            out.truncate(slash.ok_or(BadPath::AboveRoot)? + 1);
        }
        _ => {}
    }
    Ok(())
}

fn is_normal(path: &[u8]) -> bool {
    let mut before = 0;
    for byte in path {
        let suspect = match byte {
            b'%' | 0..0x20 | 0x7f => true,
            b'/' | b'.' => before == b'/',
            _ => false,
        };
        if suspect {
            return false;
        }
        before = *byte;
    }
    true
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn escape(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(path: &str) -> Result<String, BadPath> {
        let mut scratch = Vec::new();
        normal(path.as_bytes(), &mut scratch)
            .map(|path| String::from_utf8_lossy(path.bytes).into_owned())
    }

    #[test]
    fn other_spellings_are_the_same_path() {
        for path in [
            "/admin/x",
            "/%61dmin/x",
            "/%61%64%6d%69%6e/x",
            "//admin/x",
            "/admin//x",
            "/admin%2fx",
            "/admin%2Fx",
            "/./admin/./x",
            "/y/../admin/x",
            "/y/%2e%2E/admin/x",
            "/y/.%2e/admin/x",
            "/y%2f..%2fadmin%2fx",
            "/y/z/../../admin/x",
            "/admin/y/..//x",
            "%2fadmin/x",
        ] {
            assert_eq!(of(path).as_deref(), Ok("/admin/x"), "{path}");
        }
    }

    #[test]
    fn what_is_no_dot_segment_stays() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/...",
            "/.well-known/x",
            "/..a",
            "/a..",
            "/a.b/c",
            "*",
            "",
        ] {
            assert_eq!(of(path).as_deref(), Ok(path), "{path}");
        }
        assert_eq!(of("/%252e%252e/a").as_deref(), Ok("/%2e%2e/a"));
        assert_eq!(of("/a/.").as_deref(), Ok("/a/"));
        assert_eq!(of("/a/..").as_deref(), Ok("/"));
        assert_eq!(of("/a/b/..").as_deref(), Ok("/a/"));
        assert_eq!(of("/a%3Fb").as_deref(), Ok("/a?b"));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        assert_eq!(of("/%"), Err(BadPath::Escape));
        assert_eq!(of("/%6"), Err(BadPath::Escape));
        assert_eq!(of("/%zz"), Err(BadPath::Escape));
        assert_eq!(of("/%+1"), Err(BadPath::Escape));
        assert_eq!(of("/%00"), Err(BadPath::Control));
        assert_eq!(of("/a%0d%0ab"), Err(BadPath::Control));
        assert_eq!(of("/.."), Err(BadPath::AboveRoot));
        assert_eq!(of("/a/../../b"), Err(BadPath::AboveRoot));
        assert_eq!(of("/%2e%2e/b"), Err(BadPath::AboveRoot));
    }

    proptest! {
        #[test]
        fn no_dot_segment_and_no_empty_one_is_left(path in "(/|\\.|%2e|%2F|%61|a|b){0,20}") {
            if let Ok(path) = of(&format!("/{path}")) {
                prop_assert!(path.starts_with('/'));
                prop_assert!(!path.contains("//"));
                prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
                // What is normal stays as it is.
                prop_assert_eq!(of(&path), Ok(path.clone()));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut scratch = Vec::new();
            let bytes = normal(&path, &mut scratch).map_or(0, |path| path.bytes.len());
            prop_assert!(bytes <= path.len());
        }
    }
}
