//! What was found out about a text, kept for the next time. Bounded; one per thread.

use std::collections::HashMap;
use std::sync::Arc;

use super::class::Class;
use super::classify::classify;
use super::digest::digest;
use crate::digests::{Digest, Digests};

/// Longer texts (mostly with values in them) are not worth keeping.
const TEXT_LIMIT: usize = 1 << 10;
/// Texts kept: an application has some hundred.
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

/// Text → what it is.
#[derive(Debug, Default)]
pub(crate) struct Cache(HashMap<Box<[u8]>, Known>);

impl Cache {
    pub(crate) fn look(&mut self, text: &[u8], digests: &Digests) -> Known {
        if text.len() > TEXT_LIMIT {
            return Known::new(text, digests);
        }
        if let Some(known) = self.0.get_mut(text) {
            digests.renew(&mut known.digest);
            return known.clone();
        }
        let known = Known::new(text, digests);
        // Texts with literals in them fill it with what never comes again; the few that do come
        // again are back at once.
        if self.0.len() >= ENTRIES {
            self.0.clear();
        }
        self.0.insert(text.into(), known.clone());
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
            let text = format!("SELECT {n}");
            let one = cache.look(text.as_bytes(), &digests);
            let two = cache.look(text.as_bytes(), &digests);
            assert_eq!(one.class, two.class);
            assert!(Arc::ptr_eq(&one.digest, &two.digest));
            assert!(cache.0.len() <= ENTRIES);
        }
    }
}
