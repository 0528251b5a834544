//! Pure: a statement's text → the text it shares with all that differ only in their values.
//!
//! Values become `?`, lists of them one `?`, rows of them one row; comments and white space go. No
//! value may stay: they may be secrets, and the digest is kept, counted and shown. So whatever could
//! be a value is taken for one, and a text whose quotes may be read in two ways has no digest.

use super::functions::is_keyword;
use super::lexer::{Lexer, Token};

/// Bytes of a digest: MariaDB's `performance_schema_max_digest_length` is 1,024 too.
const LONGEST: usize = 1 << 10;
/// Bytes of a text that are read: what differs behind is mostly more rows of values.
const READ: usize = 64 << 10;

/// The digest of what has none.
pub const UNREADABLE: &str = "(a text that can be read in two ways)";

/// The digest of `text`.
pub fn digest(text: &[u8]) -> String {
    let head = text.get(..READ).unwrap_or(text);
    let cut = head.len() < text.len();
    let digest = read(head, cut, true);
    // Where the server's SQL mode decides how quotes are read, both ways must agree.
    if memchr::memchr(b'\\', head).is_some() && read(head, cut, false) != digest {
        return UNREADABLE.to_owned();
    }
    digest
}

fn read(text: &[u8], cut: bool, backslash: bool) -> String {
    let mut lexer = Lexer::new(text, backslash);
    let mut out = Writer::default();
    out.text.reserve(text.len().min(LONGEST) + 16);
    while let Some(token) = lexer.next() {
        out.token(token, lexer.piece(), lexer.adjoins(out.end));
        out.end = lexer.end();
        if out.text.len() > LONGEST {
            return shorten(out.text);
        }
    }
    // Where it was cut, a row may be half.
    if cut {
        if out.whole > 0 {
            out.text.truncate(out.whole);
        }
        out.text.push('…');
    }
    let end = out.text.trim_end_matches([';', ' ']).len();
    out.text.truncate(end);
    out.text
}

fn shorten(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST));
    text.push('…');
    text
}

/// What a piece of the digest is, as far as the next one cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Piece {
    #[default]
    Nothing,
    /// `?`
    Value,
    /// `(?)`
    Row,
    Keyword,
    Name,
    /// `+` or `-` where a value is to come.
    Sign,
    Symbol(u8),
}

#[derive(Debug, Default)]
struct Writer {
    text: String,
    /// The last pieces, newest last, with where each begins in `text`: a row and what may still be
    /// taken back behind it.
    last: [(Piece, usize); 8],
    /// Where the last token ended in the statement.
    end: usize,
    /// Where `text` ended after the last closed parenthesis.
    whole: usize,
}

impl Writer {
    fn before(&self, back: usize) -> Piece {
        let index = self.last.len().checked_sub(back + 1);
        index
            .and_then(|index| self.last.get(index))
            .map_or(Piece::Nothing, |(piece, _)| *piece)
    }

    fn put(&mut self, piece: Piece, text: &str, space: bool) {
        let at = self.text.len();
        if space && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(text);
        self.last.rotate_left(1);
        if let Some(last) = self.last.last_mut() {
            *last = (piece, at);
        }
    }

    /// Takes the newest `count` pieces back.
    fn take_back(&mut self, count: usize) {
        for _ in 0..count {
            let at = self.last.last().map_or(0, |(_, at)| *at);
            self.text.truncate(at);
            self.last.rotate_right(1);
            if let Some(first) = self.last.first_mut() {
                *first = (Piece::Nothing, 0);
            }
        }
    }

    fn token(&mut self, token: Token<'_>, written: &[u8], adjoins: bool) {
        match token {
            Token::Number | Token::Text | Token::DoubleQuoted(_) => self.value(),
            Token::Symbol(b'?') => self.value(),
            Token::Word(word) if self.is_value(word) => self.value(),
            Token::Word(word) => {
                let word_piece = match is_keyword(word) {
                    true => Piece::Keyword,
                    false => Piece::Name,
                };
                self.word(word_piece, written);
            }
            Token::Name(_) | Token::UserVariable => self.word(Piece::Name, written),
            Token::SystemVariable => {
                let space = self.spaced();
                self.put(Piece::Symbol(b'.'), "@@", space);
            }
            Token::Assign => self.put(Piece::Symbol(b'='), ":=", true),
            Token::Symbol(symbol) => self.symbol(symbol, adjoins),
        }
    }

