//! Pure: the site file as it is put together: sections with keys, each with the lines it comes from, so
//! that a person can compare, and what `load` refuses can be found again and taken out.

use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// `[balancer]`, `[[routes]]`
    pub(super) header: String,
    /// What it was called.
    pub(super) about: String,
    pub(super) lines: Vec<u32>,
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) lines: Vec<u32>,
    /// Without it the section would mean something else.
    pub(super) vital: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// TOML.
    One(String),
    /// A list, one item a line.
    Rows(Vec<Row>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// TOML; of a comment its words.
    pub(super) text: String,
    pub(super) line: u32,
    /// What it was, when that cannot be seen.
    pub(super) was: String,
    /// Why it is a comment only.
    pub(super) out: Option<String>,
}

/// What stands in one line of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) section: usize,
    pub(super) entry: Option<usize>,
    pub(super) row: Option<usize>,
}

impl Section {
    pub(super) fn new(header: impl Into<String>, lines: Vec<u32>) -> Self {
        Self {
            header: header.into(),
            about: String::new(),
            lines,
            entries: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, key: &str, value: String, lines: &[u32]) {
        self.push(key, Value::One(value), lines, false);
    }

    pub(super) fn vital(&mut self, key: &str, value: String, lines: &[u32]) {
        self.push(key, Value::One(value), lines, true);
    }

    pub(super) fn push(&mut self, key: &str, value: Value, lines: &[u32], vital: bool) {
        self.entries.push(Entry {
            key: key.to_owned(),
            value,
            lines: lines.to_vec(),
            vital,
        });
    }
}

/// Text as TOML has it: what JSON has, and DEL may not stand there as it is.
pub(super) fn text(value: &str) -> String {
    serde_json::Value::from(value)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}

pub(super) fn list<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let values: Vec<String> = values.into_iter().map(text).collect();
    format!("[{}]", values.join(", "))
}

/// `{ a = 1, b = 2 }`
pub(super) fn inline(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{} = {value}", self::key(key)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A key, quoted if it has to be.
pub(super) fn key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !key.is_empty() && key.chars().all(bare) {
        true => key.to_owned(),
        false => text(key),
    }
}

/// The text, and what stands in each of its lines.
pub(super) fn render(top: &[String], sections: &[Section]) -> (String, Vec<Option<Spot>>) {
    let mut page = Page::default();
    for line in top {
        page.comment(line);
    }
    for (at, section) in sections.iter().enumerate() {
        let spot = Spot {
            section: at,
            entry: None,
            row: None,
        };
        page.line("", None);
        let from = places(&section.lines);
        let about = [section.about.as_str(), from.as_str()];
        let about: Vec<&str> = about.into_iter().filter(|part| !part.is_empty()).collect();
        if !about.is_empty() {
            page.comment(&about.join(", "));
        }
        page.line(&section.header, Some(spot));
        for (number, entry) in section.entries.iter().enumerate() {
            let spot = Spot {
                entry: Some(number),
                ..spot
            };
            page.entry(entry, spot);
        }
    }
    (page.text, page.spots)
}

#[derive(Default)]
struct Page {
    text: String,
    spots: Vec<Option<Spot>>,
}

impl Page {
    fn line(&mut self, line: &str, spot: Option<Spot>) {
        self.text.push_str(line);
        self.text.push('\n');
        self.spots.push(spot);
    }

    fn comment(&mut self, text: &str) {
        let text = clean(text);
        let line = format!("# {text}");
        self.line(line.trim_end(), None);
    }

    fn entry(&mut self, entry: &Entry, spot: Spot) {
        let from = places(&entry.lines);
        let comment = |from: &str| match from {
            "" => String::new(),
            from => format!("  # {from}"),
        };
        match &entry.value {
            Value::One(value) => {
                let line = format!("{} = {value}{}", key(&entry.key), comment(&from));
                self.line(&line, Some(spot));
            }
            Value::Rows(rows) => {
                self.line(&format!("{} = [", key(&entry.key)), Some(spot));
                for (number, row) in rows.iter().enumerate() {
                    let spot = Spot {
                        row: Some(number),
                        ..spot
                    };
                    let from = places(&[row.line]);
                    match &row.out {
                        None => {
                            let from = match row.was.as_str() {
                                "" => from,
                                was => clean(&format!("{from}: {was}")),
                            };
                            self.line(&format!("  {},{}", row.text, comment(&from)), Some(spot));
                        }
                        Some(why) => {
                            let out = clean(&format!("{}, {from}: {why}", row.text));
                            self.line(&format!("  # {out}"), None);
                        }
                    }
                }
                self.line("]", Some(spot));
            }
        }
    }
}

/// What may stand in a comment of TOML.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// `line 4`, `lines 4, 7`.
fn places(lines: &[u32]) -> String {
    const MOST: usize = 6;
    let lines: BTreeSet<u32> = lines.iter().copied().filter(|line| *line > 0).collect();
    let mut shown: Vec<String> = lines.iter().take(MOST).map(u32::to_string).collect();
    if lines.len() > MOST {
        shown.push("…".to_owned());
    }
    match shown.as_slice() {
        [] => String::new(),
        [line] => format!("line {line}"),
        lines => format!("lines {}", lines.join(", ")),
    }
}
