//! Who is the client, and what a client cannot make us believe.

use http::head::{Storage, request};
use proptest::prelude::*;
use site::target::balancer::Network;

use super::*;

fn trusted() -> Networks {
    let network = |address: &str, bits| Network {
        address: address.parse().unwrap(),
        bits,
    };
    Networks::new(&[network("10.0.0.0", 8), network("2001:db8::", 32)])
}

fn with<R>(lines: &str, then: impl FnOnce(Fields<'_, '_>) -> R) -> R {
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let mut storage = Storage::new();
    then(request(text.as_bytes(), &mut storage).unwrap().fields)
}

fn check(peer: &str, lines: &str) -> String {
    with(lines, |fields| {
        let origin = origin(&trusted(), peer.parse().unwrap(), false, fields);
        format!(
            "{} {} {}",
            origin.client,
            origin.scheme,
            origin.host.unwrap_or("-")
        )
    })
}

#[test]
fn a_stranger_is_not_believed() {
    let lines = "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1;proto=https\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n";
    assert_eq!(check("192.0.2.1", lines), "192.0.2.1 http -");
    assert_eq!(check("::ffff:192.0.2.1", lines), "192.0.2.1 http -");
}

#[test]
fn the_chain_counts_as_far_as_it_is_trusted() {
    for (chain, client) in [
        ("1.1.1.1", "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1, 10.0.0.1", "1.1.1.1"),
        ("10.0.0.9, 1.1.1.1, 10.0.0.2,10.0.0.1", "1.1.1.1"),
        ("10.0.0.5, 10.0.0.1", "10.0.0.5"),
        ("1.1.1.1, unknown, 10.0.0.1", "10.0.0.1"),
        ("1.1.1.1, unknown", "10.0.0.7"),
        ("unknown, 1.1.1.1", "1.1.1.1"),
        ("1.1.1.1:1234", "1.1.1.1"),
        ("2001:470::1", "2001:470::1"),
        ("[2001:470::1]:443", "2001:470::1"),
        ("[2001:470::1]", "2001:470::1"),
        ("1.1.1.1, 2001:db8::5", "1.1.1.1"),
        ("::ffff:1.1.1.1", "1.1.1.1"),
        (" , 1.1.1.1 ,, ", "1.1.1.1"),
        ("", "10.0.0.7"),
        ("1.1.1.1\r\nX-Forwarded-For: 10.0.0.1", "1.1.1.1"),
        ("1.1.1.1\r\nX-Forwarded-For: 2.2.2.2", "2.2.2.2"),
    ] {
        let told = check("10.0.0.7", &format!("X-Forwarded-For: {chain}\r\n"));
        assert_eq!(told, format!("{client} http -"), "{chain}");
    }
    assert_eq!(check("10.0.0.7", ""), "10.0.0.7 http -");
    let long = format!(
        "X-Forwarded-For: 1.1.1.1{}\r\n",
        ", 10.0.0.1".repeat(ENTRIES)
    );
    assert_eq!(check("10.0.0.7", &long), "10.0.0.7 http -");
}

#[test]
fn forwarded_is_read_too() {
    for (value, expected) in [
        ("for=1.1.1.1;proto=https;host=b", "1.1.1.1 https b"),
        (
            "For=\"[2001:470::1]:47\";Proto=HTTPS",
            "2001:470::1 https -",
        ),
        (
            "for=6.6.6.6, for=\"1.1.1.1:80\" ; host=\"b:80\", for=10.0.0.1",
            "1.1.1.1 http -",
        ),
        ("for=1.1.1.1, for=_hidden", "10.0.0.7 http -"),
        ("for=unknown, for=10.0.0.1;proto=https", "10.0.0.1 https -"),
        // Open quotes, escapes, doubled names.
        ("for=\", for=1.1.1.1", "10.0.0.7 http -"),
        (
            "for=2.2.2.2, for=\"a, for=\"[2001:470::1]\"",
            "10.0.0.7 http -",
        ),
        ("for=\"1.1.1\\.1\"", "10.0.0.7 http -"),
        ("for=6.6.6.6;for=1.1.1.1", "10.0.0.7 http -"),
        ("by=x;secret=\"a,b;c\";for=1.1.1.1", "1.1.1.1 http -"),
        ("for=1.1.1.1;proto=ftp;host=\"a b\"", "1.1.1.1 http -"),
    ] {
        assert_eq!(
            check("10.0.0.7", &format!("Forwarded: {value}\r\n")),
            expected,
            "{value}"
        );
    }
    let both = "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=6.6.6.6;proto=https;host=evil\r\n";
    assert_eq!(check("10.0.0.7", both), "1.1.1.1 http -");
}

