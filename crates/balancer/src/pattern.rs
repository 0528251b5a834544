//! Pure: a regular expression that a person wrote, bounded. The engine takes time linear in the text
//! whatever the pattern; what can grow is the pattern's program, so that is bounded too.

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

/// Bytes of a compiled pattern: ten times what a long one of real sites takes (`\w` of Unicode alone is
/// 30 KiB); the engine's own default is 10 MiB.
const SIZE: usize = 1 << 20;
/// Groups that can be used: `{1}` to `{9}`.
pub const GROUPS: usize = 9;

#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Where the groups of a match stand: begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Groups([Option<(usize, usize)>; GROUPS]);

/// Says what is wrong with the pattern, on several lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPattern(String);

impl Pattern {
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        RegexBuilder::new(text)
            .size_limit(SIZE)
            // A rule on `/admin.*` must not be got around by a line end.
            .dot_matches_new_line(true)
            .build()
            .map(Self)
            .map_err(|e| BadPattern(e.to_string()))
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// Groups in the pattern, without the whole.
    pub fn groups(&self) -> usize {
        self.0.captures_len().saturating_sub(1)
    }

    pub fn find(&self, text: &[u8]) -> Option<Groups> {
        let mut locations = self.0.capture_locations();
        self.0.captures_read(&mut locations, text)?;
        Some(Groups::of(&locations))
    }
}

impl Groups {
    fn of(locations: &CaptureLocations) -> Self {
        let mut groups = Self::default();
        for (group, number) in groups.0.iter_mut().zip(1..) {
            *group = locations.get(number);
        }
        groups
    }

    /// The text of group `number` (from 1); empty when it took no part.
    pub fn text<'t>(&self, number: usize, text: &'t [u8]) -> &'t [u8] {
        number
            .checked_sub(1)
            .and_then(|at| self.0.get(at).copied().flatten())
            .and_then(|(begin, end)| text.get(begin..end))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found() {
        let pattern = Pattern::new("^/(a+)(x)?/(.*)$").unwrap();
        let text = b"/aa/b\nc";
        let groups = pattern.find(text).unwrap();
        assert_eq!(groups.text(1, text), b"aa");
        assert_eq!(groups.text(2, text), b"");
        assert_eq!(groups.text(3, text), b"b\nc");
        assert_eq!(groups.text(0, text), b"");
        assert_eq!(groups.text(10, text), b"");
        assert_eq!(pattern.groups(), 3);
    }

    #[test]
    fn an_enormous_pattern_is_refused() {
        assert!(Pattern::new(r"(\w{100}){100}").is_err());
        assert!(Pattern::new("(").is_err());
    }
}
