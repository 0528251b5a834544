//! Pure: what is wrong in a site file, where, and what to write instead.

use std::fmt;

use crate::at::Span;

/// One thing that a person has to change in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Bytes of the file.
    pub span: Span,
    /// The line it stands in, for showing.
    pub source_line: String,
    /// "unknown role `balancr`; did you mean `balancer`?"
    pub what: String,
    /// Text for the file, or one sentence saying what to do.
    pub write_instead: String,
}

/// The kinds of problems, for programs and for the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Not TOML, or not text.
    Syntax,
    UnknownKey,
    /// A word that is none of the allowed ones.
    UnknownValue,
    /// A list where text belongs, and the like.
    WrongType,
    OutOfRange,
    /// Right in kind, wrong in form: no address, no duration …
    BadValue,
    /// Something that must be written is not.
    Missing,
    /// The same thing twice.
    Duplicate,
    /// Two settings that cannot both be meant.
    Conflict,
    /// A secret written where everybody reads it.
    SecretInFile,
    /// Planned, but not in this version.
    NotYet,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown-key",
            Self::UnknownValue => "unknown-value",
            Self::WrongType => "wrong-type",
            Self::OutOfRange => "out-of-range",
            Self::BadValue => "bad-value",
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::SecretInFile => "secret-in-file",
            Self::NotYet => "not-yet",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One problem in two lines: for logs, and for programs that parse `file:line:column: message`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.what
        )?;
        write!(
            f,
            "\n  write: {}",
            self.write_instead.replace('\n', "\n         ")
        )
    }
}

/// In the order of the file, each once.
pub(crate) fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (a.span.start, a.code, &a.what).cmp(&(b.span.start, b.code, &b.what)));
    problems.dedup();
    problems
}
