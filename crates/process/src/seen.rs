//! What a visitor of the site has seen, between a web server and the SQL router of the same server: over
//! a Unix socket, a line each way. A position is what the database calls it (MariaDB: a GTID position),
//! and only text here.
//!
//! `position` is answered with a position that covers all that was written or read before the question
//! (empty: nobody knows). `seen POSITION` asks that reads from now on see at least that; the answer
//! (`ok`) says that they do.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// Bytes of a position: some twenty domains.
pub const LONGEST: usize = 512;
/// Both ends are on one machine, but the router may have to ask a database server.
const ANSWER: Duration = Duration::from_secs(1);

/// A question, read from a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    Position,
    Seen(String),
}

/// A position as it may stand in a line or in a cookie: digits, `-` and `,`.
pub fn is_position(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b',')
}

impl Question {
    /// None: not a question.
    pub fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            None if line == "position" => Some(Self::Position),
            Some(("seen", position)) if is_position(position) => {
                Some(Self::Seen(position.to_owned()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position => f.write_str("position"),
            Self::Seen(position) => write!(f, "seen {position}"),
        }
    }
}

/// One line, without its end; `None` at the end of the connection. A longer one is an error.
pub async fn line(from: &mut BufReader<UnixStream>) -> io::Result<Option<String>> {
    let mut line = String::new();
    let longest = LONGEST as u64 + 16;
    let read = from.take(longest).read_line(&mut line).await?;
    match (read, line.pop()) {
        (0, _) => Ok(None),
        (_, Some('\n')) => Ok(Some(line)),
        _ => Err(io::Error::other("a line without an end")),
    }
}

/// A web server's connection to the router.
#[derive(Debug)]
pub struct Router(BufReader<UnixStream>);

impl Router {
    pub async fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(path).await?)))
    }

    /// Asks and waits for the answer, `ANSWER` at most. After an error the connection is of no use.
    pub async fn ask(&mut self, question: &Question) -> io::Result<String> {
        let asked = async {
            let text = format!("{question}\n");
            self.0.get_mut().write_all(text.as_bytes()).await?;
            match line(&mut self.0).await? {
                Some(answer) => Ok(answer),
                None => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        };
        tokio::time::timeout(ANSWER, asked).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_come_back_and_nothing_else_is_one() {
        for question in [
            Question::Position,
            Question::Seen("0-1-5,7-2-19".to_owned()),
        ] {
            assert_eq!(Question::parse(&question.to_string()), Some(question));
        }
        for text in [
            "",
            "positions",
            "seen ",
            "seen 0-1-5; DROP",
            "seen x",
            "seen",
        ] {
            assert_eq!(Question::parse(text), None, "{text}");
        }
        assert!(!is_position(&"1".repeat(LONGEST + 1)));
    }

    #[tokio::test]
    async fn a_line_has_an_end_within_a_bound() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut reader = BufReader::new(ours);
        let mut theirs = theirs;
        theirs.write_all(b"position\nsee").await.unwrap();
        assert_eq!(
            line(&mut reader).await.unwrap().as_deref(),
            Some("position")
        );
        theirs
            .write_all("n".repeat(LONGEST * 2).as_bytes())
            .await
            .unwrap();
        assert!(line(&mut reader).await.is_err());
    }
}
