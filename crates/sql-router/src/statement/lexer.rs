//! Pure: text → tokens, as far as telling reads from writes needs it.
//!
//! Source: MariaDB KB, "Comment Syntax", "Identifier Names", "String Literals". What the server
//! decides by its mode is not decided here: `backslash` says whether `\` escapes within quotes (not
//! with NO_BACKSLASH_ESCAPES), and `"…"` is its own token, a string or (ANSI_QUOTES) a name.

/// A piece of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A keyword or bare name.
    Word(&'a [u8]),
    Number,
    /// `…`: a name, without its quotes.
    Name(&'a [u8]),
    /// "…": a string or a name.
    DoubleQuoted(&'a [u8]),
    /// '…'
    Text,
    /// `@x`, with its name.
    UserVariable,
    /// `@@`, before its name.
    SystemVariable,
    /// `:=`
    Assign,
    Symbol(u8),
}

/// Walks over a statement.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the last token begins.
    from: usize,
    backslash: bool,
    in_executable: bool,
    /// `/*! … */` was met: its content is taken for code, though a server may skip it.
    pub(crate) executable: bool,
    /// The text cannot be read: a quote or comment without end, a zero byte.
    pub(crate) broken: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8], backslash: bool) -> Self {
        Self {
            text,
            at: 0,
            from: 0,
            backslash,
            in_executable: false,
            executable: false,
            broken: false,
        }
    }

    /// The last token as it is written.
    pub(crate) fn piece(&self) -> &'a [u8] {
        self.text.get(self.from..self.at).unwrap_or_default()
    }

    /// Does the last token follow the one before without a blank? `end`: where that one ended.
    pub(crate) fn adjoins(&self, end: usize) -> bool {
        self.from == end
    }

    /// Where the last token ends.
    pub(crate) fn end(&self) -> usize {
        self.at
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Jumps behind the next `end`, or to the end of a broken text.
    fn skip_past(&mut self, end: &[u8]) {
        match memchr::memmem::find(self.rest(), end) {
            Some(found) => self.at += found + end.len(),
            None => {
                self.broken = true;
                self.at = self.text.len();
            }
        }
    }

    fn skip_line(&mut self) {
        self.at += memchr::memchr(b'\n', self.rest()).map_or(self.rest().len(), |end| end + 1);
    }

    /// White space and comments.
    fn skip_blank(&mut self) {
        while let Some(byte) = self.byte(0) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'#' => self.skip_line(),
                b'-' if self.byte(1) == Some(b'-') && self.ends_dashes() => self.skip_line(),
                b'/' if self.byte(1) == Some(b'*') => self.comment(),
                b'*' if self.in_executable && self.byte(1) == Some(b'/') => {
                    self.in_executable = false;
                    self.at += 2;
                }
                _ => return,
            }
        }
    }

    /// `--` begins a comment only before white space, a control character or the end.
    fn ends_dashes(&self) -> bool {
        self.byte(2).is_none_or(|byte| byte <= b' ' || byte == 0x7f)
    }

    fn comment(&mut self) {
        let marker = match (self.byte(2), self.byte(3)) {
            (Some(b'!'), _) => 3,
            (Some(b'M'), Some(b'!')) => 4,
            _ => {
                self.at += 2;
                return self.skip_past(b"*/");
            }
        };
        self.at += marker;
        while self.byte(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.executable = true;
        self.in_executable = true;
    }

    /// The content of a quoted piece, whose opening quote is next.
    fn quoted(&mut self, quote: u8, backslash: bool) -> &'a [u8] {
        self.at += 1;
        let from = self.at;
        loop {
            let found = match backslash {
                true => memchr::memchr2(quote, b'\\', self.rest()),
                false => memchr::memchr(quote, self.rest()),
            };
            let Some(found) = found else {
                self.broken = true;
                self.at = self.text.len();
                return self.text.get(from..).unwrap_or_default();
            };
            self.at += found;
            let escaped = self.byte(0) != Some(quote) || self.byte(1) == Some(quote);
            if escaped {
                self.at = (self.at + 2).min(self.text.len());
                continue;
            }
            let content = self.text.get(from..self.at).unwrap_or_default();
            self.at += 1;
            return content;
        }
    }

    fn word(&mut self) -> &'a [u8] {
        let length = self
            .rest()
            .iter()
            .take_while(|byte| is_word(**byte))
            .count();
        let word = self.rest().get(..length).unwrap_or_default();
        self.at += length;
        word
    }

    fn variable(&mut self) -> Token<'a> {
        self.at += 1;
        match self.byte(0) {
            Some(b'@') => {
                self.at += 1;
                return Token::SystemVariable;
            }
            Some(quote @ (b'\'' | b'"')) => {
                self.quoted(quote, self.backslash);
            }
            Some(b'`') => {
                self.quoted(b'`', false);
            }
            _ => {
                // The name of a variable may contain dots.
                while self
                    .byte(0)
                    .is_some_and(|byte| is_word(byte) || byte == b'.')
                {
                    self.at += 1;
                }
            }
        }
        Token::UserVariable
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        self.from = self.at;
        let Some(byte) = self.byte(0) else {
            self.broken |= self.in_executable;
            return None;
        };
        let token = match byte {
            b'\'' => {
                self.quoted(b'\'', self.backslash);
                Token::Text
            }
            b'"' => Token::DoubleQuoted(self.quoted(b'"', self.backslash)),
            b'`' => Token::Name(self.quoted(b'`', false)),
            b'@' => self.variable(),
            b':' if self.byte(1) == Some(b'=') => {
                self.at += 2;
                Token::Assign
            }
            byte if is_word(byte) => match self.word() {
                digits if digits.iter().all(u8::is_ascii_digit) => Token::Number,
                word => Token::Word(word),
            },
            byte => {
                self.broken |= byte == 0;
                self.at += 1;
                Token::Symbol(byte)
            }
        };
        Some(token)
    }
}

