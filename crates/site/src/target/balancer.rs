//! Pure: the balancer's part of a `Target`: listeners, routes, backends, and the rules of each. Names
//! refer to each other (`RouteTarget` → `BackendTarget`); `check_target` sees that they lead somewhere.
//!
//! Serialized, with `target.rs`: a change here is a change of a promise.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::milliseconds;

/// HAProxy's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalancerTarget {
    pub listeners: Vec<ListenerTarget>,
    /// Host names of the site, lower case, without port: what a person is shown, and what a health
    /// check of the site's own web servers asks for. Empty: a balancer in front of anything.
    pub domains: Vec<String>,
    /// Which one takes a request: see `balancer::route`.
    pub routes: Vec<RouteTarget>,
    pub backends: Vec<BackendTarget>,
    /// Proxies in front of this one, whose word on where a request comes from is believed.
    pub trusted_proxies: Vec<Network>,
    pub limits: BalancerLimits,
    pub access_log: AccessLogFormat,
    /// Our own answers say their reason's code in `Mainstay-Reason`.
    pub reason_header: bool,
    /// Directory with `503.html` and the like, absolute; what is not there is made by us.
    pub error_pages: Option<PathBuf>,
}

impl BalancerTarget {
    /// Where cleartext HTTP of the site's own listener is found, if it has one.
    pub fn http(&self) -> Option<SocketAddr> {
        self.own(HTTP)
    }

    /// The same for HTTPS.
    pub fn https(&self) -> Option<SocketAddr> {
        self.own(HTTPS)
    }

    fn own(&self, name: &str) -> Option<SocketAddr> {
        let listener = self
            .listeners
            .iter()
            .find(|listener| listener.name == name)?;
        match &listener.bind {
            Bind::Tcp(address) => Some(*address),
            Bind::Unix(_) => None,
        }
    }

    pub fn backend(&self, name: &str) -> Option<&BackendTarget> {
        self.backends.iter().find(|backend| backend.name == name)
    }
}

/// Names of the site's own listeners; others are the user's.
pub const HTTP: &str = "http";
pub const HTTPS: &str = "https";

/// Name of the backend that is the site's own web servers.
pub const WEB: &str = "web";

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bind {
    /// Port 0: any free port, reported by the agent.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One socket that takes connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTarget {
    /// Unique on its balancer.
    pub name: String,
    pub bind: Bind,
    pub mode: ListenerMode,
    /// Every connection begins with a PROXY protocol header (v1 or v2); one without is closed.
    pub proxy_protocol: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ListenerMode {
    Http {
        /// Port of HTTPS to which every request is sent on, but for ACME challenges.
        redirect_to: Option<u16>,
        /// Taken from clients that begin with it.
        http2: bool,
    },
    Https(TlsTarget),
    /// Bytes are relayed as they are.
    Tcp {
        /// By the name in the client's TLS greeting, exact or `*.foobar.com`: the backend.
        by_name: BTreeMap<String, String>,
        /// For names not listed and connections that are not TLS. None: they are closed.
        otherwise: Option<String>,
    },
}

/// How a listener offers TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsTarget {
    /// Besides the site's own, which its agent adds.
    pub certificates: Vec<CertificateFiles>,
    /// TLS 1.2 is offered too.
    pub tls12: bool,
    pub http2: bool,
    pub client_certificates: Option<ClientCertificates>,
    /// `Strict-Transport-Security: max-age`.
    pub hsts: Option<Milliseconds>,
}

/// PEM files, absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// Clients are asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificates {
    /// PEM file with the authorities that may have signed it.
    pub authority: PathBuf,
    /// A connection without one is refused.
    pub required: bool,
}

