//! Pure: errors of the TOML parser in the words of somebody who writes a site file. The parser says
//! what it expected next; a person wants to know what is wrong with what stands there.

use toml::de::DeTable;

use crate::at::Span;
use crate::hint::quoted;
use crate::problem::{Code, Problem, sorted};
use crate::source::Source;

/// What the parser says where it looked for a value and found a bare word.
const NO_VALUE: [&str; 6] = [
    "string values must be quoted",
    "invalid boolean",
    "invalid float",
    "invalid integer",
    "invalid datetime",
    "missing value",
];

/// What it says inside a list that is not closed, again and again to the end of the file.
const OPEN_LIST: [&str; 4] = [
    "unclosed array",
    "missing comma between array elements",
    "unexpected `=` in array",
    "extra comma in array",
];

const ANYTHING: &str = "[section], key = \"text\", key = 1, key = true or key = [\"a\", \"b\"]";

/// Lines that are no `key = value` may hide what follows from the parser; so many are looked past.
const ROUNDS: usize = 20;

/// One problem per line at most, without the echoes that one slip has further down. Empty: it is TOML.
pub(crate) fn problems(source: Source<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let errors = errors(source.text);
    let open = errors
        .iter()
        .position(|(_, message)| starts(message, &OPEN_LIST));
    let open = open.and_then(|at| Some((at, open_bracket(source.text, errors.get(at)?.0.start)?)));
    for (index, (span, message)) in errors.iter().enumerate() {
        let message = message.as_str();
        if let Some((at, bracket)) = open.filter(|(_, bracket)| span.start > *bracket) {
            if index <= at {
                let what = "this list has no `]`, or a comma is missing in it";
                let write = "a `]` at its end, a comma between its items";
                problems.push(source.problem(Code::Syntax, &(bracket..bracket + 1), what, write));
            }
            break;
        }
        let (what, write) = in_our_words(message, source.text, span);
        problems.push(source.problem(Code::Syntax, span, what, write));
        // Everything below a section that is there twice is there twice.
        if message == "duplicate key" && is_header(source.text, span.start) {
            break;
        }
    }
    let mut problems = sorted(problems);
    problems.dedup_by_key(|problem| problem.line);
    problems
}

/// Every error, in the order of the text. A line that is no `key = value` is blanked out, and the rest
/// is read again.
fn errors(text: &str) -> Vec<(Span, String)> {
    let mut found: Vec<(Span, String)> = Vec::new();
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let (_, errors) = DeTable::parse_recoverable(&text);
        let errors = errors
            .iter()
            .map(|e| (e.span().unwrap_or_default(), e.message().to_owned()));
        let errors: Vec<_> = errors.collect();
        let blank = errors
            .iter()
            .find(|(span, message)| no_assignment(message, &text, span.start))
            .map(|(span, _)| line_start(&text, span.start));
        let new = errors.into_iter().filter(|error| !found.contains(error));
        let new: Vec<_> = new.collect();
        found.extend(new);
        let Some(start) = blank else { break };
        let end = start + line_around(&text, start).len();
        // As many bytes as before, so that all places stay right.
        text.replace_range(start..end, &" ".repeat(end - start));
    }
    found.sort_by_key(|(span, _)| span.start);
    found
}

fn no_assignment(message: &str, text: &str, at: usize) -> bool {
    let line = line_around(text, at);
    message.starts_with("key with no value")
        || (message.starts_with("invalid unquoted key") && !line.contains('='))
}

fn in_our_words(message: &str, text: &str, span: &Span) -> (String, String) {
    let found = text.get(span.clone()).unwrap_or_default().trim();
    let line = line_around(text, span.start).trim();
    if starts(message, &NO_VALUE) {
        no_value(text, span.start)
    } else if no_assignment(message, text, span.start) {
        (
            format!("`{line}` is not `key = value`"),
            as_assignment(line),
        )
    } else if message == "duplicate key" && is_header(text, span.start) {
        (
            format!("the section [{found}] is there twice"),
            "it once, with the keys of both".to_owned(),
        )
    } else if message == "duplicate key" {
        (format!("`{found}` is there twice"), "it once".to_owned())
    } else if message.starts_with("invalid basic string") && found.is_empty() {
        (
            "text without a closing quote".to_owned(),
            "a `\"` at its end".to_owned(),
        )
    } else if message.starts_with("unclosed table") {
        (format!("`{line}` has no `]`"), format!("{line}]"))
    } else if message.starts_with("unclosed inline table") {
        (
            "this table has no `}`".to_owned(),
            "a `}` at its end".to_owned(),
        )
    } else {
        (format!("not valid TOML: {message}"), ANYTHING.to_owned())
    }
}

