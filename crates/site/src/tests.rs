//! The whole way: text in, problems, meaning and target out.

use std::fmt::Write as _;
use std::path::PathBuf;

use insta::{assert_debug_snapshot, assert_snapshot};
use proptest::prelude::*;

use super::*;

const SHORTEST: &str = r#"
[site]
name = "foobar"
domains = ["www.foobar.com"]

[servers.one]
address = "10.0.0.11"
roles = ["balancer", "web", "app", "database"]

[app]
command = "bin/foobar --verbose"
"#;

fn local() -> Ground {
    Ground::Local {
        network: [127, 0, 37],
        http: "127.0.0.1:8080".parse().unwrap(),
        https: Some("127.0.0.1:8443".parse().unwrap()),
        source_root: PathBuf::from("/srv/foobar"),
    }
}

fn production() -> Ground {
    Ground::Production {
        source_root: PathBuf::from("/srv/foobar"),
    }
}

fn loaded(text: &str) -> Site {
    load(text, "site.toml").unwrap_or_else(|problems| panic!("{}", shown(&problems)))
}

fn shown(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |mut all, problem| {
        writeln!(all, "{problem}").unwrap();
        all
    })
}

#[test]
fn the_shortest_file_has_a_meaning() {
    let site = loaded(SHORTEST);
    let app = site.app.as_ref().unwrap();
    assert_eq!(app.command, ["bin/foobar", "--verbose"]);
    assert_eq!(app.instances, 2);
    let database = site.database.as_ref().unwrap();
    assert_eq!(
        (database.name.as_str(), database.user.as_str()),
        ("foobar", "foobar")
    );
    assert_eq!(site.members().len(), 2);
    assert_eq!(check_target(&derive(&site, &local())), []);
}

#[test]
fn what_textbook_means() {
    assert_debug_snapshot!(loaded(preset("textbook").unwrap().text));
}

#[test]
fn presets_derive_without_defects() {
    for preset in PRESETS {
        let site = loaded(preset.text);
        for ground in [local(), production()] {
            assert_eq!(check_target(&derive(&site, &ground)), [], "{}", preset.name);
        }
    }
}

/// Where everything listens, one line each: what a person would ask first.
fn listeners(target: &target::Target) -> String {
    let mut out = String::new();
    for (name, server) in &target.servers {
        let mut line =
            |what: &str, where_: String| writeln!(out, "{name} {what} {where_}").unwrap();
        line("admin", server.admin.to_string());
        if let Some(balancer) = &server.balancer {
            for listener in &balancer.listeners {
                line(&listener.name, listener.bind.to_string());
            }
            for endpoint in balancer.backends.iter().flat_map(|b| &b.endpoints) {
                line(
                    "sends to",
                    format!("{} {}", endpoint.name, endpoint.address),
                );
            }
            line("answers for", balancer.domains.join(" "));
        }
        server
            .web
            .iter()
            .for_each(|web| line("web", web.listen.to_string()));
        server
            .web
            .iter()
            .for_each(|web| line("web trusts", format!("{:?}", web.trusted)));
        server
            .app
            .iter()
            .for_each(|app| line("app", app.source.display().to_string()));
        server
            .sql_router
            .iter()
            .for_each(|router| line("sql", router.listen.to_string()));
        for member in &server.database {
            let first = if member.first_primary {
                " first primary"
            } else {
                ""
            };
            let (name, id, listen) = (&member.name, member.server_id, member.listen);
            line("database", format!("{name} {listen} id {id}{first}"));
        }
    }
    out
}

#[test]
fn listeners_of_textbook_on_one_machine() {
    let target = derive(&loaded(preset("textbook").unwrap().text), &local());
    assert_snapshot!(listeners(&target));
}

#[test]
fn listeners_of_three_servers_in_production() {
    let target = derive(
        &loaded(preset("three-servers").unwrap().text),
        &production(),
    );
    assert_snapshot!(listeners(&target));
}

#[test]
fn listeners_of_three_servers_on_one_machine() {
    let target = derive(&loaded(preset("three-servers").unwrap().text), &local());
    assert_snapshot!(listeners(&target));
}

#[test]
fn a_target_survives_the_wire() {
    let target = derive(
        &loaded(preset("three-servers").unwrap().text),
        &production(),
    );
    let text = serde_json::to_string(&target).unwrap();
    assert_eq!(
        serde_json::from_str::<target::Target>(&text).unwrap(),
        target
    );
}

#[test]
fn underscores_are_taken_for_dashes() {
    let text = SHORTEST.to_owned()
        + "start_timeout = \"5s\"\n[virtual_address]\naddress = \"10.0.0.10\"\n";
    let site = loaded(&text);
    assert_eq!(site.app.unwrap().start_timeout.as_secs(), 5);
    assert!(site.virtual_address.is_some());
}

#[test]
fn a_site_of_static_files_needs_no_app() {
    let text = "[site]\nname = \"files\"\ndomains = [\"files.example.org\"]\n\
                [servers.one]\naddress = \"10.0.0.1\"\nroles = [\"balancer\", \"web\"]\n";
    let target = derive(&loaded(text), &local());
    let one = target.servers.values().next().unwrap();
    assert!(one.app.is_none() && one.sql_router.is_none());
    assert_eq!(
        one.web.as_ref().unwrap().static_dir.as_deref(),
        Some("/srv/foobar/static")
    );
}

#[test]
fn secrets_are_passed_on_by_name_only() {
    let site = loaded(&(SHORTEST.to_owned() + "[app.env]\nA_TOKEN = { secret = \"a\" }\nN = 5\n"));
    let target = derive(&site, &local());
    let app = target
        .servers
        .values()
        .next()
        .unwrap()
        .app
        .as_ref()
        .unwrap();
    assert_eq!(target::secret_name(&app.env["A_TOKEN"]), Some("a"));
    assert_eq!(app.env["N"], "5");
}

