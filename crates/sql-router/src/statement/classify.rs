//! Pure: text → Class. Whatever is not provably a plain read is not one.
//!
//! The rule and its reasons: a read may go to a replica when its answer depends on replicated data
//! and on session state that follows the session, and when it leaves nothing behind. The list of
//! what breaks that: MariaDB KB, "SELECT", "Information Functions", "SHOW"; each line below says
//! which case it guards.

use super::class::{Class, Kind, Pins, Reason};
use super::functions::{is_keyword, is_safe_call, is_safe_variable, is_system_schema};
use super::hint::hint;
use super::lexer::{Lexer, Token};
use super::verb::{Verb, equals, show, verb_of};

/// What `text` is. Where the server's SQL mode decides how quotes are read, both ways must agree.
pub fn classify(text: &[u8]) -> Class {
    let mut class = read(text, true);
    if memchr::memchr(b'\\', text).is_some() {
        let other = read(text, false);
        class.pins = class.pins.with(other.pins);
        class.schemas |= other.schemas;
        class.recounts |= other.recounts;
        class.clears &= other.clears;
        class.unreported |= other.unreported;
        class.looks_back |= other.looks_back;
        class.may_be_read &= other.may_be_read;
        class.releases |= other.releases;
        if class.kind != other.kind {
            class.kind = Kind::Other;
            class.because = Reason::Unreadable;
            class.looks_back = true;
        }
    }
    class.non_ascii = !text.is_ascii();
    class.hint = hint(text);
    class
}

fn read(text: &[u8], backslash: bool) -> Class {
    let mut lexer = Lexer::new(text, backslash);
    let mut walk = Walk::default();
    for token in lexer.by_ref() {
        walk.token(token);
    }
    if lexer.broken {
        walk.object(Reason::Unreadable);
    }
    if lexer.executable {
        walk.object(Reason::ExecutableComment);
    }
    walk.class()
}

/// Goes over the tokens once, keeping the two before.
#[derive(Debug, Default)]
struct Walk<'a> {
    verb: Option<Verb>,
    /// The first thing that speaks against a plain read.
    objection: Option<Reason>,
    /// Something speaks against any read.
    barred: bool,
    pins: Pins,
    unreported: bool,
    releases: bool,
    schemas: bool,
    /// SELECT was met where another verb is.
    selects: bool,
    /// DO: of itself it uses no table.
    bare: bool,
    /// Its rows are not counted.
    uncounted: bool,
    about_last: bool,
    /// Asks for warnings.
    warnings: bool,
    /// FROM was met.
    from: bool,
    /// Calls `FOUND_ROWS()`.
    found_rows: bool,
    /// Asks for more than that: of the last statement, or from a table.
    asks_more: bool,
    /// May ask for something else of its connection's past.
    looks_back: bool,
    before: Option<Token<'a>>,
    /// The one before `before`.
    earlier: Option<Token<'a>>,
    /// Words since the verb.
    words: usize,
    /// A `;` was met: what follows is another statement.
    ended: bool,
    /// It is more than one statement.
    several: bool,
    /// INTO was met.
    into: bool,
    /// A user variable was met where one is read or set.
    mentions: bool,
    /// LOAD: it may set those it names.
    loads: bool,
    /// After `@@`, until the name is known.
    in_variable: bool,
}

impl<'a> Walk<'a> {
    fn object(&mut self, reason: Reason) {
        self.objection.get_or_insert(reason);
        self.barred |= !reason.may_be_read();
        self.looks_back |= reason.looks_back();
    }

    fn pin(&mut self, pin: Pins) {
        self.pins = self.pins.with(pin);
    }

    fn token(&mut self, token: Token<'a>) {
        if self.ended && token != Token::Symbol(b';') {
            // Each statement is looked at for what it pins; together they are no read.
            self.object(Reason::MultiStatement);
            self.several = true;
            self.ended = false;
            self.verb = None;
            self.words = 0;
        }
        match token {
            Token::Word(word) => self.word(word),
            Token::Name(name) | Token::DoubleQuoted(name) => self.name(name),
            Token::Symbol(b'(') => self.parenthesis(),
            Token::Symbol(b';') => self.ended = self.verb.is_some() || self.ended,
            Token::Symbol(b'.') if self.in_variable => {}
            Token::UserVariable => self.user_variable(),
            Token::SystemVariable => {
                self.in_variable = true;
                // What is set may be set to what is asked for.
                self.looks_back |= self.verb == Some(Verb::Set);
            }
            Token::Assign => {
                self.object(Reason::UserVariable);
                self.pin(Pins::USER_VARIABLE);
            }
            Token::Number | Token::Text | Token::Symbol(_) => self.in_variable = false,
        }
        if self.verb.is_none() && !matches!(token, Token::Symbol(b'(' | b';')) {
            self.verb = Some(Verb::Unknown);
        }
        self.earlier = self.before.replace(token);
    }

