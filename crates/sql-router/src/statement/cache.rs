//! What was found out about a text, kept for the next time. Bounded; one per thread.
//!
//! Kept by its shape where it has one, so that texts with other values each time are found again.

use std::collections::HashMap;
use std::sync::Arc;

use super::class::Class;
use super::classify::classify;
use super::digest::digest;
use super::shape::shape;
use crate::digests::{Digest, Digests};

/// Longer ones (mostly rows of values) are not worth keeping.
const KEY_LIMIT: usize = 1 << 10;
/// Texts longer than this are not looked for. Less than what a digest reads of a text.
const TEXT_LIMIT: usize = 16 << 10;
/// Kept: an application has some hundred.
const ENTRIES: usize = 4_096;

/// What a text is, and where it is counted.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) class: Class,
    pub(crate) digest: Arc<Digest>,
}

impl Known {
    fn new(text: &[u8], digests: &Digests) -> Self {
        Self {
            class: classify(text),
            digest: digests.of(&digest(text)),
        }
    }
}

/// Shape or text → what it is.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    known: HashMap<Box<[u8]>, Known>,
    /// Room for a shape, kept from one text to the next.
    shape: Vec<u8>,
}

impl Cache {
    pub(crate) fn look(&mut self, text: &[u8], digests: &Digests) -> Known {
        if text.len() > TEXT_LIMIT {
            return Known::new(text, digests);
        }
        let key = match shape(text, &mut self.shape) {
            true => self.shape.as_slice(),
            false => text,
        };
        if key.len() > KEY_LIMIT {
            return Known::new(text, digests);
        }
        if let Some(known) = self.known.get_mut(key) {
            digests.renew(&mut known.digest);
            return known.clone();
        }
        let known = Known::new(key, digests);
        // Those that come again are back at once.
        if self.known.len() >= ENTRIES {
            self.known.clear();
        }
        self.known.insert(key.into(), known.clone());
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bound_and_says_the_same() {
        let (mut cache, digests) = (Cache::default(), Digests::default());
        for n in 0..ENTRIES * 2 {
            let text = format!("SELECT a{n}");
            let one = cache.look(text.as_bytes(), &digests);
            let two = cache.look(text.as_bytes(), &digests);
            assert_eq!(one.class, two.class);
            assert!(Arc::ptr_eq(&one.digest, &two.digest));
            assert!(cache.known.len() <= ENTRIES);
        }
    }

    #[test]
    fn other_values_take_no_other_place() {
        let (mut cache, digests) = (Cache::default(), Digests::default());
        for n in 0..100 {
            let text = format!("UPDATE t SET c='value {n}' WHERE id={n}");
            cache.look(text.as_bytes(), &digests);
            cache.look(b"SELECT 'a\\'b' -- no shape", &digests);
        }
        assert_eq!(cache.known.len(), 2);
    }
}
