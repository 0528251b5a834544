//! The routes as the workers read them: the table that finds one, and what each does, with its counters.

use std::collections::HashMap;
use std::sync::Arc;

use http::counts::Counts;
use site::target::balancer::{Action, BalancerTarget, RouteTarget};

use crate::admit::Gate;
use crate::route::{BadRoute, Table};
use crate::state::Lasting;

/// Immutable but for the counters.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) table: Table,
    pub(crate) routes: Vec<Route>,
}

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) target: RouteTarget,
    pub(crate) does: Does,
    pub(crate) gate: Gate,
    /// One for each thread; kept across snapshots by the route's name.
    pub(crate) counts: Arc<[Counts]>,
}

/// What it does with a request.
#[derive(Debug)]
pub(crate) enum Does {
    /// Index of the backend.
    Forward(usize),
    Answer,
}

/// Everything that is wrong with the routes.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(.0))]
pub(crate) struct RulesError(Vec<BadRoute>);

fn lines(wrong: &[BadRoute]) -> String {
    let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Rules {
    pub(crate) fn new(
        target: &BalancerTarget,
        former: Option<&Self>,
        lasting: &Lasting,
    ) -> Result<Self, RulesError> {
        let table = Table::new(&target.routes).map_err(RulesError)?;
        let known: HashMap<&str, &Route> = former
            .into_iter()
            .flat_map(|former| &former.routes)
            .map(|route| (route.target.name.as_str(), route))
            .collect();
        let index = |name: &str| target.backends.iter().position(|b| b.name == name);
        let routes = target.routes.iter().map(|route| Route {
            does: match &route.action {
                // `check_target` has seen that it is there.
                Action::Forward { backend, .. } => {
                    index(backend).map_or(Does::Answer, Does::Forward)
                }
                _ => Does::Answer,
            },
            counts: match known.get(route.name.as_str()) {
                Some(known) => Arc::clone(&known.counts),
                None => (0..lasting.threads).map(|_| Counts::default()).collect(),
            },
            gate: Gate::new(
                route,
                known.get(route.name.as_str()).map(|known| &known.gate),
                lasting.seed,
                target.limits.connections,
            ),
            target: route.clone(),
        });
        Ok(Self {
            routes: routes.collect(),
            table,
        })
    }
}
