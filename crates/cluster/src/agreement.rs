//! The face: get, put_if, delete_if, list, watch. An enum, not a trait: we own every make.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::embedded::{Embedded, Subscription};
use crate::entry::{Bounds, Conflict, Version, Versioned};

/// The agreed state of one site. Cheap to clone; all clones see the same.
#[derive(Debug, Clone)]
pub enum Cluster {
    /// In this process, kept in one file. For sites whose agents all run in one process.
    Embedded(Embedded),
}

/// The store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot read the cluster state {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{path} is not a cluster state of this version: {reason}; put back a copy of the file, or \
         move it away to begin with an empty one"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("cannot write the cluster state {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("this process is stopping")]
    Stopping,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error(transparent)]
    Bounds(#[from] Bounds),
    /// The change may or may not be there after a restart; it is not visible now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Cluster {
    /// The embedded make. `file` is created with the first change; its directory must exist. Only one
    /// process may have it open: the caller holds the lock of the state directory.
    pub fn open_embedded(file: &Path) -> Result<Self, StoreError> {
        Embedded::open(file).map(Self::Embedded)
    }

    pub async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        match self {
            Self::Embedded(embedded) => Ok(embedded.get(key)),
        }
    }

    /// Everything below `prefix`, by key.
    pub async fn list(&self, prefix: &str) -> Result<BTreeMap<String, Versioned>, StoreError> {
        match self {
            Self::Embedded(embedded) => Ok(embedded.list(prefix)),
        }
    }

    /// Writes `value` when the key has the `expected` version (`None`: does not exist).
    /// On return it is on disk.
    pub async fn put_if(
        &self,
        key: &str,
        expected: Option<Version>,
        value: String,
    ) -> Result<Version, PutError> {
        match self {
            Self::Embedded(embedded) => embedded.put_if(key, expected, value).await,
        }
    }

    /// Removes the key when it has the `expected` version.
    pub async fn delete_if(&self, key: &str, expected: Version) -> Result<(), PutError> {
        match self {
            Self::Embedded(embedded) => embedded.delete_if(key, expected).await,
        }
    }

    /// Tells, from now on, which keys below `prefix` changed.
    pub fn watch(&self, prefix: &str) -> Watch {
        match self {
            Self::Embedded(embedded) => Watch::Embedded(embedded.watch(prefix)),
        }
    }
}

/// Changed keys, one receiver. Several changes of a key before it is asked for are told once, so what
/// waits here is bounded by the number of keys.
#[derive(Debug)]
pub enum Watch {
    Embedded(Subscription),
}

impl Watch {
    /// The keys that were written or deleted since the last call; waits until there is one.
    /// Safe to cancel.
    pub async fn changed(&mut self) -> BTreeSet<String> {
        match self {
            Self::Embedded(subscription) => subscription.changed().await,
        }
    }
}
