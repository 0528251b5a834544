//! Pure: names of HAProxy's → names that a site file may have, each once.

use std::collections::BTreeSet;

use crate::domain::{as_label, is_label};

#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Some are taken.
    pub(super) fn with<const N: usize>(taken: [&str; N]) -> Self {
        Self(taken.map(str::to_owned).into())
    }

    pub(super) fn label(&mut self, name: &str, otherwise: &str) -> String {
        let base = as_label(name).unwrap_or_else(|| otherwise.to_owned());
        let numbered = (2_u32..).map(|number| {
            let short: String = base.chars().take(50).collect();
            format!("{}-{number}", short.trim_end_matches('-'))
        });
        let mut all = std::iter::once(base.clone()).chain(numbered);
        let free = all.find(|label| is_label(label) && !self.0.contains(label));
        let label = free.unwrap_or(base);
        self.0.insert(label.clone());
        label
    }
}
