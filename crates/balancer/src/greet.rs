//! The beginning of a connection: PROXY header, TLS, and what is spoken. Connections that carry something
//! else than HTTP/1 are served here to their end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Stream;
use http::deadline::Deadline;
use http::front::Accepted;
use http::h2::{self, preface::Spoken};
use http::proxy_protocol::{self, Origin};
use http::server::Connection;
use http::socket::Socket;
use http::tls::{self, Alpn};

use crate::state::Way;
use crate::worker::{Peer, Worker};
use crate::{tcp, two};

/// The handshake of a client that dawdles, and a PROXY header that does not come.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection that is ready for requests of HTTP/1. None: it is over.
pub(crate) async fn greet(
    worker: Rc<Worker>,
    accepted: Accepted<Rc<str>>,
) -> Option<(Connection, Rc<Peer>)> {
    let Accepted {
        mut socket,
        peer,
        deadline,
        of: door,
    } = accepted;
    deadline.set(HANDSHAKE);
    let view = worker.view();
    // A listener that is gone from the file accepts nothing.
    let door = view.state.doors.get(&*door)?;
    let mut address = peer.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
    let mut destination = socket.local_addr().unwrap_or(address);
    if door.proxy_protocol {
        match proxy_protocol::receive(&mut socket, &deadline, HANDSHAKE).await {
            Ok(claim) => {
                if let Origin::Known {
                    source,
                    destination: to,
                } = claim.origin
                {
                    (address, destination) = (source, to);
                }
            }
            Err(fault) => {
                tracing::debug!("{address}: PROXY header: {fault}");
                return None;
            }
        }
    }
    let mut peer = Peer {
        address,
        destination,
        secure: false,
        redirect_to: None,
        hsts: None,
    };
    match &door.way {
        Way::Tcp { by_name, otherwise } => {
            let socket = (socket, deadline, (address, destination));
            let names = by_name.as_deref();
            Box::pin(tcp::serve(&worker, &view, socket, names, *otherwise)).await;
            None
        }
        Way::Http { redirect_to, http2 } => {
            let http2 = *http2;
            peer.redirect_to = *redirect_to;
            drop(view);
            let mut client = Connection::plain(socket, deadline);
            if !http2 {
                return Some((client, Rc::new(peer)));
            }
            // A client may begin with HTTP/2 (RFC 9113 section 3.3): told by its first bytes.
            let (keep_alive, _) = worker.head_times();
            match h2::server::detect(&mut client, keep_alive).await {
                Spoken::One => Some((client, Rc::new(peer))),
                Spoken::Two => two(&worker, client, peer).await,
                Spoken::Unclear => None,
            }
        }
        Way::Https { config, hsts } => {
            peer.secure = true;
            peer.hsts.clone_from(hsts);
            let config = Arc::clone(config);
            drop(view);
            let stream = shake_hands(socket, &config, &deadline, address).await?;
            let is_two = stream.alpn() == Some(Alpn::H2.id());
            let client = Connection::new(stream, deadline);
            match is_two {
                true => two(&worker, client, peer).await,
                false => Some((client, Rc::new(peer))),
            }
        }
    }
}

/// Serves HTTP/2.
async fn two<T>(worker: &Rc<Worker>, client: Connection, peer: Peer) -> Option<T> {
    // Boxed: a connection that waits for its first byte would hold the room for it.
    Box::pin(two::serve(worker, client, peer)).await;
    None
}

async fn shake_hands(
    socket: Socket,
    config: &Arc<rustls::ServerConfig>,
    deadline: &Deadline,
    address: SocketAddr,
) -> Option<Stream> {
    match deadline.watch(tls::accept(socket, config)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(e)) => {
            tracing::debug!("{address}: TLS: {e}");
            None
        }
        Err(_) => None,
    }
}