/// May stand in a word: a keyword, a bare name, a number.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        Lexer::new(text.as_bytes(), true).collect()
    }

    fn words(text: &str) -> Vec<&str> {
        let word = |token| match token {
            Token::Word(word) => std::str::from_utf8(word).ok(),
            _ => None,
        };
        Lexer::new(text.as_bytes(), true).filter_map(word).collect()
    }

    #[test]
    fn comments_are_blank_but_executable_ones_are_code() {
        assert_eq!(words("a -- b\nc # d\ne /* f */ g"), ["a", "c", "e", "g"]);
        assert_eq!(words("a --b"), ["a", "b"]);
        assert_eq!(
            words("a /*!50000 b */ c /*M!100100 d*/ e"),
            ["a", "b", "c", "d", "e"]
        );
        assert_eq!(words("a /*+ hint */ b --"), ["a", "b"]);
    }

    #[test]
    fn quotes_hide_what_they_hold() {
        assert_eq!(words(r"a 'b '' c \' d' e"), ["a", "e"]);
        assert_eq!(words("a `b `` c` d \"e \"\" f\" g"), ["a", "d", "g"]);
        let plain = Lexer::new(br"'a\' b", false).last();
        assert_eq!(plain, Some(Token::Word(b"b")));
    }

    #[test]
    fn variables() {
        assert_eq!(
            tokens("@a.b @'c d' @`e` @@f := 1"),
            [
                Token::UserVariable,
                Token::UserVariable,
                Token::UserVariable,
                Token::SystemVariable,
                Token::Word(b"f"),
                Token::Assign,
                Token::Number,
            ]
        );
    }

    #[test]
    fn what_has_no_end_is_broken() {
        for text in ["'a", "\"a", "`a", "/* a", "/*! a", "a\0b", "@'a", r"'a\"] {
            let mut lexer = Lexer::new(text.as_bytes(), true);
            lexer.by_ref().for_each(drop);
            assert!(lexer.broken, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_stand_still(text: Vec<u8>, backslash: bool) {
            let count = Lexer::new(&text, backslash).count();
            prop_assert!(count <= text.len());
        }

        #[test]
        fn nor_does_sql_like_text(text in "[ a'`\"/*!M\\\\@:=;#\n-]{0,40}", backslash: bool) {
            let count = Lexer::new(text.as_bytes(), backslash).count();
            prop_assert!(count <= text.len());
        }
    }
}
