//! Asks one endpoint for its health, again and again, and says when its state changes.

use std::rc::Rc;
use std::sync::Arc;

use http::buffer::Buffer;
use http::client::{self, Address, Upstream};
use http::deadline::{Deadline, Watch};
use http::tls::Connector;
use http::{h2, head};
use site::target::balancer::{Ask, HealthCheck, Protocol};
use tokio::sync::{mpsc, watch};

use super::answer::Expected;
use super::grpc;
use super::judge::{self, History, State, judge};
use crate::backend::{Backend, Endpoint};
use crate::run::News;
use crate::upstream::header;

/// Who is asked, and what.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    backend: String,
    endpoint: String,
    address: Address,
    protocol: Protocol,
    check: HealthCheck,
    expected: Option<Arc<Expected>>,
    host: String,
    connector: Option<Connector>,
    /// What a connection begins with.
    before: Vec<u8>,
}

/// All but what is made of the check and its backend.
impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.check == other.check
            && self.host == other.host
            && self.address == other.address
            && self.protocol == other.protocol
            && self.before == other.before
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
        // Nobody's connection: the specification's LOCAL, which only version 2 can say in binary.
        let nobody = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let before = backend
            .target
            .proxy_protocol
            .map(|version| header(version, nobody, nobody));
        Self {
            backend: backend.target.name.clone(),
            endpoint: endpoint.name.clone(),
            protocol: backend.target.protocol,
            host: own_host.or_else(of_site).unwrap_or_else(of_address),
            connector: backend.connector.clone().filter(|_| check.tls),
            // A pattern that is none was refused with its snapshot.
            expected: Expected::new(&check.ask).and_then(Result::ok).map(Arc::new),
            before: before.unwrap_or_default(),
            address,
            check,
        }
    }
}

/// A change of one endpoint's state.
#[derive(Debug)]
pub(crate) struct Probed {
    pub(crate) backend: String,
    pub(crate) endpoint: String,
    pub(crate) state: State,
    pub(crate) reason: String,
    /// The first result ever.
    pub(crate) first: bool,
}

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
            history = History::default();
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
            let probed = Probed {
                backend: now.backend.clone(),
                endpoint: now.endpoint.clone(),
                state: history.state,
                reason,
                first,
            };
            if news.send(News::Probed(probed)).await.is_err() {
                return;
            }
        }
        // Without chance, checks that began together stay together.
        let random = getrandom::u64().unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(judge::next(history, check, random)) => {}
            changed = subject.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// One question. Both results say what was found.
async fn ask(subject: &Subject, watch: &Rc<Watch>) -> Result<String, String> {
    let deadline = watch.deadline();
    match &subject.check.ask {
        Ask::Nothing => Ok("not asked".to_owned()),
        Ask::Tcp => connect(subject, &deadline)
            .await
            .map(|_| "takes connections".to_owned()),
        Ask::Http {
            method,
            path,
            headers,
            ..
        } => http(subject, (method, path), headers, &deadline).await,
        Ask::Grpc { service } => ask_grpc(subject, service, &deadline).await,
    }
}

async fn connect(subject: &Subject, deadline: &Deadline) -> Result<Upstream, String> {
    let within = subject.check.timeout;
    let tls = subject.connector.as_ref();
    let connected =
        client::connect_after(&subject.address, &subject.before, tls, deadline, within).await;
    connected.map_err(|fault| fault.to_string())
}

/// A connection that takes a request as HTTP/1.1 text, whatever the endpoint speaks.
async fn conversation(
    subject: &Subject,
    two: bool,
    deadline: &Deadline,
) -> Result<Upstream, String> {
    let upstream = connect(subject, deadline).await?;
    if !two {
        return Ok(upstream);
    }
    let within = subject.check.timeout;
    let (link, driver) = h2::client::connect(upstream.stream, deadline, within)
        .await
        .map_err(|e| format!("HTTP/2: {e}"))?;
    // Ends with its connection, which ends with the link.
    tokio::task::spawn_local(driver);
    let stream = link.open().ok_or("HTTP/2: no stream")?;
    Ok(Upstream {
        stream,
        buffer: Buffer::new(),
        reused: false,
    })
}

