//! A client's connection with HTTP/2: each of its streams is served as a connection of HTTP/1.1 with one
//! request, so that every rule stands in one place.

use std::rc::Rc;
use std::time::Duration;

use http::h2::server::{Accepted, Session};
use http::server::Connection;

use crate::exchange;
use crate::worker::{Peer, Worker};

/// The exchange of prefaces with a client that dawdles.
const PREFACE: Duration = Duration::from_secs(10);

/// Serves the connection until it ends.
pub(crate) async fn serve(worker: &Rc<Worker>, client: Connection, peer: Peer) {
    let (keep_alive, _) = worker.head_times();
    let mut session = match Session::start(client, PREFACE, keep_alive).await {
        Ok(session) => session,
        Err(e) => {
            tracing::debug!("{}: HTTP/2: {e}", peer.address);
            return;
        }
    };
    while let Some(Accepted { stream, gone }) = session.next().await {
        let client = Connection::new(stream, worker.watch.deadline());
        let (worker, peer) = (Rc::clone(worker), peer.clone());
        // Ends with its stream; the session bounds how many there are.
        tokio::task::spawn_local(async move {
            exchange::serve_stream(&worker, client, peer, gone).await;
        });
    }
}
