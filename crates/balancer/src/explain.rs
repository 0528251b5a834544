//! Pure: what a request would get and why, step by step: the same tables and pools that serve requests
//! are asked, and nothing is counted or sent.

use http::head::{self, Storage};
use site::target::balancer::Bind;

use crate::backend::Backend;
use crate::choose::{Ask, Choice, hash};
use crate::prepare::INTERNAL;
use crate::route::{Candidate, Facts, Scratch};
use crate::rules::Does;
use crate::snapshot::{Explanation, Question, Step};
use crate::state::{State, Way};
use crate::sticky::Bound;

pub(crate) fn answer(state: &State, question: &Question) -> Explanation {
    let Question::Explain {
        url,
        method,
        headers,
        client,
    } = question;
    let mut steps = Vec::new();
    let mut step = |what: &str, found: String, because: Vec<String>| {
        steps.push(Step {
            what: what.to_owned(),
            found,
            because,
        });
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let target = match target {
        "" => "/".to_owned(),
        query if query.starts_with('?') => format!("/{query}"),
        target => target.to_owned(),
    };
    let (found, because) = listener(state, scheme);
    step("listener", found, because);
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {authority}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut storage = Storage::new();
    let head = match head::request(text.as_bytes(), &mut storage) {
        Ok(head) => head,
        Err(kind) => {
            step(
                "request",
                "refused with 400".to_owned(),
                vec![kind.to_string()],
            );
            return Explanation { steps };
        }
    };
    let mut scratch = Scratch::default();
    let facts = match Facts::of(&head, *client, &mut scratch) {
        Ok(facts) => facts,
        Err(bad) => {
            step(
                "request",
                "refused with 400".to_owned(),
                vec![bad.to_string()],
            );
            return Explanation { steps };
        }
    };
    if facts.path.bytes.starts_with(INTERNAL) {
        let why = "a path between balancer and web servers";
        step(
            "request",
            "404, internal-path".to_owned(),
            vec![why.to_owned()],
        );
        return Explanation { steps };
    }
    let candidates = state.rules.table.explain(&facts);
    let reason = |candidate: &Candidate| match &candidate.miss {
        None => format!("{} takes it", candidate.name),
        Some(miss) => format!("not {}: {miss}", candidate.name),
    };
    let mut because: Vec<String> = candidates.iter().take(CANDIDATES).map(reason).collect();
    if candidates.len() > CANDIDATES {
        because.push(format!("and {} more", candidates.len() - CANDIDATES));
    }
    let route = state
        .rules
        .table
        .find(&facts)
        .and_then(|matched| state.rules.routes.get(matched.route));
    let Some(route) = route else {
        let reason = match state.rules.table.knows_host(&facts) {
            true => "none: 404, no-route",
            false => "none: 421, unknown-host",
        };
        step("route", reason.to_owned(), because);
        return Explanation { steps };
    };
    step("route", route.name.to_string(), because);
    if !route.gate.lets_in(*client) {
        let why = format!("the route's `allow` and `deny` do not let {client} in");
        step("access", "403, denied".to_owned(), vec![why]);
        return Explanation { steps };
    }
    match &route.does {
        Does::Redirect(redirect) => {
            step(
                "answer",
                format!("{}, a redirect", redirect.status),
                Vec::new(),
            );
        }
        Does::Respond { status, .. } => {
            step(
                "answer",
                format!("{status}, the route's own text"),
                Vec::new(),
            );
        }
        Does::Maintenance { .. } => {
            step("answer", "503, the maintenance page".to_owned(), Vec::new());
        }
        Does::Forward(forward) => {
            if let Some(backend) = state.backends.get(forward.backend) {
                let key = hash::key(
                    &backend.target.hash_by,
                    *client,
                    facts.path.bytes,
                    facts.fields,
                );
                let uses = format!("requests go to {}", backend.pool.mode());
                step("backend", backend.target.name.clone(), vec![uses]);
                let sticky = backend.sticky.as_ref();
                let bound = sticky.and_then(|sticky| match sticky.bound(facts.fields) {
                    Bound::To(endpoint) => Some(endpoint),
                    Bound::No(_) => None,
                });
                let (found, because) = endpoint(backend, key, bound);
                step("endpoint", found, because);
            }
        }
    }
    Explanation { steps }
}

/// Routes that are shown.
const CANDIDATES: usize = 20;

fn listener(state: &State, scheme: &str) -> (String, Vec<String>) {
    let fits = |way: &Way| match way {
        Way::Http { .. } => scheme == "http",
        Way::Https { .. } => scheme == "https",
        Way::Tcp { .. } => false,
    };
    let mut listeners = state.target.listeners.iter();
    let found = listeners.find(|listener| {
        let door = state.doors.get(&listener.name);
        door.is_some_and(|door| fits(&door.way))
    });
    match found {
        None => (format!("none speaks {scheme}"), Vec::new()),
        Some(listener) => {
            let at = match &listener.bind {
                Bind::Tcp(address) => address.to_string(),
                Bind::Unix(path) => format!("unix:{}", path.display()),
            };
            let door = state.doors.get(&listener.name);
            let because = match door.map(|door| &door.way) {
                Some(Way::Http {
                    redirect_to: Some(port),
                    ..
                }) => vec![format!("it sends everything on to HTTPS at port {port}")],
                _ => Vec::new(),
            };
            (format!("{} at {at}", listener.name), because)
        }
    }
}

fn endpoint(backend: &Backend, key: u64, bound: Option<usize>) -> (String, Vec<String>) {
    let ask = Ask {
        turn: backend.kept.turn.load(std::sync::atomic::Ordering::Relaxed),
        random: 0,
        key,
        now_ms: 0,
        open: backend.kept.open.count(),
        tried: &[],
        bound,
    };
    let found = match backend.pool.choose(&ask, &backend.loads) {
        Choice::Endpoint(index) => {
            backend
                .endpoints
                .get(index)
                .map_or_else(String::new, |endpoint| match bound == Some(index) {
                    true => format!("{}, as the visitor's cookie says", endpoint.name),
                    false => format!("{} is next", endpoint.name),
                })
        }
        Choice::Full => "none has room: it would wait in the queue".to_owned(),
        Choice::Nobody => "none: 503, no-endpoint".to_owned(),
    };
    let of = |endpoint: &crate::backend::Endpoint| {
        format!(
            "{}: {} ({})",
            endpoint.name, endpoint.standing.why, endpoint.known.reason
        )
    };
    let mut because: Vec<String> = backend.endpoints.iter().take(CANDIDATES).map(of).collect();
    if backend.endpoints.len() > CANDIDATES {
        because.push(format!("and {} more", backend.endpoints.len() - CANDIDATES));
    }
    (found, because)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::tests::state;

    #[test]
    fn who_is_kept_out_is_told_so() {
        let state = state(
            r#"
[balancer]
[backends.app]
endpoints = ["192.0.2.1:80"]
[[routes]]
path-prefix = "/admin"
backend = "app"
allow = ["192.0.2.0/24"]
"#,
        );
        let last = |path: &str, client: &str| {
            let question = Question::Explain {
                url: format!("http://www.foobar.com{path}"),
                method: "GET".to_owned(),
                headers: Vec::new(),
                client: client.parse().unwrap(),
            };
            answer(&state, &question).steps.pop().unwrap().found
        };
        assert_eq!(last("/admin", "192.0.2.9"), "192.0.2.1:80 is next");
        assert_eq!(last("/admin", "198.51.100.9"), "403, denied");
        assert_eq!(last("/.mainstay/x", "192.0.2.9"), "404, internal-path");
    }
}
