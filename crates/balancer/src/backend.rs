//! A backend as the workers read it: its endpoints with what is known of each, and who gets the next
//! request. Made anew at every change; what is counted outlives it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use http::client::Address;
use http::counts::Counts;
use http::shared_idle::{Keep, SharedIdle};
use http::tls::connect::{Authorities, Terms};
use http::tls::{self, Alpn, Connector, TlsError, Version};
use site::target::balancer::{Ask, BackendTarget, Bind, EndpointTls, Protocol};

use crate::breaker::Open;
use crate::budget::Budget;
use crate::choose::load::Load;
use crate::choose::{self, Choice, Condition, Pool, slow_start};
use crate::health::judge;
use crate::outlier::Tally;
use crate::snapshot::{Override, Wish};
use crate::standing::{Admin, Standing, Why, standing};
use crate::sticky::{BadName, Sticky};
use crate::turn::Wanted;
use crate::waiting_room::WaitingRoom;
use crate::worker::Worker;

/// Immutable but for the counters.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Weights that somebody has set are in it.
    pub(crate) target: BackendTarget,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Of the endpoints, in their order.
    pub(crate) loads: Vec<Arc<Load>>,
    pub(crate) pool: Pool,
    pub(crate) connector: Option<Connector>,
    pub(crate) sticky: Option<Arc<Sticky>>,
    pub(crate) kept: Arc<Kept>,
}

/// Shared by all threads and all makes of a backend.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Requests that were given an endpoint: the position in the rotation.
    pub(crate) turn: AtomicU64,
    /// Requests at all endpoints together, for the breaker.
    pub(crate) open: Open,
    pub(crate) budget: Budget,
    /// Requests that wait for an endpoint.
    pub(crate) room: WaitingRoom,
}

/// Why a backend cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    #[error("backend {backend}: {source}")]
    Tls { backend: String, source: TlsError },
    #[error("backend {backend}: {source}")]
    Sticky { backend: String, source: BadName },
}

/// What is the same for all backends of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) wishes: &'a [Override],
    pub(crate) cookie_key: &'a [u8],
    pub(crate) threads: usize,
    pub(crate) now_ms: u64,
}

/// One endpoint and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) known: Known,
    pub(crate) standing: Standing,
    /// In place of the site file's.
    pub(crate) wished_weight: Option<u16>,
    pub(crate) counters: Arc<Counters>,
    /// Idle connections that threads leave to each other.
    pub(crate) idle: Arc<SharedIdle>,
}

/// What the standing follows from. Times are wall clock, milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) health: judge::State,
    pub(crate) health_ms: u64,
    /// What the last change was for.
    pub(crate) reason: String,
    pub(crate) admin: Admin,
    pub(crate) admin_ms: u64,
    pub(crate) ejected: Option<u64>,
    /// Since when it takes new requests; for its slow start.
    pub(crate) taking_ms: u64,
}

/// Kept across snapshots.
#[derive(Debug)]
pub(crate) struct Counters {
    /// One for each thread.
    pub(crate) counts: Box<[Counts]>,
    /// Attempts that failed.
    pub(crate) failures: AtomicU64,
    pub(crate) tally: Tally,
}

impl Backend {
    /// Takes over what is known of endpoints that stay: those of the same name and address.
    pub(crate) fn new(
        target: &BackendTarget,
        former: Option<&Arc<Self>>,
        means: &Means<'_>,
    ) -> Result<Self, BackendError> {
        let Means {
            wishes,
            cookie_key,
            threads,
            now_ms,
        } = *means;
        let mut target = target.clone();
        // Connections that were opened in another way are not used again: without TLS, say.
        let same_way = former.is_some_and(|former| {
            let former = &former.target;
            (&former.tls, former.protocol, former.proxy_protocol)
                == (&target.tls, target.protocol, target.proxy_protocol)
        });
        let new_idle = || Arc::new(SharedIdle::new(Keep::default(), threads, Instant::now()));
        let (mut endpoints, mut loads) = (Vec::new(), Vec::new());
        for endpoint in &mut target.endpoints {
            let address = match &endpoint.address {
                Bind::Tcp(address) => Address::Tcp(*address),
                Bind::Unix(path) => Address::Unix(path.clone()),
            };
            let stays = |(_, known): &(usize, &Endpoint)| {
                known.name == endpoint.name && known.address == address
            };
            let known = former.and_then(|former| {
                let (index, known) = former.endpoints.iter().enumerate().find(stays)?;
                Some((known, former.loads.get(index)?))
            });
            let wish = wishes
                .iter()
                .find(|wish| wish.backend == target.name && wish.endpoint == endpoint.name);
            if let Some(weight) = wish.and_then(|wish| wish.weight) {
                endpoint.weight = weight;
            }
            let (mut now, counters, load, idle) = match known {
                Some((known, load)) => (
                    known.known.clone(),
                    Arc::clone(&known.counters),
                    Arc::clone(load),
                    match same_way {
                        true => Arc::clone(&known.idle),
                        false => new_idle(),
                    },
                ),
                None => (
                    Known::new(now_ms),
                    Arc::new(Counters::new(threads)),
                    Arc::default(),
                    new_idle(),
                ),
            };
            if target.health.ask == Ask::Nothing {
                now.unasked(now_ms);
            }
            let admin = wish.map_or(Admin::Ready, |wish| match wish.admin {
                Wish::Ready => Admin::Ready,
                Wish::Drain => Admin::Drain,
                Wish::Maintenance => Admin::Maintenance,
            });
            if admin != now.admin {
                now.admin = admin;
                now.admin_ms = wish.map_or(now_ms, |wish| wish.at_ms);
                if admin == Admin::Ready {
                    now.taking_ms = now_ms;
                }
            }
            endpoints.push(Endpoint {
                name: endpoint.name.clone(),
                address,
                standing: now.standing(),
                wished_weight: wish.and_then(|wish| wish.weight),
                known: now,
                counters,
                idle,
            });
            loads.push(load);
        }
        let connector = target
            .tls
            .as_ref()
            .map(|tls| connector(tls, &target))
            .transpose()
            .map_err(|source| BackendError::Tls {
                backend: target.name.clone(),
                source,
            })?;
        let sticky = target
            .sticky
            .as_deref()
            .map(|cookie| {
                let names = endpoints.iter().map(|endpoint| endpoint.name.as_str());
                Sticky::new(cookie, &target.name, names, cookie_key).map(Arc::new)
            })
            .transpose()
            .map_err(|source| BackendError::Sticky {
                backend: target.name.clone(),
                source,
            })?;
        let kept = former.map_or_else(Arc::default, |former| Arc::clone(&former.kept));
        kept.room.resize(target.queue.size, target.queue.timeout);
        Ok(Self {
            pool: pool(&target, &endpoints, now_ms),
            endpoints,
            loads,
            connector,
            sticky,
            kept,
            target,
        })
    }

