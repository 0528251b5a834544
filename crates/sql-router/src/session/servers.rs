//! A session's two connections: checked out when needed, made what the session wants them to be,
//! given back at its end.

use std::time::{Duration, Instant};

use mysql::error_code;
use mysql::packet::Idle;
use mysql::reply;
use site::name::MemberName;
use site::target::Consistency;

use super::last::asked_over;
use super::{Session, Trouble, say};
use crate::absorb;
use crate::limits::{AVOID, CONNECT, HOLD_POLL};
use crate::login::refused;
use crate::metrics::bump;
use crate::relay::Left;
use crate::restore::{self, Missing};
use crate::route::Because;
use crate::server::{AskError, OpenError, Past, ServerConnection};
use crate::sessions::Thread;
use crate::snapshot::Snapshot;
use crate::state::{InsertId, Last, Settings, Unseen};

/// A replica's connection that a statement can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// It was so.
    AtOnce,
    /// It was asked or told something first.
    Made,
}

impl Session {
    /// Makes `self.primary` a connection to the primary in force, waiting for one if there is none:
    /// `target.hold` at most.
    pub(super) async fn ensure_primary(&mut self) -> Result<(), Trouble> {
        let begun = Instant::now();
        let mut why = "none is known".to_owned();
        let mut held = self.wait_for_handover(begun).await;
        loop {
            let snapshot = self.worker.snapshot.load();
            if let Some(member) = &snapshot.servers.primary {
                if self.primary_is_good(&snapshot, member) {
                    match self.restore_primary().await? {
                        Ok(()) => return Ok(()),
                        Err(e) => why = format!("{member}: {e}"),
                    }
                }
                if let Some(lost) = self.primary.take() {
                    self.check_nothing_lost(&lost)?;
                    self.forget(Last::Primary);
                }
                let patience = snapshot.target.hold.saturating_sub(begun.elapsed());
                match self.connect(&snapshot, member, patience).await {
                    Err(error @ OpenError::Busy { .. }) => {
                        let code = error_code::TOO_MANY_CONNECTIONS;
                        return Err(say(code, &error.to_string()));
                    }
                    Ok(connection) => {
                        self.primary = Some(connection);
                        self.note_threads();
                        continue;
                    }
                    Err(OpenError::Refused(error)) => return Err(Trouble::Say(refused(&error))),
                    Err(error) => why = error.to_string(),
                }
            }
            if begun.elapsed() >= snapshot.target.hold {
                let what = format!("no primary: {why}");
                return Err(say(error_code::SHUTDOWN, &what));
            }
            if !std::mem::replace(&mut held, true) {
                bump(&self.worker.counts.held);
            }
            tokio::time::sleep(HOLD_POLL).await;
        }
    }

    /// A primary that is about to hand over gets nothing new; what has begun there goes on. Whether it waited.
    async fn wait_for_handover(&self, begun: Instant) -> bool {
        let mut held = false;
        loop {
            let snapshot = self.worker.snapshot.load();
            let over = begun.elapsed() >= snapshot.target.hold;
            if !snapshot.servers.draining || self.state.holds() || over {
                return held;
            }
            if !std::mem::replace(&mut held, true) {
                bump(&self.worker.counts.held);
            }
            tokio::time::sleep(HOLD_POLL).await;
        }
    }

    fn primary_is_good(&mut self, snapshot: &Snapshot, member: &MemberName) -> bool {
        self.primary.as_mut().is_some_and(|primary| {
            primary.member == *member
                && primary.generation == snapshot.servers.generation
                && primary.channel.idle() == Idle::Quiet
        })
    }

    /// A connection to the primary is gone. Goes on only if nothing went with it.
    fn check_nothing_lost(&mut self, lost: &ServerConnection) -> Result<(), Trouble> {
        if !self.state.holds() {
            return Ok(());
        }
        let what = match self.state.in_transaction() {
            true => "its open transaction was rolled back".to_owned(),
            false => format!("the session's state there is lost ({})", self.state.pins),
        };
        let message = format!("lost connection to the primary {}: {what}", lost.member);
        let payload = reply::err(error_code::SERVER_LOST, &message);
        Err(Trouble::SayAndEnd(payload))
    }

