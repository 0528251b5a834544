//! The life of one statement: classify → route → checkout → restore → relay → absorb. Plain calls,
//! top to bottom.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mysql::error_code;
use mysql::packet::Channel;
use mysql::scan::Expect;
use site::name::MemberName;
use site::target::{SqlMode, SqlRouting};

use super::record::Statement;
use super::servers::Ready;
use super::{Flow, Session, Trouble, say};
use crate::absorb;
use crate::intake;
use crate::limits::HOLD_POLL;
use crate::metrics::bump;
use crate::relay::{self, Answer, Broken, Left, Terms, Withholds};
use crate::route::{self, Because, Choice, Destination, Rules, To};
use crate::server::{AskError, ServerConnection};
use crate::sessions::FIRST_ID;
use crate::snapshot::Snapshot;
use crate::state::{Last, Read};
use crate::statement::assigned::{Assigned, assigned};
use crate::statement::cache::Known;
use crate::statement::class::{Class, Kind, Pins, Reason};
use crate::statement::kill;

/// What is sent for a statement, and how its answer looks.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) known: Known,
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

/// Where a statement is run.
#[derive(Debug)]
enum Way {
    Primary,
    Replica(MemberName),
    Nowhere,
}

impl Session {
    /// COM_QUERY.
    pub(super) async fn query(&mut self) -> Result<Flow, Trouble> {
        let text = self.payload().get(1..).unwrap_or_default();
        let known = self.worker.look(text);
        if known.class.kind == Kind::Kill
            && let Some(kill) = kill::parse(text)
            && kill.id >= u64::from(FIRST_ID)
        {
            return self.kill(kill.id, &kill.before).await;
        }
        let releases = known.class.releases;
        let answer = self
            .run_job(Job {
                known,
                ask: Ask::Text,
                forced: None,
            })
            .await?;
        Ok(after(releases, &answer))
    }

    /// Runs a statement where it belongs.
    pub(super) async fn run_job(&mut self, job: Job) -> Result<Answer, Trouble> {
        if !matches!(job.ask, Ask::Prepare(_)) {
            self.ran.statement = Some(Statement {
                digest: Arc::clone(&job.known.digest),
                class: job.known.class,
                ask: job.ask,
            });
        }
        let snapshot = self.worker.snapshot.load();
        let routing = snapshot.target.routing_of(&self.who.user);
        let because = match self.route(&snapshot, &job, routing.mode) {
            (Way::Replica(member), because) => {
                let asked = self.on_replica(&snapshot, &member, &job, because, routing);
                match asked.await? {
                    Ok(answer) => return Ok(answer),
                    Err(because) if routing.mode == SqlMode::Replica => {
                        return Err(self.refuse(because));
                    }
                    Err(because) => because,
                }
            }
            (Way::Nowhere, because) => return Err(self.refuse(because)),
            (Way::Primary, because) => because,
        };
        self.on_primary(&job, because).await
    }

    /// No server shall run it: the user may only read from replicas.
    fn refuse(&mut self, because: Because) -> Trouble {
        self.went(Destination::Router, because);
        let user = &self.who.user;
        let what = format!(
            "the SQL router lets {user} only read from replicas (mode = \"replica\"): {because}"
        );
        say(error_code::OPTION_PREVENTS, &what)
    }

    /// Where to run it, and why.
    fn route(&self, snapshot: &Snapshot, job: &Job, mode: SqlMode) -> (Way, Because) {
        if let Some(because) = job.forced {
            let way = match mode {
                SqlMode::Replica => Way::Nowhere,
                SqlMode::Split | SqlMode::Primary => Way::Primary,
            };
            return (way, because);
        }
        let connected = self.replica.as_ref().map(|replica| &replica.member);
        // Where it has read, it need not ask what it has read.
        let current = connected.or(self.state.reader());
        let choice = Choice {
            current,
            avoid: &self.worker.avoided(),
            turn: if current.is_none() {
                self.worker.turn()
            } else {
                0
            },
            loads: Some(&self.worker.loads),
        };
        let rules = Rules {
            mode,
            max_lag: snapshot.target.max_lag,
        };
        let class = &job.known.class;
        let route = route::decide(&self.state, class, &snapshot.servers, rules, choice);
        let way = match (route.to, connected) {
            (To::Replica(member), _) => Way::Replica(member.clone()),
            (To::LastReplica, Some(member)) => Way::Replica(member.clone()),
            (To::Primary | To::LastReplica, _) => Way::Primary,
            (To::Nowhere, _) => Way::Nowhere,
        };
        (way, route.because)
    }

