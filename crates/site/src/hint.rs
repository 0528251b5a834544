//! Pure: what to write instead, as text for the file: made from the schema's examples and from what
//! stands there now, so that a proposal keeps the person's own number or word where that is possible.

use serde_json::Value;
use toml::de::DeValue;

/// `key = <something that fits>`, for a value of the wrong kind.
pub(crate) fn value_for(key: &str, found: Option<&DeValue<'_>>, schema: &Value) -> String {
    let kept = found.and_then(|found| keep(found, schema));
    let value = kept.unwrap_or_else(|| example(schema));
    format!("{key} = {value}")
}

/// `[section]` with what it needs at least.
pub(crate) fn section(path: &str, schema: &Value) -> String {
    let mut lines = vec![format!("[{path}]")];
    for (key, value) in schema["examples"][0].as_object().into_iter().flatten() {
        lines.push(format!("{key} = {}", as_toml(value)));
    }
    for key in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        lines.push(value_for(key, None, &schema["properties"][key]));
    }
    lines.join("\n")
}

/// The found value in the form that fits, if it can be meant so.
fn keep(found: &DeValue<'_>, schema: &Value) -> Option<String> {
    let example = &schema["examples"][0];
    match (found, example) {
        (DeValue::String(text), Value::Number(_)) => text
            .trim()
            .parse::<i64>()
            .ok()
            .map(|number| number.to_string()),
        (DeValue::String(text), Value::Bool(_)) => match text.as_ref() {
            "true" | "yes" | "on" => Some("true".to_owned()),
            "false" | "no" | "off" => Some("false".to_owned()),
            _ => None,
        },
        (DeValue::String(text), Value::Array(_)) => Some(format!("[{}]", quoted(text))),
        (DeValue::Integer(number), Value::String(example)) => {
            let unit = unit(example).map_or("", |unit| usual_unit(unit, number.as_str()));
            Some(quoted(&format!("{number}{unit}")))
        }
        _ => None,
    }
}

/// `s` of `60s`, `MiB` of `64MiB`: an example that is a quantity.
fn unit(example: &str) -> Option<&str> {
    let unit = example.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_quantity = unit.len() < example.len() && unit.chars().all(char::is_alphabetic);
    (is_quantity && !unit.is_empty()).then_some(unit)
}

/// What a bare number most likely counts: seconds, and bytes or, where that would be little, MiB.
fn usual_unit(example: &str, number: &str) -> &'static str {
    match (example.ends_with('B'), number.len() > 5) {
        (true, true) => "B",
        (true, false) => "MiB",
        (false, _) => "s",
    }
}

/// The schema's example as TOML; for lists without one, an empty list.
pub(crate) fn example(schema: &Value) -> String {
    match &schema["examples"][0] {
        Value::Null if schema["type"] == "object" => "{ … }".to_owned(),
        Value::Null => "\"…\"".to_owned(),
        example => as_toml(example),
    }
}

fn as_toml(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(as_toml).collect::<Vec<_>>().join(", ")
            )
        }
        other => other.to_string(),
    }
}

/// As a TOML basic string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `a`, `b` or `c`, each as a TOML string.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn hint(line: &str, example: &Value) -> String {
        let table: toml::Spanned<toml::de::DeTable<'_>> = toml::de::DeTable::parse(line).unwrap();
        let found = table.get_ref().values().next().unwrap();
        value_for(
            "key",
            Some(found.get_ref()),
            &json!({ "examples": [example] }),
        )
    }

    #[test]
    fn the_persons_own_value_is_kept() {
        assert_eq!(hint("key = \"3\"", &json!(2)), "key = 3");
        assert_eq!(hint("key = 5", &json!("60s")), "key = \"5s\"");
        assert_eq!(hint("key = 3600", &json!("1h")), "key = \"3600s\"");
        assert_eq!(hint("key = 5", &json!("64MiB")), "key = \"5MiB\"");
        assert_eq!(hint("key = 1048576", &json!("64MiB")), "key = \"1048576B\"");
        assert_eq!(
            hint("key = \"a.com\"", &json!(["www.foobar.com"])),
            "key = [\"a.com\"]"
        );
        assert_eq!(hint("key = \"yes\"", &json!(true)), "key = true");
    }

    #[test]
    fn else_the_example_is_shown() {
        assert_eq!(hint("key = \"many\"", &json!(2)), "key = 2");
        assert_eq!(
            hint("key = { a = 1 }", &json!(["a", "b"])),
            "key = [\"a\", \"b\"]"
        );
    }

    proptest! {
        #[test]
        fn quoted_text_reads_back(text in ".*") {
            let line = format!("key = {}", quoted(&text));
            let table: toml::Table = line.parse().unwrap();
            prop_assert_eq!(table["key"].as_str(), Some(text.as_str()));
        }
    }
}
