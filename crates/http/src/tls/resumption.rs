//! What lets a client come back without a whole handshake: ticket keys (RFC 8446 section 2.2, RFC 5077)
//! and, for TLS 1.2 clients without tickets, a bounded cache of sessions. Shared by all threads and
//! handed from one configuration to the next, so that a change of certificate costs nobody a handshake.
//!
//! Ticket keys are random, made anew every 6 hours and taken for 6 more (rustls's `TicketRotator`).
//!
//! A resumed session brings along what was verified about its client, and nothing is verified again.
//! So there is one set of keys per way of verifying clients: with one for all, a ticket from a listener
//! that asks for nothing would open one that wants a certificate.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};

use crate::limits;

/// A way of verifying clients, as a digest.
pub(crate) type Policy = [u8; 32];

/// Keys and sessions. Clones share them; those of a policy live as long as a configuration uses them.
#[derive(Debug, Clone, Default)]
pub struct Resumption {
    kept: Arc<Mutex<Vec<Kept>>>,
}

struct Kept {
    policy: Policy,
    tickets: Weak<dyn ProducesTickets>,
    sessions: Weak<dyn StoresServerSessions>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// What a configuration is given.
pub(crate) struct Shared {
    pub(crate) tickets: Arc<dyn ProducesTickets>,
    pub(crate) sessions: Arc<dyn StoresServerSessions>,
}

impl Resumption {
    /// Those in use for the policy, else new ones.
    pub(crate) fn of(&self, policy: Policy) -> Result<Shared, rustls::Error> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.tickets.strong_count() > 0);
        let known = kept.iter().find(|kept| kept.policy == policy);
        let known =
            known.and_then(|kept| Some((kept.tickets.upgrade()?, kept.sessions.upgrade()?)));
        if let Some((tickets, sessions)) = known {
            return Ok(Shared { tickets, sessions });
        }
        let shared = Shared {
            tickets: Ticketer::new()?,
            sessions: ServerSessionMemoryCache::new(limits::TLS_SESSIONS),
        };
        kept.push(Kept {
            policy,
            tickets: Arc::downgrade(&shared.tickets),
            sessions: Arc::downgrade(&shared.sessions),
        });
        Ok(shared)
    }
}