    /// Is the token before this bare word?
    fn after(&self, word: &str) -> bool {
        is(self.before, word)
    }

    fn word(&mut self, word: &'a [u8]) {
        if std::mem::take(&mut self.in_variable) {
            return self.variable_name(word);
        }
        let Some(verb) = self.verb else {
            self.verb = Some(verb_of(word));
            return self.begin(word);
        };
        // A name behind a dot is no keyword, except that Oracle mode writes `sequence.nextval`.
        if self.before == Some(Token::Symbol(b'.')) {
            if equals(word, &["nextval", "currval", "lastval"]) {
                self.object(Reason::Sequence);
            }
            return;
        }
        self.words += 1;
        self.refine(verb, word);
        self.name_or_keyword(word);
    }

    /// What the first word says already.
    fn begin(&mut self, word: &[u8]) {
        match self.verb {
            Some(Verb::Unknown | Verb::Define | Verb::Call) => {
                if equals(word, &["prepare", "execute"]) {
                    self.pin(Pins::PREPARED);
                } else if equals(word, &["handler"]) {
                    self.pin(Pins::HANDLER);
                } else if equals(word, &["lock", "backup"]) {
                    self.pin(Pins::LOCK);
                }
            }
            Some(Verb::Write) => {
                self.bare = equals(word, &["do"]);
                self.loads = equals(word, &["load"]);
                // Of several tables they are selects.
                self.selects = equals(word, &["update", "delete"]);
            }
            // It leaves FOUND_ROWS() as it was.
            Some(Verb::Select) => self.uncounted = equals(word, &["values"]),
            Some(Verb::Transaction) if equals(word, &["xa"]) => self.pin(Pins::XA),
            _ => {}
        }
    }

    /// What the words after the verb make of it.
    fn refine(&mut self, verb: Verb, word: &[u8]) {
        let first = self.words == 1;
        match verb {
            Verb::Show if equals(word, &["full", "extended"]) => {}
            Verb::Show => {
                self.verb = Some(show(word));
                // These ask tables of the server's own.
                let tables = [
                    "variables",
                    "status",
                    "events",
                    "plugins",
                    "open",
                    "table",
                    "global",
                    "session",
                ];
                self.from |= equals(word, &tables);
            }
            Verb::ShowOther if self.after("create") => {
                self.from |= equals(word, &["table", "view", "sequence"]);
            }
            Verb::Explain if first && equals(word, &["extended", "partitions"]) => self.words = 0,
            Verb::Explain if first && equals(word, &["format"]) => self.words = 0,
            // `FORMAT = JSON`: the format's name is not what is explained.
            Verb::Explain if first && self.before == Some(Token::Symbol(b'=')) => self.words = 0,
            Verb::Explain if first => {
                self.verb = Some(match verb_of(word) {
                    Verb::Select => Verb::Select,
                    Verb::Unknown if !equals(word, &["for", "analyze"]) => Verb::Describe,
                    _ => Verb::Write,
                });
            }
            Verb::Set if first && equals(word, &["statement"]) => {
                self.verb = Some(Verb::SetStatement);
            }
            Verb::Set if first && equals(word, &["password", "default"]) => {
                self.verb = Some(Verb::SetAccount);
            }
            Verb::Set if first && equals(word, &["role"]) => self.pin(Pins::ROLE),
            Verb::Set | Verb::SetStatement => self.sets(word),
            Verb::Transaction if equals(word, &["release"]) => {
                self.releases |= ["commit", "rollback", "work", "chain"]
                    .iter()
                    .any(|before| self.after(before));
            }
            Verb::Define if first => self.schemas |= equals(word, &["database", "schema"]),
            Verb::Create if equals(word, &["temporary"]) => self.pin(Pins::TEMPORARY_TABLE),
            Verb::Write | Verb::Create if equals(word, &["select"]) => self.selects = true,
            Verb::Flush if equals(word, &["lock", "export"]) => self.pin(Pins::LOCK),
            _ => {}
        }
    }

