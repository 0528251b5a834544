//! Pure: a SET of user variables to plain values → what it sets, so that they can follow the session.
//!
//! Only what is the same on every server and connection: `SET @name = literal [, …]`. Source: MariaDB KB,
//! "User-Defined Variables" (names are the same in any case). Everything else that sets a user variable keeps its
//! session on the primary (`Pins::USER_VARIABLE`).

use super::lexer::{Lexer, Token};

/// One variable and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// Without `@`, in small letters: of letters, digits, `_`, `$` and `.`.
    pub(crate) name: String,
    /// As SET takes it.
    pub(crate) literal: String,
}

/// Longer texts set more than is carried along.
const LONGEST: usize = 8 << 10;

/// What `text` sets, if it sets nothing but user variables, and each to a plain value.
pub(crate) fn assigned(text: &[u8]) -> Option<Vec<Assigned>> {
    // How a `\` is read depends on the SQL mode; how a letter, on the character set.
    if text.len() > LONGEST || !text.is_ascii() || text.contains(&b'\\') {
        return None;
    }
    let mut lexer = Lexer::new(text, true);
    match lexer.next()? {
        Token::Word(word) if word.eq_ignore_ascii_case(b"set") => {}
        _ => return None,
    }
    let mut all = Vec::new();
    loop {
        let name = match lexer.next()? {
            Token::UserVariable => name(lexer.piece())?,
            _ => return None,
        };
        if !matches!(lexer.next()?, Token::Assign | Token::Symbol(b'=')) {
            return None;
        }
        let (literal, behind) = value(&mut lexer)?;
        all.push(Assigned { name, literal });
        match behind {
            Some(Token::Symbol(b',')) => {}
            Some(Token::Symbol(b';')) if lexer.next().is_none() => break,
            None => break,
            Some(_) => return None,
        }
    }
    (!lexer.broken && !lexer.executable).then_some(all)
}

/// `@name`, not quoted.
fn name(piece: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(piece.strip_prefix(b"@")?).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.');
    let plain = !name.is_empty() && name.bytes().all(plain);
    plain.then(|| name.to_ascii_lowercase())
}

/// A literal, and the token behind it.
fn value<'a>(lexer: &mut Lexer<'a>) -> Option<(String, Option<Token<'a>>)> {
    let mut literal = String::new();
    let mut token = lexer.next()?;
    if let Token::Symbol(sign @ (b'-' | b'+')) = token {
        literal.push(char::from(sign));
        token = lexer.next()?;
        if token != Token::Number {
            return None;
        }
    }
    literal.push_str(std::str::from_utf8(lexer.piece()).ok()?);
    match token {
        Token::Text => return Some((literal, lexer.next())),
        Token::Word(word) => {
            let plain = [&b"null"[..], b"true", b"false"];
            let plain = plain.iter().any(|one| word.eq_ignore_ascii_case(one));
            return plain.then(|| (literal, lexer.next()));
        }
        Token::Number => {}
        _ => return None,
    }
    let mut behind = lexer.next();
    if behind == Some(Token::Symbol(b'.')) {
        if lexer.next()? != Token::Number {
            return None;
        }
        literal.push('.');
        literal.push_str(std::str::from_utf8(lexer.piece()).ok()?);
        behind = lexer.next();
    }
    Some((literal, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Option<Vec<(String, String)>> {
        let all = assigned(text.as_bytes())?.into_iter();
        Some(all.map(|one| (one.name, one.literal)).collect())
    }

    #[test]
    fn plain_values_are_understood() {
        for (text, expected) in [
            ("SET @a = 1", vec![("a", "1")]),
            ("set @User_Id := 42;", vec![("user_id", "42")]),
            (
                "SET @a=-1.50 , @b.c = 'it''s', @d=NULL /* x */",
                vec![("a", "-1.50"), ("b.c", "'it''s'"), ("d", "NULL")],
            ),
            ("SET @a = '', @a = true", vec![("a", "''"), ("a", "true")]),
        ] {
            let expected = expected
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(of(text), Some(expected.collect()), "{text}");
        }
    }

    #[test]
    fn all_else_is_not() {
        for text in [
            "SELECT @a := 1",
            "SET a = 1",
            "SET @a = 1, b = 2",
            "SET @a = @b",
            "SET @a = 1 + 1",
            "SET @a = 'a' 'b'",
            "SET @a = 'a\\'b'",
            "SET @a = 'ä'",
            "SET @a = \"a\"",
            "SET @`a` = 1",
            "SET @'a' = 1",
            "SET @ = 1",
            "SET @@a = 1",
            "SET @a = (SELECT 1)",
            "SET @a = 1e5",
            "SET @a = 0x10",
            "SET @a = .5",
            "SET @a = 1.",
            "SET @a = - 'x'",
            "SET @a = NOW()",
            "SET @a = ?",
            "SET @a = 1; SELECT 1",
            "SET @a = 1 /*! , @b = 2 */",
            "SET @a = 'x",
            "SET @a = 1,",
            "SET @a",
            "",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_not_read() {
        let many = format!("SET {}@a = 1", "@a = 1, ".repeat(LONGEST / 8));
        assert_eq!(of(&many), None);
        assert!(of("SET @a = 1, @a = 1").is_some());
    }

    proptest! {
        #[test]
        fn what_is_understood_says_the_same_again(text in "(?i)set @[a-z]{1,3} ?:?= ?[-+]?[0-9'.,a @=]{0,12}") {
            if let Some(all) = assigned(text.as_bytes()) {
                let again = all.iter().map(|one| format!("@{}={}", one.name, one.literal));
                let again = format!("SET {}", again.collect::<Vec<_>>().join(","));
                prop_assert_eq!(assigned(again.as_bytes()), Some(all));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text: Vec<u8>) {
            assigned(&text);
        }
    }
}
