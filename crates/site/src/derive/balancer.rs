//! Pure: the balancer's target: what the site file says of it, with the site's own listeners, web
//! servers and the route to them, and every path made absolute.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::{Derive, Ground, as_host, port};
use crate::resolve::{SITE_ROUTE, tls_of, web_endpoint};
use crate::target::balancer::{
    Action, BackendTarget, BalancerTarget, Bind, CertificateFiles, HTTP, HTTPS, HeaderEdits,
    ListenerMode, ListenerTarget, Match, Protocol, RouteTarget, TlsTarget, WEB,
};
use crate::topology::{Role, Server};

impl Derive<'_> {
    pub(super) fn balancer(&self, server: &Server) -> BalancerTarget {
        let balancer = &self.site.balancer;
        let mut routes = balancer.routes.clone();
        routes.extend(self.site_route());
        let mut listeners = self.own_listeners(server);
        listeners.extend(
            balancer
                .listeners
                .iter()
                .map(|listener| self.listener(listener, server)),
        );
        BalancerTarget {
            listeners,
            domains: self.domains(),
            routes,
            backends: balancer
                .backends
                .iter()
                .map(|backend| self.backend(backend))
                .collect(),
            trusted_proxies: balancer.trusted_proxies.clone(),
            limits: balancer.limits.clone(),
            access_log: balancer.access_log.clone(),
            reason_header: balancer.reason_header,
            error_pages: balancer
                .error_pages
                .as_deref()
                .map(|dir| self.absolute(dir)),
        }
    }

    /// A balancer alone has what its file says at the addresses it says.
    fn is_real(&self) -> bool {
        self.site.alone || matches!(self.ground, Ground::Production { .. })
    }

    fn has_http(&self) -> bool {
        let backends = &self.site.balancer.backends;
        !self.site.alone
            || !self.site.balancer.routes.is_empty()
            || backends
                .iter()
                .any(|backend| backend.protocol != Protocol::Tcp)
    }

    fn own_listeners(&self, server: &Server) -> Vec<ListenerTarget> {
        let site = self.site;
        let (http, https) = self.addresses_of_listeners(server);
        if !self.has_http() {
            return Vec::new();
        }
        let tls = site.tls.as_ref().filter(|_| self.is_real());
        let redirect = tls.is_some_and(|tls| tls.redirect);
        let own = |name: &str, address, mode| ListenerTarget {
            name: name.to_owned(),
            bind: Bind::Tcp(address),
            mode,
            proxy_protocol: site.balancer.proxy_protocol,
        };
        let plain = ListenerMode::Http {
            redirect_to: https.filter(|_| redirect).map(|https| https.port()),
            http2: site.balancer.http2,
        };
        let mut listeners = vec![own(HTTP, http, plain)];
        listeners.extend(https.map(|https| {
            let tls = tls_of(&site.balancer, tls.and_then(|tls| tls.hsts));
            own(HTTPS, https, ListenerMode::Https(self.tls(tls)))
        }));
        listeners
    }

    fn tls(&self, mut tls: TlsTarget) -> TlsTarget {
        for files in &mut tls.certificates {
            *files = self.files(files);
        }
        if let Some(clients) = &mut tls.client_certificates {
            clients.authority = self.absolute(&clients.authority);
        }
        tls
    }

    /// The user's own. On one machine, every server has a loopback address for itself.
    fn listener(&self, listener: &ListenerTarget, server: &Server) -> ListenerTarget {
        let mut listener = listener.clone();
        if let Bind::Tcp(address) = &mut listener.bind
            && !self.is_real()
            && address.ip().is_unspecified()
        {
            address.set_ip(self.address(&server.name));
        }
        if let ListenerMode::Https(tls) = listener.mode {
            listener.mode = ListenerMode::Https(self.tls(tls));
        }
        listener
    }

    fn addresses_of_listeners(&self, server: &Server) -> (SocketAddr, Option<SocketAddr>) {
        let address = self.address(&server.name);
        let balancer = &self.site.balancer;
        let has_tls = self.site.tls.is_some() || !balancer.certificates.is_empty();
        match self.ground {
            Ground::Production { .. } => {
                // Any address, because a virtual one comes and goes.
                let any: IpAddr = match address {
                    IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let https = has_tls.then_some(balancer.https);
                let http = SocketAddr::new(any, balancer.http);
                (http, https.map(|port| SocketAddr::new(any, port)))
            }
            Ground::Local { http, https, .. } => {
                let https = https.filter(|_| has_tls || !self.site.alone);
                let first = self.site.servers_with(Role::Balancer).next();
                if first.is_some_and(|first| first.name == server.name) {
                    (*http, https)
                } else {
                    let own = |given: SocketAddr| SocketAddr::new(address, given.port());
                    (own(*http), https.map(own))
                }
            }
        }
    }

    fn backend(&self, backend: &BackendTarget) -> BackendTarget {
        let mut backend = backend.clone();
        if backend.own {
            let endpoint = |web: &Server| {
                let address = SocketAddr::new(self.address(&web.name), port::WEB);
                web_endpoint(web.name.as_str(), address)
            };
            backend.endpoints = self.site.servers_with(Role::Web).map(endpoint).collect();
        }
        if let Some(tls) = &mut backend.tls {
            tls.authority = tls.authority.as_deref().map(|path| self.absolute(path));
            tls.certificate = tls.certificate.as_ref().map(|files| self.files(files));
        }
        backend
    }

    /// Takes what no other route does: to the web servers, or to the only backend of HTTP.
    fn site_route(&self) -> Option<RouteTarget> {
        let site = self.site;
        let mut http = site
            .balancer
            .backends
            .iter()
            .filter(|backend| backend.protocol != Protocol::Tcp);
        let backend = match site.alone {
            false => WEB.to_owned(),
            true if site.balancer.routes.is_empty() => http.next()?.name.clone(),
            true => return None,
        };
        Some(RouteTarget {
            name: SITE_ROUTE.to_owned(),
            when: Match {
                hosts: self.domains(),
                ..Match::default()
            },
            allow: Vec::new(),
            deny: Vec::new(),
            rate_limit: None,
            concurrency: None,
            action: Action::Forward {
                backend,
                rewrite: None,
                host: None,
            },
            request_headers: HeaderEdits::default(),
            response_headers: HeaderEdits::default(),
            mirror: None,
            request_body: None,
            response_head: None,
        })
    }

    /// On one machine also the names that lead to it without any DNS (RFC 6761 section 6.3).
    fn domains(&self) -> Vec<String> {
        let mut domains = self.site.domains.clone();
        if let Ground::Local { http, https, .. } = self.ground
            && !self.site.alone
        {
            let name = &self.site.name;
            domains.extend([format!("www.{name}.localhost"), format!("{name}.localhost")]);
            domains.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
            let balancers = self.site.servers_with(Role::Balancer);
            let own = balancers.map(|server| self.address(&server.name));
            let given = [Some(*http), *https]
                .into_iter()
                .flatten()
                .map(|given| given.ip());
            domains.extend(
                own.chain(given)
                    .filter(|ip| !ip.is_unspecified())
                    .map(as_host),
            );
        }
        let mut known = std::collections::BTreeSet::new();
        domains.retain(|domain| known.insert(domain.clone()));
        domains
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        self.source_root().join(path)
    }

    pub(super) fn files(&self, files: &CertificateFiles) -> CertificateFiles {
        CertificateFiles {
            chain: self.absolute(&files.chain),
            key: self.absolute(&files.key),
        }
    }
}
