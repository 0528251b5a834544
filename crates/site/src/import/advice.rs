//! Pure: directives that no other file here looks at: what Mainstay does instead, or why it does not.
//! The table stands in `advice.txt`.

use super::ledger::NoteKind;

/// Beginnings, kind, why, instead; `#` begins a comment.
const TABLE: &str = include_str!("advice.txt");

/// Beginnings of what other files here carry over: when none of them has looked at a line, nothing that
/// is carried over has a use for it.
const CARRIED: &str = "mode bind acl use_backend default_backend server server-template default-server balance \
    hash-type hash-balance-factor cookie retries retry-on timeout maxconn http-check tcp-check redirect block monitor-uri";

/// Options of the same kind.
const OPTIONS: &str = "httpchk tcp-check mysql-check pgsql-check redis-check smtpchk ldap-check ssl-hello-chk spop-check";

/// What is to be said of a line that nobody looked at.
pub(super) fn on(words: &[String]) -> (NoteKind, &'static str, &'static str) {
    let mut best: Option<(usize, Row)> = None;
    for row in TABLE.lines().filter_map(row) {
        for beginning in row.words.split(", ") {
            let length = beginning.split(' ').count();
            let fits =
                length <= words.len() && beginning.split(' ').zip(words).all(|(a, b)| a == b);
            if fits && best.is_none_or(|(longest, _)| length > longest) {
                best = Some((length, row));
            }
        }
    }
    if let Some((_, row)) = best {
        return (row.kind, row.why, row.instead);
    }
    let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
    let of = |list: &str, word: &str| list.split_whitespace().any(|known| known == word);
    if word(0).starts_with("tune.")
        || word(0).starts_with("profiling.")
        || [
            "noepoll",
            "nokqueue",
            "nopoll",
            "noevports",
            "nogetaddrinfo",
            "noreuseport",
            "nosplice",
        ]
        .contains(&word(0))
    {
        return (
            NoteKind::Needless,
            "buffers, caches and system calls are chosen by Mainstay",
            "",
        );
    }
    if of(CARRIED, word(0)) || word(0) == "option" && of(OPTIONS, word(1)) {
        return (
            NoteKind::Needless,
            "nothing that is carried over uses it",
            "",
        );
    }
    (NoteKind::Lost, "Mainstay has no such setting", "")
}

#[derive(Debug, Clone, Copy)]
struct Row {
    words: &'static str,
    kind: NoteKind,
    why: &'static str,
    instead: &'static str,
}

fn row(line: &'static str) -> Option<Row> {
    let mut parts = line.split('|').map(str::trim);
    let words = parts
        .next()
        .filter(|words| !words.is_empty() && !words.starts_with('#'))?;
    let kind = match parts.next()? {
        "needless" => NoteKind::Needless,
        _ => NoteKind::Lost,
    };
    Some(Row {
        words,
        kind,
        why: parts.next()?,
        instead: parts.next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole() {
        for line in TABLE
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            assert_eq!(line.split('|').count(), 4, "{line}");
            let row = row(line).unwrap();
            assert!(
                line.contains("| needless |") || line.contains("| lost |"),
                "{line}"
            );
            assert!(!row.why.is_empty(), "{line}");
        }
    }

    #[test]
    fn the_longest_beginning_counts() {
        let of = |line: &str| on(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).0;
        assert_eq!(of("option forwardfor except 127.0.0.1"), NoteKind::Needless);
        assert_eq!(of("tcp-request connection reject"), NoteKind::Lost);
        assert_eq!(of("tcp-request content accept"), NoteKind::Needless);
        assert_eq!(of("tune.bufsize 32768"), NoteKind::Needless);
        assert_eq!(of("nosplice"), NoteKind::Needless);
        assert_eq!(of("frobnicate"), NoteKind::Lost);
    }
}