    /// The same with something else known of one endpoint.
    pub(crate) fn with(&self, index: usize, now_ms: u64, change: impl FnOnce(&mut Known)) -> Self {
        self.with_all(now_ms, std::iter::once((index, change)))
    }

    /// The same of several: what is costly is done once.
    pub(crate) fn with_all<C: FnOnce(&mut Known)>(
        &self,
        now_ms: u64,
        changes: impl Iterator<Item = (usize, C)>,
    ) -> Self {
        let mut endpoints = self.endpoints.clone();
        for (index, change) in changes {
            let Some(endpoint) = endpoints.get_mut(index) else {
                continue;
            };
            let took = endpoint.standing.takes_new;
            change(&mut endpoint.known);
            endpoint.standing = endpoint.known.standing();
            if endpoint.standing.takes_new && !took {
                endpoint.known.taking_ms = now_ms;
            }
        }
        self.of(endpoints, now_ms)
    }

    /// The same, some time later: endpoints that start slowly have grown.
    pub(crate) fn later(&self, now_ms: u64) -> Self {
        self.of(self.endpoints.clone(), now_ms)
    }

    fn of(&self, endpoints: Vec<Endpoint>, now_ms: u64) -> Self {
        Self {
            target: self.target.clone(),
            pool: pool(&self.target, &endpoints, now_ms),
            endpoints,
            loads: self.loads.clone(),
            connector: self.connector.clone(),
            sticky: self.sticky.clone(),
            kept: Arc::clone(&self.kept),
        }
    }

    /// Who gets a request; a place at that endpoint is taken.
    pub(crate) fn choose(&self, worker: &Worker, wanted: Wanted<'_>) -> Choice {
        // Another thread may take the last place between the look and the step: then a look again.
        for _ in 0..3 {
            let choice = self.look(worker, wanted, self.kept.turn.fetch_add(1, Relaxed));
            let Choice::Endpoint(index) = choice else {
                return choice;
            };
            let load = self.loads.get(index);
            if load.is_some_and(|load| load.open.enter(self.target.max_requests)) {
                return choice;
            }
        }
        Choice::Full
    }

    /// Whether `choose` would find somebody, or that there is nobody.
    pub(crate) fn has_room(&self, worker: &Worker, wanted: Wanted<'_>) -> bool {
        self.look(worker, wanted, self.kept.turn.load(Relaxed)) != Choice::Full
    }

    fn look(&self, worker: &Worker, wanted: Wanted<'_>, turn: u64) -> Choice {
        let ask = choose::Ask {
            turn,
            random: worker.random(),
            key: wanted.key,
            now_ms: worker.watch.now_ms(),
            open: self.kept.open.count(),
            tried: wanted.tried,
            bound: wanted.bound,
        };
        self.pool.choose(&ask, &self.loads)
    }

    /// Whether a new request has to stand behind others.
    pub(crate) fn somebody_waits(&self) -> bool {
        self.target.max_requests > 0 && self.kept.room.len() > 0
    }

    /// An endpoint has room again: for the one whose turn it is.
    pub(crate) fn freed(&self) {
        if self.target.max_requests > 0 {
            self.kept.room.call();
        }
    }

