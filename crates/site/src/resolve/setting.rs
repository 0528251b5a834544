//! Pure: one setting of a section: read if it is there, its default if not.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::at::{At, Span};
use crate::problem::Code;
use crate::quantity::{self, show_duration, show_size};
use crate::source::Problems;

/// The value, or the default.
pub(super) fn or<T: Copy>(written: Option<&At<T>>, default: T) -> T {
    written.map_or(default, |at| at.value)
}

/// Where the setting stands, or else its section.
pub(super) fn span<T>(written: Option<&At<T>>, section: &Span) -> Span {
    written.map_or_else(|| section.clone(), |at| at.span.clone())
}

/// A time within bounds.
pub(super) fn duration(
    key: &str,
    written: Option<&At<String>>,
    default: Duration,
    bounds: RangeInclusive<Duration>,
    problems: &mut Problems<'_>,
) -> Duration {
    let Some(At { value: text, span }) = written else {
        return default;
    };
    let (least, most) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
    match quantity::duration(text) {
        Ok(time) if bounds.contains(&time) => return time,
        Ok(time) => {
            let (word, nearest) = too(time < *bounds.start(), &least, &most);
            let what = format!("`{key}` is too {word}: it must be from {least} to {most}");
            problems.add(
                Code::OutOfRange,
                span,
                what,
                format!("{key} = \"{nearest}\""),
            );
        }
        Err(no) => {
            problems.add(
                Code::BadValue,
                span,
                format!("`{text}` is no time"),
                no.write,
            );
        }
    }
    default
}

/// A size within bounds, in bytes.
pub(super) fn size(
    key: &str,
    written: Option<&At<String>>,
    default: u64,
    bounds: RangeInclusive<u64>,
    problems: &mut Problems<'_>,
) -> u64 {
    let Some(At { value: text, span }) = written else {
        return default;
    };
    let (least, most) = (show_size(*bounds.start()), show_size(*bounds.end()));
    match quantity::size(text) {
        Ok(size) if bounds.contains(&size) => return size,
        Ok(size) => {
            let (word, nearest) = too(size < *bounds.start(), &least, &most);
            let what = format!("`{key}` is too {word}: it must be from {least} to {most}");
            problems.add(
                Code::OutOfRange,
                span,
                what,
                format!("{key} = \"{nearest}\""),
            );
        }
        Err(no) => {
            problems.add(
                Code::BadValue,
                span,
                format!("`{text}` is no size"),
                no.write,
            );
        }
    }
    default
}

fn too<'a>(small: bool, least: &'a str, most: &'a str) -> (&'static str, &'a str) {
    if small {
        ("small", least)
    } else {
        ("large", most)
    }
}

/// The path of an HTTP request: what may stand in a request line (RFC 9112 section 3.2.1), bounded.
pub(super) fn url_path(
    key: &str,
    written: Option<&At<String>>,
    default: &str,
    problems: &mut Problems<'_>,
) -> String {
    let Some(At { value: path, span }) = written else {
        return default.to_owned();
    };
    let visible = path.chars().all(|c| c.is_ascii_graphic() && c != '#');
    // 1024: no health path is longer, and it goes into every check's request.
    if path.starts_with('/') && visible && path.len() <= 1024 {
        return path.clone();
    }
    let write = if path.contains("://") {
        "only the path, like \"/healthz\"".to_owned()
    } else if visible && !path.is_empty() && !path.starts_with('/') {
        format!("{key} = \"/{path}\"")
    } else {
        format!("a path like \"{default}\", special characters as %XX")
    };
    problems.add(
        Code::BadValue,
        span,
        format!("`{path}` is no path of a URL"),
        write,
    );
    default.to_owned()
}

/// What may be wrong with a directory named in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Relative, `..` allowed: the application may stand beside the site file's directory.
    Anywhere,
    /// Inside the release.
    Release,
}

/// A relative path without surprises. Returns the default with a problem otherwise.
pub(super) fn directory(
    key: &str,
    written: Option<&At<String>>,
    default: &str,
    within: Within,
    problems: &mut Problems<'_>,
) -> String {
    let Some(At { value: path, span }) = written else {
        return default.to_owned();
    };
    let what = if path.is_empty() {
        format!("`{key}` is empty")
    } else if path.chars().any(char::is_control) {
        format!("`{key}` has a control character in it")
    } else if path.starts_with('/') || path.starts_with('~') {
        format!("`{key}` is absolute; the servers do not have this machine's directories")
    } else if within == Within::Release && path.split('/').any(|part| part == "..") {
        format!("`{key}` leads out of the application's directory")
    } else {
        return path.trim_end_matches('/').to_owned();
    };
    let from = match within {
        Within::Anywhere => "the site file",
        Within::Release => "the application's directory",
    };
    problems.add(
        Code::BadValue,
        span,
        what,
        format!("a path from {from}, like \"{default}\""),
    );
    default.to_owned()
}

/// A regular expression, as written.
pub(super) fn pattern(at: &At<String>, problems: &mut Problems<'_>) -> Option<String> {
    match regex_syntax::Parser::new().parse(&at.value) {
        Ok(_) if at.value.len() <= 1024 && !at.value.is_empty() => Some(at.value.clone()),
        Ok(_) => {
            let what = "a regular expression has 1 to 1024 characters";
            problems.add(Code::BadValue, &at.span, what, "a shorter one");
            None
        }
        Err(e) => {
            // The parser draws a picture; its last line says it in words.
            let text = e.to_string();
            let why = text.lines().last().unwrap_or_default();
            let what = format!("`{}` is no regular expression: {why}", at.value);
            problems.add(
                Code::BadValue,
                &at.span,
                what,
                "one in the syntax of Rust's regex",
            );
            None
        }
    }
}
