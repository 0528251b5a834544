//! One thread of the balancer: what it holds for itself alone.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::client::Address;
use http::counts::Counts;
use http::deadline::{Deadline, Watch};
use http::front::{self, Accepted, Listener};
use http::pool::Pool;
use http::proxy_protocol::{self, Origin};
use http::server::Connection;
use http::socket::Socket;
use http::workers::Place;
use http::{Fault, Stream, tls};
use process::snapshot::Shared;

use crate::access_file::AccessFile;
use crate::backend::Backend;
use crate::metrics::Reasons;
use crate::reason::Reason;
use crate::state::{State, Way};
use crate::{exchange, tcp};

/// The handshake of a client that dawdles, and a PROXY header that does not come.
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
    pools: RefCell<HashMap<(String, Address), Rc<Pool>>>,
    pub(crate) counts: Arc<Counts>,
    /// Its number among the threads: which of the counters of endpoints and routes are its own.
    pub(crate) index: usize,
    log: RefCell<AccessFile>,
    ids: Ids,
    start: Instant,
    reasons: Arc<Reasons>,
}

/// The state in force, with this thread's pools of its endpoints. One request uses one view.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) state: Arc<State>,
    /// By backend, by endpoint.
    pools: Vec<Vec<Rc<Pool>>>,
}

impl View {
    pub(crate) fn backend(&self, index: usize) -> Option<&Arc<Backend>> {
        self.state.backends.get(index)
    }

    pub(crate) fn pool(&self, backend: usize, endpoint: usize) -> Option<&Rc<Pool>> {
        self.pools.get(backend)?.get(endpoint)
    }
}

/// Where a connection comes from, and how it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The unspecified address for a unix socket: a client of this machine.
    pub(crate) address: SocketAddr,
    pub(crate) secure: bool,
    /// Port of HTTPS to which requests are sent on.
    pub(crate) redirect_to: Option<u16>,
    pub(crate) hsts: Option<Arc<str>>,
}

