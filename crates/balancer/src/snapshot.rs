//! Pure: what the balancer knows, one value that is swapped whole; what it is asked, and what it answers.
//! The only serialized types of this crate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use site::target::balancer::{BalancerTarget, CertificateFiles};

/// Everything a balancer needs to know, made by its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub target: BalancerTarget,
    /// The site's own, offered by every HTTPS listener to clients that ask for no name it knows better.
    pub certificate: Option<CertificateFiles>,
    /// A line per exchange is appended to it.
    pub access_log: PathBuf,
    /// What people want of endpoints.
    pub overrides: Vec<Override>,
    /// File with the key that signs the cookies of visitors bound to an endpoint.
    pub cookie_key: PathBuf,
}

/// What somebody wants of one endpoint, until he says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    pub backend: String,
    pub endpoint: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub admin: Wish,
    /// In place of the one in the site file.
    pub weight: Option<u16>,
}

/// A change of it. What it does not name stays as somebody wanted it: an endpoint that is drained and has
/// died meanwhile does not come back because its weight is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub backend: String,
    pub endpoint: String,
    pub admin: Option<Wish>,
    pub weight: Option<Share>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    OfFile,
    Wished(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    Ready,
    /// No new visitors.
    Drain,
    /// Nobody.
    Maintenance,
}

impl Override {
    /// What is wanted of the change's endpoint after it.
    pub fn merged(all: &[Self], change: Change, now_ms: u64) -> Self {
        let known = all
            .iter()
            .find(|kept| kept.backend == change.backend && kept.endpoint == change.endpoint);
        let former = known.map_or(Wish::Ready, |known| known.admin);
        let admin = change.admin.unwrap_or(former);
        Self {
            backend: change.backend,
            endpoint: change.endpoint,
            at_ms: known
                .filter(|_| admin == former)
                .map_or(now_ms, |known| known.at_ms),
            admin,
            weight: match change.weight {
                None => known.and_then(|known| known.weight),
                Some(Share::OfFile) => None,
                Some(Share::Wished(weight)) => Some(weight),
            },
        }
    }

    /// `change` in place of what was wanted of that endpoint; what wants nothing is not kept.
    pub fn apply(all: &mut Vec<Self>, change: Self) {
        let same = |kept: &Self| kept.backend == change.backend && kept.endpoint == change.endpoint;
        all.retain(|kept| !same(kept));
        if change.admin != Wish::Ready || change.weight.is_some() {
            all.push(change);
        }
    }
}

/// Asked of a running balancer besides its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// What would a request get?
    Explain {
        /// As a browser has it.
        url: String,
        method: String,
        headers: Vec<(String, String)>,
        client: std::net::IpAddr,
    },
}

/// The answer to `Question::Explain`: steps in order, each with what was found and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `listener`, `route`, `access`, `backend`, `endpoint` …
    pub what: String,
    pub found: String,
    pub because: Vec<String>,
}

/// The answer to `About::Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub backends: Vec<BackendStatus>,
    pub requests: u64,
    /// 1xx to 5xx.
    pub by_class: [u64; 5],
    /// Requests within each bound of `telemetry::metrics::LATENCY_SECONDS`, cumulative; then all.
    pub latency: Vec<u64>,
    pub bytes_out: u64,
    pub connections: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendStatus {
    pub name: String,
    /// Which endpoints get requests, in words.
    pub uses: String,
    pub queued: u64,
    pub endpoints: Vec<EndpointStatus>,
}

/// One endpoint as this balancer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointStatus {
    pub name: String,
    pub address: String,
    /// It takes requests.
    pub up: bool,
    /// `up`, `draining`, `in maintenance` …
    pub standing: String,
    /// Wall clock of the last change, milliseconds since 1970.
    pub since_ms: u64,
    /// What the last check or request told.
    pub reason: String,
    pub weight: u16,
    /// What somebody has set in place of the site file's.
    pub wished_weight: Option<u16>,
    pub backup: bool,
    pub requests: u64,
    pub failures: u64,
    pub open: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_wish_counts_and_none_is_forgotten() {
        let wish = |endpoint: &str, admin, weight| Override {
            backend: "web".to_owned(),
            endpoint: endpoint.to_owned(),
            at_ms: 1,
            admin,
            weight,
        };
        let mut all = Vec::new();
        Override::apply(&mut all, wish("a", Wish::Drain, None));
        Override::apply(&mut all, wish("b", Wish::Ready, Some(5)));
        Override::apply(&mut all, wish("a", Wish::Maintenance, None));
        let kept: Vec<_> = all
            .iter()
            .map(|kept| (kept.endpoint.as_str(), kept.admin))
            .collect();
        assert_eq!(kept, [("b", Wish::Ready), ("a", Wish::Maintenance)]);
        Override::apply(&mut all, wish("a", Wish::Ready, None));
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn what_a_change_does_not_name_stays() {
        let change = |admin, weight| Change {
            backend: "web".to_owned(),
            endpoint: "a".to_owned(),
            admin,
            weight,
        };
        let mut all = Vec::new();
        let mut wanted = |change, now_ms| {
            let wanted = Override::merged(&all, change, now_ms);
            Override::apply(&mut all, wanted.clone());
            (wanted.admin, wanted.weight, wanted.at_ms)
        };
        let drained = wanted(change(Some(Wish::Drain), None), 1);
        assert_eq!(drained, (Wish::Drain, None, 1));
        let lighter = wanted(change(None, Some(Share::Wished(5))), 2);
        assert_eq!(lighter, (Wish::Drain, Some(5), 1));
        let ready = wanted(change(Some(Wish::Ready), None), 3);
        assert_eq!(ready, (Wish::Ready, Some(5), 3));
        let of_file = wanted(change(None, Some(Share::OfFile)), 4);
        assert_eq!(of_file, (Wish::Ready, None, 3));
    }
}
