//! Pure: does the file have the shape of the schema: known keys, values of the right kind, numbers in
//! range, words that are allowed, nothing required left out? Every deviation is a problem, and what
//! deviates is taken out of the tree, so that the rest can still be read and checked for its meaning.

use std::collections::BTreeSet;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use crate::at::Span;
use crate::hint;
use crate::kind::{allowed_words, allows, kind_in_words, kinds, wanted_kinds};
use crate::problem::{Code, Problem};
use crate::source::{Problems, Source};
use crate::suggest::{closest, did_you_mean};

/// Sections that later versions understand, and what to do until then.
const NOT_YET: [(&str, &str); 1] = [("apps", "one application, in [app]: it serves every path")];

/// What `check` found.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) problems: Vec<Problem>,
    /// Sections (top-level names) of which a part was taken out: nothing can be said about what is
    /// missing in them.
    pub(crate) left_out: BTreeSet<String>,
}

/// Checks the whole file against the schema. Afterwards the tree holds only what fits.
pub(crate) fn check(root: &mut DeTable<'_>, schema: &Value, source: Source<'_>) -> Shape {
    let mut walk = Walk {
        root: schema,
        problems: Problems::new(source),
        left_out: BTreeSet::new(),
    };
    walk.table(&[], &(0..0), root, schema);
    Shape {
        problems: walk.problems.list,
        left_out: walk.left_out,
    }
}

struct Walk<'a> {
    root: &'a Value,
    problems: Problems<'a>,
    left_out: BTreeSet<String>,
}

/// Keys from the root to the thing looked at.
type Path<'p> = [&'p str];

