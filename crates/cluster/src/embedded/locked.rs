//! The one lock of the embedded store: the map, its file and the watchers change together, in one
//! order for everybody. It is never held across an await: this file has none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::file;
use super::map::Map;
use crate::agreement::PutError;
use crate::entry::Versioned;

#[derive(Debug)]
pub(super) struct Locked {
    path: PathBuf,
    inner: Mutex<Inner>,
    /// Held while the file is written, so that readers need not wait for the disk.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    map: Map,
    watchers: BTreeMap<u64, Watcher>,
    next_watcher: u64,
}

#[derive(Debug)]
struct Watcher {
    prefix: String,
    changed: BTreeSet<String>,
    told: Arc<Notify>,
}

impl Locked {
    pub(super) fn new(path: PathBuf, map: Map) -> Self {
        Self {
            path,
            inner: Mutex::new(Inner {
                map,
                watchers: BTreeMap::new(),
                next_watcher: 0,
            }),
            writing: Mutex::new(()),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Versioned> {
        self.inner().map.get(key)
    }

    pub(super) fn list(&self, prefix: &str) -> BTreeMap<String, Versioned> {
        self.inner().map.list(prefix)
    }

    /// Disk first, then memory, then the watchers: what is seen is kept.
    pub(super) fn change<T>(
        &self,
        key: &str,
        change: impl FnOnce(&Map) -> Result<(Map, T), PutError>,
    ) -> Result<T, PutError> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.inner().map.clone();
        let (next, answer) = change(&before)?;
        file::write(&self.path, &next)?;
        let mut inner = self.inner();
        inner.map = next;
        for watcher in inner.watchers.values_mut() {
            if key.starts_with(&watcher.prefix) {
                watcher.changed.insert(key.to_owned());
                watcher.told.notify_one();
            }
        }
        drop(inner);
        drop(writing);
        Ok(answer)
    }

    pub(super) fn subscribe(&self, prefix: &str) -> (u64, Arc<Notify>) {
        let mut inner = self.inner();
        let id = inner.next_watcher;
        inner.next_watcher += 1;
        let told = Arc::new(Notify::new());
        inner.watchers.insert(
            id,
            Watcher {
                prefix: prefix.to_owned(),
                changed: BTreeSet::new(),
                told: Arc::clone(&told),
            },
        );
        (id, told)
    }

    pub(super) fn take_changed(&self, id: u64) -> BTreeSet<String> {
        match self.inner().watchers.get_mut(&id) {
            Some(watcher) => std::mem::take(&mut watcher.changed),
            None => BTreeSet::new(),
        }
    }

    pub(super) fn unsubscribe(&self, id: u64) {
        self.inner().watchers.remove(&id);
    }

    /// A panic elsewhere cannot leave the map half-changed: it is replaced whole.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
