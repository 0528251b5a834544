//! Pure: what became of an imported file, as text for people: what is lost first, then what is not
//! quite the same, then what needs no line.

use std::collections::BTreeMap;

use site::import::{Imported, Note, NoteKind};

use crate::render::findings::Style;

/// A directive longer than this is cut: its place says where the whole of it stands.
const LONGEST: usize = 100;

/// The list, and how much was carried over.
pub(crate) fn notes(file: &str, imported: &Imported, style: Style) -> String {
    let mut out = String::new();
    for (kind, heading) in [
        (NoteKind::Lost, "Not carried over"),
        (NoteKind::Differs, "Carried over, and not quite the same"),
    ] {
        let of_kind: Vec<&Note> = imported
            .notes
            .iter()
            .filter(|note| note.kind == kind)
            .collect();
        if of_kind.is_empty() {
            continue;
        }
        out.push_str(&format!("{}\n", style.bold(heading)));
        for note in of_kind {
            out.push('\n');
            let place = style.dim(&format!("{file}:{}:", note.line));
            out.push_str(&format!(
                "  {place} {}\n",
                style.bold(&cut(&note.directive))
            ));
            out.push_str(&format!("    why:     {}\n", shown(&note.why)));
            if !note.instead.is_empty() {
                out.push_str(&format!("    instead: {}\n", shown(&note.instead)));
            }
        }
        out.push('\n');
    }
    out.push_str(&needless(imported, style));
    let carried = imported.lines.saturating_sub(imported.lines_lost);
    out.push_str(&format!(
        "{carried} of {} lines of {file} are carried over or need no line.\n",
        imported.lines
    ));
    out
}

/// Reasons, each with its lines.
fn needless(imported: &Imported, style: Style) -> String {
    let mut reasons: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let needless = imported
        .notes
        .iter()
        .filter(|note| note.kind == NoteKind::Needless);
    for note in needless {
        reasons.entry(&note.why).or_default().push(note.line);
    }
    if reasons.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<_> = reasons.into_iter().collect();
    sorted.sort_by_key(|(_, lines)| lines.first().copied());
    let mut out = format!("{}\n\n", style.bold("Needs no line here"));
    for (why, lines) in sorted {
        let lines: Vec<String> = lines.iter().map(u32::to_string).collect();
        let word = if lines.len() == 1 { "line" } else { "lines" };
        out.push_str(&format!("  {word} {}: {}\n", lines.join(", "), shown(why)));
    }
    out.push('\n');
    out
}

/// What to do with the file.
pub(crate) fn next(file: &str, imported: &Imported) -> String {
    let mut up = format!("mainstay up {file}");
    for (flag, address) in [("--http", &imported.http), ("--https", &imported.https)] {
        if let Some(address) = address {
            up.push_str(&format!(" {flag} {address}"));
        }
    }
    format!(
        "Wrote {file}.\n\nNext:\n  1. Read it beside the old file: each of its lines says which one it comes from.\n  2. mainstay check {file}\n  3. {up}\n"
    )
}

/// A control character would move the whole terminal.
fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn cut(text: &str) -> String {
    let text = shown(text);
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}
