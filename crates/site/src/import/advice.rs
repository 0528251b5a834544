//! Pure: directives that no other file here looks at: what Mainstay does instead, or why it does not.
//!
//! Source: HAProxy configuration manual, sections 3 ("Global section") and 4.1 ("Proxy keywords matrix").

use super::ledger::NoteKind::{self, Lost, Needless};

/// The first words of a line, and what is to be said of it. Longer beginnings first.
type Advice = (
    &'static [&'static str],
    NoteKind,
    &'static str,
    &'static str,
);

const LOG: &str = "the access log is always written, to standard output; `access-log` of [balancer] has its format";
const STATS: &str =
    "`mainstay status`, the live page and /metrics on the port of [monitoring] say more";
const PROCESS: &str =
    "a process of Mainstay is started by `mainstay up`, with a thread for each core";
const TLS: &str = "only TLS 1.2 and 1.3 are offered, with ciphers that are safe; `tls-from` of [balancer] has the oldest";
const KEPT: &str = "connections are kept open on both sides, and closed when that is due";
const TUNING: &str = "buffers and caches have sizes of their own";
const PAGES: &str = "an answer of our own is a page by status";
const PAGES_INSTEAD: &str = "`error-pages` of [balancer]: a directory with 503.html and the like, without a status line and header fields";
const LUA: &str = "Mainstay runs no scripts";
const OLD: &str = "HAProxy itself has had no such directive since 2.1";
const ALWAYS: &str = "Mainstay does so always";