    /// Settles what is missing on a new connection to the primary. The inner error: it broke.
    async fn restore_primary(&mut self) -> Result<Result<(), String>, Trouble> {
        let wants = &self.state.settings;
        let Some(primary) = self.primary.as_mut().filter(|primary| !primary.ready) else {
            return Ok(Ok(()));
        };
        let id = match self.state.insert_id {
            InsertId::Known(id) => id,
            InsertId::Unknown => 0,
        };
        let restored = match restore(primary, wants).await {
            Ok(()) if id != primary.past.insert_id() => {
                let set = format!("SET last_insert_id={id}");
                primary.ask(&set).await.map(drop)
            }
            restored => restored,
        };
        match restored {
            Ok(()) => {
                primary.ready = true;
                Ok(Ok(()))
            }
            Err(AskError::Refused(error)) => Err(Trouble::Say(refused(&error))),
            Err(AskError::Broken(why)) => Ok(Err(why)),
        }
    }

    /// The connection to the primary broke while it was at work: nothing is repeated.
    pub(super) fn primary_broke(
        &mut self,
        lost: &ServerConnection,
        why: &str,
        begun: bool,
    ) -> Trouble {
        self.note_threads();
        if begun {
            return Trouble::Torn(format!("primary {}: {why}", lost.member));
        }
        if let Err(trouble) = self.check_nothing_lost(lost) {
            return trouble;
        }
        self.left = Left::More;
        self.forget(Last::Primary);
        let message = format!(
            "lost connection to the primary {} during the statement, whose outcome is unknown: {why}",
            lost.member
        );
        say(error_code::SERVER_LOST, &message)
    }

    /// Makes `self.replica` a connection to `member` that has what the session wants and has seen.
    pub(super) async fn ensure_replica(
        &mut self,
        snapshot: &Snapshot,
        member: &MemberName,
        consistency: Consistency,
    ) -> Result<Ready, Because> {
        let looked = self.state.unseen != Unseen::Nothing;
        if looked && !self.look().await {
            return Err(Because::Behind);
        }
        self.know_position(snapshot, member, consistency).await?;
        let generation = snapshot.servers.generation;
        let good = self.replica.as_mut().is_some_and(|replica| {
            replica.member == *member
                && replica.generation == generation
                && replica.channel.idle() == Idle::Quiet
        });
        if !good {
            self.lose_replica();
            self.open_replica(snapshot, member).await?;
        }
        if self.replica_is_ready(consistency) {
            return Ok(match good && !looked {
                true => Ready::AtOnce,
                false => Ready::Made,
            });
        }
        let prepared = self.prepare_replica(snapshot, consistency);
        // A replica that does not answer must not keep its readers.
        let limit = snapshot.target.causal_wait + CONNECT;
        let prepared = match tokio::time::timeout(limit, prepared).await {
            Ok(prepared) => prepared,
            Err(_) => Err(Because::ReplicaFailed),
        };
        if prepared == Err(Because::ReplicaFailed) {
            self.drop_replica(member);
        }
        prepared.map(|()| Ready::Made)
    }

    /// Nothing is to be sent to it, or waited for: mostly so.
    fn replica_is_ready(&self, consistency: Consistency) -> bool {
        self.replica.as_ref().is_some_and(|replica| {
            replica.tracked
                && replica.has == self.state.settings
                && (consistency == Consistency::Eventual
                    || replica.reached.contains(&self.state.seen))
        })
    }

    async fn open_replica(
        &mut self,
        snapshot: &Snapshot,
        member: &MemberName,
    ) -> Result<(), Because> {
        let patience = snapshot.target.causal_wait;
        match self.connect(snapshot, member, patience).await {
            Ok(connection) => {
                self.replica = Some(connection);
                self.note_threads();
                Ok(())
            }
            // It may not have the account or the schema yet.
            Err(OpenError::Refused(_)) => Err(Because::ReplicaRefused),
            Err(OpenError::Busy { .. }) => Err(Because::ReplicaBusy),
            Err(error) => {
                tracing::warn!("a replica cannot be used: {error}");
                self.worker.avoid(member);
                Err(Because::ReplicaFailed)
            }
        }
    }

