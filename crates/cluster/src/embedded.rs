//! The embedded make: the map in memory, one file, the watchers. The lock is in `embedded/locked.rs`.

mod file;
mod locked;
mod map;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::agreement::{PutError, StoreError};
use crate::entry::{Version, Versioned};
use locked::Locked;

/// One store, shared by all clones.
#[derive(Debug, Clone)]
pub struct Embedded(Arc<Locked>);

impl Embedded {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let map = file::read(path)?;
        Ok(Self(Arc::new(Locked::new(path.to_owned(), map))))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Versioned> {
        self.0.get(key)
    }

    pub(crate) fn list(&self, prefix: &str) -> BTreeMap<String, Versioned> {
        self.0.list(prefix)
    }

    pub(crate) async fn put_if(
        &self,
        key: &str,
        expected: Option<Version>,
        value: String,
    ) -> Result<Version, PutError> {
        let key = key.to_owned();
        self.change(move |locked| locked.change(&key, |map| map.with_put(&key, expected, value)))
            .await
    }

    pub(crate) async fn delete_if(&self, key: &str, expected: Version) -> Result<(), PutError> {
        let key = key.to_owned();
        self.change(move |locked| locked.change(&key, |map| map.with_delete(&key, expected)))
            .await
    }

    pub(crate) fn watch(&self, prefix: &str) -> Subscription {
        let (id, told) = self.0.subscribe(prefix);
        Subscription {
            store: Arc::clone(&self.0),
            id,
            told,
        }
    }

    /// Changes wait for the disk (fsync), so they run beside the caller's runtime thread, which also
    /// carries health checks.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Locked) -> Result<T, PutError> + Send + 'static,
    ) -> Result<T, PutError> {
        let locked = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || change(&locked))
            .await
            .unwrap_or(Err(PutError::Store(StoreError::Stopping)))
    }
}

/// One watcher. Dropping it ends the watch.
#[derive(Debug)]
pub struct Subscription {
    store: Arc<Locked>,
    id: u64,
    told: Arc<Notify>,
}

impl Subscription {
    pub(crate) async fn changed(&mut self) -> BTreeSet<String> {
        loop {
            let changed = self.store.take_changed(self.id);
            if !changed.is_empty() {
                return changed;
            }
            self.told.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.store.unsubscribe(self.id);
    }
}

#[cfg(test)]
mod tests;