    /// `0x1F`, `1e9`, and words that stand for a value where values stand. A name after a dot may begin
    /// with a digit.
    fn is_value(&self, word: &[u8]) -> bool {
        let after_dot = self.before(0) == Piece::Symbol(b'.');
        let number = word.first().is_some_and(u8::is_ascii_digit);
        let listed = matches!(self.before(0), Piece::Symbol(b'(' | b',' | b'='));
        let constant = ["null", "true", "false"]
            .iter()
            .any(|one| word.eq_ignore_ascii_case(one.as_bytes()));
        number && !after_dot || constant && listed
    }

    fn word(&mut self, piece: Piece, written: &[u8]) {
        let space = self.spaced();
        self.put(piece, &String::from_utf8_lossy(written), space);
    }

    fn spaced(&self) -> bool {
        !matches!(self.before(0), Piece::Symbol(b'(' | b'.') | Piece::Nothing)
    }

    fn value(&mut self) {
        // `.5`
        if self.before(0) == Piece::Symbol(b'.')
            && !matches!(self.before(1), Piece::Name | Piece::Value)
        {
            self.take_back(1);
        }
        if self.before(0) == Piece::Sign {
            self.take_back(1);
        }
        // `1.5`, `'a' 'b'`
        if self.before(0) == Piece::Value {
            return;
        }
        if self.before(0) == Piece::Symbol(b'.') && self.before(1) == Piece::Value {
            return self.take_back(1);
        }
        if self.before(0) == Piece::Symbol(b',') && self.before(1) == Piece::Value {
            return self.take_back(1);
        }
        let space = self.spaced();
        self.put(Piece::Value, "?", space);
    }

    fn symbol(&mut self, symbol: u8, adjoins: bool) {
        let mut buffer = [0; 4];
        let text = &*char::from(symbol).encode_utf8(&mut buffer);
        match symbol {
            b'(' => {
                let space = !matches!(
                    self.before(0),
                    Piece::Name | Piece::Nothing | Piece::Symbol(b'(' | b'.')
                );
                self.put(Piece::Symbol(b'('), text, space);
            }
            b')' => {
                if self.before(0) == Piece::Value && self.before(1) == Piece::Symbol(b'(') {
                    self.row();
                } else {
                    self.put(Piece::Symbol(b')'), ")", false);
                }
                self.whole = self.text.len();
            }
            b',' | b';' => self.put(Piece::Symbol(symbol), text, false),
            // `.5` is a value; `a.b` is a name.
            b'.' => {
                let space = !matches!(self.before(0), Piece::Name | Piece::Keyword | Piece::Value)
                    && self.spaced();
                self.put(Piece::Symbol(b'.'), text, space);
            }
            b'+' | b'-' if self.awaits_value() => {
                let space = self.spaced();
                self.put(Piece::Sign, text, space);
            }
            _ => {
                let joined = adjoins
                    && is_operator(symbol)
                    && matches!(self.before(0), Piece::Symbol(before) if is_operator(before));
                let space = self.spaced() && !joined;
                self.put(Piece::Symbol(symbol), text, space);
            }
        }
    }

    /// `(?` gets its end; a second row behind a first is dropped.
    fn row(&mut self) {
        if self.before(2) == Piece::Symbol(b',') && self.before(3) == Piece::Row {
            return self.take_back(3);
        }
        self.text.push(')');
        // The two pieces are one now.
        self.last.rotate_right(1);
        if let Some(first) = self.last.first_mut() {
            *first = (Piece::Nothing, 0);
        }
        if let Some((last, _)) = self.last.last_mut() {
            *last = Piece::Row;
        }
    }

