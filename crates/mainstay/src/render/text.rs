//! Pure: pieces of text that all renderings use.

use std::fmt::{Arguments, Write as _};

pub(super) fn line(text: &mut String, line: Arguments<'_>) {
    // Writing to a String cannot fail.
    writeln!(text, "{line}").unwrap_or_default();
}

pub(super) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
