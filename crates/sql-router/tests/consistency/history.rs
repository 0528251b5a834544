//! Pure: what sessions did and saw, and what it must not look like.
//!
//! Every register is written by one session, with numbers that grow by one. So a read says how much of
//! the history it has seen, and no search for an order is needed.

use std::fmt;

/// Microseconds since the run began.
pub(crate) type Time = u64;

/// One thing a session did, from its first byte out to its last byte in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) session: usize,
    pub(crate) begun: Time,
    pub(crate) ended: Time,
    pub(crate) register: usize,
    pub(crate) value: u64,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Acknowledged at its end.
    Write,
    Read,
}

/// The router was told of its replicas: none of those it may use lacked what was acknowledged before
/// `floor`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// It may have known from then on, and knew for certain from `at` on.
    pub(crate) from: Time,
    pub(crate) at: Time,
    pub(crate) floor: Time,
}

/// A read that saw less than it had to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) read: Event,
    pub(crate) least: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event {
            session,
            begun,
            ended,
            register,
            value,
            ..
        } = self.read;
        write!(
            f,
            "{}: session {session} read {value} of register {register} between {begun} and {ended} \
             µs, and had to read {} at least",
            self.rule, self.least
        )
    }
}

fn reads(events: &[Event]) -> impl Iterator<Item = Event> {
    events
        .iter()
        .copied()
        .filter(|event| event.kind == Kind::Read)
}

/// The highest value of `register` among those events.
fn highest<'a>(events: impl Iterator<Item = &'a Event>, register: usize) -> u64 {
    let of = events.filter(|event| event.register == register);
    of.map(|event| event.value).max().unwrap_or(0)
}

fn seen_less(
    events: &[Event],
    rule: &'static str,
    least: impl Fn(&Event) -> u64,
) -> Vec<Violation> {
    let violation = |read: Event| {
        let least = least(&read);
        (read.value < least).then_some(Violation { rule, read, least })
    };
    reads(events).filter_map(violation).collect()
}

/// A session reads what it wrote.
pub(crate) fn read_your_writes(events: &[Event]) -> Vec<Violation> {
    seen_less(events, "read your writes", |read| {
        let own = events.iter().filter(|event| {
            event.kind == Kind::Write && event.session == read.session && event.ended <= read.begun
        });
        highest(own, read.register)
    })
}

/// A session never reads less than it has read.
pub(crate) fn monotonic_reads(events: &[Event]) -> Vec<Violation> {
    seen_less(events, "monotonic reads", |read| {
        let own = events.iter().filter(|event| {
            event.kind == Kind::Read && event.session == read.session && event.ended <= read.begun
        });
        highest(own, read.register)
    })
}

/// A read sees every write that anybody's client knew of before it began.
pub(crate) fn strong(events: &[Event]) -> Vec<Violation> {
    seen_less(events, "strong", |read| {
        acknowledged(events, read, read.begun)
    })
}

/// A read sees what was acknowledged before the floor that the router was told of, then or meanwhile.
pub(crate) fn bounded_lag(events: &[Event], told: &[Told]) -> Vec<Violation> {
    seen_less(events, "bounded lag", |read| {
        let before = told.iter().rev().find(|told| told.at <= read.begun);
        let meanwhile = told
            .iter()
            .filter(|told| read.begun < told.at && told.from <= read.ended);
        let floor = before
            .into_iter()
            .chain(meanwhile)
            .map(|told| told.floor)
            .min();
        acknowledged(events, read, floor.unwrap_or(0))
    })
}

fn acknowledged(events: &[Event], read: &Event, before: Time) -> u64 {
    let writes = events
        .iter()
        .filter(|event| event.kind == Kind::Write && event.ended <= before);
    highest(writes, read.register)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(session: usize, kind: Kind, begun: Time, ended: Time, value: u64) -> Event {
        Event {
            session,
            begun,
            ended,
            register: 0,
            value,
            kind,
        }
    }

    use Kind::{Read, Write};

    #[test]
    fn a_write_of_ones_own_must_be_seen_and_one_under_way_may_be() {
        let write = event(0, Write, 10, 20, 1);
        assert!(read_your_writes(&[write, event(0, Read, 15, 16, 0)]).is_empty());
        assert!(read_your_writes(&[write, event(1, Read, 30, 31, 0)]).is_empty());
        let found = read_your_writes(&[write, event(0, Read, 30, 31, 0)]);
        assert_eq!((found.len(), found[0].least), (1, 1));
    }

    #[test]
    fn nobody_goes_back() {
        let seen = event(1, Read, 10, 20, 5);
        assert!(monotonic_reads(&[seen, event(1, Read, 30, 31, 5)]).is_empty());
        assert!(monotonic_reads(&[seen, event(2, Read, 30, 31, 4)]).is_empty());
        assert_eq!(monotonic_reads(&[seen, event(1, Read, 30, 31, 4)]).len(), 1);
    }

    #[test]
    fn strong_means_everybodys_writes() {
        let write = event(0, Write, 10, 20, 1);
        assert!(strong(&[write, event(1, Read, 19, 31, 0)]).is_empty());
        assert_eq!(strong(&[write, event(1, Read, 20, 31, 0)]).len(), 1);
    }

    #[test]
    fn a_lag_is_bounded_by_what_was_known() {
        let write = event(0, Write, 10, 20, 1);
        let told = |at, floor| Told {
            from: at - 2,
            at,
            floor,
        };
        let read = event(1, Read, 100, 110, 0);
        assert!(bounded_lag(&[write, read], &[told(90, 15)]).is_empty());
        assert_eq!(
            bounded_lag(&[write, read], &[told(50, 15), told(90, 25)]).len(),
            1
        );
        assert!(bounded_lag(&[write, read], &[told(90, 25), told(105, 15)]).is_empty());
        assert!(bounded_lag(&[write, read], &[]).is_empty());
    }
}
