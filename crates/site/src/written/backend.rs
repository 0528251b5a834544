//! Pure: `[backends.NAME]` as a person may write it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::at::At;
use crate::spelling::Endpoint;
use crate::target::balancer::{Algorithm, ProxyVersion};
use crate::written::balancer::HealthSection;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BackendSection {
    /// Addresses with ports, or `unix:/path`; one with settings of its own is written
    /// `{ address = "10.0.0.5:80", weight = 2 }`. Not for the backend `web`: its endpoints are the
    /// servers with that role.
    #[schemars(extend("examples" = [["10.0.0.5:80", "10.0.0.6:80"]]))]
    pub endpoints: Option<At<Vec<At<Endpoint>>>>,
    /// `http`, or `tcp` for bytes as they are. Default `http`.
    #[schemars(extend("examples" = ["tcp"]))]
    pub mode: Option<At<BackendMode>>,
    /// With `mode = "tcp"`: where its connections arrive, so that it needs no listener.
    #[schemars(extend("examples" = ["0.0.0.0:5432"]))]
    pub listen: Option<At<String>>,
    /// HTTP spoken to endpoints. Default `http/1.1`; gRPC needs `h2`.
    #[schemars(extend("examples" = ["h2"]))]
    pub protocol: Option<At<HttpVersion>>,
    /// How an endpoint is chosen. Default `round-robin`.
    #[schemars(extend("examples" = ["least-requests"]))]
    pub algorithm: Option<At<Algorithm>>,
    /// With `algorithm = "hash"`: `source`, `path`, `header:NAME` or `cookie:NAME`. Default `source`.
    #[schemars(extend("examples" = ["header:X-User"]))]
    pub hash_by: Option<At<String>>,
    /// With `algorithm = "hash"`: the most an endpoint gets, in percent of the average. Default 125; 0
    /// for no bound.
    #[schemars(range(min = 0, max = 10000), extend("examples" = [125]))]
    pub hash_balance: Option<At<u16>>,
    /// Name of a cookie that binds a visitor to one endpoint. Default: none.
    #[schemars(extend("examples" = ["foobar-server"]))]
    pub sticky: Option<At<String>>,
    /// An endpoint that has come back gets its full share only after this long. Default `"0s"`.
    #[schemars(extend("examples" = ["30s"]))]
    pub slow_start: Option<At<String>>,
    /// How it is found out that an endpoint cannot answer.
    pub health: Option<At<HealthSection>>,
    /// Endpoints that fail requests are taken out for a while.
    pub ejection: Option<At<EjectionSection>>,
    /// Fewer endpoints up than this, in percent, and all are used whatever their health: one that
    /// answers slowly is better than none. Default 34; 0 for never.
    #[schemars(range(min = 0, max = 100), extend("examples" = [50]))]
    pub panic: Option<At<u8>>,
    /// Requests (`tcp`: connections) at one endpoint at once; more wait. Default: no bound.
    #[schemars(range(min = 1, max = 1_000_000), extend("examples" = [200]))]
    pub max_requests: Option<At<u32>>,
    /// Requests that wait for an endpoint. Default 1000.
    #[schemars(range(min = 0, max = 1_000_000), extend("examples" = [1000]))]
    pub queue: Option<At<u32>>,
    /// How long they wait. Default `"5s"`.
    #[schemars(extend("examples" = ["5s"]))]
    pub queue_timeout: Option<At<String>>,
    /// Requests at all endpoints at once; more get 503 at once. Default: no bound.
    #[schemars(range(min = 1, max = 1_000_000), extend("examples" = [2000]))]
    pub breaker: Option<At<u32>>,
    /// When and how often a request is sent again.
    pub retries: Option<At<RetriesSection>>,
    /// TLS to the endpoints.
    pub tls: Option<At<EndpointTlsSection>>,
    /// Connections to endpoints begin with a PROXY protocol header of this version. Default: none.
    #[schemars(extend("examples" = ["v2"]))]
    pub proxy_protocol: Option<At<ProxyVersion>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "mode of a backend")]
