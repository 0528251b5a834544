//! Pure: counts of several threads or routers as one.

use std::collections::HashMap;

use crate::snapshot::{DigestCount, Statistics};

/// Each digest once, with the counts of all.
pub fn sum(all: impl IntoIterator<Item = Statistics>) -> Statistics {
    let mut by_text: HashMap<String, DigestCount> = HashMap::new();
    for one in all.into_iter().flat_map(|all| all.statements) {
        match by_text.get_mut(&one.digest) {
            Some(known) => known.take_in(one),
            None => {
                by_text.insert(one.digest.clone(), one);
            }
        }
    }
    Statistics {
        statements: by_text.into_values().collect(),
    }
}

impl DigestCount {
    fn take_in(&mut self, other: Self) {
        self.count += other.count;
        self.errors += other.errors;
        self.rows += other.rows;
        self.total_us += other.total_us;
        self.longest_us = self.longest_us.max(other.longest_us);
        for went in other.went {
            let known = self
                .went
                .iter_mut()
                .find(|known| known.to == went.to && known.because == went.because);
            match known {
                Some(known) => known.count += went.count,
                None => self.went.push(went),
            }
        }
    }

    pub fn mean_us(&self) -> u64 {
        self.total_us.checked_div(self.count).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Went;

    #[test]
    fn counts_are_added_and_the_longest_is_the_longest() {
        let one = |us: u64, to: &str| Statistics {
            statements: vec![DigestCount {
                digest: "SELECT ?".to_owned(),
                count: 2,
                errors: 1,
                rows: 3,
                total_us: us * 2,
                longest_us: us,
                went: vec![Went {
                    to: to.to_owned(),
                    because: "plain-read".to_owned(),
                    count: 2,
                }],
            }],
        };
        let sum = sum([one(5, "replica"), one(7, "replica"), one(1, "primary")]);
        let [of] = sum.statements.as_slice() else {
            panic!("{sum:?}");
        };
        assert_eq!((of.count, of.errors, of.rows), (6, 3, 9));
        assert_eq!((of.total_us, of.longest_us, of.mean_us()), (26, 7, 4));
        let went: Vec<_> = of
            .went
            .iter()
            .map(|went| (went.to.as_str(), went.count))
            .collect();
        assert_eq!(went, [("replica", 4), ("primary", 2)]);
    }
}
