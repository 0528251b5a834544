//! Pure: do the ports that the file chooses stay clear of each other and of Mainstay's own? Checked
//! for all servers as if they were one, so that a role can be moved to another server at any time.

use std::ops::RangeInclusive;

use crate::at::{At, Span};
use crate::derive::port;
use crate::problem::Code;
use crate::source::Problems;
use crate::target::balancer::Bind;
use crate::topology::{Listen, Site};
use crate::written::Written;

/// Who takes which ports, and where the file says so.
struct Use {
    who: String,
    ports: RangeInclusive<u16>,
    /// None: Mainstay's own choice.
    at: Option<Span>,
}

pub(super) fn check(written: &Written, site: &Site, problems: &mut Problems<'_>) {
    let uses = uses(written, site, problems);
    for (index, later) in uses.iter().enumerate() {
        let mut before = uses.iter().take(index);
        let Some(earlier) = before.find(|earlier| overlap(earlier, later)) else {
            continue;
        };
        let Some(at) = later.at.as_ref().or(earlier.at.as_ref()) else {
            continue;
        };
        let first = later.ports.start().max(earlier.ports.start());
        let what = format!(
            "port {first} would be for {} and for {}",
            earlier.who, later.who
        );
        problems.add(Code::Conflict, at, what, "another port, best the default");
    }
}

fn overlap(a: &Use, b: &Use) -> bool {
    a.ports.start() <= b.ports.end() && b.ports.start() <= a.ports.end()
}

fn uses(written: &Written, site: &Site, problems: &mut Problems<'_>) -> Vec<Use> {
    let balancer = written.balancer.as_ref().map(|at| &at.value);
    let monitoring = written.monitoring.as_ref().map(|at| &at.value);
    let at = |written: Option<&At<u16>>| written.map(|at| at.span.clone());
    let one = |who: &str, port, at| Use {
        who: who.to_owned(),
        ports: port..=port,
        at,
    };
    let mut uses = vec![one(
        "monitoring",
        site.monitoring.port,
        at(monitoring.and_then(|m| m.port.as_ref())),
    )];
    if !site.alone {
        uses.push(one("the web servers", port::WEB, None));
        uses.push(Use {
            who: "the database".to_owned(),
            ports: port::SQL..=port::LAST_MEMBER,
            at: None,
        });
    }
    let http = balancer.and_then(|b| b.http.as_ref());
    let https = balancer.and_then(|b| b.https.as_ref());
    uses.push(one("HTTP", site.balancer.http, at(http)));
    uses.push(one("HTTPS", site.balancer.https, at(https)));
    for listener in &site.balancer.listeners {
        // An address of its own is not every server's.
        if let Bind::Tcp(address) = listener.bind
            && address.ip().is_unspecified()
        {
            let at = place_of(written, &listener.name);
            uses.push(one(
                &format!("the listener `{}`", listener.name),
                address.port(),
                at,
            ));
        }
    }
    uses.extend(app_ports(written, site, problems));
    uses
}

/// Where a listener's address is written: in its own section, or at a backend.
fn place_of(written: &Written, name: &str) -> Option<Span> {
    let balancer = written.balancer.as_ref().map(|at| &at.value);
    let listeners = balancer
        .and_then(|b| b.listeners.as_ref())
        .into_iter()
        .flatten();
    let own = listeners
        .filter(|(key, _)| key.value == name)
        .find_map(|(_, at)| at.value.bind.as_ref());
    let backends = written.backends.iter().flatten();
    let of_backend = backends
        .filter(|(key, _)| key.value == name)
        .find_map(|(_, at)| at.value.listen.as_ref());
    own.or(of_backend).map(|at| at.span.clone())
}

fn app_ports(written: &Written, site: &Site, problems: &mut Problems<'_>) -> Option<Use> {
    let app = site.app.as_ref()?;
    let section = written.app.as_ref()?;
    let Listen::Port { first } = app.listen else {
        return None;
    };
    let at = [
        section.value.port.as_ref(),
        section.value.instances.as_ref(),
    ];
    let at = at
        .into_iter()
        .flatten()
        .next()
        .map_or(&section.span, |at| &at.span);
    let last = u32::from(first) + u32::from(app.instances) - 1;
    let Ok(last) = u16::try_from(last) else {
        let what = format!(
            "{} instances from port {first} would end above 65535",
            app.instances
        );
        problems.add(Code::OutOfRange, at, what, "a lower `port`");
        return None;
    };
    Some(Use {
        who: "the application's instances".to_owned(),
        ports: first..=last,
        at: Some(at.clone()),
    })
}