const TABLE: &[Advice] = &[
    (
        &["option", "forwardfor"],
        Needless,
        "X-Forwarded-For, -Proto and -Host are always sent to endpoints",
        "",
    ),
    (&["option", "httplog"], Needless, LOG, ""),
    (&["option", "tcplog"], Needless, LOG, ""),
    (&["option", "httpslog"], Needless, LOG, ""),
    (&["option", "dontlognull"], Needless, LOG, ""),
    (&["option", "logasap"], Needless, LOG, ""),
    (
        &["option", "log-health-checks"],
        Needless,
        "every change of an endpoint is an event, with its reason",
        "",
    ),
    (&["option", "log-separate-errors"], Needless, LOG, ""),
    (
        &["option", "dontlog-normal"],
        Lost,
        "the access log has every request, or none",
        "access-log = \"off\", and the metrics",
    ),
    (&["option", "socket-stats"], Needless, STATS, ""),
    (&["option", "contstats"], Needless, STATS, ""),
    (&["option", "http-server-close"], Needless, KEPT, ""),
    (&["option", "http-keep-alive"], Needless, KEPT, ""),
    (&["option", "httpclose"], Needless, KEPT, ""),
    (&["option", "forceclose"], Needless, KEPT, ""),
    (&["option", "http-tunnel"], Needless, KEPT, ""),
    (&["option", "http-pretend-keepalive"], Needless, KEPT, ""),
    (&["option", "prefer-last-server"], Needless, KEPT, ""),
    (
        &["option", "abortonclose"],
        Needless,
        "a request whose client is gone is given up",
        "",
    ),
    (
        &["option", "redispatch"],
        Needless,
        "every further try is at another endpoint",
        "",
    ),
    (
        &["option", "http-ignore-probes"],
        Needless,
        "a connection without a request is no error",
        "",
    ),
    (&["option", "http-no-delay"], Needless, ALWAYS, ""),
    (&["option", "tcp-smart-accept"], Needless, ALWAYS, ""),
    (&["option", "tcp-smart-connect"], Needless, ALWAYS, ""),
    (&["option", "splice-auto"], Needless, TUNING, ""),
    (&["option", "splice-request"], Needless, TUNING, ""),
    (&["option", "splice-response"], Needless, TUNING, ""),
    (
        &["option", "tcpka"],
        Needless,
        "a silent connection ends by its time limit",
        "",
    ),
    (
        &["option", "clitcpka"],
        Needless,
        "a silent connection ends by its time limit",
        "",
    ),
    (
        &["option", "srvtcpka"],
        Needless,
        "a silent connection ends by its time limit",
        "",
    ),
    (
        &["option", "http-use-htx"],
        Needless,
        "HAProxy itself needs it no more",
        "",
    ),
    (
        &["option", "http-use-proxy-header"],
        Lost,
        "Mainstay is no forward proxy",
        "",
    ),
    (
        &["option", "http_proxy"],
        Lost,
        "Mainstay is no forward proxy",
        "a forward proxy",
    ),
    (
        &["option", "transparent"],
        Lost,
        "an endpoint is chosen, never the address a client wanted",
        "a backend",
    ),
    (
        &["option", "originalto"],
        Lost,
        "endpoints are not told the address a client connected to",
        "",
    ),
    (
        &["option", "accept-invalid-http-request"],
        Lost,
        "what is no HTTP is refused",
        "clients that speak HTTP",
    ),
    (
        &["option", "accept-unsafe-violations-in-http-request"],
        Lost,
        "what is no HTTP is refused",
        "clients that speak HTTP",
    ),
    (
        &["option", "accept-invalid-http-response"],
        Lost,
        "what is no HTTP is answered with 502",
        "endpoints that speak HTTP",
    ),
    (
        &["option", "accept-unsafe-violations-in-http-response"],
        Lost,
        "what is no HTTP is answered with 502",
        "endpoints that speak HTTP",
    ),
    (
        &["option", "http-buffer-request"],
        Lost,
        "a body is passed on as it comes",
        "request-head against slow clients, request-body against large ones",
    ),
    (
        &["option", "allbackups"],
        Lost,
        "backup endpoints share the requests once no other is up",
        "",
    ),
    (
        &["option", "persist"],
        Lost,
        "a visitor of an endpoint that is down is sent to another one",
        "",
    ),
    (
        &["option", "nolinger"],
        Lost,
        "connections are closed in order",
        "",
    ),
    (
        &["option", "checkcache"],
        Lost,
        "answers are not looked at for cookies that caches keep",
        "Cache-Control from the application",
    ),
    (
        &["option", "independent-streams"],
        Lost,
        "`idle-body` is of both directions together",
        "",
    ),
    (
        &["option", "h1-case-adjust-bogus-client"],
        Lost,
        "names of header fields are written as they come",
        "",
    ),
    (
        &["option", "h1-case-adjust-bogus-server"],
        Lost,
        "names of header fields are written as they come",
        "",
    ),
    (
        &["no", "option"],
        Needless,
        "what it turns off is not there",
        "",
    ),
    (&["log"], Needless, LOG, ""),
    (
        &["no", "log"],
        Lost,
        "the access log is one for all listeners",
        "access-log = \"off\"",
    ),
    (
        &["log-format"],
        Lost,
        "the access log has fields of its own",
        "access-log = \"combined\", or text with {names}",
    ),
    (
        &["log-format-sd"],
        Lost,
        "the access log has fields of its own",
        "access-log of [balancer]",
    ),
    (&["error-log-format"], Needless, LOG, ""),
    (&["log-tag"], Needless, LOG, ""),
    (&["log-send-hostname"], Needless, LOG, ""),
    (
        &["capture"],
        Lost,
        "the access log has fields of its own",
        "the fields that `access-log` of [balancer] knows",
    ),
    (
        &["declare"],
        Lost,
        "the access log has fields of its own",
        "the fields that `access-log` of [balancer] knows",
    ),
    (
        &["unique-id-format"],
        Needless,
        "every request has an id of its own",
        "",
    ),
    (
        &["unique-id-header"],
        Needless,
        "the id is always sent to endpoints, in X-Request-Id",
        "",
    ),
    (&["stats"], Needless, STATS, ""),
    (&["errorfile"], Lost, PAGES, PAGES_INSTEAD),
    (&["errorfiles"], Lost, PAGES, PAGES_INSTEAD),
    (&["http-error"], Lost, PAGES, PAGES_INSTEAD),
    (&["errorloc"], Lost, PAGES, PAGES_INSTEAD),
    (&["errorloc302"], Lost, PAGES, PAGES_INSTEAD),
    (&["errorloc303"], Lost, PAGES, PAGES_INSTEAD),
    (
        &["compression"],
        Lost,
        "answers are passed on as they come",
        "compression in the web server or the application",
    ),
    (&["filter"], Lost, "Mainstay has no filters", ""),
    (
        &["http-reuse"],
        Needless,
        "a connection to an endpoint is used again when it is free",
        "",
    ),
    (
        &["http-send-name-header"],
        Lost,
        "endpoints are not told their own name",
        "",
    ),
    (
        &["email-alert"],
        Lost,
        "Mainstay sends no mail",
        "[alerts] webhook = [\"https://…\"]",
    ),
    (
        &["persist"],
        Lost,
        "RDP has no cookies here",
        "algorithm = \"hash\"",
    ),
    (
        &["fullconn"],
        Lost,
        "`max-requests` does not grow with the load",
        "",
    ),
    (&["max-keep-alive-queue"], Needless, KEPT, ""),
    (
        &["grace"],
        Needless,
        "`drain` of [balancer.limits] is the time for open requests",
        "",
    ),
    (
        &["rate-limit"],
        Lost,
        "a rate is limited by client, on a route",
        "rate-limit = { requests = 100, per = \"1s\", key = \"everybody\" }",
    ),
    (&["backlog"], Needless, "the kernel's own bound holds", ""),
    (&["description"], Needless, "a comment does it", ""),
    (&["disabled"], Needless, "what is disabled is left out", ""),
    (&["enabled"], Needless, "it is", ""),
    (&["id"], Needless, "things are known by their names", ""),
    (&["guid"], Needless, "things are known by their names", ""),
    (&["bind-process"], Needless, PROCESS, ""),
    (
        &["monitor"],
        Lost,
        "a load balancer in front asks a path, which answers whatever the backends do",
        "a route with path and respond = \"OK\"",
    ),
    (
        &["monitor-net"],
        Lost,
        "all clients are answered alike",
        "a route with `from`",
    ),
    (
        &["use-server"],
        Lost,
        "a backend chooses among its endpoints by its algorithm",
        "a backend of its own, and a route to it",
    ),
    (
        &["dispatch"],
        Lost,
        "a backend has endpoints",
        "endpoints = [\"10.0.0.5:80\"]",
    ),
    (
        &["source"],
        Lost,
        "the system chooses the address that is connected from",
        "",
    ),
    (
        &["force-persist"],
        Lost,
        "a visitor of an endpoint that is down is sent to another one",
        "",
    ),
    (
        &["ignore-persist"],
        Lost,
        "the cookie of `sticky` holds for the whole backend",
        "a backend of its own without `sticky`",
    ),
    (
        &["stick"],
        Lost,
        "an endpoint is chosen by a hash or a cookie, not by a table",
        "sticky = \"NAME\", or algorithm = \"hash\"",
    ),
    (
        &["stick-table"],
        Needless,
        "what it counts for is said by `rate-limit` and `sticky`; there is no table to size",
        "",
    ),
    (&["appsession"], Lost, OLD, "sticky = \"NAME\""),
    (&["reqrep"], Lost, OLD, "replace-path, request-headers"),
    (&["reqirep"], Lost, OLD, "replace-path, request-headers"),
    (&["reqadd"], Lost, OLD, "request-headers = { add = { … } }"),
    (
        &["reqdel"],
        Lost,
        OLD,
        "request-headers = { remove = [ … ] }",
    ),
    (
        &["reqidel"],
        Lost,
        OLD,
        "request-headers = { remove = [ … ] }",
    ),
    (
        &["reqdeny"],
        Lost,
        OLD,
        "a route with respond and status = 403",
    ),
    (
        &["reqideny"],
        Lost,
        OLD,
        "a route with respond and status = 403",
    ),
    (&["rspadd"], Lost, OLD, "response-headers = { add = { … } }"),
    (
        &["rspdel"],
        Lost,
        OLD,
        "response-headers = { remove = [ … ] }",
    ),
    (
        &["rspidel"],
        Lost,
        OLD,
        "response-headers = { remove = [ … ] }",
    ),
    (&["rsprep"], Lost, OLD, "response-headers = { set = { … } }"),
    (
        &["rspirep"],
        Lost,
        OLD,
        "response-headers = { set = { … } }",
    ),
    (&["clitimeout"], Lost, OLD, "idle-body of [balancer.limits]"),
    (
        &["srvtimeout"],
        Lost,
        OLD,
        "response-head of [balancer.limits]",
    ),
    (&["contimeout"], Lost, OLD, "connect of [balancer.limits]"),
    (
        &["daemon"],
        Needless,
        "`mainstay up --detach`, or a service of the system",
        "",
    ),
    (
        &["pidfile"],
        Needless,
        "`mainstay status` finds its site by the state directory",
        "",
    ),
    (
        &["user"],
        Needless,
        "it runs as who starts it; root is not needed above port 1023",
        "",
    ),
    (
        &["group"],
        Needless,
        "it runs as who starts it; root is not needed above port 1023",
        "",
    ),
    (
        &["uid"],
        Needless,
        "it runs as who starts it; root is not needed above port 1023",
        "",
    ),
    (
        &["gid"],
        Needless,
        "it runs as who starts it; root is not needed above port 1023",
        "",
    ),
    (
        &["chroot"],
        Needless,
        "it runs as who starts it, and reads no files but those that are named",
        "",
    ),
    (&["master-worker"], Needless, PROCESS, ""),
    (&["nbproc"], Needless, PROCESS, ""),
    (&["nbthread"], Needless, PROCESS, ""),
    (&["cpu-map"], Needless, PROCESS, ""),
    (&["cpu-policy"], Needless, PROCESS, ""),
    (&["thread-groups"], Needless, PROCESS, ""),
    (&["thread-group"], Needless, PROCESS, ""),
    (&["numa-cpu-mapping"], Needless, PROCESS, ""),
    (
        &["ulimit-n"],
        Needless,
        "it is raised as far as `connections` needs",
        "",
    ),
    (
        &["fd-hard-limit"],
        Needless,
        "it is raised as far as `connections` needs",
        "",
    ),
    (
        &["ca-base"],
        Needless,
        "files are named with their whole path",
        "",
    ),
    (
        &["crt-base"],
        Needless,
        "files are named with their whole path",
        "",
    ),
    (
        &["key-base"],
        Needless,
        "files are named with their whole path",
        "",
    ),
    (
        &["ssl-server-verify"],
        Needless,
        "`verify` of each backend's `tls` says it",
        "",
    ),
    (&["ssl-default-bind-ciphers"], Needless, TLS, ""),
    (&["ssl-default-bind-ciphersuites"], Needless, TLS, ""),
    (&["ssl-default-bind-curves"], Needless, TLS, ""),
    (&["ssl-default-bind-options"], Needless, TLS, ""),
    (&["ssl-default-server-ciphers"], Needless, TLS, ""),
    (&["ssl-default-server-ciphersuites"], Needless, TLS, ""),
    (&["ssl-default-server-options"], Needless, TLS, ""),
    (&["ssl-dh-param-file"], Needless, TLS, ""),
    (&["ssl-security-level"], Needless, TLS, ""),
    (&["ssl-engine"], Needless, TLS, ""),
    (&["ssl-mode-async"], Needless, TLS, ""),
    (
        &["issuers-chain-path"],
        Needless,
        "a chain stands in the certificate's own file",
        "",
    ),
    (&["lua-load"], Lost, LUA, "what it does, in the application"),
    (
        &["lua-load-per-thread"],
        Lost,
        LUA,
        "what it does, in the application",
    ),
    (&["lua-prepend-path"], Lost, LUA, ""),
    (
        &["setenv"],
        Lost,
        "a site file takes nothing from the environment",
        "the values themselves",
    ),
    (
        &["presetenv"],
        Lost,
        "a site file takes nothing from the environment",
        "the values themselves",
    ),
    (
        &["resetenv"],
        Needless,
        "a site file takes nothing from the environment",
        "",
    ),
    (
        &["unsetenv"],
        Needless,
        "a site file takes nothing from the environment",
        "",
    ),
    (
        &["maxconnrate"],
        Lost,
        "a rate is limited by client, on a route",
        "rate-limit of a route",
    ),
    (
        &["maxsslrate"],
        Lost,
        "a rate is limited by client, on a route",
        "rate-limit of a route",
    ),
    (
        &["maxsessrate"],
        Lost,
        "a rate is limited by client, on a route",
        "rate-limit of a route",
    ),
    (
        &["maxsslconn"],
        Lost,
        "`connections` is of all listeners together",
        "connections = 10000",
    ),
    (&["maxpipes"], Needless, TUNING, ""),
    (&["maxcompcpuusage"], Needless, TUNING, ""),
    (&["maxcomprate"], Needless, TUNING, ""),
    (
        &["spread-checks"],
        Needless,
        "checks do not all come at once",
        "",
    ),
    (
        &["max-spread-checks"],
        Needless,
        "checks do not all come at once",
        "",
    ),
    (
        &["hard-stop-after"],
        Lost,
        "the time for open requests is a limit of its own",
        "drain = \"30s\" in [balancer.limits]",
    ),
    (
        &["close-spread-time"],
        Needless,
        "`drain` of [balancer.limits] is the time for open requests",
        "",
    ),
    (
        &["server-state-base"],
        Needless,
        "every endpoint is checked when it begins",
        "",
    ),
    (
        &["server-state-file"],
        Needless,
        "every endpoint is checked when it begins",
        "",
    ),
    (
        &["load-server-state-from-file"],
        Needless,
        "every endpoint is checked when it begins",
        "",
    ),
    (
        &["server-state-file-name"],
        Needless,
        "every endpoint is checked when it begins",
        "",
    ),
    (
        &["localpeer"],
        Needless,
        "each balancer counts for itself",
        "",
    ),
    (
        &["node"],
        Needless,
        "a server is known by its name in the site file",
        "",
    ),
    (
        &["h1-case-adjust"],
        Lost,
        "names of header fields are written as they come",
        "",
    ),
    (
        &["insecure-fork-wanted"],
        Needless,
        "no programs are started",
        "",
    ),
    (
        &["insecure-setuid-wanted"],
        Needless,
        "no programs are started",
        "",
    ),
    (
        &["external-check"],
        Lost,
        "a check starts no program",
        "kind = \"http\" and a port that answers",
    ),
    (
        &["expose-experimental-directives"],
        Needless,
        "there are none",
        "",
    ),
    (
        &["zero-warning"],
        Needless,
        "a site file has errors and no warnings",
        "",
    ),
    (
        &["strict-limits"],
        Needless,
        "a site file has errors and no warnings",
        "",
    ),
    (&["quiet"], Needless, "it says what matters", ""),
    (&["debug"], Needless, "it says what matters", ""),
    (
        &["default-path"],
        Lost,
        "files are named from the site file's directory, or with their whole path",
        "whole paths",
    ),
    (
        &["http-after-response"],
        Lost,
        "a route has no such rule",
        "response-headers",
    ),
    (
        &["http-response"],
        Lost,
        "a route has no such rule",
        "response-headers",
    ),
    (
        &["http-request"],
        Lost,
        "a route has no such rule",
        "request-headers, replace-path, redirect, respond, allow, deny, rate-limit",
    ),
    (
        &["tcp-request", "inspect-delay"],
        Needless,
        "how long a client may take to begin is bounded: 5s for a TLS greeting",
        "",
    ),
    (
        &["tcp-request"],
        Lost,
        "a listener with mode = \"tcp\" takes everybody",
        "a packet filter, or the service's own access list",
    ),
    (
        &["tcp-response"],
        Lost,
        "answers in bytes are not looked at",
        "",
    ),
];

