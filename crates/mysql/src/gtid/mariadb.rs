//! Pure: MariaDB's positions: per domain, the last server and sequence number.
//!
//! Source: MariaDB KB, "Global Transaction ID": `domain-server-sequence`, a position is a comma
//! separated list with one GTID per domain; the sequence number grows within a domain.

use std::fmt;
use std::str::FromStr;

/// One transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gtid {
    pub domain: u32,
    pub server: u32,
    pub sequence: u64,
}

/// The text is no GTID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a MariaDB GTID")]
pub struct NotAGtid;

impl FromStr for Gtid {
    type Err = NotAGtid;

    fn from_str(text: &str) -> Result<Self, NotAGtid> {
        let mut parts = text.trim().split('-');
        let mut part = || parts.next().ok_or(NotAGtid);
        let gtid = Self {
            domain: part()?.parse().map_err(|_| NotAGtid)?,
            server: part()?.parse().map_err(|_| NotAGtid)?,
            sequence: part()?.parse().map_err(|_| NotAGtid)?,
        };
        match parts.next() {
            None => Ok(gtid),
            Some(_) => Err(NotAGtid),
        }
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

/// The last transaction of each domain; at most one per domain, sorted by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Position(Vec<Gtid>);

impl Position {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn gtids(&self) -> &[Gtid] {
        &self.0
    }

    /// Moves on to `gtid`, unless its domain is there or further already.
    pub fn advance(&mut self, gtid: Gtid) {
        match self.0.binary_search_by_key(&gtid.domain, |at| at.domain) {
            Ok(index) => {
                if let Some(at) = self
                    .0
                    .get_mut(index)
                    .filter(|at| at.sequence < gtid.sequence)
                {
                    *at = gtid;
                }
            }
            Err(index) => self.0.insert(index, gtid),
        }
    }

    /// Moves on to everything in `other`.
    pub fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|gtid| self.advance(*gtid));
    }

    /// What of it is at or before `other`: where it is beyond, `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        let nearer = |gtid: &Gtid| {
            let there = other.0.iter().find(|at| at.domain == gtid.domain)?;
            Some(*if there.sequence < gtid.sequence {
                there
            } else {
                gtid
            })
        };
        Self(self.0.iter().filter_map(nearer).collect())
    }

    /// Is everything of `other` at or before this?
    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|wanted| {
            let at = self.0.iter().find(|at| at.domain == wanted.domain);
            at.is_some_and(|at| at.sequence >= wanted.sequence)
        })
    }
}

impl FromStr for Position {
    type Err = NotAGtid;

    /// The empty text is the empty position.
    fn from_str(text: &str) -> Result<Self, NotAGtid> {
        let mut position = Self::default();
        for gtid in text.split(',').filter(|gtid| !gtid.trim().is_empty()) {
            position.advance(gtid.parse()?);
        }
        Ok(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, gtid) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{gtid}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> Position {
        text.parse().unwrap()
    }

    #[test]
    fn positions_come_back_sorted_with_the_furthest_of_each_domain() {
        assert_eq!(position("1-2-7, 0-1-5,0-3-9").to_string(), "0-3-9,1-2-7");
        assert_eq!(position("").to_string(), "");
        for bad in ["0-1", "0-1-2-3", "a-b-c", "0-1-x", "-1-1-1"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }

    #[test]
    fn containment_is_per_domain() {
        assert!(position("0-1-5,1-1-2").contains(&position("0-9-5")));
        assert!(!position("0-1-5").contains(&position("0-1-6")));
        assert!(!position("0-1-5").contains(&position("1-1-1")));
        assert!(position("").contains(&position("")));
    }

    #[test]
    fn joining_never_goes_back() {
        let mut at = position("0-1-5");
        at.join(&position("0-2-3,7-1-1"));
        assert_eq!(at, position("0-1-5,7-1-1"));
    }
}