async fn http(
    subject: &Subject,
    (method, path): (&str, &str),
    headers: &[(String, String)],
    deadline: &Deadline,
) -> Result<String, String> {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: mainstay\r\nConnection: close\r\n",
        subject.host
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let two = subject.protocol == Protocol::Http2;
    let upstream = conversation(subject, two, deadline).await?;
    let asked = client::ask_over(upstream, request.as_bytes(), deadline).await;
    let (mut upstream, length) = asked.map_err(|fault| fault.to_string())?;
    let (status, chunked) =
        status(&upstream, length).ok_or(format!("{path}: the answer is not HTTP"))?;
    let Some(expected) = &subject.expected else {
        return Err("the check's pattern cannot be used".to_owned());
    };
    if expected.needs_body() {
        read_body(&mut upstream, length, super::answer::BODY, deadline).await;
    }
    let body = upstream.buffer.filled().get(length..).unwrap_or_default();
    let plain = if chunked {
        decoded(body)
    } else {
        body.to_vec()
    };
    match expected.check(status, &plain) {
        Ok(()) => Ok(format!("{path} answers")),
        Err(unhealthy) => Err(format!("{path} {unhealthy}")),
    }
}

async fn ask_grpc(subject: &Subject, service: &str, deadline: &Deadline) -> Result<String, String> {
    let body = grpc::request(service);
    let mut request = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: mainstay\r\nTE: trailers\r\n\
         Content-Type: {}\r\nContent-Length: {}\r\n\r\n",
        grpc::PATH,
        subject.host,
        grpc::CONTENT_TYPE,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    let upstream = conversation(subject, true, deadline).await?;
    let asked = client::ask_over(upstream, &request, deadline).await;
    let (mut upstream, length) = asked.map_err(|fault| fault.to_string())?;
    let (status, chunked) = status(&upstream, length).ok_or("gRPC: the answer is not HTTP")?;
    if status != 200 {
        return Err(format!("gRPC: answered {status}"));
    }
    read_body(&mut upstream, length, grpc::ANSWER, deadline).await;
    let body = upstream.buffer.filled().get(length..).unwrap_or_default();
    let message = if chunked {
        decoded(body)
    } else {
        body.to_vec()
    };
    match grpc::answer(&message) {
        Ok(grpc::Serving::Serving) => Ok("gRPC: SERVING".to_owned()),
        Ok(other) => Err(format!("gRPC: {other}")),
        Err(unreadable) => Err(unreadable.to_string()),
    }
}

/// And whether the body is chunked.
fn status(upstream: &Upstream, length: usize) -> Option<(u16, bool)> {
    let mut storage = head::Storage::<'_, { http::limits::FIELDS }>::new();
    let bytes = upstream.buffer.filled().get(..length)?;
    let head = head::response(bytes, &mut storage).ok()?;
    Some((head.status, head.fields.get("transfer-encoding").is_some()))
}

/// Reads on until the end of the answer, `most` bytes, or the limit of time that is set: what is there
/// then is looked at.
async fn read_body(upstream: &mut Upstream, length: usize, most: usize, deadline: &Deadline) {
    let most = length + most;
    while upstream.buffer.filled().len() < most {
        if !client::read_more(upstream, most, deadline).await {
            return;
        }
    }
}

/// The data of a chunked body, as far as it is there.
fn decoded(body: &[u8]) -> Vec<u8> {
    let mut coding = http::body::Chunked::new();
    let (mut rest, mut data) = (body, Vec::new());
    while !rest.is_empty() && !coding.is_done() {
        let Ok(taken) = coding.take(rest) else { break };
        let (chunk, after) = rest.split_at_checked(taken.bytes).unwrap_or((rest, &[]));
        let framing = taken.bytes - taken.data;
        data.extend_from_slice(chunk.get(framing..).unwrap_or_default());
        rest = after;
        if taken.bytes == 0 {
            break;
        }
    }
    data
}
