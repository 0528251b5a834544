//! Pure: what became of every line of the imported file. A line nobody has an answer for is a line that
//! was not carried over: silence is the one thing an import must not do.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::Line;

/// What a person has to know about one directive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// From 1.
    pub line: u32,
    pub kind: NoteKind,
    /// The directive as it stands there, or the part of it that is meant.
    pub directive: String,
    pub why: String,
    /// Empty: nothing has to be done.
    pub instead: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// It is not in the site file.
    Lost,
    /// It is, and does not do exactly the same.
    Differs,
    /// Mainstay does it without being told, or has no need of it.
    Needless,
}

/// Why something cannot be said in a site file, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) why: String,
    pub(super) instead: String,
}

impl Unfit {
    pub(super) fn new(why: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            instead: instead.into(),
        }
    }
}

#[derive(Debug, Default, Clone)]
pub(super) struct Ledger {
    shown: BTreeMap<u32, String>,
    seen: BTreeSet<u32>,
    /// Parts of something that was left out as a whole.
    skipped: BTreeSet<u32>,
    notes: BTreeSet<Note>,
}

impl Ledger {
    pub(super) fn new(lines: &[Line]) -> Self {
        let shown = lines
            .iter()
            .map(|line| (line.number, line.shown()))
            .collect();
        Self {
            shown,
            ..Self::default()
        }
    }

    pub(super) fn carried(&mut self, line: u32) {
        self.seen.insert(line);
    }

    pub(super) fn lost(&mut self, line: u32, why: impl Into<String>, instead: impl Into<String>) {
        self.note(line, NoteKind::Lost, None, why.into(), instead.into());
    }

    pub(super) fn unfit(&mut self, line: u32, unfit: Unfit) {
        self.note(line, NoteKind::Lost, None, unfit.why, unfit.instead);
    }

    /// One word of a line whose rest is carried over.
    pub(super) fn lost_part(
        &mut self,
        line: u32,
        part: &str,
        why: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.note(line, NoteKind::Lost, Some(part), why.into(), instead.into());
    }

    pub(super) fn differs(
        &mut self,
        line: u32,
        why: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.note(line, NoteKind::Differs, None, why.into(), instead.into());
    }

    pub(super) fn needless(&mut self, line: u32, why: impl Into<String>) {
        self.note(line, NoteKind::Needless, None, why.into(), String::new());
    }

    /// Belongs to something that has a note of its own.
    pub(super) fn skip(&mut self, line: u32) {
        if self.seen.insert(line) {
            self.skipped.insert(line);
        }
    }

    pub(super) fn knows(&self, line: u32) -> bool {
        self.seen.contains(&line)
    }

    fn note(
        &mut self,
        line: u32,
        kind: NoteKind,
        part: Option<&str>,
        why: String,
        instead: String,
    ) {
        self.seen.insert(line);
        self.skipped.remove(&line);
        let directive = match part {
            Some(part) => part.to_owned(),
            None => self.shown.get(&line).cloned().unwrap_or_default(),
        };
        self.notes.insert(Note {
            line,
            kind,
            directive,
            why,
            instead,
        });
    }

    /// What another one knows too.
    pub(super) fn take_in(&mut self, other: &Self) {
        self.seen.extend(&other.seen);
        self.notes.extend(other.notes.iter().cloned());
        self.skipped.extend(&other.skipped);
    }

    /// In the order of the file.
    pub(super) fn notes(&self) -> Vec<Note> {
        self.notes.iter().cloned().collect()
    }

    /// Directives that something of was lost, those skipped included.
    pub(super) fn lines_lost(&self) -> usize {
        let lost = self.notes.iter().filter(|note| note.kind == NoteKind::Lost);
        let lost: BTreeSet<u32> = lost
            .map(|note| note.line)
            .chain(self.skipped.iter().copied())
            .collect();
        lost.len()
    }

    pub(super) fn lines(&self) -> usize {
        self.shown.len()
    }
}
