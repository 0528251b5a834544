//! Pure: keys, values and versions, and what a change makes of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agreement::PutError;
use crate::entry::{Bounds, Conflict, KEYS_LIMIT, Version, Versioned, check};

/// Grows with every incompatible change of `Map`'s serialized form.
pub(super) const FORMAT: u32 = 1;
/// Tells our file from any other JSON file.
pub(super) const KIND: &str = "mainstay cluster state";

/// The whole store. Serialized as the file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Map {
    pub(super) kind: String,
    pub(super) format: u32,
    /// The version of the last change, of any key.
    revision: u64,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: u64,
    value: String,
}

impl Entry {
    fn versioned(&self) -> Versioned {
        Versioned {
            version: Version(self.version),
            value: self.value.clone(),
        }
    }
}

impl Map {
    pub(super) fn empty() -> Self {
        Self {
            kind: KIND.to_owned(),
            format: FORMAT,
            revision: 0,
            entries: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Versioned> {
        self.entries.get(key).map(Entry::versioned)
    }

    pub(super) fn list(&self, prefix: &str) -> BTreeMap<String, Versioned> {
        self.entries
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, entry)| (key.clone(), entry.versioned()))
            .collect()
    }

    /// The store after the write, and the new version.
    pub(super) fn with_put(
        &self,
        key: &str,
        expected: Option<Version>,
        value: String,
    ) -> Result<(Self, Version), PutError> {
        check(key, &value)?;
        self.expect(key, expected)?;
        if expected.is_none() && self.entries.len() >= KEYS_LIMIT {
            return Err(Bounds::Keys(key.to_owned()).into());
        }
        let mut next = self.clone();
        next.revision += 1;
        let version = next.revision;
        next.entries
            .insert(key.to_owned(), Entry { version, value });
        Ok((next, Version(version)))
    }

    /// The store without the key.
    pub(super) fn with_delete(&self, key: &str, expected: Version) -> Result<(Self, ()), PutError> {
        self.expect(key, Some(expected))?;
        let mut next = self.clone();
        next.revision += 1;
        next.entries.remove(key);
        Ok((next, ()))
    }

    /// A file that was edited by hand may claim what cannot be: a version after the last change.
    pub(super) fn fault(&self) -> Option<String> {
        let newer = self
            .entries
            .iter()
            .find(|(_, entry)| entry.version > self.revision)?;
        Some(format!(
            "{} has version {}, after the last change {}",
            newer.0, newer.1.version, self.revision
        ))
    }

    fn expect(&self, key: &str, expected: Option<Version>) -> Result<(), Conflict> {
        let current = self.get(key);
        if current.as_ref().map(|entry| entry.version) == expected {
            return Ok(());
        }
        Err(Conflict {
            key: key.to_owned(),
            current,
        })
    }
}
