//! Pure: the text of one site file under its name, and lines and columns in it.

use crate::at::Span;
use crate::problem::{Code, Problem};
use crate::topology::Place;

/// The text that spans point into.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl<'a> Source<'a> {
    pub fn new(text: &'a str, file: &'a str) -> Self {
        Self { file, text }
    }

    /// Line and column (in characters) of a byte. A byte past the end counts as the end.
    pub fn place(&self, byte: usize) -> Place {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        Place {
            line: number(line),
            column: number(column),
        }
    }

    /// The whole line that a byte is in, without its end.
    fn line_of(&self, byte: usize) -> &'a str {
        let start = self
            .text
            .get(..byte)
            .map_or(0, |before| before.rfind('\n').map_or(0, |n| n + 1));
        let line = self.text.get(start..).unwrap_or_default().lines().next();
        line.unwrap_or_default()
    }

    pub fn problem(
        &self,
        code: Code,
        span: &Span,
        what: impl Into<String>,
        write_instead: impl Into<String>,
    ) -> Problem {
        let span = self.clamp(span);
        Problem {
            code,
            file: self.file.to_owned(),
            line: self.place(span.start).line,
            column: self.place(span.start).column,
            source_line: self.line_of(span.start).to_owned(),
            span,
            what: visible(&what.into()),
            write_instead: visible(&write_instead.into()),
        }
    }

    /// Within the text and on character borders, whatever a parser reported.
    fn clamp(&self, span: &Span) -> Span {
        let border = |mut byte: usize| {
            byte = byte.min(self.text.len());
            while !self.text.is_char_boundary(byte) {
                byte -= 1;
            }
            byte
        };
        let start = border(span.start);
        start..border(span.end).max(start)
    }
}

/// Control characters spelt out: a file must not be able to write to a terminal through a message.
fn visible(text: &str) -> String {
    let spelt = |c: char| match c {
        '\n' => "\n".to_owned(),
        c if c.is_control() => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    text.chars().map(spelt).collect()
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Gathers problems while a section is resolved.
#[derive(Debug)]
pub(crate) struct Problems<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) list: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        Self {
            source,
            list: Vec::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        code: Code,
        span: &Span,
        what: impl Into<String>,
        write_instead: impl Into<String>,
    ) {
        self.list
            .push(self.source.problem(code, span, what, write_instead));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_not_bytes() {
        let source = Source::new("a = 1\nä = \"ö\" # x\n", "site.toml");
        let byte = source.text.find('#').unwrap();
        assert_eq!(source.place(byte), Place { line: 2, column: 9 });
        assert_eq!(source.line_of(byte), "ä = \"ö\" # x");
        assert_eq!(source.place(10_000).line, 3);
    }

    #[test]
    fn spans_in_the_middle_of_a_character_are_moved() {
        let source = Source::new("ä", "site.toml");
        assert_eq!(source.clamp(&(1..9)), 0..2);
    }
}
