//! PROXY protocol headers, of both versions: believed at listeners that say so, written to endpoints of
//! backends that say so.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Mutex;

use crate::client::{Client, get};
use crate::endpoint::{Endpoint, Reply, converse};
use crate::running::{Balancer, UNCHECKED, own_address};
use crate::two;

/// Version 2's signature (the specification's section 2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// PROXY, TCP over IPv4.
fn v2(source: &str, destination: &str) -> Vec<u8> {
    let parts = [source, destination].map(|text| text.parse::<std::net::SocketAddrV4>().unwrap());
    let mut bytes = [SIGNATURE, &[0x21, 0x11, 0, 12]].concat();
    parts
        .iter()
        .for_each(|part| bytes.extend(part.ip().octets()));
    parts
        .iter()
        .for_each(|part| bytes.extend(part.port().to_be_bytes()));
    bytes
}

fn told() -> Endpoint {
    Endpoint::new(|seen| Reply::ok(&seen.field("x-forwarded-for").unwrap()))
}

#[test]
fn who_connects_is_who_the_header_says() {
    let app = told();
    let listen = own_address();
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
proxy-protocol = true
[balancer.listeners.plain]
bind = "{listen}"
[backends.app]
endpoints = ["{}"]
{UNCHECKED}
"#,
        app.address
    ));
    let ask = |header: &[u8]| {
        let request = [header, get("/told", "").as_bytes()].concat();
        balancer.client().send(request).try_response("GET")
    };
    let one = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n";
    assert_eq!(ask(one).unwrap().text(), "203.0.113.9");
    let line = balancer.logged("/told");
    assert!(line.contains(r#""client":"203.0.113.9""#), "{line}");
    let six = b"PROXY TCP6 2001:db8::9 ::1 4711 80\r\n";
    assert_eq!(ask(six).unwrap().text(), "2001:db8::9");
    assert_eq!(
        ask(&v2("198.51.100.7:4711", "127.0.0.1:80"))
            .unwrap()
            .text(),
        "198.51.100.7"
    );
    // The proxy speaks for itself.
    let local = [SIGNATURE, &[0x20, 0, 0, 0]].concat();
    assert_eq!(ask(&local).unwrap().text(), "127.0.0.1");
    assert_eq!(ask(b"PROXY UNKNOWN\r\n").unwrap().text(), "127.0.0.1");

    for wrong in [
        &b""[..],
        b"PROXY TCP4 nonsense\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
    ] {
        let answer = ask(wrong);
        assert!(answer.is_err(), "{wrong:?}: {answer:?}");
    }
    // A listener that does not say so takes no header.
    assert_eq!(Client::connect(&listen).get("/").text(), "127.0.0.1");
    let request = [one, get("/", "").as_bytes()].concat();
    let answer = Client::connect(&listen).send(request).response();
    assert_eq!(answer.status, 400);
}

/// Reads a header of either version: its source and destination.
fn read_header(stream: &mut impl Read) -> (String, String) {
    let mut byte = [0];
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\n") || (bytes.starts_with(b"\r\n") && bytes.len() < 12) {
        stream.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    if bytes == SIGNATURE {
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        let mut rest = vec![0; usize::from(head[2]) << 8 | usize::from(head[3])];
        stream.read_exact(&mut rest).unwrap();
        assert_eq!(head[..2], [0x21, 0x11]);
        let at = |from: usize, port: usize| {
            let ip: [u8; 4] = rest[from..from + 4].try_into().unwrap();
            let port = u16::from_be_bytes(rest[port..port + 2].try_into().unwrap());
            SocketAddr::from((ip, port)).to_string()
        };
        return (at(0, 8), at(4, 10));
    }
    let line = String::from_utf8(bytes).unwrap();
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let [proxy, family, source, destination, from, to] = words[..] else {
        panic!("{line}");
    };
    assert_eq!((proxy, family), ("PROXY", "TCP4"));
    (format!("{source}:{from}"), format!("{destination}:{to}"))
}

#[test]
fn endpoints_are_told_who_connects() {
    // Of HTTP: the header, then requests, each answered with what the header said.
    let http = || {
        Endpoint::raw(&own_address(), |mut stream| {
            let (source, destination) = read_header(&mut stream);
            let answer = move |_: &_| Reply::ok(&format!("{source} {destination}"));
            converse(&mut stream, &answer, &Mutex::default());
        })
    };
    // Of TCP: the same as a line.
    let tcp = Endpoint::raw(&own_address(), |mut stream| {
        let (source, destination) = read_header(&mut stream);
        stream
            .write_all(format!("{source} {destination}\n").as_bytes())
            .unwrap();
    });
    let (one, two) = (http(), http());
    let listen = own_address();
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[[routes]]
path-prefix = "/one"
backend = "one"
[[routes]]
path-prefix = "/two"
backend = "two"
[backends.one]
endpoints = ["{}"]
proxy-protocol = "v1"
{UNCHECKED}
[backends.two]
endpoints = ["{}"]
proxy-protocol = "v2"
{UNCHECKED}
[backends.tcp]
mode = "tcp"
listen = "{listen}"
endpoints = ["{}"]
proxy-protocol = "v2"
{UNCHECKED}
"#,
        one.address, two.address, tcp.address
    ));
    // Two clients: neither gets a connection that speaks for the other.
    let mut clients = [balancer.client(), balancer.client()];
    for path in ["/one", "/two"] {
        for client in &mut clients {
            let local = client.local.unwrap();
            let expected = format!("{local} {}", balancer.http);
            for _ in 0..2 {
                assert_eq!(client.get(path).text(), expected, "{path}");
            }
        }
    }
    let mut client = Client::connect(&listen);
    let local = client.local.unwrap();
    assert_eq!(client.line().unwrap(), format!("{local} {listen}"));
}

#[test]
fn over_http_2_no_client_speaks_for_another() {
    let said = |(_, mut respond): two::Arrived, told: String| async move {
        let mut send = respond
            .send_response(http_types::Response::new(()), false)
            .unwrap();
        send.send_data(told.into(), true).unwrap();
    };
    let address = two::endpoint_told(said, true);
    let balancer = Balancer::up(&format!(
        "[balancer]\n[backends.app]\nendpoints = [\"{address}\"]\nprotocol = \"h2\"\n\
         proxy-protocol = \"v1\"\n{UNCHECKED}\n"
    ));
    let mut clients = [balancer.client(), balancer.client(), balancer.client()];
    for _ in 0..2 {
        for client in &mut clients {
            let local = client.local.unwrap();
            let (_, port) = balancer.http.split_once(':').unwrap();
            let expected = format!("PROXY TCP4 {} ", local.ip());
            let told = client.get("/").text();
            assert!(told.starts_with(&expected), "{told}");
            assert!(
                told.ends_with(&format!(" {} {port}\r\n", local.port())),
                "{told}"
            );
        }
    }
}

#[test]
fn checks_of_such_endpoints_begin_with_a_header_too() {
    let app = Endpoint::raw(&own_address(), |mut stream| {
        let mut head = [0; 16];
        if stream.read_exact(&mut head).is_ok() && head[..12] == *SIGNATURE && head[15] == 0 {
            converse(&mut stream, &|_: &_| Reply::ok("fine"), &Mutex::default());
        }
    });
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{}", name = "a" }}]
proxy-protocol = "v2"
{}
"#,
        app.address,
        crate::running::HEALTH
    ));
    balancer.wait_until_up(&["a"]);
}
