//! Fragments put into a good file, and the problems they make: `code line:column`. The words of the
//! messages are in `mainstay/tests/site_files`.

use std::collections::BTreeMap;

use crate::topology::{EnvValue, Listen};
use crate::{Code, Site, load};

/// Ten lines; what is added below stands in `[app]`, from line 11 on.
const BASE: &str = r#"[site]
name = "foobar"
domains = ["www.foobar.com"]

[servers.one]
address = "10.0.0.11"
roles = ["balancer", "web", "app", "database"]

[app]
command = ["bin/foobar"]
"#;

fn problems(text: &str) -> Vec<String> {
    let problems = load(text, "site.toml").err().unwrap_or_default();
    problems
        .iter()
        .map(|p| format!("{} {}:{}", p.code, p.line, p.column))
        .collect()
}

fn below(fragment: &str) -> Vec<String> {
    problems(&format!("{BASE}{fragment}\n"))
}

fn site_below(fragment: &str) -> Site {
    load(&format!("{BASE}{fragment}\n"), "site.toml").unwrap()
}

#[test]
fn the_base_is_good() {
    assert_eq!(below(""), [""; 0]);
    assert_eq!(
        problems(&BASE.replace('\n', "\r\n")),
        [""; 0],
        "other line ends"
    );
    assert_eq!(
        problems(&format!("\u{feff}{BASE}")),
        [""; 0],
        "a byte order mark"
    );
}

