//! Pure: header fields and values as a person wrote them: names that are names, values that cannot end
//! a line.

use crate::at::At;
use crate::hint::quoted;
use crate::problem::Code;
use crate::source::Problems;
use crate::target::balancer::HeaderEdits;
use crate::written::route::HeaderEditsSection;

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(is)
}

/// Whether the name can be a field's.
pub(super) fn name(name: &At<String>, problems: &mut Problems<'_>) -> bool {
    // What frames a message is ours to write.
    const OURS: [&str; 7] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let lower = name.value.to_ascii_lowercase();
    if !is_token(&lower) {
        let what = format!("`{}` is no name of a header field", name.value);
        problems.add(Code::BadValue, &name.span, what, "letters, digits and `-`");
        return false;
    }
    if OURS.contains(&lower.as_str()) {
        let what = format!(
            "`{}` belongs to the connection, not to the message",
            name.value
        );
        let write = match lower.as_str() {
            "host" => "`host-header` of the route",
            _ => "nothing: Mainstay writes it",
        };
        problems.add(Code::Conflict, &name.span, what, write);
        return false;
    }
    true
}

/// Whether name and value can be a field.
pub(super) fn field(key: &At<String>, value: &At<String>, problems: &mut Problems<'_>) -> bool {
    let fits = value.value.len() <= 4096 && !value.value.chars().any(char::is_control);
    if !fits {
        let what = format!(
            "the value of `{}` has a line end in it or is too long",
            key.value
        );
        problems.add(
            Code::BadValue,
            &value.span,
            what,
            "one line of at most 4 KiB",
        );
    }
    name(key, problems) && fits
}

/// `{names}` in a text that are none of `known`.
pub(super) fn unknown_names(at: &At<String>, known: &[&str], problems: &mut Problems<'_>) {
    let mut rest = at.value.as_str();
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            problems.add(
                Code::BadValue,
                &at.span,
                "a `{` without its `}`",
                "`{path}`",
            );
            return;
        };
        let number = name.parse::<u8>().is_ok() && known.contains(&"1");
        if !number && !known.contains(&name) {
            let names: Vec<String> = known.iter().map(|name| format!("`{{{name}}}`")).collect();
            let what = format!("`{{{name}}}` stands for nothing here");
            problems.add(Code::UnknownValue, &at.span, what, names.join(", "));
        }
        rest = after;
    }
}

pub(super) fn edits(
    section: Option<&At<HeaderEditsSection>>,
    problems: &mut Problems<'_>,
) -> HeaderEdits {
    const NAMES: [&str; 5] = ["client", "host", "scheme", "request-id", "route"];
    let Some(At {
        value: section,
        span,
    }) = section
    else {
        return HeaderEdits::default();
    };
    let mut pairs = |map: Option<&std::collections::BTreeMap<At<String>, At<String>>>| {
        let mut pairs = Vec::new();
        for (key, value) in map.into_iter().flatten() {
            unknown_names(value, &NAMES, problems);
            if field(key, value, problems) {
                pairs.push((key.value.clone(), value.value.clone()));
            }
        }
        pairs
    };
    let (set, add) = (pairs(section.set.as_ref()), pairs(section.add.as_ref()));
    let remove = section
        .remove
        .as_ref()
        .map(|at| at.value.as_slice())
        .unwrap_or_default();
    let remove: Vec<String> = remove
        .iter()
        .filter(|at| name(at, problems))
        .map(|at| at.value.clone())
        .collect();
    if section.remove.is_none() && section.set.is_none() && section.add.is_none() {
        let write = format!("set = {{ {} = \"…\" }}", quoted("X-Name"));
        problems.add(Code::Missing, span, "nothing is changed here", write);
    }
    HeaderEdits { remove, set, add }
}
