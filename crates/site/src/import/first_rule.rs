//! The same request goes to the same backend: HAProxy's first rule against Mainstay's most specific
//! route, for random rules and every request of a small world. Both sides are written anew here, as
//! plainly as can be: HAProxy configuration manual, section 4.2, `use_backend`; `balancer::route`.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::target::balancer::{Action, Match, PathMatch, RouteTarget};
use crate::topology::Site;

const HOSTS: [&str; 4] = ["a.foobar.com", "b.foobar.com", "c.foobar.com", "other.com"];
const PATHS: [&str; 9] = [
    "/",
    "/p",
    "/p/q",
    "/p/q/r",
    "/px",
    "/a.js",
    "/p/a.js",
    "/p/q/a.js",
    "/p/a.css",
];
const METHODS: [&str; 2] = ["GET", "POST"];
const CLIENTS: [&str; 2] = ["10.0.0.1", "192.0.2.1"];

#[derive(Debug, Clone, Copy)]
struct Request {
    host: &'static str,
    path: &'static str,
    method: &'static str,
    client: &'static str,
}

/// Test of HAProxy → whether it holds.
const TESTS: [&str; 9] = [
    "hdr(host) -i a.foobar.com",
    "hdr(host) a.foobar.com b.foobar.com",
    "hdr_end(host) .foobar.com",
    "path_beg /p/",
    "path_beg /p/q/",
    "path /p/q /a.js",
    "path_end .js .css",
    "method POST",
    "src 10.0.0.0/8",
];

fn holds(test: &str, request: &Request) -> bool {
    // Whole segments: the one difference that is told.
    let below =
        |prefix: &str| request.path == prefix || request.path.starts_with(&format!("{prefix}/"));
    match test {
        "hdr(host) -i a.foobar.com" => request.host == "a.foobar.com",
        "hdr(host) a.foobar.com b.foobar.com" => {
            ["a.foobar.com", "b.foobar.com"].contains(&request.host)
        }
        "hdr_end(host) .foobar.com" => request.host.ends_with(".foobar.com"),
        "path_beg /p/" => below("/p"),
        "path_beg /p/q/" => below("/p/q"),
        "path /p/q /a.js" => ["/p/q", "/a.js"].contains(&request.path),
        "path_end .js .css" => request.path.ends_with(".js") || request.path.ends_with(".css"),
        "method POST" => request.method == "POST",
        "src 10.0.0.0/8" => request.client == "10.0.0.1",
        other => panic!("{other}"),
    }
}

/// What a rule does with what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Backend(usize),
    /// 403.
    Deny,
    /// A field is set, and it goes on.
    Mark,
}