#[test]
fn a_fragment_has_the_expected_problem() {
    let mut wrong = Vec::new();
    for (fragment, expected) in [
        ("instances = 0", "out-of-range 11:13"),
        ("instances = \"2\"", "wrong-type 11:13"),
        ("instanecs = 2", "unknown-key 11:1"),
        ("listen = \"tcp\"", "unknown-value 11:10"),
        ("port = 9000", "conflict 11:8"),
        ("path = \"/app\"", "bad-value 11:8"),
        ("health = \"up\"", "bad-value 11:10"),
        ("start-timeout = \"5\"", "bad-value 11:17"),
        ("migrate = []", "bad-value 11:11"),
        ("env = { PORT = 1 }", "conflict 11:9"),
        ("env = { A_SECRET = \"x\" }", "secret-in-file 11:20"),
        ("env = { A = { secret = \"A B\" } }", "bad-value 11:24"),
        ("env = { A = \"secret:b\" }", "bad-value 11:13"),
        ("[apps]", "not-yet 11:2"),
        ("[routes]", "wrong-type 11:1"),
        ("[tls]\nemail = \"x\"", "bad-value 12:9"),
        ("[firewall]\nssh-from = [\"x\"]", "bad-value 12:13"),
        ("[alerts]\nwebhook = [\"x\"]", "bad-value 12:12"),
        ("[alerts]", "missing 11:1"),
        (
            "[virtual-address]\naddress = \"10.0.0.11\"",
            "conflict 12:11",
        ),
        ("[monitoring]\nport = 8000", "conflict 12:8"),
        ("[database]\nname = \"mysql\"", "conflict 12:8"),
        ("[database.settings]\nserver-id = 5", "conflict 12:1"),
        (
            "[database.settings]\nloose_gtid_domain_id = 5",
            "conflict 12:1",
        ),
        (
            "[servers.two]\naddress = \"::ffff:10.0.0.11\"\nroles = [\"database\"]",
            "duplicate 12:11",
        ),
        (
            "[balancer]\nhealth = { interval = \"1s\", timeout = \"2s\" }",
            "conflict 12:39",
        ),
        (
            "[balancer.limits]\nrequest-body = \"0B\"",
            "out-of-range 12:16",
        ),
        ("[backends.x]", "missing 11:11"),
        (
            "[backends.X]\nendpoints = [\"10.0.0.5:80\"]",
            "bad-value 11:11",
        ),
        ("[backends.x]\nendpoints = []", "out-of-range 12:13"),
        (
            "[backends.x]\nendpoints = [\"10.0.0.5\"]",
            "bad-value 12:14",
        ),
        (
            "[backends.x]\nendpoints = [{ weight = 2 }]",
            "missing 12:14",
        ),
        (
            "[backends.x]\nendpoints = [\"10.0.0.5:1\", \"10.0.0.5:1\"]",
            "duplicate 12:28",
        ),
        (
            "[backends.x]\nendpoints = [{ address = \"10.0.0.5:1\", weight = 0 }]",
            "conflict 12:13",
        ),
        (
            "[backends.web]\nendpoints = [\"10.0.0.5:1\"]",
            "conflict 12:13",
        ),
        ("[backends.web]\nhash-by = \"path\"", "conflict 12:11"),
        (
            "[backends.web]\nalgorithm = \"hash\"\nhash-by = \"x\"",
            "unknown-value 13:11",
        ),
        ("[backends.web]\nsticky = \"a b\"", "bad-value 12:10"),
        ("[backends.web]\nlisten = \"0.0.0.0:81\"", "conflict 12:10"),
        ("[backends.web.tls]\nkey = \"x.key\"", "missing 12:7"),
        (
            "[backends.web.tls]\nserver-name = \"a b\"",
            "bad-value 12:15",
        ),
        (
            "[backends.web.health]\nstatus = [\"2xx\"]",
            "bad-value 12:11",
        ),
        (
            "[backends.web.health]\nkind = \"tcp\"\npath = \"/x\"",
            "conflict 13:8",
        ),
        (
            "[backends.web.health]\nmethod = \"POST\"",
            "bad-value 12:10",
        ),
        ("[backends.web.health]\nbody = \"(\"", "bad-value 12:8"),
        (
            "[backends.web.health]\nheaders = { Host = \"x\" }",
            "conflict 12:13",
        ),
        ("[balancer]\ntrusted-proxies = [\"x\"]", "bad-value 12:20"),
        (
            "[balancer]\naccess-log = \"{nothing}\"",
            "unknown-value 12:14",
        ),
        ("[balancer]\naccess-log = \"xml\"", "unknown-value 12:14"),
        (
            "[balancer.listeners.http]\nbind = \"0.0.0.0:81\"",
            "bad-value 11:21",
        ),
        ("[balancer.listeners.x]\nbind = \"*:81\"", "bad-value 12:8"),
        (
            "[balancer.listeners.x]\nbind = \"0.0.0.0:80\"",
            "conflict 12:8",
        ),
        (
            "[balancer.listeners.x]\nbind = \"0.0.0.0:81\"\nmode = \"tcp\"",
            "missing 11:1",
        ),
        (
            "[balancer.listeners.x]\nbind = \"0.0.0.0:81\"\nmode = \"tcp\"\nbackend = \"web\"",
            "conflict 14:11",
        ),
        (
            "[balancer.listeners.x]\nbind = \"0.0.0.0:81\"\nbackend = \"web\"",
            "conflict 13:11",
        ),
        ("[[routes]]\npath = \"/x\"", "missing 11:1"),
        ("[[routes]]\nbackend = \"wbe\"", "unknown-value 12:11"),
        (
            "[[routes]]\nbackend = \"web\"\nrespond = \"x\"",
            "conflict 11:1",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nhost = [\"a_b\"]",
            "bad-value 13:9",
        ),
        (
            "[[routes]]\nbackend = \"web\"\npath-regex = \"(\"",
            "bad-value 13:14",
        ),
        (
            "[[routes]]\nbackend = \"web\"\npath = \"/x\"\npath-prefix = \"/y\"",
            "conflict 11:1",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nmethod = [\"get\"]",
            "bad-value 13:11",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nstatus = 301",
            "conflict 13:10",
        ),
        (
            "[[routes]]\nredirect = \"/x\"\nstatus = 200",
            "out-of-range 13:10",
        ),
        ("[[routes]]\nredirect = \"x\"", "bad-value 12:12"),
        ("[[routes]]\nredirect = \"//evil.com\"", "bad-value 12:12"),
        ("[[routes]]\nredirect = \"/x{y}\"", "unknown-value 12:12"),
        (
            "[[routes]]\nredirect = \"/x\"\nmirror = \"web\"",
            "conflict 13:10",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nreplace-prefix = \"/\"",
            "conflict 13:18",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nname = \"site\"",
            "bad-value 13:8",
        ),
        (
            "[[routes]]\nbackend = \"web\"\ndeny = [\"x\"]",
            "bad-value 13:9",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nrate-limit = {}",
            "missing 13:14",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nrate-limit = { requests = 1, key = \"x\" }",
            "unknown-value 13:36",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nresponse-headers = { set = { \"A B\" = \"x\" } }",
            "bad-value 13:30",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nresponse-headers = { remove = [\"Upgrade\"] }",
            "conflict 13:32",
        ),
        (
            "[[routes]]\nbackend = \"web\"\nresponse-headers = { add = { A = \"x\\r\\ny\" } }",
            "bad-value 13:34",
        ),
        ("[tls]\nhsts = \"1000d\"", "out-of-range 12:8"),
    ] {
        if below(fragment) != [expected] {
            wrong.push(format!(
                "{fragment}\n  {:?}, not {expected}",
                below(fragment)
            ));
        }
    }
    assert_eq!(wrong, [""; 0], "{}", wrong.join("\n"));
}

#[test]
fn an_empty_table_of_servers_is_noticed() {
    let text = "[site]\nname = \"x\"\ndomains = [\"a.b\"]\n[servers]\n";
    assert_eq!(problems(text), ["missing 1:1"]);
}

#[test]
fn too_many_servers_are_refused() {
    let mut text = BASE.to_owned();
    for n in 0..200u32 {
        let (a, b) = (n / 100, n % 100);
        text.push_str(&format!(
            "[servers.s{n}]\naddress = \"10.0.{}.{b}\"\n",
            a + 1
        ));
        text.push_str("roles = [\"coordinator\"]\n");
    }
    let problems = load(&text, "site.toml").unwrap_err();
    assert_eq!(
        problems
            .iter()
            .map(|problem| problem.code)
            .collect::<Vec<_>>(),
        [Code::OutOfRange]
    );
}

/// What could not be read is never reported as missing as well.
#[test]
fn a_misspelt_thing_is_not_also_missing() {
    for (good, bad) in [
        ("\"balancer\"", "\"blancer\""),
        ("[app]", "[ap]"),
        ("[servers.one]", "[server.one]"),
        ("domains", "domian"),
        ("roles", "rolls"),
        ("[site]", "[sites]"),
    ] {
        let found = problems(&BASE.replace(good, bad));
        assert!(
            found.iter().all(|p| p.starts_with("unknown")),
            "{bad}: {found:?}"
        );
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
    }
}

#[test]
fn defaults_of_the_database_are_names_it_takes() {
    let name = |site: &str| {
        let text = BASE.replace("name = \"foobar\"", &format!("name = \"{site}\""));
        load(&text, "site.toml").unwrap().database.unwrap().name
    };
    assert_eq!(name("my-shop"), "my_shop");
    assert_eq!(name("9lives"), "site_9lives");
    assert_eq!(name("mysql"), "site_mysql");
}

#[test]
fn values_arrive_as_meant() {
    let site = site_below(
        "listen = \"port\"\nport = 9100\nenv = { A = true, B = 0.5, C = { secret = \"c\" } }\n\
         [web]\nstatic = \"\"\n[firewall]\nenabled = false\n[database.settings]\nslow-query-log = true",
    );
    let app = site.app.unwrap();
    assert_eq!(app.listen, Listen::Port { first: 9100 });
    let env: BTreeMap<&str, EnvValue> = [
        ("A", EnvValue::Plain("true".to_owned())),
        ("B", EnvValue::Plain("0.5".to_owned())),
        ("C", EnvValue::Secret("c".to_owned())),
    ]
    .into();
    assert_eq!(
        app.env
            .iter()
            .map(|(k, v)| (k.as_str(), v.clone()))
            .collect::<BTreeMap<_, _>>(),
        env
    );
    assert_eq!(site.web.static_dir, None);
    assert_eq!(site.firewall, None);
    assert_eq!(site.database.unwrap().settings["slow_query_log"], "ON");
}

const ALONE: &str = r#"
[balancer]
http = 8081

[backends.app]
endpoints = ["10.0.0.5:80", { address = "10.0.0.6:80", weight = 2 }]
"#;

#[test]
fn a_balancer_alone_is_a_whole_site() {
    assert_eq!(problems(ALONE), [""; 0]);
    let with = |fragment: &str| problems(&format!("{ALONE}{fragment}"));
    let tcp =
        "[backends.db]\nmode = \"tcp\"\nlisten = \"0.0.0.0:5432\"\nendpoints = [\"10.0.0.7:5432\"]";
    assert_eq!(with(tcp), [""; 0]);
    assert_eq!(
        with("[backends.b]\nendpoints = [\"10.0.0.7:80\"]"),
        ["missing 5:11"],
        "two, and no route"
    );
    assert_eq!(with("[web]"), [""; 0]);
    assert_eq!(
        with("[app]\ncommand = \"x\""),
        ["missing 1:1", "missing 1:1"],
        "that is a site, and it has no servers"
    );
}
