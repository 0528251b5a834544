//! Pure: whether a request that has no answer yet is asked of a second endpoint too (Dean, Barroso: "The
//! Tail at Scale", 2013: hedged requests). It doubles work on purpose, so only for reads, only once,
//! and out of the same budget as retries: when everything is slow, it stops by itself.

use std::fmt;
use std::time::Duration;

/// What is known of the request.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub method: &'a str,
    pub has_body: bool,
    pub upgrade: bool,
    /// `Retries::hedge_after`.
    pub after: Option<Duration>,
    /// Since the request was sent to the first.
    pub waited: Duration,
    /// Something of an answer has come.
    pub answered: bool,
    pub hedged: bool,
}

/// Why there is no second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum No {
    NotWanted,
    /// It may have an effect, or cannot be sent twice.
    NotARead,
    Answered,
    Already,
    NotYet {
        left: Duration,
    },
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWanted => f.write_str("the backend does not hedge"),
            Self::NotARead => f.write_str("it is not a read without a body"),
            Self::Answered => f.write_str("an answer has begun"),
            Self::Already => f.write_str("a second endpoint was asked already"),
            Self::NotYet { left } => write!(f, "not before {} ms more", left.as_millis()),
        }
    }
}

/// On Ok: another endpoint is chosen (`choose`, with the first among those tried), then the budget is
/// asked (`Budget::retry`); without either there is no second one.
pub fn may(asked: &Asked<'_>) -> Result<(), No> {
    let after = asked.after.ok_or(No::NotWanted)?;
    if !matches!(asked.method, "GET" | "HEAD") || asked.has_body || asked.upgrade {
        return Err(No::NotARead);
    }
    if asked.answered {
        return Err(No::Answered);
    }
    if asked.hedged {
        return Err(No::Already);
    }
    match after.checked_sub(asked.waited) {
        Some(left) if !left.is_zero() => Err(No::NotYet { left }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_that_wait() {
        let asked = Asked {
            method: "GET",
            has_body: false,
            upgrade: false,
            after: Some(Duration::from_millis(100)),
            waited: Duration::from_millis(100),
            answered: false,
            hedged: false,
        };
        assert_eq!(may(&asked), Ok(()));
        assert_eq!(
            may(&Asked {
                method: "HEAD",
                ..asked
            }),
            Ok(())
        );
        let left = Duration::from_millis(40);
        let waited = Duration::from_millis(60);
        assert_eq!(may(&Asked { waited, ..asked }), Err(No::NotYet { left }));
        assert_eq!(
            may(&Asked {
                method: "PUT",
                ..asked
            }),
            Err(No::NotARead)
        );
        assert_eq!(
            may(&Asked {
                has_body: true,
                ..asked
            }),
            Err(No::NotARead)
        );
        assert_eq!(
            may(&Asked {
                upgrade: true,
                ..asked
            }),
            Err(No::NotARead)
        );
        assert_eq!(
            may(&Asked {
                answered: true,
                ..asked
            }),
            Err(No::Answered)
        );
        assert_eq!(
            may(&Asked {
                hedged: true,
                ..asked
            }),
            Err(No::Already)
        );
        assert_eq!(
            may(&Asked {
                after: None,
                ..asked
            }),
            Err(No::NotWanted)
        );
    }
}
