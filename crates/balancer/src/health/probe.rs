//! Asks one endpoint for its health, again and again, and says when its state changes.

use std::rc::Rc;
use std::time::Duration;

use http::client::{self, Address};
use http::deadline::Watch;
use http::head;
use site::target::{EndpointTarget, HealthCheck};
use tokio::sync::mpsc;

use super::judge::{History, State, judge};

/// A change of one endpoint's state.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) endpoint: EndpointTarget,
    pub(crate) up: bool,
    pub(crate) reason: String,
    /// The first result ever: worth no alarm when it is good.
    pub(crate) first: bool,
}

/// Bytes of an answer that are shown as its reason.
const SHOWN: usize = 120;

/// Runs until it is aborted or nobody listens.
pub(crate) async fn run(
    endpoint: EndpointTarget,
    check: HealthCheck,
    host: String,
    watch: Rc<Watch>,
    changes: mpsc::Sender<Change>,
) {
    let mut history = History::default();
    // Endpoints are not all asked at the same moment.
    let spread = Duration::from_millis(u64::from(endpoint.address.port() % 7) * 7);
    loop {
        let result = ask(&endpoint, &check, &host, &watch).await;
        let first = history.state == State::Unknown;
        let (next, changed) = judge(history, result.is_ok(), check.rise, check.fall);
        history = next;
        if changed {
            let up = history.state == State::Up;
            let reason = match result {
                Ok(()) => format!("{} answers", check.path),
                Err(reason) => reason,
            };
            let change = Change {
                endpoint: endpoint.clone(),
                up,
                reason,
                first,
            };
            if changes.send(change).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(check.interval + spread).await;
    }
}

/// One question. The error says what was wrong.
async fn ask(
    endpoint: &EndpointTarget,
    check: &HealthCheck,
    host: &str,
    watch: &Rc<Watch>,
) -> Result<(), String> {
    let deadline = watch.deadline();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: mainstay\r\nConnection: close\r\n\r\n",
        check.path
    );
    let to = Address::Tcp(endpoint.address);
    let asked = client::ask(&to, request.as_bytes(), &deadline, check.timeout).await;
    let (upstream, length) = asked.map_err(|fault| fault.to_string())?;
    let bytes = upstream.buffer.filled();
    let mut storage = head::Storage::new();
    let response = bytes
        .get(..length)
        .ok_or(())
        .and_then(|bytes| head::response(bytes, &mut storage).map_err(|_| ()))
        .map_err(|()| format!("{}: the answer is not HTTP", check.path))?;
    if (200..300).contains(&response.status) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(bytes.get(length..).unwrap_or_default());
    let text: String = text
        .chars()
        .take(SHOWN)
        .filter(|c| !c.is_control())
        .collect();
    Err(format!(
        "{} answered {}: {}",
        check.path,
        response.status,
        text.trim()
    ))
}
