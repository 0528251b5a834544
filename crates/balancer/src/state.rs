//! What the workers read: the snapshot with the health of its endpoints, one value, swapped whole at
//! every change of either.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::tls::TlsError;
use site::target::BalancerTarget;

use crate::choose::round_robin;
use crate::snapshot::Snapshot;

/// Immutable but for the counters.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) target: BalancerTarget,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) access_log: PathBuf,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Indexes of the endpoints that take requests, in the order they are used.
    pub(crate) rotation: Vec<usize>,
    /// Shared by all threads and all states, so that shares are exact.
    pub(crate) turn: Arc<AtomicU64>,
}

/// One endpoint and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) weight: u16,
    pub(crate) up: bool,
    /// Wall clock, milliseconds since 1970.
    pub(crate) since_ms: u64,
    pub(crate) reason: String,
    pub(crate) counters: Arc<Counters>,
}

/// Kept across snapshots.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) open: AtomicU64,
}

impl State {
    /// Takes over what is known of endpoints that stay.
    pub(crate) fn new(
        snapshot: Snapshot,
        former: Option<&Self>,
        now_ms: u64,
    ) -> Result<Self, TlsError> {
        let tls = snapshot
            .certificate
            .as_ref()
            .map(|certificate| http::tls::server_config(&certificate.chain, &certificate.key))
            .transpose()?;
        let known = |name: &str, address| {
            former?
                .endpoints
                .iter()
                .find(|known| known.name == name && known.address == address)
        };
        let endpoints = snapshot.target.endpoints.iter().map(|target| {
            match known(&target.name, target.address) {
                Some(known) => Endpoint {
                    weight: target.weight,
                    ..known.clone()
                },
                None => Endpoint {
                    name: target.name.clone(),
                    address: target.address,
                    weight: target.weight,
                    up: true,
                    since_ms: now_ms,
                    reason: "not asked yet".to_owned(),
                    counters: Arc::default(),
                },
            }
        });
        let state = Self {
            endpoints: endpoints.collect(),
            target: snapshot.target,
            tls,
            access_log: snapshot.access_log,
            rotation: Vec::new(),
            turn: former.map_or_else(Arc::default, |former| Arc::clone(&former.turn)),
        };
        Ok(state.with_rotation())
    }

    /// The same with one endpoint's health changed.
    pub(crate) fn with_health(
        &self,
        address: std::net::SocketAddr,
        up: bool,
        reason: &str,
        now_ms: u64,
    ) -> Self {
        let mut endpoints = self.endpoints.clone();
        for endpoint in endpoints
            .iter_mut()
            .filter(|endpoint| endpoint.address == address)
        {
            endpoint.up = up;
            endpoint.since_ms = now_ms;
            reason.clone_into(&mut endpoint.reason);
        }
        let state = Self {
            target: self.target.clone(),
            tls: self.tls.clone(),
            access_log: self.access_log.clone(),
            endpoints,
            rotation: Vec::new(),
            turn: Arc::clone(&self.turn),
        };
        state.with_rotation()
    }

    fn with_rotation(mut self) -> Self {
        let weights: Vec<u16> = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.weight)
            .collect();
        let up: Vec<bool> = self.endpoints.iter().map(|endpoint| endpoint.up).collect();
        self.rotation = round_robin::rotation(&weights, &up);
        self
    }
}
