//! Pure: text → `Written`, with every problem of form at once: TOML itself, then the shape.

use serde::Deserialize;
use toml::de::{DeTable, Deserializer};

use crate::problem::{Code, Problem, sorted};
use crate::schema::schema;
use crate::shape;
use crate::source::Source;
use crate::syntax;
use crate::written::Written;

/// What the text says, as far as it could be read.
#[derive(Debug)]
pub struct Parsed {
    /// None: not even TOML. Otherwise everything that had the right shape.
    pub written: Option<Written>,
    /// Sorted by position.
    pub problems: Vec<Problem>,
}

/// Reads the text of a site file. `file_name` is only for the problems.
pub fn parse(text: &str, file_name: &str) -> Parsed {
    let source = Source::new(text, file_name);
    let (mut tree, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Parsed {
            written: None,
            problems: syntax::problems(source),
        };
    }
    let mut shape = shape::check(tree.get_mut(), schema(), source);
    let written = match Written::deserialize(Deserializer::from(tree)) {
        Ok(written) => Some(Written {
            left_out: shape.left_out,
            ..written
        }),
        // The shape was checked against the schema of the same types, so this is for what the two
        // understand differently: still a problem with a place, never a silent loss.
        Err(error) => {
            let span = error.span().unwrap_or_default();
            let what = error.message().to_owned();
            shape
                .problems
                .push(source.problem(Code::WrongType, &span, what, "a value that fits"));
            None
        }
    };
    Parsed {
        written,
        problems: sorted(shape.problems),
    }
}

/// The bytes as text, or the problem that they are none.
pub fn text_of<'b>(bytes: &'b [u8], file_name: &str) -> Result<&'b str, Vec<Problem>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let text = String::from_utf8_lossy(good);
        let source = Source::new(&text, file_name);
        let span = text.len()..text.len();
        let what = "the file is not UTF-8 text from here on";
        vec![source.problem(Code::Syntax, &span, what, "the file anew, saved as UTF-8")]
    })
}