    /// The inner error: it has not been answered, because of this; the primary shall.
    async fn on_replica(
        &mut self,
        snapshot: &Snapshot,
        member: &MemberName,
        job: &Job,
        because: Because,
        routing: SqlRouting,
    ) -> Result<Result<Answer, Because>, Trouble> {
        let mut asked = self.begun;
        // What asks about the last statement must find the connection as that left it.
        if job.known.class.kind == Kind::AboutLast {
            self.check_counted(&job.known.class, job.ask, Last::Replica)?;
            self.restore_asked(&job.known.class).await?;
        } else {
            let consistency = routing.consistency;
            match self.ensure_replica(snapshot, member, consistency).await {
                Ok(Ready::AtOnce) => {}
                Ok(Ready::Made) => asked = Instant::now(),
                Err(because) => return Ok(Err(because)),
            }
        }
        let worker = Rc::clone(&self.worker);
        worker.loads.begin(member);
        let answered = self.ask_replica(member, job, because, routing).await;
        let ended = Instant::now();
        worker
            .loads
            .end(member, ended.saturating_duration_since(asked));
        self.ended = Some(ended);
        answered
    }

    /// Sends it to the replica that is ready for it.
    async fn ask_replica(
        &mut self,
        member: &MemberName,
        job: &Job,
        because: Because,
        routing: SqlRouting,
    ) -> Result<Result<Answer, Because>, Trouble> {
        let Some(mut replica) = self.replica.take() else {
            return Ok(Err(Because::ReplicaFailed));
        };
        // Its author says that it is a read, which is not known.
        replica.tainted |= !matches!(job.known.class.kind, Kind::Read | Kind::AboutLast);
        match self.send(&mut replica, job).await {
            Ok(()) => {}
            Err(AskError::Refused(error)) => {
                self.replica = Some(replica);
                return match routing.mode {
                    // Nobody else is asked.
                    SqlMode::Replica => {
                        self.went(Destination::Replica, because);
                        Err(Trouble::Say(crate::login::refused(&error)))
                    }
                    SqlMode::Split | SqlMode::Primary => Ok(Err(Because::ReplicaRefused)),
                };
            }
            Err(AskError::Broken(_)) => {
                self.drop_replica(member);
                return Ok(Err(Because::ReplicaFailed));
            }
        }
        let withholds = match routing.mode {
            SqlMode::Replica => Withholds::Nothing,
            SqlMode::Split | SqlMode::Primary => Withholds::OfReplica,
        };
        let terms = self.terms(job, withholds);
        match relay::answer(&mut replica, &mut self.client, terms, None, None).await {
            Ok(answer) => {
                let refused = answer.withheld.is_some();
                self.keep_prepared(&mut replica, job, &answer);
                self.replica = Some(replica);
                if refused {
                    return Ok(Err(Because::ReplicaRefused));
                }
                self.answered(&answer);
                self.went(Destination::Replica, because);
                self.state.has_read_from(member);
                self.note_last(Last::Replica, &answer, Some(&job.known.class));
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

    /// A primary that takes no writes is about to hand over: what holds nothing on it is asked again, there
    /// or of its successor, `target.hold` at most.
    async fn on_primary(&mut self, job: &Job, because: Because) -> Result<Answer, Trouble> {
        let since = Instant::now();
        let mut held = false;
        loop {
            let answer = self.ask_primary(job, because).await?;
            let Some(error) = &answer.withheld else {
                return Ok(answer);
            };
            if since.elapsed() >= self.worker.snapshot.load().target.hold {
                return Err(Trouble::Say(crate::login::refused(error)));
            }
            if !std::mem::replace(&mut held, true) {
                bump(&self.worker.counts.held);
            }
            tokio::time::sleep(HOLD_POLL).await;
        }
    }

    async fn ask_primary(&mut self, job: &Job, because: Because) -> Result<Answer, Trouble> {
        self.ended = None;
        self.ensure_primary().await?;
        if job.known.class.looks_back && !matches!(job.ask, Ask::Prepare(_)) {
            self.clean_past(&job.known.class).await?;
        }
        if job.known.class.kind == Kind::AboutLast && !matches!(job.ask, Ask::Prepare(_)) {
            self.remember_last(&job.known.class, job.ask).await?;
        }
        let Some(mut primary) = self.primary.take() else {
            return Err(say(error_code::SHUTDOWN, "no primary"));
        };
        // Counted once, however often it is asked.
        let to = (Destination::Primary, because);
        if self.ran.went != Some(to) {
            self.went(to.0, to.1);
        }
        let assigned = self.assigned(job);
        let before = (self.state.insert_id, self.state.pins);
        let withholds = match self.state.holds() || job.forced.is_some() {
            true => Withholds::Nothing,
            false => Withholds::ReadOnly,
        };
        if !matches!(job.ask, Ask::Prepare(_)) {
            absorb::sent(&mut self.state, &job.known.class, assigned.is_some());
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
        let terms = self.terms(job, withholds);
        let class = Some(&job.known.class);
        let state = Some(&mut self.state);
        match relay::answer(&mut primary, &mut self.client, terms, state, class).await {
            // Nothing was done.
            Ok(answer) if answer.withheld.is_some() => {
                self.keep_prepared(&mut primary, job, &answer);
                self.primary = Some(primary);
                (self.state.insert_id, self.state.pins) = before;
                Ok(answer)
            }
            Ok(answer) => {
                self.answered(&answer);
                self.keep_prepared(&mut primary, job, &answer);
                if let Some(all) = assigned {
                    let done = answer.error.is_none();
                    absorb::assigned(&mut self.state, &mut primary.has, &all, done);
                }
                self.primary = Some(primary);
                self.note_last(Last::Primary, &answer, Some(&job.known.class));
                if job.known.class.schemas {
                    self.worker.forget_schemas();
                }
                if job.known.class.because == Reason::FoundRows {
                    self.left = Left::More;
                }
                Ok(answer)
            }
            Err(Broken::Client(e)) => Err(Trouble::Client(e)),
            Err(Broken::Server { why, begun }) => Err(self.primary_broke(&primary, &why, begun)),
        }
    }

    /// The user variables that a statement sets, when they can follow the session.
    fn assigned(&self, job: &Job) -> Option<Vec<Assigned>> {
        let class = &job.known.class;
        let sets = class.because == Reason::SetsSession && class.pins.has(Pins::USER_VARIABLE);
        match job.ask {
            Ask::Text if sets => assigned(self.payload().get(1..)?),
            _ => None,
        }
    }

    fn terms(&self, job: &Job, withholds: Withholds) -> Terms {
        let (expect, prepared_as) = match job.ask {
            Ask::Prepare(id) => (Expect::Prepared, id),
            Ask::Text | Ask::Execute(_) => (Expect::Results, 0),
        };
        Terms {
            expect,
            client_tracks: self.tracks,
            withholds,
            prepared_as,
            sequence: self.sequence.wrapping_add(1),
            stalled: self.worker.patience.stalled,
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
        mut primary: Box<ServerConnection>,
        expect: Expect,
        class: Option<Class>,
    ) -> Result<Flow, Trouble> {
        self.went(Destination::Primary, Because::Command);
        let terms = Terms {
            expect,
            client_tracks: self.tracks,
            withholds: Withholds::Nothing,
            prepared_as: 0,
            sequence: self.sequence.wrapping_add(1),
            stalled: self.worker.patience.stalled,
        };
        let state = Some(&mut self.state);
        let client: &mut Channel = &mut self.client;
        match relay::answer(&mut primary, client, terms, state, class.as_ref()).await {
            Ok(answer) => {
                self.answered(&answer);
                self.primary = Some(primary);
                self.note_last(Last::Primary, &answer, class.as_ref());
                Ok(Flow::On)
            }
            Err(Broken::Client(e)) => Err(Trouble::Client(e)),
            Err(Broken::Server { why, begun }) => Err(self.primary_broke(&primary, &why, begun)),
        }
    }

    /// A COM_QUERY of 16 MiB and more: not looked into.
    pub(super) async fn long_query(&mut self) -> Result<Flow, Trouble> {
        let primary = self.primary_for_long().await?;
        self.ran.statement = Some(Statement {
            digest: self.worker.digests.of(TOO_LONG),
            class: UNREAD,
            ask: Ask::Text,
        });
        self.pass_long(primary, UNREAD).await
    }

    /// Passes a command of several frames on. The sequence number of its last frame.
    pub(super) async fn pass_command(
        &mut self,
        primary: &mut ServerConnection,
    ) -> Result<u8, Trouble> {
        let stalled = self.worker.patience.stalled;
        Ok(intake::command(&mut self.client, Some(primary), stalled).await?)
    }

    /// The primary for a command that streams by; when there is none, the command is read away.
    pub(super) async fn primary_for_long(&mut self) -> Result<Box<ServerConnection>, Trouble> {
        let ensured = match self.ensure_primary().await {
            Ok(()) => self.clean_past(&UNREAD).await,
            refused => refused,
        };
        match (ensured, self.primary.take()) {
            (Ok(()), Some(primary)) => Ok(primary),
            (ensured, _) => {
                self.sequence = self.discard().await?;
                ensured?;
                Err(say(error_code::SHUTDOWN, "no primary"))
            }
        }
    }

    pub(super) async fn pass_long(
        &mut self,
        mut primary: Box<ServerConnection>,
        class: Class,
    ) -> Result<Flow, Trouble> {
        self.state.read = Some(Read::Primary);
        self.sequence = self.pass_command(&mut primary).await?;
        self.finish_command(primary, Expect::Results, Some(class))
            .await
    }
}

/// A session that was released ends, as its connection to the server does.
pub(super) fn after(releases: bool, answer: &Answer) -> Flow {
    match releases && answer.error.is_none() {
        true => Flow::End,
        false => Flow::On,
    }
}

/// The digest of such texts.
const TOO_LONG: &str = "(a text of 16 MiB or more)";

/// The class of a text too long to be looked into.
const UNREAD: Class = Class {
    kind: Kind::Other,
    because: Reason::Unknown,
    pins: Pins::NONE,
    unreported: false,
    non_ascii: true,
    counted: false,
    recounts: true,
    found_rows: false,
    looks_back: true,
    warnings: false,
    clears: true,
    hint: None,
    may_be_read: false,
    releases: false,
    schemas: true,
};
