//! The life of one statement: classify → route → checkout → restore → relay → absorb. Plain calls,
//! top to bottom.

use mysql::error_code;
use mysql::packet::Channel;
use mysql::scan::Expect;

use super::{Flow, Session, Trouble, say};
use crate::absorb;
use crate::relay::{self, Answer, Broken, Left, Terms};
use crate::route::{self, Because, Choice, To};
use crate::server::{AskError, ServerConnection};
use crate::sessions::FIRST_ID;
use crate::snapshot::Snapshot;
use crate::state::Last;
use crate::statement::class::{Class, Kind, Pins, Reason};
use crate::statement::kill;

/// What is sent for a statement, and how its answer looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) class: Class,
    pub(super) ask: Ask,
    /// It must go to the primary, whatever it is.
    pub(super) forced: Option<Because>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The command as it came.
    Text,
    /// The command as it came; the statement gets this id.
    Prepare(u32),
    /// The client's statement with this id.
    Execute(u32),
}

impl Session {
    /// COM_QUERY.
    pub(super) async fn query(&mut self) -> Result<Flow, Trouble> {
        let text = self.payload().get(1..).unwrap_or_default();
        let class = self.worker.cache.borrow_mut().classify(text);
        if class.kind == Kind::Kill
            && let Some(kill) = kill::parse(text)
            && kill.id >= u64::from(FIRST_ID)
        {
            return self.kill(kill.id, &kill.before).await;
        }
        self.run_job(Job {
            class,
            ask: Ask::Text,
            forced: None,
        })
        .await?;
        Ok(Flow::On)
    }

    /// Runs a statement where it belongs.
    pub(super) async fn run_job(&mut self, job: Job) -> Result<Answer, Trouble> {
        let snapshot = self.worker.snapshot.load();
        let because = match self.route(&snapshot, &job) {
            (Some(member), because) => {
                match self.on_replica(&snapshot, &member, &job, because).await? {
                    Ok(answer) => return Ok(answer),
                    Err(because) => because,
                }
            }
            (None, because) => because,
        };
        self.on_primary(&job, because).await
    }

    /// The replica to use, if one is to be used; and why.
    fn route(&self, snapshot: &Snapshot, job: &Job) -> (Option<site::name::MemberName>, Because) {
        if let Some(because) = job.forced {
            return (None, because);
        }
        let current = self.replica.as_ref().map(|replica| &replica.member);
        let choice = Choice {
            current,
            avoid: &self.worker.avoided(),
            turn: if current.is_none() {
                self.worker.turn()
            } else {
                0
            },
        };
        let max_lag = snapshot.target.max_lag;
        let route = route::decide(&self.state, &job.class, &snapshot.servers, max_lag, choice);
        match route.to {
            To::Primary => (None, route.because),
            To::Replica(member) => (Some(member.clone()), route.because),
            To::LastReplica => (current.cloned(), route.because),
        }
    }

    /// The inner error: it has not been answered, because of this; the primary shall.
    async fn on_replica(
        &mut self,
        snapshot: &Snapshot,
        member: &site::name::MemberName,
        job: &Job,
        because: Because,
    ) -> Result<Result<Answer, Because>, Trouble> {
        // What asks about the last statement must find the connection as that left it.
        if job.class.kind != Kind::AboutLast
            && let Err(because) = self.ensure_replica(snapshot, member).await
        {
            return Ok(Err(because));
        }
        let Some(mut replica) = self.replica.take() else {
            return Ok(Err(Because::ReplicaFailed));
        };
        match self.send(&mut replica, job).await {
            Ok(()) => {}
            Err(AskError::Refused(_)) => {
                self.replica = Some(replica);
                return Ok(Err(Because::ReplicaRefused));
            }
            Err(AskError::Broken(_)) => {
                self.drop_replica(member);
                return Ok(Err(Because::ReplicaFailed));
            }
        }
        let terms = self.terms(job, true);
        match relay::answer(&mut replica, &mut self.client, terms, None, None).await {
            Ok(answer) => {
                let refused = answer.withheld.is_some();
                self.keep_prepared(&mut replica, job, &answer);
                self.replica = Some(replica);
                if refused {
                    return Ok(Err(Because::ReplicaRefused));
                }
                self.worker.counts.to_replica(because);
                self.state.last = Last::Replica;
                self.left = answer.left;
                Ok(Ok(answer))
            }
            Err(Broken::Client(e)) => Err(Trouble::Client(e)),
            Err(Broken::Server { why, begun }) => {
                self.drop_replica(member);
                match begun {
                    true => Err(Trouble::Torn(format!("replica {member}: {why}"))),
                    false => Ok(Err(Because::ReplicaFailed)),
                }
            }
        }
    }

