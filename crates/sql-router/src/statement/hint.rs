//! Pure: what a text's author says of where it shall run: `/*mainstay:primary*/` or
//! `/*mainstay:replica*/` at its front, before or behind other comments there.
//!
//! A comment, so that every server takes the text as it is. Not `/*! … */`, which is code.

/// Where the author wants a statement to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    Primary,
    /// It is a read: the author vouches for that.
    Replica,
}

/// The hint at the front of `text`.
pub(crate) fn hint(text: &[u8]) -> Option<Hint> {
    let mut rest = text.trim_ascii_start();
    while let Some(behind) = rest.strip_prefix(b"/*") {
        let end = memchr::memmem::find(behind, b"*/")?;
        let content = behind.get(..end)?.trim_ascii();
        if matches!(content.first(), Some(b'!')) || content.starts_with(b"M!") {
            return None;
        }
        if let Some(word) = content.strip_prefix(b"mainstay:") {
            match word.trim_ascii() {
                b"primary" => return Some(Hint::Primary),
                b"replica" => return Some(Hint::Replica),
                _ => {}
            }
        }
        rest = behind.get(end + 2..)?.trim_ascii_start();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_stands_at_the_front_alone() {
        for (text, expected) in [
            ("/*mainstay:primary*/ SELECT 1", Some(Hint::Primary)),
            (" \n/* mainstay:replica */SELECT 1", Some(Hint::Replica)),
            (
                "/* job 7 */ /*mainstay:replica*/ CALL p()",
                Some(Hint::Replica),
            ),
            ("/*mainstay:nowhere*/ SELECT 1", None),
            ("/*! mainstay:replica */ SELECT 1", None),
            ("/*M! mainstay:replica */ SELECT 1", None),
            ("SELECT /*mainstay:primary*/ 1", None),
            ("SELECT 1 /*mainstay:primary*/", None),
            ("/*mainstay:primary", None),
            ("", None),
        ] {
            assert_eq!(hint(text.as_bytes()), expected, "{text}");
        }
    }
}
