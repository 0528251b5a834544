//! What the keeper says: its report, always; events, when there is news.

use process::spawn::Exit;
use site::name::MemberName;
use telemetry::{Event, Severity};
use tokio::sync::{mpsc, watch};

use super::process::Process;
use crate::act::ActError;
use crate::failover::decision::{Action, Decision};
use crate::failover::diagnosis::Diagnosis;
use crate::failover::view::{Time, View};
use crate::observe;
use crate::report::{MemberReport, MemberState, Role};
use crate::tell::{self, News, Told, news};

/// The same action failing this often in a row is told.
const FAILURES_TOLD: u32 = 2;

#[derive(Debug)]
pub(super) struct Voice {
    member: MemberName,
    events: mpsc::Sender<Event>,
    report: watch::Sender<MemberReport>,
    told: Told,
    trouble: Option<Trouble>,
}

/// An action that failed, and how often in a row.
#[derive(Debug)]
struct Trouble {
    action: std::mem::Discriminant<Action>,
    times: u32,
    text: String,
}

impl Voice {
    pub(super) fn new(
        member: MemberName,
        events: mpsc::Sender<Event>,
        report: watch::Sender<MemberReport>,
    ) -> Self {
        Self {
            member,
            events,
            report,
            told: Told::default(),
            trouble: None,
        }
    }

    /// After a look.
    pub(super) fn say(&mut self, view: &View, decision: &Decision, process: &Process, now: Time) {
        self.report.send_if_modified(|report| {
            let mut next = MemberReport::after(report, view, decision);
            next.pid = process.pid();
            next.restarts = process.restarts();
            if let Some(trouble) = &self.trouble {
                next.reason = format!("{}; {}", next.reason, trouble.text);
            }
            let changed = *report != next;
            *report = next;
            changed
        });
        let silent = matches!(decision.diagnosis, Diagnosis::EngineSilent { .. });
        if silent && process.silent_just_now(now) {
            return;
        }
        let (told, all) = tell::tell(&self.told, view, decision, now);
        self.told = told;
        all.into_iter().for_each(|news| self.send(news));
    }

    pub(super) fn send(&self, news: News) {
        let event = Event {
            at_ms: u64::try_from(observe::wall_clock_us() / 1000).unwrap_or(0),
            severity: news.severity,
            server: self.report.borrow().server.to_string(),
            subject: format!("member {}", self.member),
            kind: news.kind.to_owned(),
            what: news.what,
        };
        if let Err(e) = self.events.try_send(event) {
            tracing::warn!("an event was dropped: {e}");
        }
    }

    pub(super) fn did(&mut self, action: &Action) {
        let kind = std::mem::discriminant(action);
        if self.trouble.as_ref().is_some_and(|t| t.action == kind) {
            self.trouble = None;
        }
    }

    pub(super) fn failed(&mut self, action: &Action, error: &ActError) {
        let kind = std::mem::discriminant(action);
        let times = match &self.trouble {
            Some(trouble) if trouble.action == kind => trouble.times.saturating_add(1),
            _ => 1,
        };
        tracing::debug!("{}: {action:?}: {error}", self.member);
        let text = error.to_string();
        if times == FAILURES_TOLD {
            self.send(news(Severity::Warning, "member-stuck", text.clone()));
        }
        self.trouble = Some(Trouble {
            action: kind,
            times,
            text,
        });
    }

    pub(super) fn stopped(&self, exit: Option<Exit>) {
        self.report.send_modify(|report| {
            report.state = MemberState::Stopped;
            report.role = Role::Unknown;
            report.read_only = None;
            report.lag_ms = None;
            report.pid = None;
            report.reason = match exit {
                Some(exit) if !exit.success() => format!("stopped; mariadbd {exit}"),
                _ => "stopped".to_owned(),
            };
        });
    }
}