    fn sets(&mut self, word: &[u8]) {
        // `SET NAMES x COLLATE y` reports the character sets but not the collation (measured).
        if equals(word, &["collate"]) {
            self.unreported = true;
        }
        let tracking = b"session_track_";
        if word
            .get(..tracking.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(tracking))
        {
            self.pin(Pins::STATE);
        }
    }

    /// Keywords that speak against a plain read wherever they stand.
    fn name_or_keyword(&mut self, word: &[u8]) {
        let reason = if is_system_schema(word) {
            Reason::SystemSchema
        } else if locks(self.before, word) {
            Reason::LockingRead
        } else if equals(word, &["value"]) && (self.after("next") || self.after("previous")) {
            Reason::Sequence
        } else if equals(word, &["into"]) {
            self.into = true;
            Reason::Into
        } else if equals(word, &["sql_calc_found_rows"]) {
            Reason::FoundRows
        } else if equals(word, &["update", "delete", "procedure"]) {
            // WITH … UPDATE/DELETE, SELECT … PROCEDURE; reserved words, so never bare names.
            Reason::Writes
        } else if equals(word, &["current_role"]) {
            Reason::ServerState
        } else if equals(word, &["from"]) {
            (self.asks_more, self.from) = (true, true);
            return;
        } else {
            return;
        };
        let names_routine = matches!(self.verb, Some(Verb::ShowSafe)) && reason == Reason::Writes;
        if !names_routine {
            self.object(reason);
        }
    }

    fn name(&mut self, name: &[u8]) {
        if std::mem::take(&mut self.in_variable) {
            self.object(Reason::SystemVariable);
        }
        if is_system_schema(name) {
            self.object(Reason::SystemSchema);
        }
        if self.verb == Some(Verb::Explain) {
            self.verb = Some(Verb::Describe);
        }
    }

    /// The name after `@@`, its scope left out.
    fn variable_name(&mut self, word: &[u8]) {
        let tracking = self.verb == Some(Verb::Set);
        if equals(word, &["global", "session", "local"]) {
            self.in_variable = true;
        } else if tracking {
            self.sets(word);
        } else if equals(word, &["warning_count", "error_count"]) {
            (self.about_last, self.asks_more, self.warnings) = (true, true, true);
        } else if !is_safe_variable(word) {
            self.object(Reason::SystemVariable);
        }
    }

    fn user_variable(&mut self) {
        self.in_variable = false;
        let between_user_and_host = matches!(
            self.verb,
            Some(Verb::Define | Verb::Create | Verb::SetAccount | Verb::ShowSafe | Verb::ShowOther)
        );
        match between_user_and_host {
            true => self.object(Reason::UserVariable),
            false => self.mentions = true,
        }
    }

    /// A `(`: does the token before it call something?
    fn parenthesis(&mut self) {
        self.in_variable = false;
        // `INSERT INTO t (columns)`
        if self.verb == Some(Verb::Write) && is(self.earlier, "into") {
            return;
        }
        match self.before {
            Some(Token::Word(word)) => self.call(word),
            // A quoted name is never a keyword and may be a stored function.
            Some(Token::Name(_) | Token::DoubleQuoted(_)) => {
                self.looks_back = true;
                self.object(Reason::Function);
            }
            _ => {}
        }
    }

    fn call(&mut self, word: &[u8]) {
        let qualified = self.earlier == Some(Token::Symbol(b'.'));
        // `WITH t (columns) AS …` names, it does not call.
        let names_cte = is(self.earlier, "with") || is(self.earlier, "recursive");
        // `CAST(x AS DATETIME(6))`; elsewhere the word is free for a function's name.
        let names_type = is(self.earlier, "as") && equals(word, &["datetime"]);
        let harmless = is_keyword(word) || is_safe_call(word) || names_cte || names_type;
        if !qualified && harmless {
            return;
        }
        if !qualified && equals(word, &["found_rows", "row_count"]) {
            self.about_last = true;
            match equals(word, &["found_rows"]) {
                true => self.found_rows = true,
                false => self.asks_more = true,
            }
            return;
        }
        if equals(word, &["get_lock"]) {
            self.pin(Pins::LOCK);
        }
        self.looks_back |= qualified || !equals(word, &["last_insert_id"]);
        // A sequence is a table.
        self.from |= equals(word, &["lastval", "nextval", "setval"]);
        // Of this connection alone, or with an effect: no author can vouch for them.
        self.barred |= equals(
            word,
            &[
                "last_insert_id",
                "lastval",
                "nextval",
                "release_all_locks",
                "release_lock",
                "setval",
            ],
        );
        self.object(Reason::Function);
    }