impl Peer {
    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

/// What a thread is started with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) shared: Shared<State>,
    /// With the names of their doors.
    pub(crate) listeners: Vec<(Listener, String)>,
    pub(crate) index: usize,
    /// Makes this thread's request ids differ from all others'.
    pub(crate) seed: u64,
    /// The same for all threads: what they count is compared.
    pub(crate) start: Instant,
    pub(crate) reasons: Arc<Reasons>,
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
        index: parts.index,
        log: RefCell::default(),
        ids: Ids {
            seed: parts.seed,
            next: Cell::new(0),
        },
        start: parts.start,
        reasons: parts.reasons,
    });
    worker.refresh();
    tokio::task::spawn_local(Rc::clone(&worker.watch).run());
    let housekeeping = tokio::task::spawn_local(Rc::clone(&worker).housekeeping());
    let listeners = parts
        .listeners
        .into_iter()
        .map(|(listener, name)| (listener, Rc::<str>::from(name)));
    let serving = Rc::clone(&worker);
    let serve = move |accepted| Rc::clone(&serving).serve(accepted);
    front::run(
        &worker.watch,
        listeners.collect(),
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

    /// How long a client may be idle, and how long a head may take.
    pub(crate) fn head_times(&self) -> (Duration, Duration) {
        let view = self.view();
        let limits = &view.state.target.limits;
        (limits.keep_alive, limits.request_head)
    }

    /// Exact, for limits of rates.
    pub(crate) fn since_start(&self) -> Duration {
        self.start.elapsed()
    }

    /// The same in seconds.
    pub(crate) fn seconds(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// An answer of our own.
    pub(crate) fn count_reason(&self, reason: Reason) {
        self.reasons.add(reason);
    }

    /// An endpoint has failed a request.
    pub(crate) fn failed(&self, view: &View, backend: usize, endpoint: usize, fault: &Fault) {
        let of = view.backend(backend);
        let name = of.and_then(|of| Some(&of.endpoints.get(endpoint)?.name));
        tracing::debug!("endpoint {name:?}: {fault}");
    }

    fn refresh(&self) {
        let state = self.shared.load();
        let mut former = self.pools.borrow_mut();
        let mut now = HashMap::new();
        let of_backend = |backend: &Arc<Backend>| {
            let endpoints = backend.endpoints.iter().map(|endpoint| {
                let key = (backend.target.name.clone(), endpoint.address.clone());
                let pool = former.remove(&key).or_else(|| now.get(&key).cloned());
                let pool = pool.unwrap_or_default();
                if !endpoint.standing.takes_bound {
                    pool.clear();
                }
                now.insert(key, Rc::clone(&pool));
                pool
            });
            endpoints.collect()
        };
        let view = View {
            pools: state.backends.iter().map(of_backend).collect(),
            state: Arc::clone(&state),
        };
        *former = now;
        self.log.borrow_mut().path.clone_from(&state.access_log);
        self.view.replace(Rc::new(view));
    }

    /// A new request id: 16 hexadecimal digits, unique in the site's life for all practical purposes.
    pub(crate) fn request_id(&self, into: &mut String) {
        into.clear();
        let value = self.ids.next();
        for nibble in (0..16).rev() {
            let digit = u32::try_from(value >> (4 * nibble) & 15).unwrap_or_default();
            into.push(char::from_digit(digit, 16).unwrap_or('0'));
        }
    }

    /// A number for a decision by chance.
    pub(crate) fn random(&self) -> u64 {
        // splitmix64's finish (Steele et al., 2014) over the same sequence.
        let mut z = self.ids.next();
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn log(&self, exchange: &telemetry::access_log::Exchange<'_>) {
        let mut log = self.log.borrow_mut();
        exchange.write_line(&mut log.lines);
        if log.lines.len() > LOG_BUFFER {
            log.write();
        }
    }

    async fn serve(self: Rc<Self>, accepted: Accepted<Rc<str>>) {
        let Accepted {
            mut socket,
            peer,
            deadline,
            of: door,
        } = accepted;
        deadline.set(HANDSHAKE);
        let view = self.view();
        // A listener that is gone from the file accepts nothing.
        let Some((way, proxy_protocol)) = view
            .state
            .doors
            .get(&*door)
            .map(|door| (door.way.clone(), door.proxy_protocol))
        else {
            return;
        };
        let mut address = peer.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
        if proxy_protocol {
            match proxy_protocol::receive(&mut socket, &deadline, HANDSHAKE).await {
                Ok(claim) => {
                    if let Origin::Known { source, .. } = claim.origin {
                        address = source;
                    }
                }
                Err(fault) => {
                    tracing::debug!("{address}: PROXY header: {fault}");
                    return;
                }
            }
        }
        match way {
            Way::Tcp { by_name, otherwise } => {
                let by_name = by_name.as_deref();
                tcp::serve(&self, &view, socket, deadline, address, by_name, otherwise).await;
            }
            Way::Http { redirect_to } => {
                let peer = Peer {
                    address,
                    secure: false,
                    redirect_to,
                    hsts: None,
                };
                drop(view);
                exchange::serve(&self, Connection::plain(socket, deadline), peer).await;
            }
            Way::Https { config, hsts } => {
                let peer = Peer {
                    address,
                    secure: true,
                    redirect_to: None,
                    hsts,
                };
                drop(view);
                if let Some(stream) = shake_hands(socket, &config, &deadline, address).await {
                    exchange::serve(&self, Connection::new(stream, deadline), peer).await;
                }
            }
        }
    }

    async fn housekeeping(self: Rc<Self>) {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            let now = Instant::now();
            for pool in self.view().pools.iter().flatten() {
                pool.sweep(now);
            }
            self.log.borrow_mut().write();
            self.counts.set_connections(self.watch.open());
        }
    }
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

/// Numbers that all differ (a Weyl sequence); the seed is random per thread.
#[derive(Debug)]
struct Ids {
    seed: u64,
    next: Cell<u64>,
}

impl Ids {
    fn next(&self) -> u64 {
        let next = self.next.get().wrapping_add(1);
        self.next.set(next);
        self.seed
            .wrapping_add(next.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}