/// One rule on what a request gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteTarget {
    /// Unique; in logs, metrics and `explain`.
    pub name: String,
    pub when: Match,
    /// Clients let in; empty: all.
    pub allow: Vec<Network>,
    /// Clients kept out, also of those in `allow`.
    pub deny: Vec<Network>,
    pub rate_limit: Option<RateLimit>,
    pub concurrency: Option<Concurrency>,
    pub action: Action,
    pub request_headers: HeaderEdits,
    pub response_headers: HeaderEdits,
    /// A copy of requests without bodies goes there too; its answer is dropped.
    pub mirror: Option<Mirror>,
    /// In place of `BalancerLimits::request_body`.
    pub request_body: Option<u64>,
    /// In place of `BalancerLimits::response_head`.
    pub response_head: Option<Milliseconds>,
}

/// A duration that may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Milliseconds(#[serde(with = "milliseconds")] pub Duration);

/// All of it must be true. What is empty says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Lower case: exact, or `*.foobar.com` for any names below.
    pub hosts: Vec<String>,
    pub path: PathMatch,
    pub methods: Vec<String>,
    pub headers: Vec<ValueMatch>,
    pub query: Vec<ValueMatch>,
    pub from: Vec<Network>,
    /// So many of a hundred clients (by address), always the same ones.
    pub percent: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathMatch {
    #[default]
    Any,
    Exact(String),
    /// Of whole segments: `/api` is a prefix of `/api` and `/api/x`, not of `/apix`.
    Prefix(String),
    /// Anywhere in the path unless anchored.
    Regex(String),
}

/// One header field or query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueMatch {
    pub name: String,
    pub value: ValueIs,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueIs {
    Present,
    Exactly(String),
    Matching(String),
}

/// What is done with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    Forward {
        backend: String,
        rewrite: Option<Rewrite>,
        /// `Host` for the endpoint, in place of the client's.
        host: Option<String>,
    },
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// May contain `{scheme}`, `{host}`, `{path}`, `{query}` (with its `?`) and, of a regex, `{1}` …
        to: String,
    },
    /// 503 with `Retry-After` and the maintenance page.
    Maintenance {
        #[serde(with = "milliseconds")]
        retry_after: Duration,
    },
    /// A short answer of our own.
    Respond { status: u16, body: String },
}

/// The path an endpoint sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rewrite {
    /// What the route's `Prefix` matched is replaced (`/` or nothing: stripped).
    Prefix(String),
    /// The whole path, with `{1}` … of the route's `Regex` and `{path}`.
    Path(String),
}

/// In this order: removed, set (all former ones removed), added. Values may contain `{client}`,
/// `{host}`, `{scheme}`, `{request-id}`, `{route}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderEdits {
    pub remove: Vec<String>,
    pub set: Vec<(String, String)>,
    pub add: Vec<(String, String)>,
}

impl HeaderEdits {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

/// So many requests per time for each key; more get 429.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub requests: u32,
    #[serde(with = "milliseconds")]
    pub per: Duration,
    /// Requests at once after a pause, at least 1.
    pub burst: u32,
    pub key: ClientKey,
}

/// So many requests at once for each key; more get 429.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    pub requests: u32,
    pub key: ClientKey,
}

/// What counts as one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClientKey {
    /// The first bits of its address.
    Address { v4_bits: u8, v6_bits: u8 },
    /// The value of a header field; without it, the address.
    Header(String),
    /// The value of a cookie; without it, the address.
    Cookie(String),
    /// All requests of the route together.
    Everybody,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    pub backend: String,
    pub percent: u8,
}

