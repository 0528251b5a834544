//! Connections of one thread to one endpoint: kept ones, and new ones with all that they begin with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::buffer::Buffer;
use http::client::{self, Upstream};
use http::h2::{self, Links};
use http::pool::Pool;
use http::proxy_protocol::{Claim, Origin, v1, v2};
use http::shared_idle::SharedIdle;
use http::{Deadline, Fault, Kind, Phase};
use site::target::balancer::{Protocol, ProxyVersion};

use crate::attempt::Failed;
use crate::backend::Backend;

/// What is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Of HTTP/1.1.
    pub(crate) pool: Pool,
    /// Of HTTP/2.
    pub(crate) links: Links,
}

impl Kept {
    pub(crate) fn new(shared: &Arc<SharedIdle>) -> Self {
        Self {
            pool: Pool::new(Arc::clone(shared)),
            links: Links::default(),
        }
    }

    pub(crate) fn clear(&self) {
        self.pool.clear();
        self.links.clear();
    }

    pub(crate) fn sweep(&self, now: Instant) {
        self.pool.sweep(now);
        self.links.sweep(now);
    }
}

/// What a new connection needs.
#[derive(Debug)]
pub(crate) struct Connecting<'a> {
    pub(crate) backend: &'a Backend,
    pub(crate) index: usize,
    /// The client, for a PROXY header.
    pub(crate) peer: SocketAddr,
    /// Where the client came to, for the same.
    pub(crate) destination: SocketAddr,
    pub(crate) within: Duration,
    pub(crate) deadline: &'a Deadline,
}

impl Connecting<'_> {
    /// A kept connection, or a new one. `fresh`: a new one.
    pub(crate) async fn connection(&self, kept: &Kept, fresh: bool) -> Result<Upstream, Failed> {
        if fresh {
            // One kept connection was dead: its neighbours are no better.
            kept.clear();
        }
        // Boxed: most requests find a kept connection, and would hold the room for a new one.
        match self.backend.target.protocol {
            Protocol::Http2 => Box::pin(self.stream(kept)).await,
            Protocol::Http1 | Protocol::Tcp => match kept.pool.checkout() {
                Some(kept) => Ok(kept),
                None => Box::pin(self.connect()).await.map_err(failed),
            },
        }
    }

    /// A stream of a link that is there, or of a new one.
    async fn stream(&self, kept: &Kept) -> Result<Upstream, Failed> {
        let over = |stream, reused| Upstream {
            stream,
            buffer: Buffer::new(),
            reused,
        };
        // A PROXY header speaks for one client, so its connection serves no other.
        let of_one = self.backend.target.proxy_protocol.is_some();
        if !of_one && let Some(stream) = kept.links.open() {
            return Ok(over(stream, true));
        }
        let refused = || failed(Fault::upstream(Phase::Connect, Kind::NotHandled));
        if !of_one && !kept.links.has_room() {
            return Err(refused());
        }
        let upstream = self.connect().await.map_err(failed)?;
        let (link, driver) = h2::client::connect(upstream.stream, self.deadline, self.within)
            .await
            .map_err(|e| failed(Fault::upstream(Phase::Connect, e.into())))?;
        // Ends with its connection.
        tokio::task::spawn_local(driver);
        let stream = link.open().ok_or_else(refused)?;
        if !of_one {
            kept.links.add(link);
        }
        Ok(over(stream, false))
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Upstream, Fault> {
        let endpoint = self.backend.endpoints.get(self.index);
        let endpoint = endpoint.ok_or(Fault::upstream(Phase::Connect, Kind::Closed))?;
        let header = self
            .backend
            .target
            .proxy_protocol
            .map(|version| header(version, self.peer, self.destination))
            .unwrap_or_default();
        let tls = self.backend.connector.as_ref();
        let (to, deadline) = (&endpoint.address, self.deadline);
        client::connect_after(to, &header, tls, deadline, self.within).await
    }
}

fn failed(fault: Fault) -> Failed {
    Failed {
        fault,
        reused: false,
    }
}

/// The PROXY header of a connection for `peer`, which came in at `to`.
pub(crate) fn header(version: ProxyVersion, peer: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let origin = match peer.ip().is_unspecified() {
        true => Origin::Unknown,
        false => Origin::Known {
            source: peer,
            destination: to,
        },
    };
    let mut out = Vec::new();
    match version {
        ProxyVersion::V1 => v1::write(origin, &mut out),
        ProxyVersion::V2 => v2::write(&Claim::of(origin), true, &mut out),
    }
    out
}
