//! Pure: what was found out about a text, kept for the next time. Bounded; one per thread.

use std::collections::HashMap;

use super::class::Class;
use super::classify::classify;

/// Longer texts (mostly with values in them) are not worth keeping.
const TEXT_LIMIT: usize = 1 << 10;
/// Texts kept: an application has some hundred.
const ENTRIES: usize = 4_096;

/// Text → class.
#[derive(Debug, Default)]
pub(crate) struct Cache(HashMap<Box<[u8]>, Class>);

impl Cache {
    pub(crate) fn classify(&mut self, text: &[u8]) -> Class {
        if text.len() > TEXT_LIMIT {
            return classify(text);
        }
        if let Some(class) = self.0.get(text) {
            return *class;
        }
        let class = classify(text);
        // Texts with literals in them fill it with what never comes again; the few that do come
        // again are back at once.
        if self.0.len() >= ENTRIES {
            self.0.clear();
        }
        self.0.insert(text.into(), class);
        class
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bound_and_says_the_same() {
        let mut cache = Cache::default();
        for n in 0..ENTRIES * 2 {
            let text = format!("SELECT {n}");
            let class = cache.classify(text.as_bytes());
            assert_eq!(class, cache.classify(text.as_bytes()));
            assert!(cache.0.len() <= ENTRIES);
        }
    }
}
