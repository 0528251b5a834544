//! Idle connections to servers, of one thread. Never shared between users; reset before reuse unless all
//! that the session before left is known and can be made what the next one wants.

use std::collections::HashMap;
use std::time::Instant;

use mysql::capability::Capabilities;
use mysql::packet::Idle;
use site::name::MemberName;
use site::target::SqlPool;

use crate::limits::{IDLE, IDLE_OF_A_KIND};
use crate::restore::distance;
use crate::server::{CARRIED, Identity, Past, ServerConnection};
use crate::state::Settings;

/// Connections of one kind can stand in for each other after a reset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    member: MemberName,
    user: String,
    capabilities: Capabilities,
    collation: u8,
    /// A reset keeps the schema, and there is no way back to none.
    in_schema: bool,
}

impl Kind {
    pub(crate) fn new(member: &MemberName, who: &Identity, schema: Option<&str>) -> Self {
        Self {
            member: member.clone(),
            user: who.user.clone(),
            capabilities: who.capabilities & CARRIED,
            collation: who.collation,
            in_schema: schema.is_some(),
        }
    }
}

/// How much is to be sent; none: it must be reset.
fn distance_to(connection: &ServerConnection, wants: &Settings) -> Option<usize> {
    match connection.past {
        Past::Unknown => None,
        Past::Clean | Past::Left { .. } => distance(wants, &connection.has),
    }
}

/// The place of the one with the least to do, of several the newest.
fn nearest(idle: &[(Instant, Box<ServerConnection>)], wants: &Settings) -> Option<usize> {
    let mut best = None;
    for (at, (_, connection)) in idle.iter().enumerate().rev() {
        let distance = distance_to(connection, wants).unwrap_or(usize::MAX);
        if distance == 0 {
            return Some(at);
        }
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, at));
        }
    }
    best.map(|(_, at)| at)
}

/// The idle connections.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: HashMap<Kind, Vec<(Instant, Box<ServerConnection>)>>,
    count: usize,
}

impl Pool {
    /// One that is still good under `generation`, to be reset by the caller if its past is not clean and
    /// not known. As little to do for `wants` as can be.
    pub(crate) fn take(
        &mut self,
        kind: &Kind,
        wants: &Settings,
        generation: u64,
        rules: SqlPool,
        now: Instant,
    ) -> Option<Box<ServerConnection>> {
        let idle = self.idle.get_mut(kind)?;
        while let Some(at) = nearest(idle, wants) {
            let (_, mut connection) = idle.remove(at);
            self.count -= 1;
            if distance_to(&connection, wants).is_none() {
                connection.past = Past::Unknown;
            }
            let good = connection.generation == generation
                && now.saturating_duration_since(connection.born) < rules.max_age
                && connection.channel.idle() == Idle::Quiet;
            if good {
                return Some(connection);
            }
        }
        None
    }

    /// Closes one that is idle, of any kind.
    pub(crate) fn close_one(&mut self, member: &MemberName) {
        let mut kinds = self.idle.iter_mut();
        let found = kinds.find(|(kind, idle)| kind.member == *member && !idle.is_empty());
        if let Some((_, idle)) = found {
            drop(idle.remove(0));
            self.count -= 1;
        }
    }

    /// Keeps a connection whose session is over and left nothing behind; or gives it back.
    pub(crate) fn give(
        &mut self,
        who: &Identity,
        connection: Box<ServerConnection>,
        now: Instant,
    ) -> Result<(), Box<ServerConnection>> {
        let same = connection.capabilities & CARRIED == who.capabilities & CARRIED;
        if !connection.reusable || !same || self.is_full() {
            return Err(connection);
        }
        let schema = connection.has.schema.as_deref();
        let kind = Kind::new(&connection.member, who, schema);
        let idle = self.idle.entry(kind).or_default();
        if idle.len() >= IDLE_OF_A_KIND {
            return Err(connection);
        }
        idle.push((now, connection));
        self.count += 1;
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count >= IDLE
    }

    /// How many of a kind are idle.
    pub(crate) fn idle(&self, kind: &Kind) -> usize {
        self.idle.get(kind).map_or(0, Vec::len)
    }

    /// Closes what is too old, idle for too long and not among those kept ready, or made under another
    /// generation.
    pub(crate) fn sweep(&mut self, generation: u64, rules: SqlPool, now: Instant) {
        self.idle.retain(|_, idle| {
            let mut ready = usize::from(rules.ready);
            // The last ones given back are kept.
            for at in (0..idle.len()).rev() {
                let Some((since, connection)) = idle.get_mut(at) else {
                    break;
                };
                let used = now.saturating_duration_since(*since) < rules.idle_age;
                let good = connection.generation == generation
                    && now.saturating_duration_since(connection.born) < rules.max_age
                    && connection.channel.idle() == Idle::Quiet
                    && (used || ready > 0);
                ready = ready.saturating_sub(usize::from(good));
                if !good {
                    idle.remove(at);
                }
            }
            !idle.is_empty()
        });
        self.count = self.idle.values().map(Vec::len).sum();
    }
}
