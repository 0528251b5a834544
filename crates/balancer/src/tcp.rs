//! A connection of a listener with `mode = "tcp"`: bytes are relayed as they are, both ways, to an
//! endpoint chosen once. Where TLS passes through, its greeting names the backend.

use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use http::Deadline;
use http::client::{self, Upstream};
use http::server::Connection;
use http::socket::Socket;
use http::tls::hello;
use http::tls::sni::Names;
use http::upgrade;
use site::target::balancer::Algorithm;

use crate::backend::Backend;
use crate::hash;
use crate::turn::{Place, Wanted, turn};
use crate::upstream::header;
use crate::worker::{View, Worker};

/// A client that does not speak: which backend it wants is not known until it does.
const HELLO: Duration = Duration::from_secs(5);

/// Serves the connection until it ends.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    view: &Rc<View>,
    (mut socket, deadline, (peer, destination)): (Socket, Deadline, (SocketAddr, SocketAddr)),
    by_name: Option<&Names<usize>>,
    otherwise: Option<usize>,
) {
    let mut backend = otherwise;
    if let Some(names) = by_name {
        match hello::look(&mut socket, &deadline, HELLO).await {
            Ok(Some(hello)) => {
                let name = hello.server_name.as_deref();
                let named = name.and_then(|name| names.find(name)?.first().copied());
                backend = named.or(otherwise);
            }
            Ok(None) => {}
            Err(fault) => {
                tracing::debug!("{peer}: {fault}");
                return;
            }
        }
    }
    let Some(backend) = backend.and_then(|number| view.backend(number)) else {
        tracing::debug!("{peer}: nothing for this name");
        return;
    };
    let mut client = Connection::plain(socket, deadline);
    let started = Instant::now();
    let connected = connect(worker, view, backend, &client, peer, destination).await;
    let Some((endpoint, place, mut upstream)) = connected else {
        return;
    };
    let idle = view.state.target.limits.idle_body;
    let moved = upgrade::tunnel(&mut client, &mut upstream, Vec::new(), idle).await;
    drop(place);
    if let Some(endpoint) = backend.endpoints.get(endpoint)
        && let Some(counts) = endpoint.counters.counts.get(worker.index)
    {
        // A connection that was relayed counts as one that went well.
        counts.add(200, started.elapsed(), moved.to_client);
    }
}

/// Tries one endpoint after the other.
async fn connect<'b>(
    worker: &Worker,
    view: &View,
    backend: &'b Backend,
    client: &Connection,
    peer: SocketAddr,
    destination: SocketAddr,
) -> Option<(usize, Place<'b>, Upstream)> {
    let before = backend
        .target
        .proxy_protocol
        .map(|version| header(version, peer, destination))
        .unwrap_or_default();
    let key = match backend.target.algorithm {
        Algorithm::Hash => hash::of_client(peer.ip()),
        _ => 0,
    };
    let mut tried = Vec::new();
    while tried.len() < backend.target.retries.attempts as usize {
        let wanted = Wanted {
            key,
            bound: None,
            tried: &tried,
            has_body: false,
        };
        let place = match turn(worker, backend, wanted, pending()).await {
            Ok(place) => place,
            Err(reason) => {
                tracing::debug!("{peer}: backend {}: {reason}", backend.target.name);
                return None;
            }
        };
        let index = place.index;
        let endpoint = backend.endpoints.get(index)?;
        let within = view.state.target.limits.connect;
        let tls = backend.connector.as_ref();
        let to = &endpoint.address;
        match client::connect_after(to, &before, tls, &client.deadline, within).await {
            Ok(upstream) => return Some((index, place, upstream)),
            Err(fault) => {
                drop(place);
                tracing::debug!("{peer}: endpoint {}: {fault}", endpoint.name);
                endpoint.counters.failures.fetch_add(1, Relaxed);
                worker.failed(backend, index);
            }
        }
        tried.push(index);
    }
    None
}