    /// May a sign here be part of a number?
    fn awaits_value(&self) -> bool {
        match self.before(0) {
            Piece::Keyword | Piece::Nothing => true,
            Piece::Symbol(symbol) => symbol != b')' && symbol != b'.',
            _ => false,
        }
    }
}

/// Symbols that are written together: `<=>`, `!=`, `||`.
fn is_operator(symbol: u8) -> bool {
    matches!(symbol, b'<' | b'>' | b'=' | b'!' | b'|' | b'&' | b':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> String {
        digest(text.as_bytes())
    }

    #[test]
    fn values_go_and_the_rest_is_one_spelling() {
        for (text, expected) in [
            ("SELECT 1", "SELECT ?"),
            (
                "select  *\nfrom t -- x\nwhere a='b' and c = \"d\" /* e */",
                "select * from t where a = ? and c = ?",
            ),
            (
                "SELECT `a`.b, COUNT(*) FROM t WHERE a IN (1,2, 3)",
                "SELECT `a`.b, COUNT(*) FROM t WHERE a IN (?)",
            ),
            (
                "INSERT INTO t (a,b) VALUES (1,'x'), (2,NULL),(-3, ?)",
                "INSERT INTO t(a, b) VALUES (?)",
            ),
            ("SELECT -1.5, 0x1F, 1e9, .5, _utf8'a'", "SELECT ?, _utf8 ?"),
            ("SELECT a-1, -a FROM t", "SELECT a - ?, - a FROM t"),
            (
                "SELECT a<=>b, c != 2 || d FROM t LIMIT 10,20;",
                "SELECT a <=> b, c != ? || d FROM t LIMIT ?",
            ),
            (
                "SELECT @@session.sql_mode, @a := 5 WHERE b IS NULL",
                "SELECT @@session.sql_mode, @a := ? WHERE b IS NULL",
            ),
            ("SELECT 'a' 'b' FROM db.1t", "SELECT ? FROM db.1t"),
            ("/*!50000 SELECT*/ 1 # end", "SELECT ?"),
            (
                "UPDATE t SET a = 1, b = 2 WHERE (c = 3)",
                "UPDATE t SET a = ?, b = ? WHERE (c = ?)",
            ),
            ("SET PASSWORD = 'secret", "SET PASSWORD = ?"),
            ("", ""),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn prepared_and_written_values_are_the_same() {
        assert_eq!(
            of("SELECT v FROM t WHERE id = ?"),
            of("SELECT v FROM t WHERE id = 17")
        );
    }

    #[test]
    fn a_text_of_two_readings_has_none() {
        assert_eq!(of(r"SELECT 'a\' , secret, ' '"), UNREADABLE);
        assert_eq!(of(r"SELECT 'a\'b'"), UNREADABLE);
        assert_eq!(of(r"SELECT 'a\n'"), "SELECT ?");
    }

    #[test]
    fn many_rows_are_one() {
        let mut text = "INSERT INTO t VALUES ".to_owned();
        for n in 0..20_000 {
            text.push_str(&format!("({n}, 'text', NULL),"));
        }
        text.push_str("(1, 'a', 2)");
        assert_eq!(of(&text), "INSERT INTO t VALUES (?)…");
        let long = format!("SELECT {}", "a, ".repeat(10_000));
        let digest = of(&long);
        assert!(
            digest.len() < LONGEST + 4 && digest.ends_with('…'),
            "{digest}"
        );
    }

    proptest! {
        #[test]
        fn no_value_stays(before in "[a-z=(, ]{0,12}", value in "[A-Z]{8}", after in "[a-z), ]{0,12}") {
            for quote in ['\'', '"'] {
                let text = format!("select {before} {quote}{value}{quote} {after}");
                prop_assert!(!of(&text).contains(&value), "{}", of(&text));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text: Vec<u8>) {
            prop_assert!(digest(&text).len() <= LONGEST + 64);
        }
    }
}