#[derive(Debug, Clone)]
struct Rule {
    does: Does,
    unless: bool,
    tests: Vec<(bool, &'static str)>,
}

impl Rule {
    fn takes(&self, request: &Request) -> bool {
        self.tests
            .iter()
            .all(|(negated, test)| holds(test, request) != *negated)
            != self.unless
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    let does = prop_oneof![
        4 => (0..3_usize).prop_map(Does::Backend),
        1 => Just(Does::Deny),
        1 => Just(Does::Mark),
    ];
    let test = (prop::bool::weighted(0.2), prop::sample::select(&TESTS[..]));
    (
        does,
        prop::bool::weighted(0.1),
        prop::collection::vec(test, 1..3),
    )
        .prop_map(|(does, unless, tests)| Rule {
            does,
            unless,
            tests,
        })
}

fn written(rules: &[Rule]) -> String {
    // A file that only refuses has no backend, and is none: the second listener sees to one.
    let mut text =
        "listen raw\n mode tcp\n bind :81\n server r 10.0.0.9:81\ndefaults\n mode http\n"
            .to_owned();
    for number in 0..4 {
        writeln!(
            text,
            "backend b{number}\n server s 10.0.0.{}:80",
            number + 1
        )
        .unwrap();
    }
    text.push_str("frontend www\n bind :80\n default_backend b3\n");
    for rule in rules {
        let what = match rule.does {
            Does::Backend(number) => format!("use_backend b{number}"),
            Does::Deny => "http-request deny".to_owned(),
            Does::Mark => "http-request set-header X-Mark 1".to_owned(),
        };
        let word = if rule.unless { "unless" } else { "if" };
        write!(text, " {what} {word}").unwrap();
        for (negated, test) in &rule.tests {
            let not = if *negated { "!" } else { "" };
            write!(text, " {not}{{ {test} }}").unwrap();
        }
        text.push('\n');
    }
    text
}

/// Backend or 403, and whether the mark is set.
fn by_haproxy(rules: &[Rule], request: &Request) -> String {
    let mut marked = false;
    // `http-request` comes before `use_backend`.
    for rule in rules.iter().filter(|rule| rule.takes(request)) {
        match rule.does {
            Does::Deny => return "403".to_owned(),
            Does::Mark => marked = true,
            Does::Backend(_) => {}
        }
    }
    let to = rules
        .iter()
        .filter(|rule| rule.takes(request))
        .find_map(|rule| match rule.does {
            Does::Backend(number) => Some(number),
            _ => None,
        });
    format!("b{} {marked}", to.unwrap_or(3))
}

fn by_mainstay(site: &Site, request: &Request) -> String {
    let client = request.client.parse().unwrap();
    let mut found: Option<(Rank, &RouteTarget)> = None;
    for route in &site.balancer.routes {
        let Some(rank) = rank(&route.when, request) else {
            continue;
        };
        let further = |when: &Match| {
            (when.methods.is_empty() || when.methods.iter().any(|method| method == request.method))
                && (when.from.is_empty()
                    || when.from.iter().any(|network| network.contains(client)))
        };
        if further(&route.when) && found.is_none_or(|(best, _)| rank > best) {
            found = Some((rank, route));
        }
    }
    let Some((_, route)) = found else {
        // A file with one backend of HTTP needs no route.
        let only = site
            .balancer
            .backends
            .iter()
            .find(|backend| backend.name != "raw");
        return format!("{} false", only.unwrap().name);
    };
    let allowed =
        route.allow.is_empty() || route.allow.iter().any(|network| network.contains(client));
    if !allowed || route.deny.iter().any(|network| network.contains(client)) {
        return "403".to_owned();
    }
    match &route.action {
        Action::Forward { backend, .. } => {
            let marked = route
                .request_headers
                .set
                .iter()
                .any(|(name, _)| name == "X-Mark");
            format!("{backend} {marked}")
        }
        Action::Respond { status, .. } => status.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Host, path, number of further conditions.
type Rank = (usize, (u8, usize), usize);

fn rank(when: &Match, request: &Request) -> Option<Rank> {
    let host = |host: &String| match host.strip_prefix('*') {
        Some(end) => request.host.ends_with(end).then_some(end.len()),
        None => (*host == request.host).then_some(usize::MAX),
    };
    let host = match when.hosts.as_slice() {
        [] => 0,
        hosts => hosts.iter().filter_map(host).max()?,
    };
    let further = usize::from(!when.methods.is_empty()) + usize::from(!when.from.is_empty());
    let (path, further) = match &when.path {
        PathMatch::Any => ((0, 0), further),
        PathMatch::Exact(path) if path == request.path => ((3, 0), further),
        PathMatch::Prefix(prefix)
            if request.path == prefix || request.path.starts_with(&format!("{prefix}/")) =>
        {
            ((1, prefix.len()), further)
        }
        PathMatch::Regex(regex) if ends(regex, request.path) => ((2, 0), 0),
        _ => return None,
    };
    Some((host, path, further))
}

/// The only expressions that come out of the tests above: `(?:\.css|\.js)$`, `^/p(/.*…)$`.
fn ends(regex: &str, path: &str) -> bool {
    let (below, endings) = match regex.strip_prefix('^') {
        Some(rest) => rest.split_once("(/.*").unwrap(),
        None => ("", regex),
    };
    let endings = endings
        .trim_end_matches('$')
        .trim_end_matches("))")
        .trim_end_matches(')');
    let endings = endings.trim_start_matches("(?:").replace('\\', "");
    let rest = path.strip_prefix(below);
    rest.is_some_and(|rest| {
        rest.starts_with('/') && endings.split('|').any(|ending| rest.ends_with(ending))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_same_request_goes_to_the_same_backend(rules in prop::collection::vec(rule(), 0..6)) {
        let text = written(&rules);
        let imported = super::haproxy(&text, "haproxy.cfg", &[]).unwrap();
        // What is told is allowed to differ.
        let told = imported.notes.iter().any(|note| !note.why.starts_with("nothing that is carried over leads to it"));
        prop_assume!(!told);
        let site = crate::load(&imported.text, "site.toml").unwrap();
        for host in HOSTS {
            for path in PATHS {
                for method in METHODS {
                    for client in CLIENTS {
                        let request = Request { host, path, method, client };
                        let (wanted, found) = (by_haproxy(&rules, &request), by_mainstay(&site, &request));
                        prop_assert_eq!(wanted, found, "{:?}\n{}\n{}", request, text, imported.text);
                    }
                }
            }
        }
    }
}
