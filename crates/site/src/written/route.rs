//! Pure: `[[routes]]` as a person may write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::at::At;
use crate::spelling::Scalar;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteSection {
    /// Name in logs and metrics. Default: from its number, like `route-1`.
    #[schemars(extend("examples" = ["shop"]))]
    pub name: Option<At<String>>,
    /// Hosts, exact or `*.foobar.com`. Default: the site's domains; any, if it has none.
    #[schemars(extend("examples" = [["shop.foobar.com"]]))]
    pub host: Option<At<Vec<At<String>>>>,
    /// The path, exactly.
    #[schemars(extend("examples" = ["/robots.txt"]))]
    pub path: Option<At<String>>,
    /// What the path begins with, in whole segments: `/api` is of `/api/x` and not of `/apix`.
    #[schemars(extend("examples" = ["/api"]))]
    pub path_prefix: Option<At<String>>,
    /// Regular expression for the path.
    #[schemars(extend("examples" = ["^/user/([0-9]+)$"]))]
    pub path_regex: Option<At<String>>,
    /// Methods.
    #[schemars(extend("examples" = [["GET", "HEAD"]]))]
    pub method: Option<At<Vec<At<String>>>>,
    /// Header fields and their values: text for exactly that, text after `~` for a regular expression,
    /// `true` for any value.
    #[schemars(extend("examples" = [{"X-Beta": "1"}]))]
    pub header: Option<BTreeMap<At<String>, At<Scalar>>>,
    /// Query parameters, in the same way.
    #[schemars(extend("examples" = [{"version": "2"}]))]
    pub query: Option<BTreeMap<At<String>, At<Scalar>>>,
    /// Clients' addresses and networks.
    #[schemars(extend("examples" = [["203.0.113.0/24"]]))]
    pub from: Option<At<Vec<At<String>>>>,
    /// So many of a hundred clients, always the same ones.
    #[schemars(range(min = 0, max = 100), extend("examples" = [10]))]
    pub percent: Option<At<u8>>,

    /// The backend that answers.
    #[schemars(extend("examples" = ["shop"]))]
    pub backend: Option<At<String>>,
    /// Sends the client elsewhere: a URL or path; `{scheme}`, `{host}`, `{path}`, `{query}` and, of
    /// `path-regex`, `{1}` are filled in.
    #[schemars(extend("examples" = ["https://www.foobar.com{path}{query}"]))]
    pub redirect: Option<At<String>>,
    /// With `redirect`: its status. Default 302. With `respond`: its status. Default 200.
    #[schemars(range(min = 200, max = 599), extend("examples" = [308]))]
    pub status: Option<At<u16>>,
    /// Answers with this text.
    #[schemars(extend("examples" = ["nothing here"]))]
    pub respond: Option<At<String>>,
    /// Answers 503 with the maintenance page; the time until a client should come back.
    #[schemars(extend("examples" = ["10m"]))]
    pub maintenance: Option<At<String>>,

    /// In place of what `path-prefix` matched, towards the backend; `/` strips it.
    #[schemars(extend("examples" = ["/"]))]
    pub replace_prefix: Option<At<String>>,
    /// The whole path towards the backend; `{path}` and, of `path-regex`, `{1}` are filled in.
    #[schemars(extend("examples" = ["/users/{1}"]))]
    pub replace_path: Option<At<String>>,
    /// `Host` towards the backend. Default: the client's.
    #[schemars(extend("examples" = ["shop.internal"]))]
    pub host_header: Option<At<String>>,
    /// Header fields of the request, changed on their way to the backend.
    pub request_headers: Option<At<HeaderEditsSection>>,
    /// Header fields of the response, changed on their way to the client.
    pub response_headers: Option<At<HeaderEditsSection>>,

    /// Clients let in. Default: all.
    #[schemars(extend("examples" = [["203.0.113.0/24"]]))]
    pub allow: Option<At<Vec<At<String>>>>,
    /// Clients kept out. A route is no lock for a path: `/admin;x`, `/ADMIN` and `/%2561dmin` are other
    /// paths here, which an application may take for the same; it has to ask who is there itself.
    #[schemars(extend("examples" = [["198.51.100.7"]]))]
    pub deny: Option<At<Vec<At<String>>>>,
    /// Requests per time for each client.
    pub rate_limit: Option<At<RateLimitSection>>,
    /// Requests at once for each client.
    pub concurrency: Option<At<ConcurrencySection>>,
    /// The largest request body, in place of the one in `[balancer.limits]`.
    #[schemars(extend("examples" = ["1GiB"]))]
    pub request_body: Option<At<String>>,
    /// How long an answer may take, in place of `response-head` in `[balancer.limits]`.
    #[schemars(extend("examples" = ["5s"]))]
    pub response_head: Option<At<String>>,
    /// A backend that gets a copy of requests without a body; its answers are dropped.
    #[schemars(extend("examples" = ["shop-next"]))]
    pub mirror: Option<At<String>>,
    /// So many of a hundred requests are copied. Default 100.
    #[schemars(range(min = 0, max = 100), extend("examples" = [10]))]
    pub mirror_percent: Option<At<u8>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HeaderEditsSection {
    /// Taken away.
    #[schemars(extend("examples" = [["Server"]]))]
    pub remove: Option<At<Vec<At<String>>>>,
    /// Put in place of all fields of that name; `{client}`, `{host}`, `{scheme}`, `{request-id}` and
    /// `{route}` are filled in.
    #[schemars(extend("examples" = [{"X-Frame-Options": "DENY"}]))]
    pub set: Option<BTreeMap<At<String>, At<String>>>,
    /// Added to those that are there.
    #[schemars(extend("examples" = [{"Via": "1.1 foobar"}]))]
    pub add: Option<BTreeMap<At<String>, At<String>>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RateLimitSection {
    /// So many requests …
    #[schemars(required, range(min = 1, max = 1_000_000), extend("examples" = [100]))]
    pub requests: Option<At<u32>>,
    /// … in this time. Default `"1s"`.
    #[schemars(extend("examples" = ["1m"]))]
    pub per: Option<At<String>>,
    /// Requests at once after a pause. Default: as many as `requests`.
    #[schemars(range(min = 1, max = 1_000_000), extend("examples" = [20]))]
    pub burst: Option<At<u32>>,
    /// What counts as one client: `address`, `header:NAME`, `cookie:NAME` or `everybody`. Default
    /// `address`: each IPv4 address, each IPv6 network of 64 bits.
    #[schemars(extend("examples" = ["header:X-Api-Key"]))]
    pub key: Option<At<String>>,
    /// With `key = "address"`: so many first bits of an IPv4 address are one client. Default 32.
    #[schemars(range(min = 1, max = 32), extend("examples" = [24]))]
    pub v4_bits: Option<At<u8>>,
    /// The same of an IPv6 address. Default 64.
    #[schemars(range(min = 1, max = 128), extend("examples" = [56]))]
    pub v6_bits: Option<At<u8>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConcurrencySection {
    /// So many requests at once.
    #[schemars(required, range(min = 1, max = 1_000_000), extend("examples" = [10]))]
    pub requests: Option<At<u32>>,
    /// What counts as one client, as in `rate-limit`. Default `address`.
    #[schemars(extend("examples" = ["address"]))]
    pub key: Option<At<String>>,
    /// With `key = "address"`: so many first bits of an IPv4 address are one client. Default 32.
    #[schemars(range(min = 1, max = 32), extend("examples" = [24]))]
    pub v4_bits: Option<At<u8>>,
    /// The same of an IPv6 address. Default 64.
    #[schemars(range(min = 1, max = 128), extend("examples" = [56]))]
    pub v6_bits: Option<At<u8>>,
}
