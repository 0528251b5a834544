//! Pure: the text of an haproxy.cfg → lines of words, with quotes and escapes taken away.
//!
//! Source: HAProxy configuration manual, section 2.2 "Quoting and escaping". `#` begins a comment
//! outside quotes; single quotes keep everything; double quotes and bare words take `\` and, double
//! quotes only, variables of the environment, which nobody knows here: a word with one is kept as it
//! is and its line marked. A line that ends in a backslash goes on in the next one.

use super::Refusal;

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1; of its first line.
    pub(super) number: u32,
    /// Never empty.
    pub(super) words: Vec<String>,
    /// A word takes its value from a variable of the environment.
    pub(super) variable: bool,
}

impl Line {
    /// The word at that place, or nothing.
    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// The words from that place on.
    pub(super) fn from(&self, at: usize) -> &[String] {
        self.words.get(at..).unwrap_or_default()
    }

    pub(super) fn begins(&self, with: &[&str]) -> bool {
        with.len() <= self.words.len() && self.words.iter().zip(with).all(|(a, b)| a == b)
    }

    /// As a person would write it, on one line.
    pub(super) fn shown(&self) -> String {
        let quoted = |word: &String| {
            let special = |c: char| c.is_whitespace() || c.is_control() || "#'\"".contains(c);
            if word.is_empty() || word.contains(special) {
                format!(
                    "'{}'",
                    word.escape_debug().to_string().replace("\\\"", "\"")
                )
            } else {
                word.clone()
            }
        };
        let words: Vec<String> = self.words.iter().map(quoted).collect();
        words.join(" ")
    }
}

/// Every line that says something.
pub(super) fn lines(text: &str) -> Result<Vec<Line>, Refusal> {
    let mut found = Vec::new();
    let mut numbered = (1..).zip(text.lines());
    while let Some((number, first)) = numbered.next() {
        let mut whole = first.to_owned();
        while goes_on(&whole) {
            whole.pop();
            match numbered.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        let mut words = Words::default();
        words.read(&whole).map_err(|what| Refusal {
            line: number,
            what: what.to_owned(),
            next: "a closing quote; `haproxy -c -f FILE` says whether HAProxy takes the file"
                .to_owned(),
        })?;
        if !words.done.is_empty() {
            found.push(Line {
                number,
                words: words.done,
                variable: words.variable,
            });
        }
    }
    Ok(found)
}

/// An odd number of backslashes at the end: the last one is not escaped itself.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

#[derive(Debug, Default)]
struct Words {
    done: Vec<String>,
    /// The word that is being read.
    open: Option<String>,
    variable: bool,
}

impl Words {
    fn read(&mut self, line: &str) -> Result<(), &'static str> {
        let mut quote = Quote::None;
        let mut rest = line.chars();
        while let Some(c) = rest.next() {
            match (quote, c) {
                (Quote::None, '#') => break,
                (Quote::None, c) if c.is_ascii_whitespace() => self.end(),
                (Quote::None, '\'') => quote = self.open(Quote::Single),
                (Quote::None, '"') => quote = self.open(Quote::Double),
                (Quote::Single, '\'') | (Quote::Double, '"') => quote = Quote::None,
                (Quote::None | Quote::Double, '\\') => self.escape(&mut rest),
                (Quote::Double, '$') => {
                    let name = rest.clone().next();
                    self.variable |=
                        name.is_some_and(|c| c == '{' || c == '_' || c.is_alphabetic());
                    self.push('$');
                }
                (_, c) => self.push(c),
            }
        }
        self.end();
        match quote {
            Quote::None => Ok(()),
            Quote::Single => Err("a single quote is not closed"),
            Quote::Double => Err("a double quote is not closed"),
        }
    }

    /// A backslash before anything else is itself, as regular expressions need it.
    fn escape(&mut self, rest: &mut std::str::Chars<'_>) {
        let mut ahead = rest.clone();
        let meant = match ahead.next() {
            Some(c @ (' ' | '\t' | '\\' | '#' | '\'' | '"' | '$')) => Some(c),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('x') => {
                let digits: String = ahead.by_ref().take(2).collect();
                let plain = digits.len() == 2 && digits.chars().all(|c| c.is_ascii_hexdigit());
                let code = u8::from_str_radix(&digits, 16).ok();
                code.filter(|_| plain).map(char::from)
            }
            _ => None,
        };
        match meant {
            Some(c) => {
                *rest = ahead;
                self.push(c);
            }
            None => self.push('\\'),
        }
    }

    fn open(&mut self, quote: Quote) -> Quote {
        self.open.get_or_insert_default();
        quote
    }

    fn push(&mut self, c: char) {
        self.open.get_or_insert_default().push(c);
    }

    fn end(&mut self) {
        self.done.extend(self.open.take());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        lines(text)
            .unwrap()
            .into_iter()
            .map(|line| line.words)
            .collect()
    }

    #[test]
    fn words_are_read_as_haproxy_reads_them() {
        for (text, wanted) in [
            ("  bind  *:80 # all\n", vec![vec!["bind", "*:80"]]),
            ("# only a comment\n\n", vec![]),
            (r"uri /a\ b\#c", vec![vec!["uri", "/a b#c"]]),
            (r"path_reg \.php$", vec![vec!["path_reg", r"\.php$"]]),
            (
                r#"x 'a "b" \n' "c d" e"f"g"#,
                vec![vec!["x", r#"a "b" \n"#, "c d", "efg"]],
            ),
            (r#"x "" y"#, vec![vec!["x", "", "y"]]),
            (r#"x "a\"b\x41""#, vec![vec!["x", "a\"bA"]]),
            ("a b \\\n  c\nd", vec![vec!["a", "b", "c"], vec!["d"]]),
        ] {
            assert_eq!(words(text), wanted, "{text}");
        }
    }

    #[test]
    fn variables_are_noticed_in_double_quotes_only() {
        let of = |text: &str| lines(text).unwrap().first().map(|line| line.variable);
        assert_eq!(of(r#"server a "${IP}:80""#), Some(true));
        assert_eq!(of(r#"server a '${IP}:80'"#), Some(false));
        assert_eq!(of(r#"path_reg "^/a$""#), Some(false));
    }

    #[test]
    fn an_open_quote_names_its_line() {
        assert_eq!(lines("a\nb 'c\n").unwrap_err().line, 2);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(?s).*") {
            if let Ok(lines) = lines(&text) {
                prop_assert!(lines.iter().all(|line| !line.words.is_empty()));
            }
        }
    }
}
