//! Pure: `[web]`: static files.

use std::time::Duration;

use crate::at::At;
use crate::problem::Code;
use crate::resolve::setting::{Within, directory, duration};
use crate::source::Problems;
use crate::topology::Web;
use crate::written::Written;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn resolve(written: &Written, problems: &mut Problems<'_>) -> Web {
    let section = written.web.as_ref().map(|at| &at.value);
    let files = section.and_then(|s| s.r#static.as_ref());
    let max_age = section.and_then(|s| s.max_age.as_ref());
    let index = section.and_then(|s| s.index.as_ref());
    let static_dir = match files {
        Some(none) if none.value.is_empty() => None,
        files => Some(directory(
            "static",
            files,
            "static",
            Within::Release,
            problems,
        )),
    };
    Web {
        static_dir,
        index: index.map_or_else(|| vec!["index.html".to_owned()], |at| names(at, problems)),
        // An hour: long enough that a visit loads each file once, short enough that a release without
        // names made from content is seen the same day. Upper bound: a year (RFC 9111 section 1.2.2 has
        // none, but caches treat more as forever).
        max_age: duration(
            "max-age",
            max_age,
            DAY / 24,
            Duration::ZERO..=365 * DAY,
            problems,
        ),
    }
}

/// File names, not paths.
fn names(list: &At<Vec<At<String>>>, problems: &mut Problems<'_>) -> Vec<String> {
    for At { value: name, span } in &list.value {
        let bad = |c: char| c == '/' || c.is_control();
        if name.is_empty() || name == ".." || name == "." || name.contains(bad) {
            let what = format!("`{name}` is no file name");
            problems.add(Code::BadValue, span, what, "index = [\"index.html\"]");
        }
    }
    list.value.iter().map(|name| name.value.clone()).collect()
}
