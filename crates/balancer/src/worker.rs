//! One thread of the balancer: what it holds for itself alone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::counts::Counts;
use http::deadline::Watch;
use http::front::{self, Accepted};
use http::pool::Pool;
use http::server::Connection;
use http::tls;
use http::workers::Place;
use process::snapshot::Shared;

use crate::access_file::AccessFile;
use crate::exchange;
use crate::state::State;

/// The handshake of a client that dawdles.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often closed connections are removed from the pools and the access log is written.
const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// Bytes of access log collected before they are written.
const LOG_BUFFER: usize = 32 << 10;

/// Shared by the connections of one thread.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) watch: Rc<Watch>,
    shared: Shared<State>,
    view: RefCell<Rc<View>>,
    pools: RefCell<HashMap<SocketAddr, Rc<Pool>>>,
    pub(crate) counts: Arc<Counts>,
    log: RefCell<AccessFile>,
    ids: RefCell<Ids>,
}

/// The state in force, with this thread's pools of its endpoints. One request uses one view.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) state: Arc<State>,
    pub(crate) pools: Vec<Rc<Pool>>,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) secure: bool,
}

impl Peer {
    pub(crate) fn scheme(self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

/// What a thread is started with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) shared: Shared<State>,
    pub(crate) http: Vec<std::net::TcpListener>,
    pub(crate) https: Vec<std::net::TcpListener>,
    /// Makes this thread's request ids differ from all others'.
    pub(crate) seed: u64,
    pub(crate) place: Place,
}

/// The thread's whole life: ends when it was told to drain and the last connection is closed.
pub(crate) async fn run(parts: Parts) {
    let place = parts.place;
    let state = parts.shared.load();
    let worker = Rc::new(Worker {
        watch: Watch::new(),
        view: RefCell::new(Rc::new(View {
            state,
            pools: Vec::new(),
        })),
        shared: parts.shared,
        pools: RefCell::default(),
        counts: place.counts,
        log: RefCell::default(),
        ids: RefCell::new(Ids {
            seed: parts.seed,
            next: 0,
        }),
    });
    worker.refresh();
    tokio::task::spawn_local(Rc::clone(&worker.watch).run());
    let housekeeping = tokio::task::spawn_local(Rc::clone(&worker).housekeeping());
    let plain = parts.http.into_iter().map(|listener| (listener, false));
    let secure = parts.https.into_iter().map(|listener| (listener, true));
    let serving = Rc::clone(&worker);
    let serve = move |accepted| Rc::clone(&serving).serve(accepted);
    let listeners = plain.chain(secure).collect();
    front::run(
        &worker.watch,
        listeners,
        place.connections,
        place.draining,
        serve,
    )
    .await;
    housekeeping.abort();
    worker.log.borrow_mut().write();
}

impl Worker {
    /// The view for one request.
    pub(crate) fn view(&self) -> Rc<View> {
        if !self.shared.is(&self.view.borrow().state) {
            self.refresh();
        }
        Rc::clone(&self.view.borrow())
    }

    fn refresh(&self) {
        let state = self.shared.load();
        let mut pools = self.pools.borrow_mut();
        pools.retain(|address, _| state.endpoints.iter().any(|e| e.address == *address));
        let of = state.endpoints.iter().map(|endpoint| {
            let pool = pools.entry(endpoint.address).or_default();
            if !endpoint.up {
                pool.clear();
            }
            Rc::clone(pool)
        });
        let view = View {
            pools: of.collect(),
            state: Arc::clone(&state),
        };
        self.log.borrow_mut().path.clone_from(&state.access_log);
        self.view.replace(Rc::new(view));
    }

    /// A new request id: 16 hexadecimal digits, unique in the site's life for all practical purposes.
    pub(crate) fn request_id(&self, into: &mut String) {
        into.clear();
        let mut ids = self.ids.borrow_mut();
        ids.next = ids.next.wrapping_add(1);
        // Odd multiplier: all values differ (Weyl sequence); the seed is random per thread.
        let value = ids
            .seed
            .wrapping_add(ids.next.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for nibble in (0..16).rev() {
            let digit = u32::try_from(value >> (4 * nibble) & 15).unwrap_or_default();
            into.push(char::from_digit(digit, 16).unwrap_or('0'));
        }
    }

    pub(crate) fn log(&self, exchange: &telemetry::access_log::Exchange<'_>) {
        let mut log = self.log.borrow_mut();
        exchange.write_line(&mut log.lines);
        if log.lines.len() > LOG_BUFFER {
            log.write();
        }
    }

    async fn serve(self: Rc<Self>, accepted: Accepted<bool>) {
        let Accepted {
            socket,
            peer,
            deadline,
            of: secure,
        } = accepted;
        let Some(address) = peer else {
            return;
        };
        deadline.set(HANDSHAKE);
        let tls = self.view().state.tls.clone();
        let client = match (secure, tls) {
            (false, _) => Connection::plain(socket, deadline),
            (true, None) => return,
            (true, Some(config)) => match deadline.watch(tls::accept(socket, &config)).await {
                Ok(Ok(stream)) => Connection::new(stream, deadline),
                Ok(Err(e)) => {
                    tracing::debug!("{address}: TLS: {e}");
                    return;
                }
                Err(_) => return,
            },
        };
        let peer = Peer { address, secure };
        exchange::serve(&self, client, peer).await;
    }

    async fn housekeeping(self: Rc<Self>) {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            let now = Instant::now();
            for pool in self.view().pools.iter() {
                pool.sweep(now);
            }
            self.log.borrow_mut().write();
            self.counts.set_connections(self.watch.open());
        }
    }
}

#[derive(Debug)]
struct Ids {
    seed: u64,
    next: u64,
}
