//! One thread of the balancer: what it holds for itself alone.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::counts::Counts;
use http::deadline::Watch;
use http::front::{self, Accepted, Listener};
use http::shared_idle::SharedIdle;
use http::workers::Place;
use process::snapshot::Shared;
use telemetry::access_log::{Exchange, Format};
use telemetry::rotating_file::RotatingFile;
use tokio::sync::mpsc;

use crate::backend::Backend;
use crate::metrics::Reasons;
use crate::prepare::Line;
use crate::reason::Reason;
use crate::run::News;
use crate::state::State;
use crate::upstream::Kept;
use crate::{exchange, greet};

/// How often closed connections are removed from the pools and the access log is written.
const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// Bytes of access log collected before they are written.
const LOG_BUFFER: usize = 32 << 10;
/// Rooms for requests that are kept; as many as are usually under way at once.
const LINES: usize = 64;

/// Shared by the connections of one thread.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) watch: Rc<Watch>,
    shared: Shared<State>,
    view: RefCell<Rc<View>>,
    /// By what their endpoint shares with other threads, which lives as long as its connections are good.
    kept: RefCell<HashMap<*const SharedIdle, Rc<Kept>>>,
    pub(crate) counts: Arc<Counts>,
    /// Its number among the threads: which of the counters of endpoints and routes are its own.
    pub(crate) index: usize,
    log: RefCell<RotatingFile>,
    ids: Ids,
    start: Instant,
    reasons: Arc<Reasons>,
    news: mpsc::Sender<News>,
    lines: RefCell<Vec<Line>>,
    /// Held once by each copy under way.
    copies: Rc<()>,
}

/// The state in force, with this thread's pools of its endpoints. One request uses one view.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) state: Arc<State>,
    /// This thread's connections, by backend, by endpoint.
    upstreams: Vec<Vec<Rc<Kept>>>,
}

impl View {
    pub(crate) fn backend(&self, index: usize) -> Option<&Arc<Backend>> {
        self.state.backends.get(index)
    }

    pub(crate) fn upstream(&self, backend: usize, endpoint: usize) -> Option<&Rc<Kept>> {
        self.upstreams.get(backend)?.get(endpoint)
    }
}

/// Where a connection comes from, and how it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The unspecified address for a unix socket: a client of this machine.
    pub(crate) address: SocketAddr,
    /// Where it came to, as its PROXY header says or at our socket.
    pub(crate) destination: SocketAddr,
    pub(crate) secure: bool,
    /// Port of HTTPS to which requests are sent on.
    pub(crate) redirect_to: Option<u16>,
    pub(crate) hsts: Option<Arc<String>>,
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
    pub(crate) news: mpsc::Sender<News>,
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
            upstreams: Vec::new(),
        })),
        shared: parts.shared,
        kept: RefCell::default(),
        counts: place.counts,
        index: parts.index,
        log: RefCell::default(),
        ids: Ids {
            seed: parts.seed,
            next: Cell::new(0),
        },
        start: parts.start,
        reasons: parts.reasons,
        news: parts.news,
        lines: RefCell::default(),
        copies: Rc::default(),
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
    pub(crate) fn since_start(&self, now: Instant) -> Duration {
        now.duration_since(self.start)
    }

    /// The same in seconds.
    pub(crate) fn seconds(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// An answer of our own.
    pub(crate) fn count_reason(&self, reason: Reason) {
        self.reasons.add(reason);
    }

    /// An endpoint has failed a request. When that is so often that it may have to be put out, the
    /// control thread is asked.
    pub(crate) fn failed(&self, backend: &Backend, index: usize) {
        let rules = backend.target.ejection.as_ref();
        let endpoint = backend.endpoints.get(index);
        if let (Some(rules), Some(endpoint)) = (rules, endpoint)
            && endpoint.counters.tally.failed(rules.consecutive)
        {
            // By name: the state in force may be another one by the time this is read.
            let failing = News::Failing {
                backend: backend.target.name.clone(),
                endpoint: endpoint.name.clone(),
            };
            if self.news.try_send(failing).is_err() {
                tracing::debug!("too much news at once");
            }
        }
    }

    /// Room for a request's text; a new id is in it.
    pub(crate) fn line(&self) -> Line {
        let mut line = self.lines.borrow_mut().pop().unwrap_or_default();
        line.clear();
        self.request_id(&mut line.id);
        line
    }

    pub(crate) fn give_back(&self, mut line: Line) {
        line.shrink();
        let mut lines = self.lines.borrow_mut();
        if lines.len() < LINES {
            lines.push(line);
        }
    }

    /// Room for one more copy of a request, if there are less than `most`.
    pub(crate) fn mirrored(&self, most: usize) -> Option<Rc<()>> {
        (Rc::strong_count(&self.copies) <= most).then(|| Rc::clone(&self.copies))
    }

    fn refresh(&self) {
        let state = self.shared.load();
        let mut former = self.kept.borrow_mut();
        let mut now = HashMap::new();
        let of_backend = |backend: &Arc<Backend>| {
            let endpoints = backend.endpoints.iter().map(|endpoint| {
                let key = Arc::as_ptr(&endpoint.idle);
                let known = former.remove(&key);
                let kept = known.unwrap_or_else(|| Rc::new(Kept::new(&endpoint.idle)));
                if !endpoint.standing.takes_bound {
                    kept.clear();
                }
                now.insert(key, Rc::clone(&kept));
                kept
            });
            endpoints.collect()
        };
        let view = View {
            upstreams: state.backends.iter().map(of_backend).collect(),
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

    pub(crate) fn log(&self, format: &Format, exchange: &Exchange<'_>) {
        let mut log = self.log.borrow_mut();
        format.write_line(exchange, &mut log.lines);
        if log.lines.len() > LOG_BUFFER {
            log.write();
        }
    }

    /// The life of a connection. Its task lives as long, mostly waiting: what only the beginning needs is
    /// on the heap.
    fn serve(self: Rc<Self>, accepted: Accepted<Rc<str>>) -> impl Future<Output = ()> {
        let beginning = Box::pin(greet::greet(Rc::clone(&self), accepted));
        async move {
            let Some((mut client, peer)) = beginning.await else {
                return;
            };
            exchange::serve(&self, &mut client, &peer).await;
        }
    }

    async fn housekeeping(self: Rc<Self>) {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            let now = Instant::now();
            for kept in self.view().upstreams.iter().flatten() {
                kept.sweep(now);
            }
            self.log.borrow_mut().write();
            self.counts.set_connections(self.watch.open());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, F>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    /// Every open connection holds this future: with what tokio adds (120 bytes), 384 bytes, and the next
    /// step of the allocation is 512.
    #[test]
    fn what_a_waiting_connection_holds_stays_small() {
        type Arguments = (Rc<Worker>, Accepted<Rc<str>>);
        let size = size_of_future(|(worker, accepted): Arguments| worker.serve(accepted));
        assert!(size <= 264, "{size}");
    }
}