/// Endpoints that can all answer the same requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendTarget {
    /// Unique.
    pub name: String,
    pub protocol: Protocol,
    pub endpoints: Vec<EndpointTarget>,
    pub algorithm: Algorithm,
    /// For `Algorithm::Hash`.
    pub hash_by: HashKey,
    /// Most an endpoint gets with `Algorithm::Hash`, in percent of the average; 0: no bound.
    pub hash_balance: u16,
    /// Name of the cookie that binds a visitor to an endpoint.
    pub sticky: Option<String>,
    /// An endpoint that has come up gets its full share only after this long.
    #[serde(with = "milliseconds")]
    pub slow_start: Duration,
    pub health: HealthCheck,
    pub ejection: Option<Ejection>,
    /// Fewer endpoints up than this, in percent of their weights: all get requests, whatever their
    /// health.
    pub panic_percent: u8,
    /// Requests (TCP: connections) at one endpoint at once; 0: no bound.
    pub max_requests: u32,
    pub queue: Queue,
    pub retries: Retries,
    /// Requests at all its endpoints at once; more get 503 at once. 0: no bound.
    pub breaker: u32,
    pub tls: Option<EndpointTls>,
    pub proxy_protocol: Option<ProxyVersion>,
    /// The site's own web servers, whose word `Mainstay-Not-Handled` is believed.
    pub own: bool,
}

/// What is spoken to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "protocol")]
pub enum Protocol {
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2: over TLS, or in cleartext with prior knowledge. What gRPC needs.
    #[serde(rename = "h2")]
    Http2,
    /// Whatever the client speaks, unread.
    #[serde(rename = "tcp")]
    Tcp,
}

/// One address that can answer requests: the web server of an app server, or anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointTarget {
    /// Unique in its backend: what people see in `status`. The server's name, or the address.
    pub name: String,
    pub address: Bind,
    /// Shares of the requests relative to the others, 0–256; 0: none but those bound to it.
    pub weight: u16,
    /// Gets requests only while none of the others can.
    pub backup: bool,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "balancing algorithm")]
pub enum Algorithm {
    /// One after the other, by weight.
    RoundRobin,
    /// The one that works on the fewest requests for its weight.
    LeastRequests,
    /// Of two drawn by chance, the one that has answered faster and works on less.
    PowerOfTwo,
    /// Always the same one for the same client, path, header or cookie, unless it has too much to do.
    Hash,
    /// The first of the list that is up and has room.
    First,
}

/// What is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HashKey {
    Source,
    /// Without the query.
    Path,
    /// Without it: the source.
    Header(String),
    Cookie(String),
}

/// Active health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    pub ask: Ask,
    /// Asked over TLS; by default as the backend's requests are.
    pub tls: bool,
    /// In place of the endpoint's port.
    pub port: Option<u16>,
    #[serde(with = "milliseconds")]
    pub interval: Duration,
    /// While results contradict the state.
    #[serde(with = "milliseconds")]
    pub interval_in_doubt: Duration,
    #[serde(with = "milliseconds")]
    pub timeout: Duration,
    /// Successes in a row that bring a down endpoint up.
    pub rise: u32,
    /// Failures in a row that take an up endpoint down.
    pub fall: u32,
}

/// What is asked, and what answer is a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    Http {
        /// GET, HEAD or OPTIONS.
        method: String,
        path: String,
        /// Empty: the site's first domain, or the endpoint's address.
        host: String,
        headers: Vec<(String, String)>,
        /// From and to, both included.
        status: Vec<(u16, u16)>,
        /// The first 64 KiB of the body match this regex.
        body: Option<String>,
    },
    /// A connection can be opened (with TLS: the handshake is done).
    Tcp,
    /// `grpc.health.v1.Health/Check` answers SERVING. Empty: the whole server.
    Grpc { service: String },
    /// Never asked: up until requests fail (see `Ejection`).
    Nothing,
}

/// Passive health: what its requests tell of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ejection {
    /// Failures in a row (no connection, no answer, 502, 503, 504). 0: not counted.
    pub consecutive: u32,
    /// Out when its share of successes in an interval is below the mean of all by this many standard
    /// deviations, in tenths (19 is 1.9). 0: not looked at.
    pub success_rate_deviations: u16,
    /// Requests in an interval below which an endpoint's success rate says nothing.
    pub success_rate_requests: u32,
    #[serde(with = "milliseconds")]
    pub interval: Duration,
    /// Out for this long, times the number of times it was out before.
    #[serde(with = "milliseconds")]
    pub time: Duration,
    /// Of a backend's endpoints out at once, at most.
    pub max_percent: u8,
}

