//! What a balancer is told: its target, the site's certificate, what people want of its endpoints.

use std::path::PathBuf;
use std::sync::Arc;

use balancer::snapshot::{Override, Snapshot};
use certs::local::Local;
use cluster::{Cluster, Secrets, keys};
use site::name::ServerName;
use site::target::balancer::{BalancerTarget, CertificateFiles, ListenerMode};
use tokio::sync::watch;

use crate::known::locked;
use crate::up_error::UpError;

/// Name of the secret that signs the cookies which bind visitors to endpoints.
const COOKIE_KEY: &str = "balancer-cookie-key";

/// The balancers of a site, and what they were told last.
#[derive(Debug, Clone)]
pub(crate) struct Balancers {
    pub(crate) list: Arc<std::sync::Mutex<Vec<Told>>>,
    cookie_key: PathBuf,
    certificate: Option<CertificateFiles>,
    cluster: Cluster,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) server: ServerName,
    pub(crate) snapshot: Snapshot,
    pub(crate) to: watch::Sender<Option<serde_json::Value>>,
}

impl Balancers {
    pub(crate) fn new(
        cluster: &Cluster,
        secrets: &Secrets,
        local: Option<&Local>,
    ) -> Result<Self, UpError> {
        let plain = |e: &dyn std::error::Error| UpError::new(e.to_string(), "");
        secrets.get_or_create(COOKIE_KEY).map_err(|e| plain(&e))?;
        Ok(Self {
            list: Arc::default(),
            cookie_key: secrets.path(COOKIE_KEY).map_err(|e| plain(&e))?,
            certificate: local.map(|local| CertificateFiles {
                chain: local.chain.clone(),
                key: local.key.clone(),
            }),
            cluster: cluster.clone(),
        })
    }

    /// What a balancer with this target has to know.
    pub(crate) async fn snapshot(&self, target: BalancerTarget, access_log: PathBuf) -> Snapshot {
        let secure = target
            .listeners
            .iter()
            .any(|listener| matches!(listener.mode, ListenerMode::Https(_)));
        Snapshot {
            certificate: self.certificate.clone().filter(|_| secure),
            access_log,
            overrides: self.overrides().await,
            cookie_key: self.cookie_key.clone(),
            target,
        }
    }

    /// What people want of endpoints; kept, so that a restart does not send visitors to a machine that
    /// somebody is repairing.
    pub(crate) async fn overrides(&self) -> Vec<Override> {
        match self.cluster.get(keys::BALANCER_ENDPOINTS).await {
            Ok(Some(entry)) => serde_json::from_str(&entry.value).unwrap_or_else(|e| {
                tracing::error!("{}: {e}", keys::BALANCER_ENDPOINTS);
                Vec::new()
            }),
            Ok(None) => Vec::new(),
            Err(e) => {
                tracing::error!("{}: {e}", keys::BALANCER_ENDPOINTS);
                Vec::new()
            }
        }
    }

    /// Keeps what is wanted and tells every balancer.
    pub(crate) async fn change(&self, change: Override) -> Result<(), UpError> {
        let plain = |e: &dyn std::error::Error| UpError::new(e.to_string(), "");
        // Another command may be first: then once more, on top of it.
        for _ in 0..8 {
            let entry = self
                .cluster
                .get(keys::BALANCER_ENDPOINTS)
                .await
                .map_err(|e| plain(&e))?;
            let mut overrides = self.overrides().await;
            Override::apply(&mut overrides, change.clone());
            let value = serde_json::to_string(&overrides).map_err(|e| plain(&e))?;
            let version = entry.map(|entry| entry.version);
            let put = self
                .cluster
                .put_if(keys::BALANCER_ENDPOINTS, version, value)
                .await;
            if put.is_ok() {
                self.tell(|snapshot| snapshot.overrides.clone_from(&overrides));
                return Ok(());
            }
        }
        Err(UpError::new("other commands were faster", "try again"))
    }

    /// Changes what each balancer is told, and sends it.
    pub(crate) fn tell(&self, mut change: impl FnMut(&mut Snapshot)) {
        for told in locked(&self.list).iter_mut() {
            change(&mut told.snapshot);
            match serde_json::to_value(&told.snapshot) {
                Ok(value) => drop(told.to.send_replace(Some(value))),
                Err(e) => tracing::error!("{}: {e}", told.server),
            }
        }
    }
}