    /// It has user variables, and may set one. `:=` has been seen to already.
    fn may_set_variables(&self, verb: Verb) -> bool {
        let reads = match verb {
            Verb::Select | Verb::Describe => !self.into,
            Verb::Write => !self.loads,
            _ => false,
        };
        self.mentions && (self.several || !reads)
    }

    fn class(mut self) -> Class {
        let verb = self.verb.unwrap_or(Verb::Unknown);
        if self.may_set_variables(verb) {
            self.pin(Pins::USER_VARIABLE);
        }
        let (mut kind, mut because) = match verb {
            Verb::Select | Verb::Describe | Verb::ShowSafe => (Kind::Read, Reason::PlainRead),
            Verb::ShowLast => (Kind::AboutLast, Reason::AboutLast),
            Verb::SetStatement => (Kind::SetStatement, Reason::SetsSession),
            Verb::Set | Verb::SetAccount | Verb::Use => (Kind::Other, Reason::SetsSession),
            Verb::Transaction => (Kind::Other, Reason::Transaction),
            Verb::Kill => (Kind::Kill, Reason::ServerState),
            Verb::Show | Verb::ShowOther | Verb::Flush => (Kind::Other, Reason::ServerState),
            Verb::Write | Verb::Create | Verb::Define => (Kind::Other, Reason::Writes),
            Verb::Call => (Kind::Other, Reason::Routine),
            Verb::Explain | Verb::Unknown => (Kind::Other, Reason::Unknown),
        };
        if self.about_last && kind == Kind::Read {
            (kind, because) = (Kind::AboutLast, Reason::AboutLast);
        }
        match self.objection {
            Some(Reason::MultiStatement) => {
                (kind, because) = (Kind::Other, Reason::MultiStatement);
            }
            Some(objection) if matches!(kind, Kind::Read | Kind::AboutLast) => {
                (kind, because) = (Kind::Other, objection);
            }
            _ => {}
        }
        let reads = matches!(
            verb,
            Verb::Select
                | Verb::Describe
                | Verb::ShowSafe
                | Verb::Show
                | Verb::ShowOther
                | Verb::Call
        );
        Class {
            kind,
            because,
            pins: self.pins,
            unreported: self.unreported,
            non_ascii: false,
            counted: verb == Verb::Select
                && !self.uncounted
                && self.objection != Some(Reason::MultiStatement),
            recounts: self.selects,
            found_rows: self.found_rows && !self.asks_more && kind == Kind::AboutLast,
            looks_back: self.looks_back
                || self.about_last
                || !matches!(
                    verb,
                    Verb::Select
                        | Verb::Describe
                        | Verb::ShowSafe
                        | Verb::Set
                        | Verb::Use
                        | Verb::Transaction
                        | Verb::Create
                        | Verb::Write
                        | Verb::Define
                ),
            warnings: self.warnings || verb == Verb::ShowLast,
            clears: match verb {
                Verb::Select | Verb::SetStatement | Verb::Explain => {
                    self.from || self.objection == Some(Reason::Sequence)
                }
                Verb::Describe | Verb::ShowSafe => true,
                // SHOW CREATE DATABASE uses none.
                Verb::Show | Verb::ShowOther => self.from,
                Verb::Write => self.from || !self.bare,
                Verb::Create | Verb::Define => true,
                _ => false,
            },
            hint: None,
            releases: self.releases,
            schemas: self.schemas,
            may_be_read: reads && !self.barred && kind == Kind::Other && self.pins.is_empty(),
        }
    }
}

fn is(token: Option<Token<'_>>, word: &str) -> bool {
    matches!(token, Some(Token::Word(bare)) if bare.eq_ignore_ascii_case(word.as_bytes()))
}

/// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
fn locks(before: Option<Token<'_>>, word: &[u8]) -> bool {
    is(before, "for") && equals(word, &["update", "share"])
        || is(before, "lock") && equals(word, &["in"])
}

#[cfg(test)]
mod tests;
