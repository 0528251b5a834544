//! What the workers read: the snapshot in compiled form with the health of its endpoints, one value,
//! swapped whole at every change of either. A change of one backend copies pointers to all else.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::tls::accept::Clients;
use http::tls::sni::Names;
use http::tls::{self, Alpn, Resumption, TlsError, Version};
use site::target::balancer::{
    AccessLogFormat, BalancerTarget, CertificateFiles, ListenerMode, ListenerTarget, TlsTarget,
};

use crate::backend::{Backend, BackendError, Means};
use crate::hash::Seed;
use crate::pages::{PageError, Pages};
use crate::rules::{Rules, RulesError};
use crate::snapshot::Snapshot;
use telemetry::access_log::Format;

/// Immutable but for the counters.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) target: Arc<BalancerTarget>,
    /// By the name of their socket.
    pub(crate) doors: Arc<HashMap<String, Door>>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) backends: Vec<Arc<Backend>>,
    pub(crate) access_log: PathBuf,
    pub(crate) log: Arc<Format>,
    pub(crate) pages: Arc<Pages>,
}

/// What a socket's connections are.
#[derive(Debug)]
pub(crate) struct Door {
    /// They begin with a PROXY protocol header.
    pub(crate) proxy_protocol: bool,
    pub(crate) way: Way,
}

#[derive(Debug, Clone)]
pub(crate) enum Way {
    Http {
        /// Port of HTTPS to which requests are sent on.
        redirect_to: Option<u16>,
        http2: bool,
    },
    Https {
        config: Arc<rustls::ServerConfig>,
        /// Value of `Strict-Transport-Security`.
        hsts: Option<Arc<String>>,
    },
    /// Indexes of backends.
    Tcp {
        by_name: Option<Arc<Names<usize>>>,
        otherwise: Option<usize>,
    },
}

