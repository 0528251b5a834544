//! Pure: a statement's text → the same statement with other values, one for all that differ in their values only:
//! what is known of the one is true of all.
//!
//! Numbers become `0`, strings `''` (with one letter in it when they hold one that is not ASCII). Class and digest do not
//! look into either, so `classify(shape) == classify(text)` and `digest(shape) == digest(text)`, which properties below
//! hold. A text where this would need a second lexer has no shape: comments, `\`, `@`.

use super::lexer::is_word;

/// Stands for what is not ASCII within a string.
const FOREIGN: &[u8] = "é".as_bytes();

/// Writes the shape of `text` into `out`. False: it has none, and `out` is of no use.
pub(crate) fn shape(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut at = 0;
    while let Some(byte) = text.get(at).copied() {
        let rest = text.get(at..).unwrap_or_default();
        let length = match byte {
            b'\'' | b'"' | b'`' => {
                let Some(length) = quoted(rest) else {
                    return false;
                };
                let piece = rest.get(..length).unwrap_or_default();
                match byte {
                    b'\'' => {
                        out.push(b'\'');
                        if !piece.is_ascii() {
                            out.extend_from_slice(FOREIGN);
                        }
                        out.push(b'\'');
                    }
                    // It may be a name.
                    _ => out.extend_from_slice(piece),
                }
                length
            }
            byte if is_word(byte) => {
                let length = rest.iter().position(|byte| !is_word(*byte));
                let word = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
                match word.iter().all(u8::is_ascii_digit) {
                    true => out.push(b'0'),
                    false => out.extend_from_slice(word),
                }
                word.len()
            }
            b'\\' | b'@' | b'#' | 0 => return false,
            b'-' if rest.get(1) == Some(&b'-') => return false,
            b'/' if rest.get(1) == Some(&b'*') => return false,
            byte => {
                out.push(byte);
                1
            }
        };
        at += length;
    }
    true
}

/// The length of the quoted piece at the front, quotes included; none when it has no end, or a `\`.
fn quoted(text: &[u8]) -> Option<usize> {
    let quote = *text.first()?;
    let mut at = 1;
    loop {
        at += memchr::memchr2(quote, b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'\\') {
            return None;
        }
        if text.get(at + 1) != Some(&quote) {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statement::classify::classify;
    use crate::statement::digest::digest;

    fn of(text: &str) -> Option<String> {
        let mut out = Vec::new();
        shape(text.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_are_one_and_names_stay() {
        for (text, expected) in [
            (
                "SELECT c FROM t1 WHERE id=501",
                "SELECT c FROM t1 WHERE id=0",
            ),
            (
                "UPDATE t SET c='it''s' ,d = 'Ü' WHERE `a'b`=1.50",
                "UPDATE t SET c='' ,d = 'é' WHERE `a'b`=0.0",
            ),
            (
                "select \"a\", 1e5, 0x1F, x'AF', -7",
                "select \"a\", 1e5, 0x1F, x'', -0",
            ),
        ] {
            assert_eq!(of(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "SELECT 'a\\'b'",
            "SELECT @a",
            "SELECT 1 -- x",
            "/* x */ SELECT 1",
            "# x",
            "'a",
            "a\0",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    fn like_sql() -> impl Strategy<Value = String> {
        let word = proptest::sample::select(vec![
            "select",
            "insert into",
            "update",
            "delete",
            "set",
            "from",
            "where",
            "into",
            "for update",
            "values",
            "in",
            "limit",
            "get_lock",
            "now",
            "sleep",
            "mysql",
            "'",
            "''",
            "\"",
            "`",
            "\\",
            "@",
            "@@",
            "--",
            "-",
            "#",
            "/*",
            "*/",
            "/*!",
            "(",
            ")",
            ",",
            ".",
            ";",
            "=",
            ":=",
            "?",
            " ",
            " ",
            " ",
            "\n",
            "a",
            "t1",
            "1",
            "23",
            "0x1f",
            "1e9",
            "$",
            "é",
            "kill",
            "null",
            "explain",
            "with",
            "as",
        ]);
        proptest::collection::vec(word, 0..24).prop_map(|words| words.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_is_known_of_the_shape_is_true_of_the_text(text in like_sql()) {
            let mut out = Vec::new();
            if shape(text.as_bytes(), &mut out) {
                prop_assert_eq!(classify(text.as_bytes()), classify(&out));
                prop_assert_eq!(digest(text.as_bytes()), digest(&out));
                let mut again = Vec::new();
                prop_assert!(shape(&out, &mut again));
                prop_assert_eq!(again, out);
            }
        }

        #[test]
        fn other_values_make_no_other_shape(one in "[ -&(-\\[\\]-~]{0,20}", two in "[ -&(-\\[\\]-~]{0,20}", n: u64, m: u64) {
            let with = |text: &str, n: u64| of(&format!("SELECT a FROM t WHERE b='{text}' AND c={n} LIMIT {n}"));
            prop_assert_eq!(with(&one, n), with(&two, m));
        }

        #[test]
        fn no_text_makes_it_panic(text: Vec<u8>) {
            let mut out = Vec::new();
            shape(&text, &mut out);
            prop_assert!(out.len() <= text.len() + text.len() / 2 + 2);
        }
    }
}
