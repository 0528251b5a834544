//! Pure: a command line as words, split as a shell splits, but with no shell: what only a shell could
//! do (pipes, variables, patterns) is refused and named, because it would silently not happen.

/// Why a line is no plain command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoCommand {
    /// A quote that is never closed.
    OpenQuote(char),
    /// A character that has a meaning only in a shell.
    ShellOnly(char),
    /// Nothing but blanks.
    Empty,
}

/// Splits at blanks; `'…'` keeps everything, `"…"` keeps all but `\"` and `\\`, `\` keeps the next.
pub(crate) fn split(line: &str) -> Result<Vec<String>, NoCommand> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => single_quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' => {
                return Err(NoCommand::ShellOnly(c));
            }
            // Only in front of a word do these mean something to a shell.
            '~' | '#' if word.is_none() => return Err(NoCommand::ShellOnly(c)),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if words.is_empty() {
        Err(NoCommand::Empty)
    } else {
        Ok(words)
    }
}

fn single_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), NoCommand> {
    for c in chars {
        if c == '\'' {
            return Ok(());
        }
        word.push(c);
    }
    Err(NoCommand::OpenQuote('\''))
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), NoCommand> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '$' | '`' => return Err(NoCommand::ShellOnly(c)),
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                Some(other) => word.extend(['\\', other]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err(NoCommand::OpenQuote('"'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        split(line).unwrap()
    }

    #[test]
    fn lines_are_split_like_a_shell_does() {
        assert_eq!(words("bin/foobar  --verbose"), ["bin/foobar", "--verbose"]);
        assert_eq!(words("a 'b c' \"d e\" f\\ g"), ["a", "b c", "d e", "f g"]);
        assert_eq!(words("a '' b"), ["a", "", "b"]);
        assert_eq!(words("a --x='y z'"), ["a", "--x=y z"]);
        assert_eq!(words(r#"a "say \"hi\" \n""#), ["a", r#"say "hi" \n"#]);
        assert_eq!(words("a b#c x~"), ["a", "b#c", "x~"]);
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused() {
        for (line, c) in [
            ("a | b", '|'),
            ("a && b", '&'),
            ("a > log", '>'),
            ("a $PORT", '$'),
            ("a \"$PORT\"", '$'),
            ("a `date`", '`'),
            ("a *.rb", '*'),
            ("~/bin/a", '~'),
            ("a # b", '#'),
        ] {
            assert_eq!(split(line), Err(NoCommand::ShellOnly(c)), "{line}");
        }
        assert_eq!(words("a '$PORT'"), ["a", "$PORT"]);
        assert_eq!(split("a 'b"), Err(NoCommand::OpenQuote('\'')));
        assert_eq!(split("a \"b"), Err(NoCommand::OpenQuote('"')));
        assert_eq!(split("  "), Err(NoCommand::Empty));
    }

    proptest! {
        #[test]
        fn single_quotes_keep_everything(text in "[^']{0,40}") {
            prop_assert_eq!(split(&format!("a '{text}'")).unwrap(), vec!["a".to_owned(), text]);
        }

        #[test]
        fn any_line_is_answered(line in ".*") {
            if let Ok(words) = split(&line) {
                prop_assert!(!words.is_empty());
            }
        }
    }
}
