//! TLS on both sides: certificates by name, versions, clients' certificates; endpoints' certificates,
//! and TLS that passes through.

use std::sync::Arc;

use crate::authority::{Authority, Signed, provider};
use crate::client::{Client, HOST, get, shake_hands};
use crate::endpoint::{Endpoint, Reply};
use crate::running::{Balancer, Prepared, UNCHECKED, own_address};

fn write(prepared: &Prepared, name: &str, signed: &Signed) {
    prepared.write(&format!("tls/{name}.pem"), &signed.chain);
    prepared.write(&format!("tls/{name}.key"), &signed.key);
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let authority = Authority::new("test authority");
    let prepared = Prepared::new();
    let certificates = ["www.shop.example", "*.shop.example", "other.example"];
    let signed = certificates.map(|name| authority.sign(&[name]));
    for (number, signed) in signed.iter().enumerate() {
        write(&prepared, &number.to_string(), signed);
    }
    let app = Endpoint::named("app");
    let balancer = prepared.up(&format!(
        r#"
[balancer]
certificates = [
  {{ chain = "tls/1.pem", key = "tls/1.key" }},
  {{ chain = "tls/0.pem", key = "tls/0.key" }},
  {{ chain = "tls/2.pem", key = "tls/2.key" }},
]
tls-from = "1.3"
[backends.app]
endpoints = ["{}"]
{UNCHECKED}
"#,
        app.address
    ));
    let config = Arc::new(authority.client());
    for (name, number) in [
        ("www.shop.example", 0),
        ("WWW.shop.example", 0),
        ("eu.shop.example", 1),
        ("other.example", 2),
    ] {
        let (_, connection) = shake_hands(&balancer.https, name, &config).unwrap();
        let shown = connection.peer_certificates().unwrap();
        assert_eq!(shown[0], signed[number].certificates()[0], "{name}");
    }
    let mut client = Client::tls(&balancer.https, "other.example", &config).unwrap();
    assert_eq!(client.get("/").text(), "app");

    // No version that both speak.
    let old = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let refused = shake_hands(&balancer.https, "other.example", &Arc::new(old));
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
}

#[test]
fn clients_are_asked_for_certificates() {
    let (authority, clients) = (Authority::new("sites"), Authority::new("clients"));
    let app = Endpoint::named("app");
    for required in [true, false] {
        let prepared = Prepared::new();
        write(&prepared, "site", &authority.sign(&[HOST]));
        prepared.write("tls/clients.pem", &clients.pem());
        let balancer = prepared.up(&format!(
            r#"
[balancer]
certificates = [{{ chain = "tls/site.pem", key = "tls/site.key" }}]
client-certificates = {{ authority = "tls/clients.pem", required = {required} }}
[backends.app]
endpoints = ["{}"]
{UNCHECKED}
"#,
            app.address
        ));
        // With TLS 1.3, a client learns only from the first answer that it was refused.
        let ask = |config: rustls::ClientConfig| {
            let mut client = Client::tls(&balancer.https, HOST, &Arc::new(config)).ok()?;
            client.try_send(get("/", "")).ok()?;
            client.try_response("GET").ok().map(|answer| answer.status)
        };
        let known = authority.client_with(&clients.sign(&["visitor"]));
        assert_eq!(ask(known), Some(200));
        let nobody = ask(authority.client());
        assert_eq!(nobody, (!required).then_some(200));
        let stranger = authority.client_with(&Authority::new("x").sign(&["visitor"]));
        assert_eq!(ask(stranger), None);
    }
}

