//! One thread of the web server: what it holds for itself alone.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::client::Address;
use http::counts::Counts;
use http::deadline::Watch;
use http::front::{self, Accepted};
use http::pool::Pool;
use http::server::Connection;
use http::workers::Place;
use process::snapshot::Shared;

use crate::exchange;
use crate::state::State;
use crate::visitor::Link;

/// How often closed connections are removed from the pools.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// Shared by the connections of one thread.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) watch: Rc<Watch>,
    pub(crate) counts: Arc<Counts>,
    /// Whose turn it is among the instances.
    pub(crate) turn: Cell<usize>,
    /// To the SQL router.
    pub(crate) link: Link,
    shared: Shared<State>,
    view: RefCell<Rc<View>>,
    pools: RefCell<HashMap<Address, Rc<Pool>>>,
}

/// The state in force, with this thread's pools of its instances. One request uses one view.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) state: Arc<State>,
    pub(crate) pools: Vec<Rc<Pool>>,
}

/// What a thread is started with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) shared: Shared<State>,
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) place: Place,
}

/// The thread's whole life: ends when it was told to drain and the last connection is closed.
pub(crate) async fn run(parts: Parts) {
    let place = parts.place;
    let state = parts.shared.load();
    let worker = Rc::new(Worker {
        watch: Watch::new(),
        counts: place.counts,
        turn: Cell::new(0),
        link: Link::default(),
        shared: parts.shared,
        view: RefCell::new(Rc::new(View {
            state,
            pools: Vec::new(),
        })),
        pools: RefCell::default(),
    });
    worker.refresh();
    tokio::task::spawn_local(Rc::clone(&worker.watch).run());
    let housekeeping = tokio::task::spawn_local(Rc::clone(&worker).housekeeping());
    let serving = Rc::clone(&worker);
    let serve = move |accepted: Accepted<()>| {
        let worker = Rc::clone(&serving);
        async move {
            let client = Connection::plain(accepted.socket, accepted.deadline);
            if let Some(peer) = accepted.peer {
                exchange::serve(&worker, client, peer).await;
            }
        }
    };
    let listeners = parts
        .listeners
        .into_iter()
        .map(|listener| (listener, ()))
        .collect();
    front::run(
        &worker.watch,
        listeners,
        place.connections,
        place.draining,
        serve,
    )
    .await;
    housekeeping.abort();
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
        pools.retain(|address, _| state.addresses.contains(address));
        let of =
            state
                .addresses
                .iter()
                .zip(&state.snapshot.instances)
                .map(|(address, instance)| {
                    let pool = pools.entry(address.clone()).or_default();
                    if !instance.ready {
                        pool.clear();
                    }
                    Rc::clone(pool)
                });
        let view = View {
            pools: of.collect(),
            state: Arc::clone(&state),
        };
        self.view.replace(Rc::new(view));
    }

    async fn housekeeping(self: Rc<Self>) {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            let now = Instant::now();
            for pool in &self.view().pools {
                pool.sweep(now);
            }
            self.counts.set_connections(self.watch.open());
        }
    }
}