#[test]
fn a_router_has_as_many_clients_and_connections_as_the_file_says() {
    let bounds = |text: &str| {
        let target = derive(&loaded(&(SHORTEST.to_owned() + text)), &local());
        let mut servers = target.servers.into_values();
        let router = servers.find_map(|server| server.sql_router).unwrap();
        (router.sessions, router.connections)
    };
    assert_eq!(bounds("[database]\n"), (1000, 128));
    let written = "[database]\n[sql-router]\nsessions = 10000\nconnections = 32\n";
    assert_eq!(bounds(written), (10_000, 32));
}

#[test]
fn an_app_may_be_the_directory_itself() {
    let site = loaded(&SHORTEST.replace("[app]", "[app]\npath = \".\""));
    let target = derive(&site, &local());
    let app = target
        .servers
        .values()
        .next()
        .unwrap()
        .app
        .as_ref()
        .unwrap();
    assert_eq!(app.source, PathBuf::from("/srv/foobar"));
}

#[test]
fn what_is_no_text_is_a_problem_with_a_place() {
    let problems = text_of(b"[site]\nname = \"caf\xe9\"\n", "site.toml").unwrap_err();
    assert_snapshot!(shown(&problems));
}

/// A site file that is right by construction.
fn valid_site() -> impl Strategy<Value = String> {
    let server = prop::collection::vec(0..2u8, 4);
    (
        prop::collection::vec(server, 0..6),
        0..6u16,
        1..5u16,
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just("async"), Just("semi-sync")],
    )
        .prop_map(|(servers, replicas, instances, ports, tls, replication)| {
            let mut text = String::from("[site]\nname = \"x-1\"\ndomains = [\"A.example.org\"]\n");
            // The first server has everything, so that nothing is ever missing.
            let all = std::iter::once(vec![1, 1, 1, 1]).chain(servers);
            for (number, picks) in all.enumerate() {
                let mut roles = Vec::new();
                for (pick, names) in picks.iter().zip([
                    "\"balancer\"",
                    "\"web\", \"app\"",
                    "\"database\"",
                    "\"coordinator\"",
                ]) {
                    if *pick == 1 {
                        roles.push(names);
                    }
                }
                if roles.is_empty() {
                    roles.push("\"coordinator\"");
                }
                let roles = roles.join(", ");
                write!(
                    text,
                    "[servers.s{number}]\naddress = \"10.0.0.{}\"\n",
                    number + 1
                )
                .unwrap();
                writeln!(text, "roles = [{roles}]").unwrap();
            }
            writeln!(text, "[app]\ncommand = [\"run\"]\ninstances = {instances}").unwrap();
            if ports {
                text.push_str("listen = \"port\"\n");
            }
            writeln!(text, "[database]\nreplicas = {replicas}").unwrap();
            writeln!(text, "replication = \"{replication}\"").unwrap();
            if tls {
                text.push_str("[tls]\nauthority = \"acme\"\n");
            }
            text
        })
}

/// Pieces that site files are made of, in any order: far more often nearly right than plain noise.
fn nearly_a_site() -> impl Strategy<Value = String> {
    let words = [
        "[site]",
        "[servers.a]",
        "[servers]",
        "[app]",
        "[database]",
        "[[routes]]",
        "name",
        "=",
        "domains",
        "roles",
        "address",
        "\"balancer\"",
        "\"app\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "\"10.0.0.1\"",
        "\"5s\"",
        "command",
        "env",
        "A_KEY",
        "secret",
        "7",
        "true",
        "1.5",
        "'x'",
        "\"",
        "#",
        "webhook",
        "port",
        "listen",
        "\"é\"",
        "1979-05-27",
        "max_age",
        "max-age",
        ".",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..60)
        .prop_map(|words| words.join(" ").replace(" \n ", "\n"))
}

proptest! {
    #[test]
    fn any_text_is_answered(text in ".*") {
        if let Err(problems) = load(&text, "site.toml") {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn problems_stand_in_the_file_and_in_order(text in nearly_a_site()) {
        if let Err(problems) = load(&text, "site.toml") {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.is_sorted_by_key(|problem| (problem.line, problem.column)));
            for problem in problems {
                prop_assert!(text.get(problem.span.clone()).is_some());
                prop_assert!(!problem.what.is_empty() && !problem.write_instead.is_empty());
            }
        }
    }

    #[test]
    fn a_valid_site_derives_without_defects(text in valid_site()) {
        let site = loaded(&text);
        for ground in [local(), production()] {
            prop_assert_eq!(check_target(&derive(&site, &ground)), vec![]);
        }
        for finding in audit(&site) {
            prop_assert!(!finding.consequence.is_empty() && !finding.add.is_empty());
        }
    }

    #[test]
    fn replicas_leave_the_primarys_server_when_they_can(text in valid_site()) {
        let site = loaded(&text);
        let members = site.members();
        let servers = site.servers_with(topology::Role::Database).count();
        if let [first, second, ..] = members.as_slice() && servers > 1 {
            prop_assert_ne!(&first.server, &second.server);
        }
    }

    /// One character less somewhere: never a crash, and what is no longer right is reported.
    #[test]
    fn a_preset_with_a_hole_is_answered(at in 0usize..2000) {
        let text = preset("textbook").unwrap().text;
        let at = text.char_indices().map(|(index, _)| index).nth(at).unwrap_or(0);
        let mut holed = text.to_owned();
        holed.remove(at);
        if let Err(problems) = load(&holed, "site.toml") {
            prop_assert!(!problems.is_empty());
        }
    }
}