    /// After how long it has to be made anew, because an endpoint's share will have grown.
    pub(crate) fn grows_in(&self, now_ms: u64) -> Option<Duration> {
        let slow = self.target.slow_start;
        let growing = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.standing.takes_new);
        growing
            .filter_map(|endpoint| slow_start::next(endpoint.known.taking(now_ms), slow))
            .min()
    }
}

fn pool(target: &BackendTarget, endpoints: &[Endpoint], now_ms: u64) -> Pool {
    let conditions: Vec<Condition> = endpoints
        .iter()
        .map(|endpoint| Condition {
            standing: endpoint.standing,
            share: slow_start::share(endpoint.known.taking(now_ms), target.slow_start),
        })
        .collect();
    Pool::new(target, &conditions)
}

fn connector(tls: &EndpointTls, target: &BackendTarget) -> Result<Connector, TlsError> {
    Connector::new(&Terms {
        authorities: match (&tls.authority, tls.verify) {
            (_, false) => Authorities::Anybody,
            (Some(path), true) => Authorities::File(path.clone()),
            (None, true) => Authorities::System,
        },
        name: (!tls.server_name.is_empty()).then(|| tls.server_name.clone()),
        identity: tls.certificate.as_ref().map(|files| tls::CertificateFiles {
            chain: files.chain.clone(),
            key: files.key.clone(),
        }),
        alpn: match target.protocol {
            Protocol::Http1 => vec![Alpn::Http11],
            Protocol::Http2 => vec![Alpn::H2],
            Protocol::Tcp => Vec::new(),
        },
        minimum: Version::Tls12,
    })
}

impl Known {
    fn new(now_ms: u64) -> Self {
        Self {
            health: judge::State::Unknown,
            health_ms: now_ms,
            reason: "not asked yet".to_owned(),
            admin: Admin::Ready,
            admin_ms: 0,
            ejected: None,
            // It was there before we were: no slow start.
            taking_ms: 0,
        }
    }

    /// Nobody asks any more: what was found last says nothing.
    fn unasked(&mut self, now_ms: u64) {
        if self.health == judge::State::Unknown {
            return;
        }
        if !self.health.takes_requests() {
            self.taking_ms = now_ms;
        }
        (self.health, self.health_ms) = (judge::State::Unknown, now_ms);
        "not asked any more".clone_into(&mut self.reason);
    }

    fn standing(&self) -> Standing {
        let (admin, health) = ((self.admin, self.admin_ms), (self.health, self.health_ms));
        standing(admin, health, self.ejected)
    }

    fn taking(&self, now_ms: u64) -> Duration {
        Duration::from_millis(now_ms.saturating_sub(self.taking_ms))
    }
}

impl Endpoint {
    /// As far as its health says.
    pub(crate) fn is_up(&self) -> bool {
        !matches!(self.standing.why, Why::Down | Why::Ejected)
    }
}

impl Counters {
    fn new(threads: usize) -> Self {
        Self {
            counts: (0..threads).map(|_| Counts::default()).collect(),
            failures: AtomicU64::new(0),
            tally: Tally::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::tests::{state, state_after};
    use crate::state::State;

    fn site(more: &str) -> String {
        format!(
            "[balancer]\n[backends.app]\nendpoints = [\"192.0.2.1:80\", \"192.0.2.2:80\"]\n{more}\n"
        )
    }

    fn first(state: &State) -> &Endpoint {
        &state.backends[0].endpoints[0]
    }

    /// An operator who takes a wrong check out of the site file wants the endpoint back.
    #[test]
    fn who_is_not_asked_any_more_is_not_down() {
        let before = state(&site(""));
        let down = before.backends[0].with(0, 1, |known| known.health = judge::State::Down);
        let before = before.with_backend(0, down);
        assert_eq!(first(&before).standing.why, Why::Down);
        let same = state_after(&site(""), Some(&before));
        assert_eq!(first(&same).standing.why, Why::Down);
        let unasked = site("health = { kind = \"none\" }");
        let after = state_after(&unasked, Some(&before));
        assert_eq!(first(&after).standing.why, Why::NotAskedYet);
        assert!(first(&after).standing.takes_new);
    }

    #[test]
    fn many_changes_are_one() {
        let before = state(&site(""));
        let down = |index: usize| (index, |known: &mut Known| known.health = judge::State::Down);
        let after = before.backends[0].with_all(1, [down(0), down(1), down(7)].into_iter());
        assert!(after.endpoints.iter().all(|e| e.standing.why == Why::Down));
    }

    #[test]
    fn connections_are_kept_as_long_as_they_are_opened_in_the_same_way() {
        let before = state(&site(""));
        let kept = |more: &str| {
            let after = state_after(&site(more), Some(&before));
            assert!(Arc::ptr_eq(
                &first(&after).counters,
                &first(&before).counters
            ));
            Arc::ptr_eq(&first(&after).idle, &first(&before).idle)
        };
        assert!(kept(""));
        assert!(kept("max-requests = 7"));
        assert!(!kept("tls = {}"));
        assert!(!kept("proxy-protocol = \"v2\""));
        assert!(!kept("protocol = \"h2\""));
    }
}
