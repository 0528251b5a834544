//! Pure: what a statement begins with.

/// What a statement begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// SELECT, WITH, VALUES, or a parenthesis before them.
    Select,
    /// EXPLAIN, DESCRIBE: what follows decides.
    Explain,
    /// DESCRIBE of a table.
    Describe,
    /// SHOW: its next word decides.
    Show,
    ShowSafe,
    ShowLast,
    ShowOther,
    Set,
    SetStatement,
    /// SET PASSWORD, SET DEFAULT ROLE: `user@host` is no variable.
    SetAccount,
    Use,
    Transaction,
    Create,
    Call,
    /// FLUSH: of tables, perhaps with a lock.
    Flush,
    Kill,
    /// Writes data, or reads and writes, and may use variables.
    Write,
    /// DDL, accounts and others where `@` stands between user and host.
    Define,
    Unknown,
}

/// Is `word` one of these, in any case?
pub(super) fn equals(word: &[u8], any: &[&str]) -> bool {
    any.iter()
        .any(|one| word.eq_ignore_ascii_case(one.as_bytes()))
}

/// What the first word says.
pub(super) fn verb_of(word: &[u8]) -> Verb {
    const VERBS: &[(&[&str], Verb)] = &[
        (&["select", "with", "values"], Verb::Select),
        (&["explain", "describe", "desc"], Verb::Explain),
        (&["show"], Verb::Show),
        (&["set"], Verb::Set),
        (&["use"], Verb::Use),
        (
            &[
                "begin",
                "start",
                "commit",
                "rollback",
                "savepoint",
                "release",
                "xa",
            ],
            Verb::Transaction,
        ),
        (&["create"], Verb::Create),
        (&["call", "execute"], Verb::Call),
        (&["flush"], Verb::Flush),
        (&["kill"], Verb::Kill),
        (
            &[
                "insert", "update", "delete", "replace", "load", "do", "truncate",
            ],
            Verb::Write,
        ),
        (
            &[
                "alter", "drop", "rename", "grant", "revoke", "analyze", "optimize", "repair",
            ],
            Verb::Define,
        ),
    ];
    VERBS
        .iter()
        .find(|(words, _)| equals(word, words))
        .map_or(Verb::Unknown, |(_, verb)| *verb)
}

/// SHOW whose answer comes from replicated definitions; MariaDB KB, "SHOW". Not CREATE and TABLE
/// (STATUS): they tell AUTO_INCREMENT's next value, which failed inserts raise on the primary alone;
/// nor EVENTS, which say "slaveside disabled" on a replica.
pub(super) fn show(word: &[u8]) -> Verb {
    const SAFE: &[&str] = &[
        "tables",
        "columns",
        "fields",
        "index",
        "indexes",
        "keys",
        "databases",
        "schemas",
        "collation",
        "character",
        "charset",
        "engines",
        "triggers",
        "procedure",
        "function",
    ];
    if equals(word, SAFE) {
        Verb::ShowSafe
    } else if equals(word, &["warnings", "errors", "count"]) {
        Verb::ShowLast
    } else {
        Verb::ShowOther
    }
}