#[test]
fn scheme_and_host_are_those_of_the_nearest_proxy() {
    let lines = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: http, https\r\n\
        X-Forwarded-Host: evil, www.foobar.com\r\n";
    assert_eq!(check("10.0.0.7", lines), "1.1.1.1 https www.foobar.com");
    assert_eq!(
        check("10.0.0.7", "X-Forwarded-Host: a/b\r\n"),
        "10.0.0.7 http -"
    );
}

#[test]
fn the_chain_goes_on() {
    let told = |peer: &str, lines: &str| {
        with(lines, |fields| {
            let mut out = Vec::new();
            put_forwarded_for(&trusted(), peer.parse().unwrap(), fields, &mut out);
            String::from_utf8(out).unwrap()
        })
    };
    let lines = "X-Forwarded-For: 6.6.6.6,1.1.1.1\r\nX-Forwarded-For: <script>\r\n";
    assert_eq!(told("10.0.0.7", lines), "6.6.6.6, 1.1.1.1, 10.0.0.7");
    assert_eq!(told("192.0.2.1", lines), "192.0.2.1");
    assert_eq!(told("2001:db8::1", ""), "2001:db8::1");
    let lines = "Forwarded: for=\"[2001:db8::7]:4711\", for=_hidden;proto=https\r\n";
    let chain = "2001:db8::7, _hidden, 10.0.0.7";
    assert_eq!(told("10.0.0.7", lines), chain);
    assert_eq!(told("192.0.2.1", lines), "192.0.2.1");
    let both = format!("X-Forwarded-For: 1.1.1.1\r\n{lines}");
    assert_eq!(told("10.0.0.7", &both), "1.1.1.1, 10.0.0.7");
}

#[test]
fn our_own_element() {
    let told = |client: &str, host: &str| {
        let mut out = Vec::new();
        forwarded::put(client.parse().unwrap(), "https", host, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        told("192.0.2.1", "a:80"),
        "for=192.0.2.1;proto=https;host=\"a:80\""
    );
    assert_eq!(told("2001:db8::1", ""), "for=\"[2001:db8::1]\";proto=https");
    assert_eq!(told("192.0.2.1", "a\"b"), "for=192.0.2.1;proto=https");
}

proptest! {
    /// Whatever a client writes, the proxy in front adds his address, and that is the client.
    #[test]
    fn a_client_cannot_be_somebody_else(
        made_up in "[ -+\\--~]{0,30}",
        commas in "[1-9., \";=for]{0,30}",
    ) {
        for before in [made_up, commas] {
            let plain = format!("X-Forwarded-For: {before}, 1.1.1.1\r\n");
            prop_assert_eq!(check("10.0.0.7", &plain), "1.1.1.1 http -");
            let lines = format!("Forwarded: {before}\r\nForwarded: for=1.1.1.1\r\n");
            prop_assert_eq!(check("10.0.0.7", &lines), "1.1.1.1 http -");
            // In the same line an open quote costs him his address, but gives him no other.
            let line = format!("Forwarded: {before}, for=1.1.1.1\r\n");
            let told = check("10.0.0.7", &line);
            prop_assert!(told.starts_with("1.1.1.1 ") || told.starts_with("10.0.0.7 "), "{told}");
        }
    }
}
