//! The server process as the keeper has it: running or not, and when it is started again.

use std::time::Duration;

use nix::sys::signal::Signal;
use process::restart::{self, History};
use process::spawn::{Exit, Running};

use crate::engine::mariadb::STOP_GRACE;
use crate::failover::view::{Engine, Time};

/// One mariadbd, over all its lives.
#[derive(Debug)]
pub(super) struct Process {
    running: Option<Running>,
    /// Since when it answers: a life is measured from there.
    answered_at: Time,
    history: History,
    starts: u32,
    down: Down,
    silent_since: Option<Time>,
}

#[derive(Debug)]
struct Down {
    why: String,
    start_at: Time,
    needs_you: bool,
}

impl Process {
    pub(super) fn new() -> Self {
        Self {
            running: None,
            answered_at: Time::default(),
            history: History::default(),
            starts: 0,
            down: Down {
                why: "not started yet".to_owned(),
                start_at: Time::default(),
                needs_you: false,
            },
            silent_since: None,
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.pid)
    }

    /// Starts after the first one.
    pub(super) fn restarts(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// `None`: it runs, ask it.
    pub(super) fn down(&self) -> Option<Engine> {
        let down = &self.down;
        self.running.is_none().then(|| Engine::Down {
            why: down.why.clone(),
            start_at: down.start_at,
            needs_you: down.needs_you,
        })
    }

    pub(super) fn answers(&mut self) {
        self.silent_since = None;
    }

    pub(super) fn is_silent(&mut self, why: String, now: Time) -> Engine {
        Engine::Silent {
            why,
            since: *self.silent_since.get_or_insert(now),
        }
    }

    /// An exit that the process's own watcher has not reported yet looks like silence.
    pub(super) fn silent_just_now(&self, now: Time) -> bool {
        self.silent_since == Some(now)
    }

    pub(super) fn started(&mut self, running: Running, now: Time) {
        self.running = Some(running);
        self.answered_at = now;
        self.starts = self.starts.saturating_add(1);
        self.silent_since = None;
    }

    pub(super) fn exited(&mut self, exit: Option<Exit>, now: Time) {
        let how = exit.map_or_else(|| "ended".to_owned(), |exit| exit.to_string());
        let ran_for = now.since(self.answered_at);
        self.ended(format!("mariadbd {how}"), false, ran_for, now);
    }

    /// It did not come up.
    pub(super) fn failed(&mut self, why: String, needs_you: bool, now: Time) {
        self.ended(why, needs_you, Duration::ZERO, now);
    }

    fn ended(&mut self, why: String, needs_you: bool, ran_for: Duration, now: Time) {
        let restart = restart::after_exit(self.history, ran_for);
        self.history = restart.history;
        self.running = None;
        self.silent_since = None;
        self.down = Down {
            why,
            start_at: now.after(restart.after),
            needs_you,
        };
    }

    /// For who stops it on purpose.
    pub(super) fn take(&mut self) -> Option<Running> {
        self.running.take()
    }

    /// Given back as it is now; stopped on purpose, it is started again at once.
    pub(super) fn give_back(&mut self, running: Option<Running>, now: Time) {
        self.running = running;
        self.down = Down {
            why: "its data was replaced".to_owned(),
            start_at: now,
            needs_you: false,
        };
    }

    /// Waits for its end; for ever when nothing runs. Safe to cancel.
    pub(super) async fn wait(&mut self) -> Option<Exit> {
        match &mut self.running {
            Some(running) => running.exited().await,
            None => std::future::pending().await,
        }
    }

    /// At once; its end is told as any other.
    pub(super) async fn kill(&self) {
        if let Some(running) = &self.running {
            running.signal(Signal::SIGKILL).await;
        }
    }

    /// How it ended; `None` when nothing ran.
    pub(super) async fn stop(&mut self) -> Option<Exit> {
        self.running.take()?.stop(STOP_GRACE).await
    }
}
