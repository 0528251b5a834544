//! Pure: `[balancer]` as a person may write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::at::At;
use crate::target::balancer::Algorithm;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BalancerSection {
    /// Port for HTTP. Default 80.
    #[schemars(range(min = 1, max = 65535), extend("examples" = [80]))]
    pub http: Option<At<u16>>,
    /// Port for HTTPS. Default 443.
    #[schemars(range(min = 1, max = 65535), extend("examples" = [443]))]
    pub https: Option<At<u16>>,
    /// How a web server is chosen for a request. Default `round-robin`.
    #[schemars(extend("examples" = ["round-robin"]))]
    pub algorithm: Option<At<Algorithm>>,
    /// How the balancer finds out that a web server cannot answer.
    pub health: Option<At<HealthSection>>,
    /// Bounds in time and size.
    pub limits: Option<At<LimitsSection>>,
    /// Proxies and networks of proxies in front of the balancer: what they say of where a request
    /// comes from (`Forwarded`, `X-Forwarded-For`) is believed. Default: nobody.
    #[schemars(extend("examples" = [["10.0.0.0/8"]]))]
    pub trusted_proxies: Option<At<Vec<At<String>>>>,
    /// Connections on `http` and `https` begin with a PROXY protocol header, which the proxy in front
    /// sends. Default false.
    #[schemars(extend("examples" = [true]))]
    pub proxy_protocol: Option<At<bool>>,
    /// HTTP/2 is offered on HTTPS, and taken in cleartext from clients that begin with it. Default true.
    #[schemars(extend("examples" = [true]))]
    pub http2: Option<At<bool>>,
    /// The oldest TLS that is offered. Default `"1.2"`.
    #[schemars(extend("examples" = ["1.2"]))]
    pub tls_from: Option<At<TlsVersion>>,
    /// Further certificates, chosen by the name that a client asks for.
    pub certificates: Option<At<Vec<At<CertificateSection>>>>,
    /// Clients are asked for a certificate of their own.
    pub client_certificates: Option<At<ClientCertificatesSection>>,
    /// Lines of the access log: `json`, `combined` (Apache's), `off`, or text with `{names}` of fields.
    /// Default `json`.
    #[schemars(extend("examples" = ["combined"]))]
    pub access_log: Option<At<String>>,
    /// Answers that the balancer makes itself say why in `Mainstay-Reason`. Default false: the reason
    /// is in the access log.
    #[schemars(extend("examples" = [true]))]
    pub reason_header: Option<At<bool>>,
    /// Directory with pages for errors and maintenance, named by status: `503.html`. Relative to the
    /// site file.
    #[schemars(extend("examples" = ["errors"]))]
    pub error_pages: Option<At<String>>,
    /// Further sockets, one `[balancer.listeners.NAME]` table each.
    pub listeners: Option<BTreeMap<At<String>, At<ListenerSection>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(title = "version of TLS")]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateSection {
    /// PEM file with the certificate and those between it and its authority, relative to the site file.
    #[schemars(required, extend("examples" = ["tls/shop.pem"]))]
    pub chain: Option<At<String>>,
    /// PEM file with its key.
    #[schemars(required, extend("examples" = ["tls/shop.key"]))]
    pub key: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientCertificatesSection {
    /// PEM file with the authorities that may have signed them, relative to the site file.
    #[schemars(required, extend("examples" = ["tls/clients.pem"]))]
    pub authority: Option<At<String>>,
    /// Clients without a certificate are refused. Default true.
    #[schemars(extend("examples" = [true]))]
    pub required: Option<At<bool>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ListenerSection {
    /// Address and port, or `unix:/path`.
    #[schemars(required, extend("examples" = ["0.0.0.0:8081"]))]
    pub bind: Option<At<String>>,
    /// What is spoken there. Default `http`.
    #[schemars(extend("examples" = ["tcp"]))]
    pub mode: Option<At<ListenerKind>>,
    /// With `mode = "tcp"`: the backend that gets the connections.
    #[schemars(extend("examples" = ["database"]))]
    pub backend: Option<At<String>>,
    /// With `mode = "tcp"`: backends by the name in a client's TLS greeting; TLS is not ended here.
    #[schemars(extend("examples" = [{"mail.foobar.com": "mail"}]))]
    pub by_name: Option<BTreeMap<At<String>, At<String>>>,
    /// Connections begin with a PROXY protocol header. Default false.
    #[schemars(extend("examples" = [true]))]
    pub proxy_protocol: Option<At<bool>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "mode of a listener")]
pub enum ListenerKind {
    /// HTTP/1.1 and, when a client begins with it, HTTP/2.
    Http,
    /// The same over TLS.
    Https,
    /// Bytes, as they are.
    Tcp,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HealthSection {
    /// How it is asked. Default `http`; `tcp` for a backend with `mode = "tcp"`.
    #[schemars(extend("examples" = ["http"]))]
    pub kind: Option<At<HealthKind>>,
    /// Path that is asked for. Default: the web server's own health answer, which includes its app; for
    /// other backends `/`.
    #[schemars(extend("examples" = ["/healthz"]))]
    pub path: Option<At<String>>,
    /// `GET`, `HEAD` or `OPTIONS`. Default `GET`.
    #[schemars(extend("examples" = ["HEAD"]))]
    pub method: Option<At<String>>,
    /// Host that is asked for. Default: the site's first domain, or the endpoint's address.
    #[schemars(extend("examples" = ["www.foobar.com"]))]
    pub host: Option<At<String>>,
    /// Further fields of the question.
    #[schemars(extend("examples" = [{"X-Check": "1"}]))]
    pub headers: Option<BTreeMap<At<String>, At<String>>>,
    /// Statuses that are a success. Default `["200-299"]`.
    #[schemars(extend("examples" = [["200-399"]]))]
    pub status: Option<At<Vec<At<String>>>>,
    /// Regular expression that the answer's body (its first 64 KiB) must match.
    #[schemars(extend("examples" = ["\"ok\""]))]
    pub body: Option<At<String>>,
    /// With `kind = "grpc"`: the service asked about. Default: the whole server.
    #[schemars(extend("examples" = ["foobar.Shop"]))]
    pub service: Option<At<String>>,
    /// Asked over TLS. Default: as requests are sent.
    #[schemars(extend("examples" = [true]))]
    pub tls: Option<At<bool>>,
    /// Port that is asked, if it is another one.
    #[schemars(range(min = 1, max = 65535), extend("examples" = [8081]))]
    pub port: Option<At<u16>>,
    /// Time between two checks of one endpoint. Default `"1s"`.
    #[schemars(extend("examples" = ["1s"]))]
    pub interval: Option<At<String>>,
    /// The same while the last answers contradict what is believed. Default: a quarter of `interval`.
    #[schemars(extend("examples" = ["250ms"]))]
    pub interval_in_doubt: Option<At<String>>,
    /// How long an answer may take; not longer than `interval`. Default `"1s"`.
    #[schemars(extend("examples" = ["1s"]))]
    pub timeout: Option<At<String>>,
    /// Successes in a row that bring an endpoint back. Default 2.
    #[schemars(range(min = 1, max = 100), extend("examples" = [2]))]
    pub rise: Option<At<u32>>,
    /// Failures in a row that take an endpoint out. Default 2.
    #[schemars(range(min = 1, max = 100), extend("examples" = [2]))]
    pub fall: Option<At<u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "kind of health check")]
pub enum HealthKind {
    /// A request, and its answer's status.
    Http,
    /// A connection.
    Tcp,
    /// gRPC's own health service.
    Grpc,
    /// No check.
    None,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsSection {
    /// Client connections open at once, per balancer. Default 10000.
    #[schemars(range(min = 1, max = 1_000_000), extend("examples" = [10000]))]
    pub connections: Option<At<u32>>,
    /// Connecting to an endpoint. Default `"2s"`.
    #[schemars(extend("examples" = ["2s"]))]
    pub connect: Option<At<String>>,
    /// From the first byte of a request to the end of its head. Default `"10s"`.
    #[schemars(extend("examples" = ["10s"]))]
    pub request_head: Option<At<String>>,
    /// From the end of a request to the head of the response. Default `"60s"`.
    #[schemars(extend("examples" = ["60s"]))]
    pub response_head: Option<At<String>>,
    /// Between two bytes of a body, and of a WebSocket. Default `"60s"`.
    #[schemars(extend("examples" = ["60s"]))]
    pub idle_body: Option<At<String>>,
    /// Between two requests of one connection. Default `"75s"`.
    #[schemars(extend("examples" = ["75s"]))]
    pub keep_alive: Option<At<String>>,
    /// The largest request body. Default `"64MiB"`.
    #[schemars(extend("examples" = ["64MiB"]))]
    pub request_body: Option<At<String>>,
    /// Endpoints tried for one request, the first included. Default 3.
    #[schemars(range(min = 1, max = 10), extend("examples" = [3]))]
    pub attempts: Option<At<u32>>,
    /// Time for open requests when a balancer or web server is told to stop. Default `"30s"`.
    #[schemars(extend("examples" = ["30s"]))]
    pub drain: Option<At<String>>,
}
