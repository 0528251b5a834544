//! Pure: the JSON Schema of the site file, made from `written.rs`. `mainstay schema` prints it for
//! editors; `shape.rs` checks files against the same value, so that the two cannot disagree.

use std::sync::LazyLock;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use crate::written::Written;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        // One tree without references: an editor shows it as well, and `shape.rs` just walks it.
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<Written>();
    RecursiveTransform(without_null).transform(&mut schema);
    RecursiveTransform(flowing_text).transform(&mut schema);
    schema.to_value()
});

/// The JSON Schema (draft 2020-12) of the site file.
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// TOML has no null: an `Option` is a key that may be left out.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(kinds)) = object.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    // `anyOf: [the schema, null]` becomes the schema itself.
    let inner = match object
        .get("anyOf")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([Value::Object(inner), null]) if null["type"] == "null" => inner.clone(),
        _ => return,
    };
    object.remove("anyOf");
    for (key, value) in inner {
        object.entry(key).or_insert(value);
    }
}

/// The line ends of our source code mean nothing to a reader of the schema.
fn flowing_text(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_speaks_no_null_and_no_reference() {
        let text = schema().to_string();
        assert!(!text.contains("null"), "{text}");
        assert!(!text.contains("$ref"), "{text}");
        assert!(!text.contains("anyOf"), "{text}");
    }

    #[test]
    fn every_key_is_explained() {
        fn walk(path: &str, value: &Value) {
            let Some(properties) = value["properties"].as_object() else {
                return;
            };
            for (key, schema) in properties {
                let path = format!("{path}.{key}");
                assert!(
                    schema["description"].is_string(),
                    "{path} has no description"
                );
                walk(&path, schema);
                walk(&path, &schema["additionalProperties"]);
            }
        }
        walk("", schema());
    }
}
