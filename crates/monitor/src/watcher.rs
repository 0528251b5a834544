//! The actor of the monitor: takes up events and states, looks at the rules, tells everybody.
//!
//! Others see what it knows through `Seen`, as values that are replaced whole.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use telemetry::{Event, Severity};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::alert::rules;
use crate::alert::state::{Alert, Alerts, Now, Phase};
use crate::events::EventLog;
use crate::limits::Limits;
use crate::notify::Webhook;
use crate::series::History;
use crate::status::{SiteStatus, State};

/// Events remembered between two looks at the rules: as many as come in a bad second.
const RECENT: usize = 256;
/// Said once, before anything is stopped (`agent`'s `Running::stop`).
const STOPPING: &str = "site-stopping";

/// What the page reads.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) status: watch::Receiver<SiteStatus>,
    pub(crate) history: watch::Receiver<History>,
    pub(crate) alerts: watch::Receiver<Vec<Alert>>,
    pub(crate) log: EventLog,
}

#[derive(Debug)]
pub(crate) struct Watcher {
    status: watch::Receiver<SiteStatus>,
    incoming: mpsc::Receiver<Event>,
    log: EventLog,
    receivers: Vec<Webhook>,
    limits: Limits,
    alerts: Alerts,
    recent: Vec<Event>,
    /// The site is being stopped on purpose: what breaks now is no alert.
    stopping: bool,
    began: Instant,
    history_out: watch::Sender<History>,
    alerts_out: watch::Sender<Vec<Alert>>,
}

impl Watcher {
    pub(crate) fn new(
        status: watch::Receiver<SiteStatus>,
        incoming: mpsc::Receiver<Event>,
        log: EventLog,
        receivers: Vec<Webhook>,
        limits: Limits,
    ) -> (Self, Seen) {
        let (history_out, history) = watch::channel(History::default());
        let (alerts_out, alerts) = watch::channel(Vec::new());
        let seen = Seen {
            status: status.clone(),
            history,
            alerts,
            log: log.clone(),
        };
        let watcher = Self {
            status,
            incoming,
            log,
            receivers,
            limits,
            alerts: Alerts::default(),
            recent: Vec::new(),
            stopping: false,
            began: Instant::now(),
            history_out,
            alerts_out,
        };
        (watcher, seen)
    }

    /// Until everybody who sends events is gone.
    pub(crate) async fn run(mut self) {
        let mut look = tokio::time::interval(self.limits.look_every);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watched = true;
        loop {
            tokio::select! {
                event = self.incoming.recv() => match event {
                    Some(event) => self.take_up(event),
                    None => break,
                },
                changed = self.status.changed(), if watched => {
                    watched = changed.is_ok();
                    self.record();
                    self.look();
                }
                _ = look.tick() => self.look(),
            }
        }
        self.close();
        for receiver in self.receivers {
            receiver.finish(self.limits.webhook.last_words).await;
        }
    }

    fn take_up(&mut self, event: Event) {
        let stopping = event.kind == STOPPING;
        if self.recent.len() < RECENT {
            self.recent.push(event.clone());
        }
        self.log.append(event);
        if stopping {
            self.close();
        }
    }

    fn record(&mut self) {
        let now = self.began.elapsed();
        let status = self.status.borrow_and_update();
        if status.state != State::Starting || status.traffic.requests > 0 {
            self.history_out
                .send_if_modified(|history| history.record(now, &status));
        }
    }

    /// Asks the rules and tells people what is new.
    fn look(&mut self) {
        // What was said before the state changed is heard before it is judged.
        for _ in 0..RECENT {
            match self.incoming.try_recv() {
                Ok(event) => self.take_up(event),
                Err(_) => break,
            }
        }
        let recent = std::mem::take(&mut self.recent);
        if self.stopping {
            return;
        }
        let conditions = {
            let status = self.status.borrow();
            if status.state == State::Starting {
                return;
            }
            rules::conditions(&status, &recent, &self.alerts.firing(), self.limits.max_lag)
        };
        let now = self.now();
        let told = self.alerts.take(conditions, now, &self.limits.holds);
        self.tell(told);
    }

    /// The site is being stopped: nothing is an alert any more.
    fn close(&mut self) {
        if !self.stopping {
            self.stopping = true;
            let now = self.now();
            let told = self.alerts.stop(now);
            self.tell(told);
        }
    }

    fn tell(&mut self, told: Vec<Alert>) {
        for alert in told {
            self.log.append(event(&alert, self.now().at_ms));
            for receiver in &self.receivers {
                receiver.send(alert.clone());
            }
        }
        let all = self.alerts.all();
        self.alerts_out.send_if_modified(|former| {
            let changed = *former != all;
            *former = all;
            changed
        });
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            since_start: self.began.elapsed(),
            at_ms: u64::try_from(wall.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn event(alert: &Alert, at_ms: u64) -> Event {
    let (severity, kind, what) = match alert.state {
        Phase::Resolved if alert.stopped => (
            Severity::Info,
            "alert-closed",
            format!("alert closed, the site is being stopped: {}", alert.what),
        ),
        Phase::Resolved => (
            Severity::Info,
            "alert-resolved",
            format!("alert over: {}", alert.what),
        ),
        Phase::Firing | Phase::Pending => (
            alert.severity,
            "alert-firing",
            format!("alert: {}", alert.what),
        ),
    };
    Event {
        at_ms,
        severity,
        server: String::new(),
        subject: alert.subject.clone(),
        kind: kind.to_owned(),
        what,
    }
}
