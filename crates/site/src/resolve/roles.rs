//! Pure: do the roles of all servers together make a site?

use crate::at::Span;
use crate::problem::Code;
use crate::source::Problems;
use crate::topology::{Role, Server, Site};
use crate::written::Written;

pub(super) fn check(written: &Written, site: &Site, problems: &mut Problems<'_>) {
    // A role that could not be read may be the one that is missed.
    if written.left_out.contains("servers") || site.servers.is_empty() || site.alone {
        return;
    }
    let app_unread = written.left_out.contains("app");
    let has_app = written.app.is_some() || app_unread;
    if !some(site, Role::Balancer) {
        let what = "no server has the role `balancer`, so no request would arrive";
        missing(written, Role::Balancer, what, problems);
    }
    if !some(site, Role::Web) {
        let what = "no server has the role `web`, so nothing would answer requests";
        missing(written, Role::Web, what, problems);
    }
    for server in &site.servers {
        web_and_app_together(server, has_app, written, problems);
    }
    if has_app && !some(site, Role::App) && !some(site, Role::Web) {
        // Both are missing: said once, by `web` above.
    } else if has_app && !some(site, Role::App) {
        let what = "no server has the role `app`, so the application would run nowhere";
        missing(written, Role::App, what, problems);
    } else if !has_app && some(site, Role::App) {
        let what = "servers have the role `app`, but the file has no [app]";
        let write = "[app]\ncommand = [\"bin/foobar\"]";
        let at = first_with(site, Role::App, written);
        problems.add(Code::Missing, &at, what, write);
    }
    database(written, site, problems);
}

/// A web server passes requests to the application beside it, on the same server.
fn web_and_app_together(
    server: &Server,
    has_app: bool,
    written: &Written,
    problems: &mut Problems<'_>,
) {
    let (web, app) = (server.has(Role::Web), server.has(Role::App));
    let name = &server.name;
    if app && !web {
        let what =
            format!("`{name}` runs the application, but no web server passes requests to it");
        problems.add(
            Code::Conflict,
            &roles_of(written, server),
            what,
            with(server, Role::Web),
        );
    } else if web && !app && has_app {
        let what = format!("`{name}` is a web server without the application beside it");
        problems.add(
            Code::Conflict,
            &roles_of(written, server),
            what,
            with(server, Role::App),
        );
    }
}

fn database(written: &Written, site: &Site, problems: &mut Problems<'_>) {
    let Some(section) = &written.database else {
        return;
    };
    if !some(site, Role::Database) {
        let what = "the file has [database], but no server has the role `database`";
        let write = "roles = [\"database\"] at the server that shall keep the data";
        problems.add(Code::Missing, &section.span, what, write);
    }
}

fn some(site: &Site, role: Role) -> bool {
    site.servers_with(role).next().is_some()
}

/// Reported at the first server, which is where a small site would add it.
fn missing(written: &Written, role: Role, what: &str, problems: &mut Problems<'_>) {
    let names = written.servers.iter().flatten().map(|(name, _)| &name.span);
    let Some(first) = names.min_by_key(|span| span.start) else {
        return;
    };
    let write = format!("`{role}` among the `roles` of at least one server");
    problems.add(Code::Missing, first, what, write);
}

fn first_with(site: &Site, role: Role, written: &Written) -> Span {
    site.servers_with(role)
        .next()
        .map(|server| roles_of(written, server))
        .unwrap_or_default()
}

fn roles_of(written: &Written, server: &Server) -> Span {
    let mut sections = written.servers.iter().flatten();
    let section = sections.find(|(name, _)| name.value == server.name.as_str());
    section
        .and_then(|(_, section)| section.value.roles.as_ref())
        .map(|roles| roles.span.clone())
        .unwrap_or_default()
}

fn with(server: &Server, role: Role) -> String {
    let roles = server.roles.iter().copied().chain([role]);
    let roles: std::collections::BTreeSet<Role> = roles.collect();
    let words: Vec<String> = roles.iter().map(|role| format!("\"{role}\"")).collect();
    format!("roles = [{}]", words.join(", "))
}