    async fn prepare_replica(
        &mut self,
        snapshot: &Snapshot,
        consistency: Consistency,
    ) -> Result<(), Because> {
        let Some(replica) = self.replica.as_mut() else {
            return Err(Because::ReplicaFailed);
        };
        match restore(replica, &self.state.settings).await {
            Ok(()) => {}
            Err(AskError::Refused(_)) => return Err(Because::ReplicaRefused),
            Err(AskError::Broken(_)) => return Err(Because::ReplicaFailed),
        }
        if consistency == Consistency::Eventual || replica.reached.contains(&self.state.seen) {
            return Ok(());
        }
        asked_over(&mut self.state, self.left, Last::Replica);
        bump(&self.worker.counts.causal_waits);
        // A replica that was waited for in vain a moment ago is only asked, not waited for.
        let patient = self.behind.is_none_or(|behind| behind.elapsed() > AVOID);
        let wait = if patient {
            snapshot.target.causal_wait
        } else {
            Duration::ZERO
        };
        match replica.reaches(&self.state.seen, wait).await {
            Ok(true) => {
                self.behind = None;
                Ok(())
            }
            Ok(false) | Err(AskError::Refused(_)) => {
                self.behind = Some(Instant::now());
                bump(&self.worker.counts.causal_fallbacks);
                Err(Because::Behind)
            }
            Err(AskError::Broken(_)) => Err(Because::ReplicaFailed),
        }
    }

    /// Also when it is out of its place, at work.
    pub(super) fn drop_replica(&mut self, member: &MemberName) {
        self.replica = None;
        self.forget(Last::Replica);
        self.worker.avoid(member);
        self.note_threads();
    }

    /// Asks the primary what it changed without a report.
    pub(super) async fn look(&mut self) -> bool {
        let Some(primary) = self.primary.as_mut() else {
            return false;
        };
        asked_over(&mut self.state, self.left, Last::Primary);
        let recollated = self.state.recollated;
        let asking = async {
            let sql = "SELECT @@last_gtid, @@collation_connection";
            let (row, sent_in) = primary.ask_with_collation(sql).await?;
            // SET NAMES … COLLATE gives its collation to results too; that of the login, or the default
            // one, they have without.
            let sql = format!(
                "SELECT collation_name FROM information_schema.collations WHERE id={sent_in} AND is_default=''"
            );
            let results = match recollated {
                true => primary.ask(&sql).await?,
                false => Vec::new(),
            };
            Ok::<_, AskError>((row, results))
        };
        let Ok(Ok((row, results))) = tokio::time::timeout(CONNECT, asking).await else {
            // What was under way is unknown; the next statement finds the connection closed.
            self.lose_primary();
            self.note_threads();
            return false;
        };
        let mut values = row.iter().map(Option::as_deref);
        let (gtid, collation) = (values.next().flatten(), values.next().flatten());
        // Another session may have written what is the last one here.
        let own = primary.past == Past::Clean;
        let gtid = gtid.filter(|_| own);
        let results = results.first().and_then(Option::as_deref);
        absorb::asked(&mut self.state, &mut primary.has, gtid, collation, results);
        self.state.pins.is_empty()
    }

    /// Gives both connections back, or closes them when something is left on them.
    pub(super) fn release(&mut self) {
        if let Some(primary) = self.primary.take().filter(|_| !self.state.holds()) {
            let past = match self.state.insert_id {
                _ if !primary.ready => primary.past,
                InsertId::Known(insert_id) if self.leaves_nothing(&primary) => {
                    Past::Left { insert_id }
                }
                InsertId::Known(_) | InsertId::Unknown => Past::Unknown,
            };
            self.give_back(primary, past);
        }
        if let Some(replica) = self.replica.take() {
            self.give_back(replica, Past::Left { insert_id: 0 });
        }
        self.note_threads();
    }

    /// Tells the register which server threads work for this session.
    pub(super) fn note_threads(&self) {
        let connections = [&self.primary, &self.replica];
        let threads = connections.into_iter().flatten().map(|connection| Thread {
            member: connection.member.clone(),
            id: connection.thread,
        });
        self.ticket.note(&self.who.user, threads.collect());
    }
}

/// Sends what `connection` misses. Refused: it is as it was, or the session wants what cannot be had.
pub(super) async fn restore(
    connection: &mut ServerConnection,
    wants: &Settings,
) -> Result<(), AskError> {
    match restore::missing(wants, &connection.has, connection.tracked) {
        Missing::Nothing => return Ok(()),
        Missing::Unwanted => {
            return Err(AskError::Broken(
                "it has settings that cannot be undone".to_owned(),
            ));
        }
        Missing::Send { set, schema, user } => {
            if let Some(set) = set {
                connection.ask(&set).await?;
                connection.tracked = true;
                connection.has.variables.clone_from(&wants.variables);
            }
            if let Some(schema) = schema {
                connection.use_schema(&schema).await?;
            }
            if let Some(user) = user {
                connection.ask(&user).await?;
                connection.has.user.clone_from(&wants.user);
            }
        }
    }
    Ok(())
}
