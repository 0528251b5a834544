//! Pure: "did you mean": the known word that a misspelt one most likely stands for.

/// Words people use for ours: the tools Mainstay stands in for, and short forms.
const OTHER_WORDS: [(&str, &str); 23] = [
    ("haproxy", "balancer"),
    ("lb", "balancer"),
    ("load-balancer", "balancer"),
    ("loadbalancer", "balancer"),
    ("proxy", "balancer"),
    ("nginx", "web"),
    ("apache", "web"),
    ("webserver", "web"),
    ("web-server", "web"),
    ("application", "app"),
    ("db", "database"),
    ("mysql", "database"),
    ("sql", "database"),
    ("primary", "database"),
    ("replica", "database"),
    ("etcd", "coordinator"),
    ("consul", "coordinator"),
    ("witness", "coordinator"),
    ("ip", "address"),
    ("host", "address"),
    ("semisync", "semi-sync"),
    ("sync", "semi-sync"),
    ("letsencrypt", "acme"),
];

/// Longer words are nobody's misspelling; the bound keeps the table of distances small.
const LONGEST: usize = 40;

/// The closest of `known`, if any is close enough to be meant.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('_', "-");
    if word.chars().count() > LONGEST {
        return None;
    }
    let known: Vec<&str> = known.into_iter().collect();
    let meant = OTHER_WORDS
        .iter()
        .find(|(other, _)| *other == word)
        .map(|(_, ours)| *ours);
    if let Some(ours) = known.iter().copied().find(|ours| Some(*ours) == meant) {
        return Some(ours);
    }
    known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= tolerance(&word, candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ", did you mean …?" or nothing, to be put behind a message.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match closest(word, known) {
        Some(meant) => format!("; did you mean `{meant}`?"),
        None => String::new(),
    }
}

/// One slip per three letters: `ap` may be `app`, but `web` is not `app`.
fn tolerance(word: &str, candidate: &str) -> usize {
    (word.chars().count().max(candidate.chars().count()) / 3).min(4)
}

/// Edits that turn one word into the other: insert, delete, replace, or swap two neighbours
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROLES: [&str; 5] = ["balancer", "web", "app", "database", "coordinator"];

    #[test]
    fn slips_are_understood() {
        for (written, meant) in [
            ("balancr", "balancer"),
            ("blaancer", "balancer"),
            ("Balancer", "balancer"),
            ("ap", "app"),
            ("wbe", "web"),
            ("datebase", "database"),
            ("coordinators", "coordinator"),
            ("haproxy", "balancer"),
            ("db", "database"),
            ("etcd", "coordinator"),
        ] {
            assert_eq!(closest(written, ROLES), Some(meant), "{written}");
        }
    }

    #[test]
    fn other_words_are_left_alone() {
        for written in ["", "x", "printer", "cache", &"balancer".repeat(100)] {
            assert_eq!(closest(written, ROLES), None, "{written}");
        }
    }

    proptest! {
        #[test]
        fn a_known_word_is_its_own_closest(index in 0..ROLES.len()) {
            prop_assert_eq!(closest(ROLES[index], ROLES), Some(ROLES[index]));
        }

        #[test]
        fn one_swap_is_understood(index in 0..ROLES.len(), at in 0usize..10) {
            let mut letters: Vec<char> = ROLES[index].chars().collect();
            let at = at % (letters.len() - 1);
            letters.swap(at, at + 1);
            let word: String = letters.into_iter().collect();
            prop_assert_eq!(closest(&word, ROLES), Some(ROLES[index]));
        }

        #[test]
        fn distance_is_symmetric_and_zero_only_for_equals(a in ".{0,12}", b in ".{0,12}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }

        #[test]
        fn any_word_is_answered(word in ".*") {
            if let Some(meant) = closest(&word, ROLES) {
                prop_assert!(ROLES.contains(&meant));
            }
        }
    }
}