    async fn on_primary(&mut self, job: &Job, because: Because) -> Result<Answer, Trouble> {
        self.ensure_primary().await?;
        if job.class.kind == Kind::AboutLast {
            self.remember_last().await?;
        }
        let Some(mut primary) = self.primary.take() else {
            return Err(say(error_code::SHUTDOWN, "no primary"));
        };
        self.worker.counts.to_primary(because);
        if !matches!(job.ask, Ask::Prepare(_)) {
            absorb::sent(&mut self.state, &job.class);
        }
        match self.send(&mut primary, job).await {
            Ok(()) => {}
            // When a write failed there may be a last word to read.
            Err(AskError::Broken(_)) if !matches!(job.ask, Ask::Execute(_)) => {}
            Err(AskError::Broken(why)) => return Err(self.primary_broke(&primary, &why, false)),
            Err(AskError::Refused(error)) => {
                self.primary = Some(primary);
                return Err(Trouble::Say(crate::login::refused(&error)));
            }
        }
        let terms = self.terms(job, false);
        let class = Some(&job.class);
        let state = Some(&mut self.state);
        match relay::answer(&mut primary, &mut self.client, terms, state, class).await {
            Ok(answer) => {
                self.keep_prepared(&mut primary, job, &answer);
                self.primary = Some(primary);
                self.state.last = Last::Primary;
                self.left = match job.class.because {
                    Reason::FoundRows => Left::More,
                    _ => answer.left,
                };
                Ok(answer)
            }
            Err(Broken::Client(e)) => Err(Trouble::Client(e)),
            Err(Broken::Server { why, begun }) => Err(self.primary_broke(&primary, &why, begun)),
        }
    }

    fn terms(&self, job: &Job, from_replica: bool) -> Terms {
        let (expect, prepared_as) = match job.ask {
            Ask::Prepare(id) => (Expect::Prepared, id),
            Ask::Text | Ask::Execute(_) => (Expect::Results, 0),
        };
        Terms {
            expect,
            client_tracks: self.tracks,
            from_replica,
            prepared_as,
            sequence: self.sequence.wrapping_add(1),
        }
    }

    async fn send(&mut self, server: &mut ServerConnection, job: &Job) -> Result<(), AskError> {
        match job.ask {
            Ask::Text | Ask::Prepare(_) => Ok(server.channel.write(&self.command).await?),
            Ask::Execute(id) => self.send_execute(server, id).await,
        }
    }

    /// A command without a statement, to the primary.
    pub(super) async fn pass_to_primary(&mut self, expect: Expect) -> Result<Flow, Trouble> {
        self.ensure_primary().await?;
        let Some(mut primary) = self.primary.take() else {
            return Err(say(error_code::SHUTDOWN, "no primary"));
        };
        let written = primary.channel.write(&self.command).await;
        if let Err(e) = written {
            return Err(self.primary_broke(&primary, &e.to_string(), false));
        }
        self.finish_command(primary, expect, None).await
    }

    /// The answer to a command that the primary has got.
    pub(super) async fn finish_command(
        &mut self,
        mut primary: ServerConnection,
        expect: Expect,
        class: Option<Class>,
    ) -> Result<Flow, Trouble> {
        self.worker.counts.to_primary(Because::Command);
        let terms = Terms {
            expect,
            client_tracks: self.tracks,
            from_replica: false,
            prepared_as: 0,
            sequence: self.sequence.wrapping_add(1),
        };
        let state = Some(&mut self.state);
        let client: &mut Channel = &mut self.client;
        match relay::answer(&mut primary, client, terms, state, class.as_ref()).await {
            Ok(answer) => {
                self.primary = Some(primary);
                self.state.last = Last::Primary;
                self.left = answer.left;
                Ok(Flow::On)
            }
            Err(Broken::Client(e)) => Err(Trouble::Client(e)),
            Err(Broken::Server { why, begun }) => Err(self.primary_broke(&primary, &why, begun)),
        }
    }

    /// A COM_QUERY of 16 MiB and more: not looked into.
    pub(super) async fn long_query(&mut self) -> Result<Flow, Trouble> {
        let primary = self.primary_for_long().await?;
        self.pass_long(primary, UNREAD).await
    }

    /// The primary for a command that streams by; when there is none, the command is read away.
    pub(super) async fn primary_for_long(&mut self) -> Result<ServerConnection, Trouble> {
        let ensured = self.ensure_primary().await;
        match (ensured, self.primary.take()) {
            (Ok(()), Some(primary)) => Ok(primary),
            (ensured, _) => {
                self.sequence = relay::discard(&mut self.client).await?;
                ensured?;
                Err(say(error_code::SHUTDOWN, "no primary"))
            }
        }
    }

    pub(super) async fn pass_long(
        &mut self,
        mut primary: ServerConnection,
        class: Class,
    ) -> Result<Flow, Trouble> {
        self.sequence = relay::command(&mut self.client, &mut primary).await?;
        self.finish_command(primary, Expect::Results, Some(class))
            .await
    }
}

/// The class of a text too long to be looked into.
const UNREAD: Class = Class {
    kind: Kind::Other,
    because: Reason::Unknown,
    pins: Pins::NONE,
    unreported: false,
    non_ascii: true,
};
