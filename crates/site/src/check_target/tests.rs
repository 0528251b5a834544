//! Targets that are whole, and each way one can be broken.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::name::MemberName;
use crate::target::balancer::{BackendTarget, BalancerTarget, Bind};
use crate::{Ground, derive, load, preset};

/// A sound target, then one change, then what is found.
fn defects(change: impl FnOnce(&mut Target)) -> Vec<String> {
    let site = load(preset("three-servers").unwrap().text, "site.toml").unwrap();
    let ground = Ground::Production {
        source_root: PathBuf::from("/srv"),
    };
    let mut target = derive(&site, &ground);
    assert_eq!(check_target(&target), []);
    change(&mut target);
    check_target(&target)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn server<'a>(target: &'a mut Target, name: &str) -> &'a mut ServerTarget {
    target.servers.get_mut(&ServerName::new(name)).unwrap()
}

fn balancer(target: &mut Target) -> &mut BalancerTarget {
    server(target, "server-1").balancer.as_mut().unwrap()
}

fn web(target: &mut Target) -> &mut BackendTarget {
    balancer(target)
        .backends
        .iter_mut()
        .find(|backend| backend.own)
        .unwrap()
}

fn set_port(bind: &mut Bind, port: u16) {
    match bind {
        Bind::Tcp(address) => address.set_port(port),
        Bind::Unix(path) => panic!("{}", path.display()),
    }
}

#[test]
fn one_address_and_port_is_for_one() {
    let found = defects(|t| server(t, "server-1").admin.set_port(8000));
    assert_eq!(
        found,
        ["server-1: admin and web both listen on 10.0.0.11:8000"]
    );
    let wildcard = defects(|t| set_port(&mut balancer(t).listeners[0].bind, 9400));
    assert_eq!(
        wildcard,
        ["server-1: admin and balancer http both listen on 0.0.0.0:9400"]
    );
    let sql = defects(|t| {
        let server = server(t, "server-2");
        let router = server.sql_router.as_mut().unwrap();
        router.listen = server.database[0].listen;
    });
    assert_eq!(
        sql,
        ["server-2: sql router and database server-2 both listen on 10.0.0.12:3307"]
    );
    let app = defects(|t| {
        let app = server(t, "server-1").app.as_mut().unwrap();
        app.listen = InstanceListen::Port { first: 7999 };
    });
    assert_eq!(
        app,
        ["server-1: web and instance 1 both listen on 10.0.0.11:8000"]
    );
}

#[test]
fn any_free_port_may_be_asked_for_twice() {
    let found = defects(|t| {
        for listener in &mut balancer(t).listeners {
            set_port(&mut listener.bind, 0);
        }
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn addresses_are_unique_and_there() {
    let same = defects(|t| server(t, "server-3").address = "10.0.0.11".parse().unwrap());
    assert!(
        same.contains(&"server-1 and server-3 have the same address".to_owned()),
        "{same:?}"
    );
    let none = defects(|t| server(t, "server-3").address = "0.0.0.0".parse().unwrap());
    assert!(
        none.contains(&"server-3 has no address".to_owned()),
        "{none:?}"
    );
}

#[test]
fn every_endpoint_leads_to_a_web_server() {
    let wrong = defects(|t| set_port(&mut web(t).endpoints[0].address, 81));
    assert_eq!(
        wrong,
        ["server-1: no web server listens where endpoint server-1 is"]
    );
    let gone = defects(|t| server(t, "server-2").web = None);
    assert_eq!(gone.len(), 3, "both balancers and the app: {gone:?}");
    assert_eq!(defects(|t| web(t).endpoints[0].weight = 0).len(), 1);
    assert_eq!(defects(|t| web(t).endpoints.clear()).len(), 1);
    let twice = defects(|t| {
        let first = web(t).endpoints[0].clone();
        web(t).endpoints.push(first);
    });
    assert_eq!(twice, ["server-1: the endpoint server-1 is there twice"]);
}

#[test]
fn database_members_know_each_other_and_are_distinct() {
    let member = |t: &mut Target, change: fn(&mut crate::target::MemberTarget)| {
        change(&mut server(t, "server-3").database[0]);
    };
    assert_eq!(defects(|t| member(t, |m| m.server_id = 1)).len(), 1);
    assert_eq!(defects(|t| member(t, |m| m.server_id = 0)).len(), 1);
    assert_eq!(defects(|t| member(t, |m| m.first_primary = true)).len(), 1);
    assert_eq!(
        defects(|t| server(t, "server-2").database[0].first_primary = false).len(),
        1
    );
    assert_eq!(
        defects(|t| member(t, |m| m.schema = "other".to_owned())).len(),
        1
    );
    assert_eq!(
        defects(|t| member(t, |m| m.name = MemberName::new("server-2"))).len(),
        4
    );
    assert_eq!(defects(|t| member(t, |m| m.listen.set_port(3310))).len(), 3);
    assert_eq!(defects(|t| member(t, |m| drop(m.members.pop()))).len(), 1);
    let router = |t: &mut Target| {
        server(t, "server-1")
            .sql_router
            .as_mut()
            .unwrap()
            .members
            .clear();
    };
    assert_eq!(
        defects(router),
        ["server-1 knows other database members than there are"]
    );
}

#[test]
fn roles_need_each_other() {
    let no_router = defects(|t| server(t, "server-1").sql_router = None);
    assert_eq!(
        no_router,
        ["server-1: the application does not find the database"]
    );
    let stranger = defects(|t| server(t, "server-1").web.as_mut().unwrap().trusted.clear());
    assert_eq!(stranger.len(), 2);
    let none = defects(|t| {
        t.servers
            .values_mut()
            .for_each(|server| server.balancer = None)
    });
    assert!(none.contains(&"no server is a balancer".to_owned()));
}

#[test]
fn numbers_must_make_sense() {
    assert_eq!(defects(|t| web(t).health.fall = 0).len(), 1);
    assert_eq!(
        defects(|t| web(t).health.timeout = Duration::from_secs(60)).len(),
        1
    );
    assert_eq!(defects(|t| web(t).retries.attempts = 0).len(), 1);
    assert_eq!(
        defects(|t| balancer(t).limits.connect = Duration::ZERO).len(),
        1
    );
    assert_eq!(
        defects(|t| balancer(t).domains.push("Upper.example.org".to_owned())).len(),
        1
    );
    assert_eq!(defects(|t| t.format = 0).len(), 1);
    assert_eq!(defects(|t| t.parent = 7).len(), 1);
    let app = |t: &mut Target, change: fn(&mut AppTarget)| {
        change(server(t, "server-1").app.as_mut().unwrap());
    };
    assert_eq!(defects(|t| app(t, |app| app.instances = 0)).len(), 1);
    assert_eq!(defects(|t| app(t, |app| app.command.clear())).len(), 1);
    assert_eq!(
        defects(|t| app(t, |app| app.source = PathBuf::from("app"))).len(),
        1
    );
    assert_eq!(
        defects(|t| app(t, |app| app.health_path = "up".to_owned())).len(),
        1
    );
    assert_eq!(
        defects(|t| app(t, |app| app.listen = InstanceListen::Port { first: 65535 })).len(),
        1
    );
}