/// Beginnings of what other files here carry over: when nobody asked, nothing that is carried over has
/// a use for it.
const CARRIED: [&str; 26] = [
    "mode",
    "bind",
    "acl",
    "use_backend",
    "default_backend",
    "server",
    "server-template",
    "default-server",
    "balance",
    "hash-type",
    "hash-balance-factor",
    "cookie",
    "retries",
    "retry-on",
    "timeout",
    "maxconn",
    "option",
    "http-check",
    "tcp-check",
    "redirect",
    "block",
    "monitor-uri",
    "http-request",
    "http-response",
    "http-after-response",
    "tcp-request",
];

/// What is to be said of a line that nobody looked at.
pub(super) fn on(words: &[String]) -> (NoteKind, &'static str, &'static str) {
    let begins =
        |with: &[&str]| with.len() <= words.len() && words.iter().zip(with).all(|(a, b)| a == b);
    if let Some((_, kind, why, instead)) = TABLE.iter().find(|(with, _, _, _)| begins(with)) {
        return (*kind, why, instead);
    }
    let first = words.first().map(String::as_str).unwrap_or_default();
    let known_option = [
        "httpchk",
        "tcp-check",
        "mysql-check",
        "pgsql-check",
        "redis-check",
        "smtpchk",
        "ldap-check",
        "ssl-hello-chk",
    ];
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    if first.starts_with("tune.")
        || first.starts_with("profiling.")
        || first.starts_with("no") && first.len() > 2 && first != "node"
    {
        return (Needless, TUNING, "");
    }
    if CARRIED.contains(&first) && (first != "option" || known_option.contains(&second)) {
        return (Needless, "nothing that is carried over uses it", "");
    }
    (Lost, "Mainstay has no such setting", "")
}