pub enum BackendMode {
    Http,
    Tcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(title = "version of HTTP")]
pub enum HttpVersion {
    #[serde(rename = "http/1.1")]
    Http1,
    #[serde(rename = "h2")]
    Http2,
}

/// An endpoint with settings of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EndpointSection {
    /// Address and port, or `unix:/path`.
    #[schemars(required, extend("examples" = ["10.0.0.5:80"]))]
    pub address: Option<At<String>>,
    /// Name for people. Default: the address.
    #[schemars(extend("examples" = ["shop-1"]))]
    pub name: Option<At<String>>,
    /// Share of the requests relative to the others; 0: none but those bound to it. Default 1.
    #[schemars(range(min = 0, max = 256), extend("examples" = [2]))]
    pub weight: Option<At<u16>>,
    /// Used only while none of the others can be. Default false.
    #[schemars(extend("examples" = [true]))]
    pub backup: Option<At<bool>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EjectionSection {
    /// Failed requests in a row that take an endpoint out. Default 5; 0: not counted.
    #[schemars(range(min = 0, max = 1000), extend("examples" = [5]))]
    pub consecutive: Option<At<u32>>,
    /// Out when its share of successes is below the mean by this many tenths of a standard deviation.
    /// Default 0: not looked at; 19 is usual.
    #[schemars(range(min = 0, max = 100), extend("examples" = [19]))]
    pub success_rate: Option<At<u16>>,
    /// Requests in an interval below which its share of successes says nothing. Default 100.
    #[schemars(range(min = 1, max = 1_000_000), extend("examples" = [100]))]
    pub success_rate_requests: Option<At<u32>>,
    /// How often shares of successes are compared. Default `"10s"`.
    #[schemars(extend("examples" = ["10s"]))]
    pub interval: Option<At<String>>,
    /// How long it is out, times how often it was before. Default `"10s"`.
    #[schemars(extend("examples" = ["10s"]))]
    pub time: Option<At<String>>,
    /// Of the endpoints out at once, in percent, at most. Default 50.
    #[schemars(range(min = 1, max = 100), extend("examples" = [50]))]
    pub max_percent: Option<At<u8>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RetriesSection {
    /// Endpoints tried for one request, the first included. Default: `attempts` of `[balancer.limits]`.
    #[schemars(range(min = 1, max = 10), extend("examples" = [3]))]
    pub attempts: Option<At<u32>>,
    /// Retries at most, in percent of the requests of the last ten seconds. Default 20.
    #[schemars(range(min = 0, max = 100), extend("examples" = [20]))]
    pub budget: Option<At<u8>>,
    /// The largest request body that is kept to be sent again. Default `"64KiB"`.
    #[schemars(extend("examples" = ["64KiB"]))]
    pub body: Option<At<String>>,
    /// A GET or HEAD without an answer after this long is asked of a second endpoint too; the first
    /// answer counts. Not for visitors bound by a cookie. Default: never.
    #[schemars(extend("examples" = ["200ms"]))]
    pub hedge_after: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EndpointTlsSection {
    /// PEM file with the authorities that may have signed the endpoints' certificates, relative to the
    /// site file. Default: those this system trusts.
    #[schemars(extend("examples" = ["tls/internal.pem"]))]
    pub authority: Option<At<String>>,
    /// The name their certificates must have. Default: the address.
    #[schemars(extend("examples" = ["shop.internal"]))]
    pub server_name: Option<At<String>>,
    /// PEM file with our own certificate, for endpoints that ask for one.
    #[schemars(extend("examples" = ["tls/balancer.pem"]))]
    pub certificate: Option<At<String>>,
    /// PEM file with its key.
    #[schemars(extend("examples" = ["tls/balancer.key"]))]
    pub key: Option<At<String>>,
    /// False: any certificate is taken. Default true.
    #[schemars(extend("examples" = [true]))]
    pub verify: Option<At<bool>>,
}
