//! Pure: kinds of values: what a schema allows, what a value is, and both in words.

use serde_json::Value;
use toml::de::DeValue;

/// The words of an enumeration, however schemars spelt it.
pub(crate) fn allowed_words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema["enum"].as_array() {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    let words = schema["oneOf"].as_array()?;
    Some(
        words
            .iter()
            .filter_map(|word| word["const"].as_str())
            .collect(),
    )
}

/// The `type` of a schema; an enumeration is text.
pub(crate) fn kinds(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec!["string"],
    }
}

pub(crate) fn allows(schema: &Value, value: &DeValue<'_>) -> bool {
    let kind = match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
        DeValue::Datetime(_) => return false,
    };
    kinds(schema).contains(&kind)
}

pub(crate) fn wanted_kinds(schema: &Value) -> String {
    let words: Vec<&str> = kinds(schema)
        .into_iter()
        .filter_map(|kind| match kind {
            "string" => Some("text in quotes"),
            "integer" => Some("a whole number"),
            // Said already by "a whole number" wherever both are allowed.
            "number" => None,
            "boolean" => Some("true or false"),
            "array" => Some("a list"),
            "object" => Some("a table"),
            other => Some(other),
        })
        .collect();
    match words.as_slice() {
        [head @ .., before, last] if !head.is_empty() => {
            format!("{}, {before} or {last}", head.join(", "))
        }
        words => words.join(" or "),
    }
}

pub(crate) fn kind_in_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