/// A bare word, or nothing at all, where a value should be.
fn no_value(text: &str, at: usize) -> (String, String) {
    let line = line_around(text, at);
    let start = at - line_start(text, at);
    let from = line
        .get(..start)
        .and_then(|before| before.rfind(['=', '[', ',', '{']));
    let rest = line
        .get(from.map_or(start, |from| from + 1)..)
        .unwrap_or_default();
    let word = rest
        .split([',', ']', '}', '#'])
        .next()
        .unwrap_or_default()
        .trim();
    if word.is_empty() {
        let key = line.split('=').next().unwrap_or_default().trim();
        return (format!("`{key}` has no value"), format!("{key} = …"));
    }
    (format!("`{word}` is text without quotes"), quoted(word))
}

/// `listen 80;` → `listen = 80`.
fn as_assignment(line: &str) -> String {
    let Some((key, value)) = line.split_once(char::is_whitespace) else {
        return format!("{line} = …");
    };
    let value = value
        .trim()
        .trim_start_matches([':', '='])
        .trim_end_matches(';')
        .trim();
    let is_value = value.parse::<f64>().is_ok()
        || value == "true"
        || value == "false"
        || (value.len() > 1 && value.starts_with('"') && value.ends_with('"'))
        || (value.starts_with('[') && value.ends_with(']'));
    let key = key.trim_end_matches(':');
    match value {
        "" | "{" => format!("[{key}], and key = value in lines of their own"),
        value if is_value => format!("{key} = {value}"),
        value => format!("{key} = {}", quoted(value)),
    }
}

/// Whether a name at this byte stands in a `[section]` line.
fn is_header(text: &str, at: usize) -> bool {
    line_around(text, at).trim_start().starts_with('[')
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |end| end + 1)
}

fn line_around(text: &str, at: usize) -> &str {
    text.get(line_start(text, at)..)
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default()
}

/// The `[` that is still open at this byte, looking back; text in quotes is not looked into.
fn open_bracket(text: &str, at: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, c) in text.get(..at)?.char_indices().rev() {
        match c {
            ']' => depth += 1,
            '[' if depth == 0 => return Some(index),
            '[' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn starts(message: &str, beginnings: &[&str]) -> bool {
    beginnings
        .iter()
        .any(|beginning| message.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let problems = problems(Source::new(text, "f"));
        problems
            .iter()
            .map(|p| format!("{}: {} -> {}", p.line, p.what, p.write_instead))
            .collect()
    }

    #[test]
    fn the_usual_slips_have_their_own_words() {
        for (text, expected) in [
            ("a = foo", "1: `foo` is text without quotes -> \"foo\""),
            (
                "a = www.foobar.com # x",
                "1: `www.foobar.com` is text without quotes -> \"www.foobar.com\"",
            ),
            (
                "a = 10.0.0.1",
                "1: `10.0.0.1` is text without quotes -> \"10.0.0.1\"",
            ),
            ("a = 5s", "1: `5s` is text without quotes -> \"5s\""),
            ("a =", "1: `a` has no value -> a = …"),
            ("a \"b\"", "1: `a \"b\"` is not `key = value` -> a = \"b\""),
            (
                "listen 80;",
                "1: `listen 80;` is not `key = value` -> listen = 80",
            ),
            ("a: b", "1: `a: b` is not `key = value` -> a = \"b\""),
            (
                "server {",
                "1: `server {` is not `key = value` -> [server], and key = value in lines of their own",
            ),
            (
                "[a]\nb = 1\n[a]\nb = 2",
                "3: the section [a] is there twice -> it once, with the keys of both",
            ),
            ("a = 1\na = 2", "2: `a` is there twice -> it once"),
            (
                "a = \"x",
                "1: text without a closing quote -> a `\"` at its end",
            ),
            (
                "a = [\"x\"\n\n[b]\nc = [1]\n",
                "1: this list has no `]`, or a comma is missing in it -> a `]` at its end, a comma between its items",
            ),
        ] {
            assert_eq!(shown(text), [expected], "{text}");
        }
    }

    #[test]
    fn separate_slips_are_all_reported() {
        assert_eq!(shown("a = foo\nb = 1\nc = bar\n").len(), 2);
        assert_eq!(
            shown("a \"b\"\n[c]\nd = two\ne \"f\"\ng = 1.2.3\n").len(),
            4
        );
    }
}
