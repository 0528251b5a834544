//! Pure: the text of KILL, taken apart: the id in it may be one the router gave out.
//!
//! Source: MariaDB KB, "KILL": `KILL [HARD | SOFT] [CONNECTION | QUERY] id`.

use super::lexer::{Lexer, Token};

/// A KILL with a plain number. Others (`KILL USER x`, `KILL QUERY ID 5`) are the server's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    /// Everything before the number: `KILL QUERY `.
    pub before: String,
    pub id: u64,
}

pub fn parse(text: &[u8]) -> Option<Kill> {
    let mut words = Vec::new();
    let mut numbers = 0;
    for token in Lexer::new(text, true) {
        match token {
            Token::Word(word) if numbers == 0 => words.push(std::str::from_utf8(word).ok()?),
            Token::Number if numbers == 0 => numbers += 1,
            Token::Symbol(b';') => {}
            _ => return None,
        }
    }
    let known = |word: &&str| {
        ["kill", "hard", "soft", "connection", "query"]
            .iter()
            .any(|one| one.eq_ignore_ascii_case(word))
    };
    if numbers != 1 || !words.iter().all(known) {
        return None;
    }
    // Comments may hold digits too; then it is not worth more effort.
    let digits: String = text
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|byte| char::from(*byte))
        .collect();
    let is_one_number = text
        .split(|byte| !byte.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .count()
        == 1;
    let mut before = words.join(" ");
    before.push(' ');
    Some(Kill {
        before,
        id: digits.parse().ok().filter(|_| is_one_number)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_are_understood_and_the_rest_is_left_alone() {
        for (text, before) in [
            ("KILL 17", "KILL "),
            ("kill query 17;", "kill query "),
            ("KILL /* x */ HARD CONNECTION 17", "KILL HARD CONNECTION "),
        ] {
            let kill = parse(text.as_bytes()).unwrap();
            assert_eq!((kill.before.as_str(), kill.id), (before, 17));
        }
        for text in [
            "KILL USER a",
            "KILL QUERY ID 5",
            "KILL 1 2",
            "KILL 5/*6*/",
            "KILL @a",
            "KILL",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