/// Why a snapshot is refused; the former stays in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("listener {0} offers HTTPS and there is no certificate")]
    NoCertificate(String),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Page(#[from] PageError),
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// What outlives every snapshot.
#[derive(Debug)]
pub(crate) struct Lasting {
    /// TLS sessions of clients, so that they are resumed across a change of certificates.
    pub(crate) resumption: Resumption,
    pub(crate) threads: usize,
    /// Of the hashes of what clients send: nobody outside can choose whose place he takes.
    pub(crate) seed: Seed,
}

impl State {
    /// Takes over what is known of endpoints that stay.
    pub(crate) fn new(
        snapshot: Snapshot,
        former: Option<&Self>,
        lasting: &Lasting,
        now_ms: u64,
    ) -> Result<Self, StateError> {
        let cookie_key =
            std::fs::read(&snapshot.cookie_key).map_err(|source| StateError::File {
                path: snapshot.cookie_key.clone(),
                source,
            })?;
        let target = Arc::new(snapshot.target);
        let means = Means {
            wishes: &snapshot.overrides,
            cookie_key: &cookie_key,
            threads: lasting.threads,
            now_ms,
        };
        let mut backends = Vec::new();
        for backend in &target.backends {
            let known = former.and_then(|former| former.backend(&backend.name));
            backends.push(Arc::new(Backend::new(backend, known, &means)?));
        }
        let own = snapshot.certificate.as_ref();
        let mut doors = HashMap::new();
        for listener in &target.listeners {
            doors.insert(
                listener.name.clone(),
                door(listener, own, &target, lasting)?,
            );
        }
        let known = former.map(|former| &*former.rules);
        let rules = Rules::new(&target, known, lasting)?;
        Ok(Self {
            doors: Arc::new(doors),
            rules: Arc::new(rules),
            backends,
            access_log: snapshot.access_log,
            log: Arc::new(match &target.access_log {
                AccessLogFormat::Json => Format::Json,
                AccessLogFormat::Combined => Format::Combined,
                AccessLogFormat::Template(text) => Format::template(text),
                AccessLogFormat::Off => Format::Off,
            }),
            pages: Arc::new(Pages::read(target.error_pages.as_deref())?),
            target,
        })
    }

    pub(crate) fn backend(&self, name: &str) -> Option<&Arc<Backend>> {
        self.backends
            .iter()
            .find(|backend| backend.target.name == name)
    }

    /// Where an endpoint is: its backend's index and its own.
    pub(crate) fn find(&self, backend: &str, endpoint: &str) -> Option<(usize, usize)> {
        let index = self
            .backends
            .iter()
            .position(|b| b.target.name == backend)?;
        let endpoints = &self.backends.get(index)?.endpoints;
        let endpoint = endpoints.iter().position(|e| e.name == endpoint)?;
        Some((index, endpoint))
    }

    /// The same with one backend changed.
    pub(crate) fn with_backend(&self, index: usize, backend: Backend) -> Self {
        let mut backends = self.backends.clone();
        if let Some(place) = backends.get_mut(index) {
            *place = Arc::new(backend);
        }
        Self {
            target: Arc::clone(&self.target),
            doors: Arc::clone(&self.doors),
            rules: Arc::clone(&self.rules),
            backends,
            access_log: self.access_log.clone(),
            log: Arc::clone(&self.log),
            pages: Arc::clone(&self.pages),
        }
    }
}

fn door(
    listener: &ListenerTarget,
    own: Option<&CertificateFiles>,
    target: &BalancerTarget,
    lasting: &Lasting,
) -> Result<Door, StateError> {
    let index = |name: &String| target.backends.iter().position(|b| b.name == *name);
    let way = match &listener.mode {
        ListenerMode::Http { redirect_to, http2 } => Way::Http {
            redirect_to: *redirect_to,
            http2: *http2,
        },
        ListenerMode::Https(offer) => Way::Https {
            config: offered(listener, offer, own, lasting)?,
            // RFC 6797 section 6.1.1: whole seconds.
            hsts: offer
                .hsts
                .map(|hsts| Arc::new(format!("max-age={}", hsts.0.as_secs()))),
        },
        ListenerMode::Tcp { by_name, otherwise } => {
            let mut names = Names::default();
            for (name, backend) in by_name {
                if let Some(index) = index(backend) {
                    names.add(name, index);
                }
            }
            Way::Tcp {
                by_name: (!by_name.is_empty()).then(|| Arc::new(names)),
                otherwise: otherwise.as_ref().and_then(index),
            }
        }
    };
    Ok(Door {
        proxy_protocol: listener.proxy_protocol,
        way,
    })
}

fn offered(
    listener: &ListenerTarget,
    offer: &TlsTarget,
    own: Option<&CertificateFiles>,
    lasting: &Lasting,
) -> Result<Arc<rustls::ServerConfig>, StateError> {
    let files = |files: &CertificateFiles| tls::CertificateFiles {
        chain: files.chain.clone(),
        key: files.key.clone(),
    };
    // The first is for clients that ask for a name nobody has.
    let certificates: Vec<_> = own
        .into_iter()
        .chain(&offer.certificates)
        .map(files)
        .collect();
    if certificates.is_empty() {
        return Err(StateError::NoCertificate(listener.name.clone()));
    }
    let mut alpn = vec![Alpn::Http11];
    if offer.http2 {
        alpn.insert(0, Alpn::H2);
    }
    let terms = tls::accept::Terms {
        certificates,
        alpn,
        minimum: match offer.tls12 {
            true => Version::Tls12,
            false => Version::Tls13,
        },
        clients: match &offer.client_certificates {
            None => Clients::None,
            Some(clients) if clients.required => Clients::Required {
                ca: clients.authority.clone(),
            },
            Some(clients) => Clients::Optional {
                ca: clients.authority.clone(),
            },
        },
    };
    Ok(tls::accept::config(&terms, &lasting.resumption)?)
}
