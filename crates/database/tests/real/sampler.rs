//! Looks all the time which servers take writes, and says whether two ever did at once.
//!
//! No two servers can be asked at the same moment. But a server that said "writable" twice in a row over
//! one connection was so in between; two servers with such times in common were so together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use database::accounts;
use mysql::client::{Address, Connection};
use telemetry::Secret;
use tokio::task::JoinHandle;

use crate::hosts::Hosts;

const EVERY: Duration = Duration::from_millis(10);
/// A server that is stopped says nothing.
const ANSWER: Duration = Duration::from_millis(300);

/// A time in which a server was certainly writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    member: String,
    from: Instant,
    to: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    spans: Vec<Span>,
    samples: usize,
}

impl Seen {
    pub(crate) fn len(&self) -> usize {
        self.samples
    }

    pub(crate) fn two_writable(&self) -> Option<(Span, Span)> {
        let pairs = self.spans.iter().enumerate().flat_map(|(n, one)| {
            let rest = self.spans.iter().skip(n + 1);
            rest.map(move |other| (one, other))
        });
        pairs
            .filter(|(one, other)| one.member != other.member)
            .find(|(one, other)| one.from.max(other.from) < one.to.min(other.to))
            .map(|(one, other)| (one.clone(), other.clone()))
    }
}

pub(crate) struct Sampler {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Seen>>,
}

impl Sampler {
    pub(crate) fn start(hosts: &Hosts) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let password = hosts.bed.secrets.get_or_create(accounts::ADMIN_SECRET);
        let password = password.unwrap();
        let tasks = hosts.names().into_iter().map(|member| {
            let socket = hosts.bed.dir.path().join("run");
            let one = One {
                address: Address::Unix(socket.join(format!("{member}.sock"))),
                password: password.clone(),
                stop: Arc::clone(&stop),
                member,
            };
            tokio::spawn(one.watch())
        });
        Self {
            tasks: tasks.collect(),
            stop,
        }
    }

    pub(crate) async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for task in self.tasks {
            let seen = task.await.unwrap();
            assert!(seen.samples > 0, "a server never answered");
            all.samples += seen.samples;
            all.spans.extend(seen.spans);
        }
        all
    }
}

struct One {
    member: String,
    address: Address,
    password: Secret,
    stop: Arc<AtomicBool>,
}

impl One {
    async fn watch(self) -> Seen {
        let mut seen = Seen::default();
        while !self.stop.load(Ordering::Relaxed) {
            let login = Connection::connect(&self.address, accounts::ADMIN, &self.password, None);
            if let Ok(Ok(mut server)) = tokio::time::timeout(ANSWER, login).await {
                self.ask(&mut server, &mut seen).await;
            }
            tokio::time::sleep(EVERY).await;
        }
        seen
    }

    /// Until it does not answer.
    async fn ask(&self, server: &mut Connection, seen: &mut Seen) {
        let mut writable: Option<Span> = None;
        while !self.stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let query = server.query("SELECT @@global.read_only");
            let Ok(Ok(rows)) = tokio::time::timeout(ANSWER, query).await else {
                break;
            };
            seen.samples += 1;
            match (rows.single() == Some("0"), &mut writable) {
                (true, Some(span)) => span.to = asked,
                (true, none) => {
                    // The answer was given before now, and what was asked next is given later.
                    let now = Instant::now();
                    *none = Some(Span {
                        member: self.member.clone(),
                        from: now,
                        to: now,
                    });
                }
                (false, some) => seen.spans.extend(some.take()),
            }
            tokio::time::sleep(EVERY).await;
        }
        seen.spans.extend(writable);
    }
}
