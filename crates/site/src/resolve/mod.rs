//! Pure: `Written` → `Site`: every default filled in, every name checked. One file per section; this
//! one only puts them together. A section with a problem still yields a value, so that the others can
//! be checked against it, but the site is handed out only when there is no problem at all.

mod alone;
mod app;
mod backends;
mod backup;
mod balancer;
mod bind;
mod database;
mod environment;
mod firewall;
mod health;
mod monitoring;
mod ports;
mod roles;
mod route_headers;
mod routes;
mod servers;
mod setting;
mod site;
mod sql_router;
mod tls;
mod virtual_address;
mod web;

pub(crate) use backends::web_endpoint;
pub(crate) use balancer::{HEALTH_PATH, tls as tls_of};

use crate::problem::{Problem, sorted};
use crate::source::{Problems, Source};
use crate::topology::{Role, Site};
use crate::written::Written;

/// Name of the route that takes what no other does.
pub(crate) const SITE_ROUTE: &str = "site";

/// What the file means. `source` is the text it was read from, for the places in the problems.
pub fn resolve(written: &Written, source: Source<'_>) -> (Option<Site>, Vec<Problem>) {
    let mut problems = Problems::new(source);
    let alone = alone::is_alone(written);
    let names = match alone {
        true => alone::names(written, &mut problems),
        false => site::resolve(written, false, &mut problems),
    };
    let servers = match alone {
        true => vec![alone::server()],
        false => servers::resolve(written, &mut problems),
    };
    let tls = tls::resolve(written, &names.domains, &mut problems);
    let has_web = servers.iter().any(|server| server.has(Role::Web));
    let mut balancer = balancer::resolve(written, &mut problems);
    backends::resolve(written, has_web, &mut balancer, &mut problems);
    balancer.routes = routes::resolve(written, &names.domains, &mut problems);
    let site = Site {
        file: source.file.to_owned(),
        alone,
        balancer,
        web: web::resolve(written, &mut problems),
        app: app::resolve(written, &mut problems),
        database: database::resolve(written, &names.name, &servers, &mut problems),
        sql_router: sql_router::resolve(written, &servers, &mut problems),
        virtual_address: virtual_address::resolve(written, &servers, &mut problems),
        tls,
        firewall: firewall::resolve(written, &mut problems),
        monitoring: monitoring::resolve(written, &mut problems),
        alerts: monitoring::alerts(written, &mut problems),
        name: names.name,
        domains: names.domains,
        servers,
    };
    if alone {
        alone::check(written, &site, &mut problems);
    }
    roles::check(written, &site, &mut problems);
    ports::check(written, &site, &mut problems);
    let complete = problems.list.is_empty() && written.left_out.is_empty();
    (complete.then_some(site), sorted(problems.list))
}

#[cfg(test)]
mod tests;
