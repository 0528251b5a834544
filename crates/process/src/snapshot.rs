//! One value that readers see whole or not at all, swapped by the control connection.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// A shared, replaceable value. Reading costs no lock.
#[derive(Debug)]
pub struct Shared<T>(Arc<ArcSwap<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(value)))
    }

    /// The value in force now. Take it once per request and keep it to the end.
    pub fn load(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Whether `known` is still the value in force. Cheaper than `load`: no count is touched.
    pub fn is(&self, known: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.0.load(), known)
    }

    pub fn store(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}