#[test]
fn endpoints_show_who_they_are_and_are_shown_who_we_are() {
    let (ours, other) = (Authority::new("internal"), Authority::new("other"));
    let ip = own_address().rsplit_once(':').unwrap().0.to_owned();
    let plain = Endpoint::tls(
        ours.server(&ours.sign(&["shop.internal", &ip]), false),
        |seen| Reply::ok(&seen.field("host").unwrap()),
    );
    let asking = Endpoint::tls(ours.server(&ours.sign(&[&ip]), true), |_| {
        Reply::ok("knows us")
    });
    let prepared = Prepared::new();
    prepared
        .write("tls/ours.pem", &ours.pem())
        .write("tls/other.pem", &other.pem());
    write(&prepared, "balancer", &ours.sign(&["balancer"]));
    let mut site = "[balancer]\nreason-header = true\n".to_owned();
    for (name, endpoint, tls) in [
        ("address", &plain, r#"authority = "tls/ours.pem""#),
        (
            "named",
            &plain,
            r#"authority = "tls/ours.pem", server-name = "shop.internal""#,
        ),
        (
            "misnamed",
            &plain,
            r#"authority = "tls/ours.pem", server-name = "x.internal""#,
        ),
        ("stranger", &plain, r#"authority = "tls/other.pem""#),
        ("anybody", &plain, "verify = false"),
        ("unknown", &asking, r#"authority = "tls/ours.pem""#),
        (
            "mutual",
            &asking,
            r#"authority = "tls/ours.pem", certificate = "tls/balancer.pem", key = "tls/balancer.key""#,
        ),
    ] {
        site += &format!(
            "[[routes]]\npath = \"/{name}\"\nbackend = \"{name}\"\n[backends.{name}]\n\
             endpoints = [\"{}\"]\ntls = {{ {tls} }}\n{UNCHECKED}\n",
            endpoint.address
        );
    }
    // The array of routes first: a table of backends may stand between them.
    let balancer = prepared.up(&site);
    for (name, expected) in [
        ("address", Ok(HOST)),
        ("named", Ok(HOST)),
        ("anybody", Ok(HOST)),
        ("mutual", Ok("knows us")),
        ("misnamed", Err("tls-failed")),
        ("stranger", Err("tls-failed")),
        ("unknown", Err("tls-failed")),
    ] {
        let mut client = balancer.client();
        for _ in 0..2 {
            let answer = client.get(&format!("/{name}"));
            match expected {
                Ok(text) => assert_eq!(answer.text(), text, "{name}"),
                Err(reason) => {
                    let got = (answer.status, answer.reason());
                    assert_eq!(got, (502, reason.to_owned()), "{name}");
                }
            }
        }
    }
    let line = balancer.logged(r#""target":"/stranger""#);
    assert!(line.contains("fault"), "{line}");
}

#[test]
fn checks_go_over_tls_where_requests_do() {
    let ours = Authority::new("internal");
    let ip = own_address().rsplit_once(':').unwrap().0.to_owned();
    let app = Endpoint::tls(ours.server(&ours.sign(&[&ip]), false), |_| {
        Reply::ok("fine")
    });
    let prepared = Prepared::new();
    prepared.write("tls/ours.pem", &ours.pem());
    prepared.write("tls/other.pem", &Authority::new("other").pem());
    let backend = |name: &str, file: &str| {
        format!(
            "[backends.{name}]\nendpoints = [{{ address = \"{}\", name = \"{name}\" }}]\n\
             tls = {{ authority = \"tls/{file}.pem\" }}\n{}\n",
            app.address,
            crate::running::HEALTH
        )
    };
    let route = "[[routes]]\npath-prefix = \"/\"\nbackend = \"good\"\n";
    let balancer = prepared.up(&format!(
        "[balancer]\n{route}{}{}",
        backend("good", "ours"),
        backend("bad", "other")
    ));
    balancer.wait_until_up(&["good"]);
    let reason = balancer.endpoint("bad")["reason"].to_string();
    assert!(
        reason.to_lowercase().contains("tls") || reason.contains("certificate"),
        "{reason}"
    );
}

#[test]
fn tls_passes_through_to_the_backend_of_its_name() {
    let ours = Authority::new("internal");
    let make = |name: &'static str| {
        let signed = ours.sign(&["mail.example", "www.example", "other.example"]);
        Endpoint::tls(ours.server(&signed, false), move |_| Reply::ok(name))
    };
    let (mail, web, rest) = (make("mail"), make("web"), make("rest"));
    let (all, some) = (own_address(), own_address());
    let mut site = format!(
        r#"
[balancer.listeners.all]
bind = "{all}"
mode = "tcp"
backend = "rest"
by-name = {{ "mail.example" = "mail", "*.example" = "web" }}
[balancer.listeners.some]
bind = "{some}"
mode = "tcp"
by-name = {{ "mail.example" = "mail" }}
"#
    );
    for (name, endpoint) in [("mail", &mail), ("web", &web), ("rest", &rest)] {
        let address = &endpoint.address;
        site += &format!("[backends.{name}]\nmode = \"tcp\"\nendpoints = [\"{address}\"]\n");
        site += &format!("{UNCHECKED}\n");
    }
    let _balancer = Balancer::up(&site);
    let config = Arc::new(ours.client());
    for (name, answer) in [("mail.example", "mail"), ("www.example", "web")] {
        let mut client = Client::tls(&all, name, &config).unwrap();
        assert_eq!(client.get("/").text(), answer, "{name}");
    }
    // Without a name that is known, where the listener says, or nowhere.
    let mut config = ours.client();
    config.enable_sni = false;
    let nameless = Arc::new(config);
    let mut client = Client::tls(&all, "other.example", &nameless).unwrap();
    assert_eq!(client.get("/").text(), "rest");
    assert!(Client::tls(&some, "other.example", &nameless).is_err());
    let mut client = Client::tls(&some, "mail.example", &Arc::new(ours.client())).unwrap();
    assert_eq!(client.get("/").text(), "mail");
}