/// Requests that wait because every endpoint has `max_requests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// More get 503.
    pub size: u32,
    /// Longer and it is 503.
    #[serde(with = "milliseconds")]
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// Endpoints tried for one request, the first included.
    pub attempts: u32,
    /// Retries at most, in percent of the requests of the last seconds (ten a second are always
    /// allowed), so that retries cannot bring down what is only slow.
    pub budget_percent: u8,
    /// Bytes of a request body kept to send it again.
    pub body: u64,
    /// A read that has no answer after this long is asked of a second endpoint too; the first answer
    /// counts.
    pub hedge_after: Option<Milliseconds>,
}

/// TLS to endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointTls {
    /// PEM file. None: the authorities this system trusts.
    pub authority: Option<PathBuf>,
    /// The name its certificate must have. Empty: the host of its address.
    pub server_name: String,
    /// Ours, for endpoints that ask for one.
    pub certificate: Option<CertificateFiles>,
    /// False: any certificate is taken.
    pub verify: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "version of the PROXY protocol")]
pub enum ProxyVersion {
    V1,
    V2,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessLogFormat {
    /// One JSON object a line.
    Json,
    /// Apache's combined format.
    Combined,
    /// Text with `{names}` of the fields.
    Template(String),
    Off,
}

/// Bounds of the balancer, each per process unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalancerLimits {
    /// Client connections open at once; more are left in the kernel's queue.
    pub connections: u32,
    /// Connecting to an endpoint.
    #[serde(with = "milliseconds")]
    pub connect: Duration,
    /// From the first byte of a request to the end of its head.
    #[serde(with = "milliseconds")]
    pub request_head: Duration,
    /// From the end of the request to the head of the response.
    #[serde(with = "milliseconds")]
    pub response_head: Duration,
    /// Between two bytes of a body, either way, and of an upgraded connection.
    #[serde(with = "milliseconds")]
    pub idle_body: Duration,
    /// Between two requests of one client connection.
    #[serde(with = "milliseconds")]
    pub keep_alive: Duration,
    /// Bytes of a request body; larger ones get 413.
    pub request_body: u64,
    /// Time given to open requests when the process is told to stop.
    #[serde(with = "milliseconds")]
    pub drain: Duration,
}

/// `203.0.113.0/24`; a single address has all bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    pub address: IpAddr,
    pub bits: u8,
}

impl Network {
    /// An IPv4 address mapped into IPv6 counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.bits));
                let cut = |a: std::net::Ipv4Addr| a.to_bits().checked_shr(shift).unwrap_or(0);
                cut(network) == cut(address)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.bits));
                let cut = |a: std::net::Ipv6Addr| a.to_bits().checked_shr(shift).unwrap_or(0);
                cut(network) == cut(address)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_with_its_first_bits() {
        let network = |address: &str, bits| Network {
            address: address.parse().unwrap(),
            bits,
        };
        let has = |network: Network, address: &str| network.contains(address.parse().unwrap());
        assert!(has(network("10.0.0.0", 8), "10.9.8.7"));
        assert!(!has(network("10.0.0.0", 8), "11.0.0.1"));
        assert!(has(network("0.0.0.0", 0), "203.0.113.9"));
        assert!(has(network("203.0.113.9", 32), "203.0.113.9"));
        assert!(!has(network("203.0.113.9", 32), "203.0.113.8"));
        assert!(has(network("10.0.0.0", 8), "::ffff:10.1.1.1"));
        assert!(has(network("2001:db8::", 32), "2001:db8:1::1"));
        assert!(!has(network("2001:db8::", 32), "2001:db9::1"));
        assert!(has(network("::", 0), "2001:db9::1"));
        assert!(!has(network("::", 0), "10.1.1.1"));
    }
}