impl Walk<'_> {
    /// Whether the table can stay.
    fn table(
        &mut self,
        path: &Path<'_>,
        header: &Span,
        table: &mut DeTable<'_>,
        schema: &Value,
    ) -> bool {
        if schema["properties"].is_object() {
            self.accept_underscores(path, table, schema);
        }
        let mut refused = Vec::new();
        let mut meant = BTreeSet::new();
        for (key, value) in table.iter_mut() {
            let name = key.get_ref().as_ref();
            let Some(schema) = schema_of(schema, name) else {
                self.unknown_key(path, key, value.get_ref(), schema);
                refused.push(name.to_owned());
                meant.extend(closest(name, keys_of(schema)).map(str::to_owned));
                continue;
            };
            let path: Vec<&str> = path.iter().copied().chain([name]).collect();
            if !self.value(&path, value, schema) {
                refused.push(name.to_owned());
                meant.insert(name.to_owned());
            }
        }
        for key in refused {
            self.leave_out(path, &key);
            table.remove(key.as_str());
        }
        let complete = self.required(path, header, table, &meant, schema);
        // Where other kinds than a table are allowed too, the type behind it has no empty form.
        complete || schema["type"] == "object"
    }

    /// Whether the value can stay.
    fn value(&mut self, path: &Path<'_>, value: &mut Spanned<DeValue<'_>>, schema: &Value) -> bool {
        let span = value.span();
        if !allows(schema, value.get_ref()) {
            self.wrong_kind(path, &span, value.get_ref(), schema);
            return false;
        }
        match value.get_mut() {
            DeValue::String(text) => self.word(path, &span, text, schema),
            DeValue::Integer(number) => {
                let number = i128::from_str_radix(number.as_str(), number.radix());
                self.number(path, &span, number.ok(), schema)
            }
            DeValue::Array(items) => {
                self.list(path, items, schema);
                true
            }
            DeValue::Table(table) => self.table(path, &span, table, schema),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => true,
        }
    }

    fn list(&mut self, path: &Path<'_>, items: &mut DeArray<'_>, schema: &Value) {
        let mut kept = DeArray::new();
        for mut item in std::mem::replace(items, DeArray::new()) {
            // An item alone has no example; the list's shows how it is written.
            if !allows(&schema["items"], item.get_ref()) {
                self.wrong_item(path, &item, schema);
                self.leave_out(path, "");
            } else if self.value(path, &mut item, &schema["items"]) {
                kept.push(item);
            } else {
                self.leave_out(path, "");
            }
        }
        *items = kept;
    }

    fn word(&mut self, path: &Path<'_>, span: &Span, word: &str, schema: &Value) -> bool {
        let Some(allowed) = allowed_words(schema) else {
            return true;
        };
        if allowed.contains(&word) {
            return true;
        }
        let noun = schema["title"].as_str().unwrap_or_else(|| last(path));
        let what = format!(
            "unknown {noun} `{word}`{}",
            did_you_mean(word, allowed.iter().copied())
        );
        let write = match closest(word, allowed.iter().copied()) {
            Some(meant) => hint::quoted(meant),
            None => hint::one_of(allowed),
        };
        self.problems.add(Code::UnknownValue, span, what, write);
        false
    }

    fn number(&mut self, path: &Path<'_>, span: &Span, n: Option<i128>, schema: &Value) -> bool {
        let bound = |key: &str, otherwise| schema[key].as_i64().map_or(otherwise, i128::from);
        let (least, most) = (
            bound("minimum", i64::MIN.into()),
            bound("maximum", i64::MAX.into()),
        );
        let key = last(path);
        let (word, nearest) = match n {
            Some(n) if n < least => ("small", least),
            Some(n) if n <= most => return true,
            _ => ("large", most),
        };
        let what = format!("`{key}` is too {word}: it must be from {least} to {most}");
        self.problems
            .add(Code::OutOfRange, span, what, format!("{key} = {nearest}"));
        false
    }

    /// `max_age` is taken for `max-age`: nobody should have to remember which it is.
    fn accept_underscores(&mut self, path: &Path<'_>, table: &mut DeTable<'_>, schema: &Value) {
        let meant = |key: &str| {
            let dashed = key.replace('_', "-");
            (dashed != key && schema["properties"].get(&dashed).is_some()).then_some(dashed)
        };
        let renamed: Vec<(String, String)> = table
            .keys()
            .filter_map(|key| Some((key.get_ref().to_string(), meant(key.get_ref())?)))
            .collect();
        for (written, meant) in renamed {
            let Some((key, value)) = table.remove_entry(written.as_str()) else {
                continue;
            };
            if table.contains_key(meant.as_str()) {
                let what = format!("`{written}` and `{meant}` are the same key, written twice");
                self.problems.add(
                    Code::Duplicate,
                    &key.span(),
                    what,
                    format!("only `{meant}`"),
                );
                self.leave_out(path, &meant);
            } else {
                table.insert(Spanned::new(key.span(), DeString::Owned(meant)), value);
            }
        }
    }

    /// Reports what is missing; not what is there and wrong, or stands there misspelt (`meant`).
    fn required(
        &mut self,
        path: &Path<'_>,
        header: &Span,
        table: &DeTable<'_>,
        meant: &BTreeSet<String>,
        schema: &Value,
    ) -> bool {
        let keys = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let missing: Vec<&str> = keys.filter(|key| !table.contains_key(*key)).collect();
        for key in &missing {
            if meant.contains(*key) {
                continue;
            }
            let inner = &schema["properties"][*key];
            let section = path.join(".");
            let what = format!("[{section}] has no `{key}`");
            let write = hint::value_for(key, None, inner);
            self.problems.add(Code::Missing, header, what, write);
            self.leave_out(path, key);
        }
        missing.is_empty()
    }

    fn unknown_key(
        &mut self,
        path: &Path<'_>,
        key: &Spanned<DeString<'_>>,
        value: &DeValue<'_>,
        schema: &Value,
    ) {
        let name = key.get_ref().as_ref();
        let known = keys_of(schema);
        let is_section = path.is_empty() && matches!(value, DeValue::Table(_) | DeValue::Array(_));
        let meant = closest(name, known.iter().copied());
        let others = self.sections_with(path, name);
        let (code, what, write) = if let Some((_, until)) = not_yet(path, name) {
            let what = format!("[{name}] is not available yet in this version");
            (Code::NotYet, what, (*until).to_owned())
        } else if !is_section && meant.is_none() && !others.is_empty() {
            let others = others.join(" or ");
            let what = format!("`{name}` belongs to {others}, not {}", place(path));
            (Code::UnknownKey, what, format!("it below {others}"))
        } else {
            let kind = if is_section { "section" } else { "key" };
            let inside = if is_section {
                String::new()
            } else {
                format!(" in {}", place(path))
            };
            let guess = did_you_mean(name, known.iter().copied());
            let write = match meant {
                Some(meant) if is_section => format!("[{meant}]"),
                Some(meant) => meant.to_owned(),
                None => format!("one of {}", known.join(", ")),
            };
            (
                Code::UnknownKey,
                format!("unknown {kind} `{name}`{inside}{guess}"),
                write,
            )
        };
        self.problems.add(code, &key.span(), what, write);
    }

    /// The sections that have this key, if they are few enough to be meant.
    fn sections_with(&self, path: &Path<'_>, key: &str) -> Vec<String> {
        let here = path.first().copied().unwrap_or_default();
        let dashed = key.replace('_', "-");
        let sections = self.root["properties"].as_object().into_iter().flatten();
        let having: Vec<String> = sections
            .filter(|(section, schema)| {
                section.as_str() != here && schema["properties"].get(&dashed).is_some()
            })
            .map(|(section, _)| format!("[{section}]"))
            .collect();
        if having.len() > 2 { Vec::new() } else { having }
    }

    fn wrong_kind(&mut self, path: &Path<'_>, span: &Span, found: &DeValue<'_>, schema: &Value) {
        let key = last(path);
        let wanted = wanted_kinds(schema);
        let what = format!("`{key}` must be {wanted}, not {}", kind_in_words(found));
        let write = match (schema["type"].as_str(), path) {
            (Some("object"), ["servers"]) => {
                hint::section("servers.app-1", &schema["additionalProperties"])
            }
            (Some("object"), _) => hint::section(&path.join("."), schema),
            (Some("array"), _) if schema["items"]["type"] == "object" => {
                format!("[[{}]]", path.join("."))
            }
            _ => hint::value_for(key, Some(found), schema),
        };
        self.problems.add(Code::WrongType, span, what, write);
    }

    fn wrong_item(&mut self, path: &Path<'_>, item: &Spanned<DeValue<'_>>, schema: &Value) {
        let key = last(path);
        let wanted = wanted_kinds(&schema["items"]);
        let found = kind_in_words(item.get_ref());
        let what = format!("every item of `{key}` must be {wanted}, not {found}");
        let text_wanted = kinds(&schema["items"]).first() == Some(&"string");
        let write = match item.get_ref() {
            DeValue::Integer(number) if text_wanted => hint::quoted(&number.to_string()),
            _ => format!("{key} = {}", hint::example(schema)),
        };
        self.problems
            .add(Code::WrongType, &item.span(), what, write);
    }

    fn leave_out(&mut self, path: &Path<'_>, key: &str) {
        let section = match path.first() {
            Some(section) => section,
            // A misspelt section may be the one that would be missed.
            None => match key {
                "apps" => "app",
                key => closest(key, keys_of(self.root)).unwrap_or(key),
            },
        };
        self.left_out.insert(section.to_owned());
    }
}

/// The schema of one key, if the table may have it.
fn schema_of<'s>(table: &'s Value, key: &str) -> Option<&'s Value> {
    let further = Some(&table["additionalProperties"]).filter(|schema| schema.is_object());
    table["properties"].get(key).or(further)
}

fn keys_of(schema: &Value) -> Vec<&str> {
    schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect()
}

fn not_yet(path: &Path<'_>, name: &str) -> Option<&'static (&'static str, &'static str)> {
    NOT_YET
        .iter()
        .find(|(section, _)| path.is_empty() && *section == name)
}

fn place(path: &Path<'_>) -> String {
    if path.is_empty() {
        "the top of the file".to_owned()
    } else {
        format!("[{}]", path.join("."))
    }
}

fn last<'p>(path: &Path<'p>) -> &'p str {
    path.last().copied().unwrap_or_default()
}
