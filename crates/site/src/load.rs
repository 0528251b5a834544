//! Pure: the usual way in: text → site, or everything that is wrong with it.

use crate::parse::{Parsed, parse};
use crate::problem::{Code, Problem, sorted};
use crate::resolve::resolve;
use crate::source::Source;
use crate::topology::Site;

/// A site file's text → the site, or its problems: never an empty list, sorted by position.
/// `file_name` is only for the messages.
pub fn load(text: &str, file_name: &str) -> Result<Site, Vec<Problem>> {
    let source = Source::new(text, file_name);
    let Parsed {
        written,
        mut problems,
    } = parse(text, file_name);
    let (site, further) = match &written {
        Some(written) => resolve(written, source),
        None => (None, Vec::new()),
    };
    problems.extend(further);
    match site {
        Some(site) if problems.is_empty() => Ok(site),
        _ => {
            if problems.is_empty() {
                // Cannot happen; if it does, say so rather than hand out half a site.
                let what =
                    "the file could not be understood, and we cannot say why: please report it";
                problems.push(source.problem(
                    Code::Syntax,
                    &(0..0),
                    what,
                    "a report, with the file",
                ));
            }
            Err(sorted(problems))
        }
    }
}
