//! What a command came to: counted by destination and digest, and written down when it was slow.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use telemetry::wall_clock::now_ms;

use super::Session;
use super::statement::Ask;
use crate::digests::Digest;
use crate::limits::SLOW_TEXT;
use crate::metrics::bump;
use crate::relay::Answer;
use crate::route::{Because, Destination};
use crate::slow::Slow;
use crate::statement::class::Class;
use crate::statement::digest::UNREADABLE;

/// What the command being answered came to, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// None: nobody was asked to run it.
    pub(super) went: Option<(Destination, Because)>,
    pub(super) statement: Option<Statement>,
    /// Sent to the client.
    pub(super) rows: u64,
    /// The error's code that the client got, 0 for one without, or a broken answer.
    pub(super) error: Option<u16>,
}

/// A statement that was asked for; preparing one is none.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) digest: Arc<Digest>,
    pub(super) class: Class,
    pub(super) ask: Ask,
}

impl Session {
    /// It is run there, or refused.
    pub(super) fn went(&mut self, to: Destination, because: Because) {
        self.worker.counts.went(to, because);
        self.ran.went = Some((to, because));
    }

    /// The client has got an answer of a server.
    pub(super) fn answered(&mut self, answer: &Answer) {
        self.ran.rows = answer.rows;
        self.ran.error = answer.error;
    }

    /// The command is answered, or will never be.
    pub(super) fn record(&mut self) {
        self.idle = self.ended.unwrap_or_else(Instant::now);
        // From its head to its end.
        let time = self.idle.saturating_duration_since(self.begun);
        let ran = std::mem::take(&mut self.ran);
        let by = ran.went.map_or(Destination::Router, |(to, _)| to);
        self.worker.counts.took(by, time);
        let Some(statement) = &ran.statement else {
            return;
        };
        let hidden = self.state.text_is_ambiguous(&statement.class);
        let unreadable = hidden.then(|| self.worker.digests.of(UNREADABLE));
        let digest = unreadable.as_ref().unwrap_or(&statement.digest);
        digest.count(ran.went, time, ran.rows, ran.error.is_some());
        let target = &self.worker.snapshot.load().target;
        if let Some(slow) = target.slow.filter(|slow| time >= slow.from) {
            self.write_down(&ran, digest, statement.ask, time, slow.values);
        }
    }

    fn write_down(&mut self, ran: &Ran, digest: &Digest, ask: Ask, time: Duration, values: bool) {
        let (to, because) = match ran.went {
            Some((to, because)) => (to.as_str(), because.as_str()),
            None => ("", ""),
        };
        let server = match ran.went {
            Some((Destination::Primary, _)) => self.primary.as_ref(),
            Some((Destination::Replica, _)) => self.replica.as_ref(),
            Some((Destination::Router, _)) | None => None,
        };
        let prepared = match ask {
            Ask::Execute(id) => self.statements.get(id).map(|one| Rc::clone(&one.text)),
            Ask::Text | Ask::Prepare(_) => None,
        };
        let command = self.command.get(mysql::packet::HEADER + 1..);
        let text = prepared.as_deref().or(command).unwrap_or_default();
        let line = Slow {
            at_ms: now_ms(),
            client: self.peer,
            user: &self.who.user,
            schema: self.state.settings.schema.as_deref().unwrap_or_default(),
            time,
            rows: ran.rows,
            to,
            member: server.map_or("", |server| server.member.as_str()),
            because,
            error: ran.error.unwrap_or(0),
            digest: digest.text(),
            statement: values.then(|| text.get(..SLOW_TEXT).unwrap_or(text)),
        }
        .line();
        bump(&self.worker.counts.slow);
        if !self.worker.slow.put(line) {
            bump(&self.worker.counts.slow_dropped);
        }
    }
}
