//! One receiver of alerts: a queue and a thread that posts, in order, as often as it takes (bounded).
//!
//! A thread and not a task: `ureq` blocks, and a process that ends does not wait for a thread whose
//! receiver hangs. The address is a secret; only its host is ever named.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use telemetry::wall_clock::now_ms;
use telemetry::{Event, Secret, Severity};
use tokio::sync::oneshot;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::message::message;
use super::retry::{self, Failure};
use super::trust;
use crate::alert::state::Alert;
use crate::events::EventLog;
use crate::limits;

/// A receiver, from the outside.
#[derive(Debug)]
pub(crate) struct Webhook {
    host: String,
    queue: SyncSender<Alert>,
    /// Dropped to end the waits between attempts.
    goes_on: SyncSender<()>,
    ended: oneshot::Receiver<()>,
}

/// The thread's side.
struct Poster {
    site: String,
    url: Secret,
    host: String,
    agent: Agent,
    stop: Receiver<()>,
    limits: limits::Webhook,
    log: EventLog,
}

/// Starts the receivers of `urls`.
pub(crate) fn start(
    site: &str,
    urls: Vec<String>,
    limits: limits::Webhook,
    log: &EventLog,
) -> io::Result<Vec<Webhook>> {
    if urls.is_empty() {
        return Ok(Vec::new());
    }
    let trust = trust::authorities();
    urls.into_iter()
        .map(|url| start_one(site, Secret::new(url), trust.clone(), limits, log.clone()))
        .collect()
}

fn start_one(
    site: &str,
    url: Secret,
    trust: RootCerts,
    limits: limits::Webhook,
    log: EventLog,
) -> io::Result<Webhook> {
    let host = host(url.expose()).to_owned();
    let (queue, alerts) = sync_channel(limits.queue);
    let (goes_on, stop) = sync_channel(1);
    let (at_end, ended) = oneshot::channel();
    let poster = Poster {
        site: site.to_owned(),
        url,
        host: host.clone(),
        agent: agent(trust, limits.timeout),
        stop,
        limits,
        log,
    };
    std::thread::Builder::new()
        .name("webhook".to_owned())
        .spawn(move || {
            for alert in alerts {
                poster.deliver(&alert);
            }
            drop(at_end);
        })?;
    Ok(Webhook {
        host,
        queue,
        goes_on,
        ended,
    })
}

impl Webhook {
    /// Never waits. When the queue is full the alert is lost to this receiver, and the log says so.
    pub(crate) fn send(&self, alert: Alert) {
        match self.queue.try_send(alert) {
            Ok(()) => {}
            Err(TrySendError::Full(alert)) => tracing::error!(
                "webhook {}: too many alerts wait, {} was not sent",
                self.host,
                alert.id
            ),
            Err(TrySendError::Disconnected(_)) => {
                tracing::error!("webhook {}: its thread is gone", self.host);
            }
        }
    }

    /// Lets it post what waits, once each, and ends it. One that takes longer is left behind.
    pub(crate) async fn finish(self, within: Duration) {
        drop(self.queue);
        drop(self.goes_on);
        if tokio::time::timeout(within, self.ended).await.is_err() {
            tracing::warn!("webhook {}: does not answer, left behind", self.host);
        }
    }
}

impl Poster {
    fn deliver(&self, alert: &Alert) {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Err(failure) = self.post(alert) else {
                tracing::info!("webhook {}: told of {}", self.host, alert.id);
                return;
            };
            let Some(wait) = retry::after(attempts, &failure, &self.limits) else {
                return self.gave_up(alert, &failure.why, attempts);
            };
            if attempts == 1 {
                tracing::warn!("webhook {}: {}; trying again", self.host, failure.why);
            }
            if self.stop.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return self.gave_up(alert, &failure.why, attempts);
            }
        }
    }

    fn post(&self, alert: &Alert) -> Result<(), Failure> {
        let body = serde_json::to_vec(&message(&self.site, alert)).map_err(|e| Failure {
            why: e.to_string(),
            passing: false,
        })?;
        let post = self
            .agent
            .post(self.url.expose())
            .content_type("application/json");
        match post.send(&body) {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(answered(answer.status().as_u16())),
            Err(ureq::Error::StatusCode(status)) => Err(answered(status)),
            Err(e) => Err(failure(&e)),
        }
    }

    fn gave_up(&self, alert: &Alert, why: &str, attempts: u32) {
        let times = if attempts == 1 {
            "once"
        } else {
            "again and again"
        };
        let what = format!(
            "{} was not told that {} is {}: {why} (tried {times})",
            self.host,
            alert.subject,
            match alert.until_ms {
                None => "in trouble",
                Some(_) => "well again",
            }
        );
        tracing::error!("{what}");
        self.log.append(Event {
            at_ms: now_ms(),
            severity: Severity::Error,
            server: String::new(),
            subject: format!("webhook {}", self.host),
            kind: "webhook-failed".to_owned(),
            what,
        });
    }
}

fn agent(trust: RootCerts, timeout: Duration) -> Agent {
    // Named, since `ureq` is built without a provider of its own; the same as everywhere in Mainstay.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(trust)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(timeout))
        // A post that is redirected becomes a get, which tells nobody anything.
        .max_redirects(0)
        .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn answered(status: u16) -> Failure {
    Failure {
        why: format!("it answered {status}"),
        passing: retry::passing_status(status),
    }
}

/// In our own words: the library's may have the address in them.
fn failure(e: &ureq::Error) -> Failure {
    let (why, passing) = match e {
        ureq::Error::Io(e) => (io_reason(e), true),
        ureq::Error::Timeout(_) => ("it did not answer in time".to_owned(), true),
        ureq::Error::HostNotFound => ("its name cannot be resolved".to_owned(), true),
        ureq::Error::ConnectionFailed => ("it cannot be reached".to_owned(), true),
        ureq::Error::Tls(what) => ((*what).to_owned(), true),
        ureq::Error::Rustls(e) => (e.to_string(), true),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            ("its address is not a web address".to_owned(), false)
        }
        ureq::Error::InvalidProxyUrl => ("the proxy's address is not usable".to_owned(), false),
        ureq::Error::ConnectProxyFailed(_) => ("the proxy refused".to_owned(), true),
        _ => ("the exchange broke off".to_owned(), true),
    };
    Failure { why, passing }
}

/// What is wrong with a certificate arrives wrapped.
fn io_reason(e: &io::Error) -> String {
    let tls = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    tls.map_or_else(|| e.kind().to_string(), ToString::to_string)
}

/// `https://user:pass@hooks.example.org:8443/secret` → `hooks.example.org`.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
