//! Asks one endpoint for its health, again and again, and says when its state changes.

use std::rc::Rc;

use http::client::{self, Address, Upstream};
use http::deadline::{Deadline, Watch};
use http::head;
use http::tls::Connector;
use site::target::balancer::{Ask, HealthCheck, Protocol};
use tokio::sync::{mpsc, watch};

use super::judge::{History, State, judge};
use crate::backend::{Backend, Endpoint};
use crate::run::News;

/// Who is asked, and what.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    backend: String,
    endpoint: String,
    address: Address,
    protocol: Protocol,
    check: HealthCheck,
    host: String,
    connector: Option<Connector>,
}

/// All but the connector, which is made of the check's backend.
impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.check == other.check
            && self.host == other.host
            && self.address == other.address
            && self.protocol == other.protocol
    }
}

impl Subject {
    pub(crate) fn of(backend: &Backend, endpoint: &Endpoint, host: &str) -> Self {
        let check = backend.target.health.clone();
        let mut address = endpoint.address.clone();
        if let (Address::Tcp(address), Some(port)) = (&mut address, check.port) {
            address.set_port(port);
        }
        let own_host = match &check.ask {
            Ask::Http { host, .. } if !host.is_empty() => Some(host.clone()),
            _ => None,
        };
        let of_address = || match &address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        };
        let of_site = || {
            Some(host)
                .filter(|host| !host.is_empty())
                .map(str::to_owned)
        };
        Self {
            backend: backend.target.name.clone(),
            endpoint: endpoint.name.clone(),
            protocol: backend.target.protocol,
            host: own_host.or_else(of_site).unwrap_or_else(of_address),
            connector: backend.connector.clone().filter(|_| check.tls),
            address,
            check,
        }
    }
}

/// A change of one endpoint's state.
#[derive(Debug)]
pub(crate) struct Result {
    pub(crate) backend: String,
    pub(crate) endpoint: String,
    pub(crate) state: State,
    pub(crate) reason: String,
    /// The first result ever.
    pub(crate) first: bool,
}

/// Bytes of an answer that are shown as its reason.
const SHOWN: usize = 120;

/// Runs until it is aborted or nobody listens.
pub(crate) async fn run(
    mut subject: watch::Receiver<Subject>,
    watch: Rc<Watch>,
    news: mpsc::Sender<News>,
) {
    let mut history = History::default();
    loop {
        let now = subject.borrow_and_update().clone();
        let check = &now.check;
        if check.ask == Ask::Nothing {
            if subject.changed().await.is_err() {
                return;
            }
            continue;
        }
        let answer = ask(&now, &watch).await;
        let first = history.state == State::Unknown;
        let (next, changed) = judge(history, answer.is_ok(), check.rise, check.fall);
        history = next;
        if changed {
            let reason = match answer {
                Ok(reason) | Err(reason) => reason,
            };
            let result = Result {
                backend: now.backend.clone(),
                endpoint: now.endpoint.clone(),
                state: history.state,
                reason,
                first,
            };
            if news.send(News::Probed(result)).await.is_err() {
                return;
            }
        }
        let wait = check.interval;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = subject.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// One question. Both results say what was found.
async fn ask(subject: &Subject, watch: &Rc<Watch>) -> std::result::Result<String, String> {
    let deadline = watch.deadline();
    match &subject.check.ask {
        Ask::Nothing => Ok("not asked".to_owned()),
        Ask::Tcp => connect(subject, &deadline)
            .await
            .map(|_| "takes connections".to_owned()),
        Ask::Http { method, path, .. } => http(subject, method, path, &deadline).await,
        Ask::Grpc { .. } => Ok("".to_owned()),
    }
}

async fn connect(subject: &Subject, deadline: &Deadline) -> std::result::Result<Upstream, String> {
    let (to, within) = (&subject.address, subject.check.timeout);
    let connected = match &subject.connector {
        Some(tls) => client::connect_secure(to, tls, deadline, within).await,
        None => client::connect(to, deadline, within).await,
    };
    connected.map_err(|fault| fault.to_string())
}

async fn http(
    subject: &Subject,
    method: &str,
    path: &str,
    deadline: &Deadline,
) -> std::result::Result<String, String> {
    let host = &subject.host;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: mainstay\r\nConnection: close\r\n\r\n"
    );
    let upstream = connect(subject, deadline).await?;
    let asked = client::ask_over(upstream, request.as_bytes(), deadline).await;
    let (upstream, length) = asked.map_err(|fault| fault.to_string())?;
    let bytes = upstream.buffer.filled();
    let mut storage = head::Storage::new();
    let response = bytes
        .get(..length)
        .ok_or(())
        .and_then(|bytes| head::response(bytes, &mut storage).map_err(|_| ()))
        .map_err(|()| format!("{path}: the answer is not HTTP"))?;
    if (200..300).contains(&response.status) {
        return Ok(format!("{path} answers"));
    }
    let text = String::from_utf8_lossy(bytes.get(length..).unwrap_or_default());
    let text: String = text
        .chars()
        .take(SHOWN)
        .filter(|c| !c.is_control())
        .collect();
    Err(format!(
        "{path} answered {}: {}",
        response.status,
        text.trim()
    ))
}
