//! Asks a running site through its admin socket: one HTTP request over a unix socket.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::report::Failure;

/// The status for "the site is not running".
pub(crate) const NOT_RUNNING: u8 = 3;
/// Bytes of an answer: the status of a site of 20 servers is about 100 KiB.
const ANSWER: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// A JSON answer to `GET path`.
pub(crate) fn get<T: DeserializeOwned>(state: &Path, path: &str) -> anyhow::Result<T> {
    let body = ask(state, Method::GET, path, None)?;
    serde_json::from_slice(&body).context("the site's answer cannot be read")
}

/// `POST path`.
pub(crate) fn post(state: &Path, path: &str) -> anyhow::Result<()> {
    ask(state, Method::POST, path, None).map(drop)
}

/// `POST path` with JSON; the answer, which may be empty.
pub(crate) fn post_json(
    state: &Path,
    path: &str,
    body: &impl serde::Serialize,
) -> anyhow::Result<Vec<u8>> {
    let text = serde_json::to_string(body)?;
    ask(state, Method::POST, path, Some(("application/json", text)))
}

/// The same for what takes its time.
pub(crate) fn post_json_for(
    state: &Path,
    path: &str,
    body: &impl serde::Serialize,
    patience: Duration,
) -> anyhow::Result<Vec<u8>> {
    let body = Some(("application/json", serde_json::to_string(body)?));
    ask_for(state, Method::POST, path, body, patience)
}

/// `POST path` with text.
pub(crate) fn post_text(state: &Path, path: &str, text: String) -> anyhow::Result<Vec<u8>> {
    ask(state, Method::POST, path, Some(("text/plain", text)))
}

/// Kind and text of a request's body.
type Body = Option<(&'static str, String)>;

/// Why the site did not do it.
#[derive(serde::Deserialize)]
struct Refused {
    what: String,
    next: String,
}

fn ask(state: &Path, method: Method, path: &str, body: Body) -> anyhow::Result<Vec<u8>> {
    ask_for(state, method, path, body, PATIENCE)
}

fn ask_for(
    state: &Path,
    method: Method,
    path: &str,
    body: Body,
    patience: Duration,
) -> anyhow::Result<Vec<u8>> {
    let socket = agent::state_dir::runtime_of(state).join(agent::admin::SOCKET);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let Ok(stream) = UnixStream::connect(&socket).await else {
            let what = format!("no site is running with the state {}", state.display());
            let next = "`mainstay up` starts one; --state names another directory";
            return Err(Failure::new(what, next).with_status(NOT_RUNNING).into());
        };
        let asked = converse(stream, method, path, body);
        tokio::time::timeout(patience, asked)
            .await
            .context("the site does not answer")?
    })
}

async fn converse(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: Body,
) -> anyhow::Result<Vec<u8>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header(
            "content-type",
            body.as_ref().map_or("text/plain", |(kind, _)| kind),
        )
        .body(body.map(|(_, text)| text).unwrap_or_default())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = read(response).await?;
        if status == StatusCode::CONFLICT
            && let Ok(Refused { what, next }) = serde_json::from_slice(&body)
        {
            return Err(Failure::new(what, next).into());
        }
        anyhow::ensure!(status.is_success(), "the site answered {status}");
        Ok(body)
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        body = &mut exchange => body,
        ended = &mut connection => {
            ended?;
            exchange.await
        }
    }
}

async fn read(response: Response<Incoming>) -> anyhow::Result<Vec<u8>> {
    use hyper::body::Body as _;
    let mut body = Box::pin(response.into_body());
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            anyhow::ensure!(bytes.len() + data.len() <= ANSWER, "the answer is too long");
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}
