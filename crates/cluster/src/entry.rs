//! Pure: a stored value with its version, and the bounds on what may be stored.

use std::fmt;

/// Names one change of the whole store: it grows with every change of any key and never returns, not
/// even after a delete (etcd's `mod_revision`). Usable as a fencing token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub(crate) u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A value and the change that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    pub version: Version,
    pub value: String,
}

/// The key did not have the version the writer expected; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} was changed by somebody else meanwhile")]
pub struct Conflict {
    pub key: String,
    /// What it has now; `None`: it does not exist.
    pub current: Option<Versioned>,
}

/// Bytes of a key. Ours are under 100; etcd has no bound of its own.
pub const KEY_LIMIT: usize = 256;
/// Bytes of a value: far below etcd's bound of a request (1.5 MiB, `--max-request-bytes`).
pub const VALUE_LIMIT: usize = 256 << 10;
/// Keys in the store: a site has about ten, plus a few per server, and 20 servers.
pub const KEYS_LIMIT: usize = 4096;

/// A key or value that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Bounds {
    #[error("the key `{0}` is not made of 1 to {KEY_LIMIT} letters, digits or any of `/-_.`")]
    Key(String),
    #[error("the value of {key} has {bytes} bytes; at most {VALUE_LIMIT} are stored")]
    Value { key: String, bytes: usize },
    #[error("{0} would be one key too many; at most {KEYS_LIMIT} are stored")]
    Keys(String),
}

/// Whether `key` and `value` may be stored at all.
pub(crate) fn check(key: &str, value: &str) -> Result<(), Bounds> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-_.".contains(&b);
    if key.is_empty() || key.len() > KEY_LIMIT || !key.bytes().all(allowed) {
        let shown: String = key.chars().take(KEY_LIMIT).collect();
        return Err(Bounds::Key(shown));
    }
    if value.len() > VALUE_LIMIT {
        return Err(Bounds::Value {
            key: key.to_owned(),
            bytes: value.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_have_bounds() {
        assert_eq!(check("database/members/db-1.2", "{}"), Ok(()));
        for bad in ["", "a b", "a\n", "é", &"k".repeat(KEY_LIMIT + 1)] {
            assert!(matches!(check(bad, ""), Err(Bounds::Key(_))), "{bad:?}");
        }
        let long = "v".repeat(VALUE_LIMIT + 1);
        assert!(matches!(check("k", &long), Err(Bounds::Value { .. })));
    }
}
