//! Pure: the balancer's part of a target: every name leads somewhere, nothing could never happen.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::name::ServerName;
use crate::target::Target;
use crate::target::balancer::{
    Action, BackendTarget, BalancerTarget, Bind, ListenerMode, Protocol, RouteTarget,
};

pub(super) fn check(balancer: &BalancerTarget, target: &Target) -> Vec<String> {
    let mut defects = Vec::new();
    unique(
        "listener",
        balancer.listeners.iter().map(|l| &l.name),
        &mut defects,
    );
    unique(
        "backend",
        balancer.backends.iter().map(|b| &b.name),
        &mut defects,
    );
    unique(
        "route",
        balancer.routes.iter().map(|r| &r.name),
        &mut defects,
    );
    if balancer.listeners.is_empty() {
        defects.push("the balancer has no listener".to_owned());
    }
    for backend in &balancer.backends {
        check_backend(backend, target, &mut defects);
    }
    for route in &balancer.routes {
        check_route(route, balancer, &mut defects);
    }
    for listener in &balancer.listeners {
        if let ListenerMode::Tcp { by_name, otherwise } = &listener.mode {
            for name in by_name.values().chain(otherwise) {
                leads(balancer, name, true, &listener.name, &mut defects);
            }
        }
    }
    let domains: BTreeSet<_> = balancer.domains.iter().map(|d| d.to_lowercase()).collect();
    if domains != balancer.domains.iter().cloned().collect() {
        defects.push("the domains are not in lower case".to_owned());
    }
    let limits = &balancer.limits;
    let times = [
        limits.connect,
        limits.request_head,
        limits.response_head,
        limits.idle_body,
        limits.keep_alive,
    ];
    if times.into_iter().any(|time| time == Duration::ZERO) {
        defects.push("a time of the balancer is 0".to_owned());
    }
    if limits.connections == 0 || limits.request_body == 0 {
        defects.push("a limit of the balancer is 0".to_owned());
    }
    defects
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>, defects: &mut Vec<String>) {
    let mut known = BTreeSet::new();
    for name in names {
        if !known.insert(name) {
            defects.push(format!("the {what} {name} is there twice"));
        }
    }
}

/// Whether a name is one of a backend of the kind.
fn leads(balancer: &BalancerTarget, name: &str, tcp: bool, from: &str, defects: &mut Vec<String>) {
    match balancer.backend(name) {
        None => defects.push(format!("{from} leads to {name}, which is no backend")),
        Some(backend) if (backend.protocol == Protocol::Tcp) != tcp => {
            defects.push(format!(
                "{from} leads to {name}, which speaks something else"
            ));
        }
        Some(_) => {}
    }
}

fn check_route(route: &RouteTarget, balancer: &BalancerTarget, defects: &mut Vec<String>) {
    if let Action::Forward { backend, .. } = &route.action {
        leads(balancer, backend, false, &route.name, defects);
    }
    if let Some(mirror) = &route.mirror {
        leads(balancer, &mirror.backend, false, &route.name, defects);
    }
    if route.when.percent.is_some_and(|percent| percent > 100) {
        defects.push(format!("{} takes more than all requests", route.name));
    }
}

fn check_backend(backend: &BackendTarget, target: &Target, defects: &mut Vec<String>) {
    let name = &backend.name;
    if backend.endpoints.is_empty() {
        defects.push(format!("the backend {name} has no endpoint"));
    }
    for endpoint in &backend.endpoints {
        let server = target.servers.get(&ServerName::new(endpoint.name.as_str()));
        let listen = server
            .and_then(|server| server.web.as_ref())
            .map(|web| Bind::Tcp(web.listen));
        if backend.own && listen.as_ref() != Some(&endpoint.address) {
            defects.push(format!(
                "no web server listens where endpoint {} is",
                endpoint.name
            ));
        }
        if endpoint.weight > 256 || backend.own && endpoint.weight == 0 {
            defects.push(format!(
                "endpoint {} has the weight {}",
                endpoint.name, endpoint.weight
            ));
        }
    }
    let names = backend.endpoints.iter().map(|endpoint| &endpoint.name);
    unique("endpoint", names, defects);
    let health = &backend.health;
    let times = [health.interval, health.interval_in_doubt, health.timeout];
    if health.rise == 0 || health.fall == 0 || health.timeout > health.interval {
        defects.push(format!("the health check of {name} could never decide"));
    }
    if times.contains(&Duration::ZERO) {
        defects.push(format!("a time of the health check of {name} is 0"));
    }
    if backend.retries.attempts == 0 || backend.panic_percent > 100 {
        defects.push(format!("a limit of {name} is impossible"));
    }
}
