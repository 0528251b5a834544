//! Pure: whether a request that failed may go to another upstream.
//!
//! The rule: never twice to where it may have had an effect. A request of which nothing was sent can
//! always be repeated. One that was sent can be repeated when its method is idempotent (RFC 9110
//! section 9.2.2) and nothing of a response was seen. Everything else is answered with an error.

use crate::fault::{Fault, Kind, Phase, Side};

/// What is known of the attempt that failed.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Bytes of the request may have reached the upstream.
    pub sent: bool,
    /// It went over a kept connection, which the upstream may have closed before it saw the request.
    pub reused: bool,
    pub idempotent: bool,
    /// The whole request is still in our hands.
    pub replayable: bool,
    /// Upstreams tried, this one included.
    pub number: u32,
    pub limit: u32,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another upstream; this one counts as tried.
    TryAnother,
    /// The kept connection was dead: a new one, to whichever upstream's turn it is.
    TryFresh,
    GiveUp,
}

/// The decision.
pub fn verdict(attempt: &Attempt, fault: &Fault) -> Verdict {
    if fault.side == Side::Client || !attempt.replayable {
        return Verdict::GiveUp;
    }
    match (is_harmless(attempt, fault), attempt.reused) {
        (false, _) => Verdict::GiveUp,
        // Not the upstream's failure, so it does not count as an attempt.
        (true, true) if fault.phase != Phase::Connect => Verdict::TryFresh,
        (true, _) if attempt.number < attempt.limit => Verdict::TryAnother,
        (true, _) => Verdict::GiveUp,
    }
}

/// Whether asking again cannot do harm: nothing was done with the request, or doing it twice is as good
/// as once.
pub fn is_harmless(attempt: &Attempt, fault: &Fault) -> bool {
    match fault.phase {
        Phase::Connect => true,
        Phase::ResponseHead => {
            // A response that cannot be read is a response: the upstream has acted.
            let unanswered = matches!(fault.kind, Kind::Closed | Kind::Tls(_) | Kind::Io(_));
            let untouched = fault.kind == Kind::NotHandled;
            !attempt.sent || untouched || attempt.idempotent && unanswered
        }
        Phase::RequestHead | Phase::RequestBody | Phase::ResponseBody => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Attempt = Attempt {
        sent: true,
        reused: false,
        idempotent: true,
        replayable: true,
        number: 1,
        limit: 3,
    };
    const REFUSED: Fault = Fault::upstream(
        Phase::Connect,
        Kind::Io(std::io::ErrorKind::ConnectionRefused),
    );
    const DIED: Fault = Fault::upstream(Phase::ResponseHead, Kind::Closed);

    #[test]
    fn connecting_may_always_be_repeated() {
        let post = Attempt {
            idempotent: false,
            sent: false,
            ..FIRST
        };
        assert_eq!(verdict(&post, &REFUSED), Verdict::TryAnother);
        assert_eq!(
            verdict(&Attempt { number: 3, ..post }, &REFUSED),
            Verdict::GiveUp
        );
        assert_eq!(
            verdict(
                &Attempt {
                    replayable: false,
                    ..post
                },
                &REFUSED
            ),
            Verdict::GiveUp
        );
    }

    #[test]
    fn a_request_that_may_have_had_an_effect_is_not_repeated() {
        assert_eq!(verdict(&FIRST, &DIED), Verdict::TryAnother);
        let post = Attempt {
            idempotent: false,
            ..FIRST
        };
        assert_eq!(verdict(&post, &DIED), Verdict::GiveUp);
        assert_eq!(
            verdict(
                &Attempt {
                    reused: true,
                    ..post
                },
                &DIED
            ),
            Verdict::GiveUp
        );
        assert_eq!(
            verdict(
                &Attempt {
                    reused: true,
                    sent: false,
                    ..post
                },
                &DIED
            ),
            Verdict::TryFresh
        );
    }

    #[test]
    fn a_request_that_was_not_looked_at_may_be_repeated() {
        let post = Attempt {
            idempotent: false,
            ..FIRST
        };
        let refused = Fault::upstream(Phase::ResponseHead, Kind::NotHandled);
        assert_eq!(verdict(&post, &refused), Verdict::TryAnother);
        let reused = Attempt {
            reused: true,
            ..post
        };
        assert_eq!(verdict(&reused, &refused), Verdict::TryFresh);
        let taken = Attempt {
            replayable: false,
            ..post
        };
        assert_eq!(verdict(&taken, &refused), Verdict::GiveUp);
    }

    #[test]
    fn a_slow_or_broken_answer_is_not_asked_for_twice() {
        for kind in [
            Kind::Timeout,
            Kind::Malformed("x"),
            Kind::TooLarge("response head"),
        ] {
            let fault = Fault::upstream(Phase::ResponseHead, kind);
            assert_eq!(verdict(&FIRST, &fault), Verdict::GiveUp, "{kind:?}");
        }
        let body = Fault::upstream(Phase::ResponseBody, Kind::Closed);
        assert_eq!(verdict(&FIRST, &body), Verdict::GiveUp);
        assert_eq!(
            verdict(&FIRST, &Fault::client(Phase::RequestBody, Kind::Closed)),
            Verdict::GiveUp
        );
    }
}
