//! The routes as the workers read them: the table that finds one, and what each does, made ready once per
//! snapshot, with its counters.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use http::counts::Counts;
use site::target::balancer::{Action, BalancerTarget, Milliseconds, Mirror, RouteTarget};

use crate::admit::Gate;
use crate::headers::Edits;
use crate::networks::Networks;
use crate::redirect::Redirect;
use crate::rewrite::Rewriting;
use crate::route::Table;
use crate::state::Lasting;

/// Immutable but for the counters.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) table: Table,
    pub(crate) routes: Vec<Route>,
    /// Whose word on where a request comes from is believed.
    pub(crate) trusted: Networks,
}

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: Box<str>,
    pub(crate) does: Does,
    pub(crate) gate: Gate,
    pub(crate) request: Edits,
    pub(crate) response: Edits,
    pub(crate) request_body: u64,
    pub(crate) response_head: Duration,
    /// One for each thread; kept across snapshots by the route's name.
    pub(crate) counts: Arc<[Counts]>,
}

/// What it does with a request.
#[derive(Debug)]
pub(crate) enum Does {
    Forward(Forward),
    Redirect(Redirect),
    Respond { status: u16, body: String },
    Maintenance { retry_after: Duration },
}

#[derive(Debug)]
pub(crate) struct Forward {
    /// Index of the backend.
    pub(crate) backend: usize,
    pub(crate) rewriting: Option<Rewriting>,
    pub(crate) host: Option<Box<str>>,
    /// Index of the backend that gets copies, and of how many of a hundred requests.
    pub(crate) mirror: Option<(usize, u8)>,
}

/// Everything that is wrong with the routes, a line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct RulesError(Vec<String>);

impl Rules {
    pub(crate) fn new(
        target: &BalancerTarget,
        former: Option<&Self>,
        lasting: &Lasting,
    ) -> Result<Self, RulesError> {
        let table = Table::new(&target.routes)
            .map_err(|wrong| RulesError(wrong.iter().map(ToString::to_string).collect()))?;
        let known: HashMap<&str, &Route> = former
            .into_iter()
            .flat_map(|former| &former.routes)
            .map(|route| (&*route.name, route))
            .collect();
        let (mut routes, mut wrong) = (Vec::new(), Vec::new());
        for (index, route) in target.routes.iter().enumerate() {
            let known = known.get(route.name.as_str()).copied();
            let groups = table.groups_of(index);
            match Route::new(route, target, groups, known, lasting) {
                Ok(route) => routes.push(route),
                Err(why) => wrong.push(format!("route {}: {why}", route.name)),
            }
        }
        if !wrong.is_empty() {
            return Err(RulesError(wrong));
        }
        Ok(Self {
            trusted: Networks::new(&target.trusted_proxies),
            routes,
            table,
        })
    }
}

fn text(e: impl Display) -> String {
    e.to_string()
}

impl Route {
    fn new(
        route: &RouteTarget,
        target: &BalancerTarget,
        groups: usize,
        known: Option<&Self>,
        lasting: &Lasting,
    ) -> Result<Self, String> {
        let gate = known.map(|known| &known.gate);
        Ok(Self {
            name: route.name.as_str().into(),
            does: Does::new(route, target, groups)?,
            gate: Gate::new(route, gate, lasting.seed, target.limits.connections),
            request: Edits::new(&route.request_headers).map_err(text)?,
            response: Edits::new(&route.response_headers).map_err(text)?,
            request_body: route.request_body.unwrap_or(target.limits.request_body),
            response_head: route
                .response_head
                .map_or(target.limits.response_head, |Milliseconds(time)| time),
            counts: match known {
                Some(known) => Arc::clone(&known.counts),
                None => (0..lasting.threads).map(|_| Counts::default()).collect(),
            },
        })
    }
}

impl Does {
    fn new(route: &RouteTarget, target: &BalancerTarget, groups: usize) -> Result<Self, String> {
        let index = |name: &str| {
            let place = target.backends.iter().position(|b| b.name == name);
            place.ok_or_else(|| format!("there is no backend {name}"))
        };
        Ok(match &route.action {
            Action::Forward {
                backend,
                rewrite,
                host,
            } => Self::Forward(Forward {
                backend: index(backend)?,
                rewriting: rewrite
                    .as_ref()
                    .map(|rewrite| Rewriting::new(rewrite, &route.when.path, groups))
                    .transpose()
                    .map_err(text)?,
                host: host
                    .as_deref()
                    .map(|host| crate::rewrite::host(host).map(Into::into))
                    .transpose()
                    .map_err(text)?,
                mirror: match &route.mirror {
                    Some(Mirror { backend, percent }) => Some((index(backend)?, *percent)),
                    None => None,
                },
            }),
            Action::Redirect { status, to } => {
                Self::Redirect(Redirect::new(*status, to, groups).map_err(text)?)
            }
            Action::Respond { status, body } => Self::Respond {
                status: *status,
                body: body.clone(),
            },
            Action::Maintenance { retry_after } => Self::Maintenance {
                retry_after: *retry_after,
            },
        })
    }
}
