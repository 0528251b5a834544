//! Pure: which releases to drop.

/// Releases kept besides the current one, to go back to.
const KEPT: usize = 3;

/// `by_age`: names, the newest first. What is in use is never dropped.
pub fn to_drop<'a>(by_age: &'a [String], in_use: &str) -> Vec<&'a str> {
    by_age
        .iter()
        .map(String::as_str)
        .filter(|name| *name != in_use)
        .skip(KEPT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::to_drop;

    #[test]
    fn the_newest_and_the_current_stay() {
        let names: Vec<String> = ["f", "e", "d", "c", "b", "a"].map(str::to_owned).into();
        assert_eq!(to_drop(&names, "f"), ["b", "a"]);
        assert_eq!(to_drop(&names, "a"), ["c", "b"]);
        assert_eq!(to_drop(&names[..2], "f"), [""; 0]);
    }
}
