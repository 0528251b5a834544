//! Greetings and responses as real programs sent them, and bytes nobody would send.

use proptest::prelude::*;

use super::*;
use crate::capability::{DEPRECATE_EOF, SESSION_TRACK};

/// The greeting of a MySQL 8.0.36, from the protocol's documentation and a recorded connection.
fn mysql_8() -> Vec<u8> {
    let mut bytes = b"\x0a8.0.36\0\x08\0\0\0".to_vec();
    bytes.extend_from_slice(b"\x1a\x3f\x5e\x2b\x68\x43\x04\x4f\0");
    bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0x02, 0x00, 0xff, 0xdf, 0x15]);
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend_from_slice(b"\x21\x4e\x10\x5c\x33\x0d\x74\x2d\x69\x24\x55\x47\0");
    bytes.extend_from_slice(b"caching_sha2_password\0");
    bytes
}

#[test]
fn a_mysql_8_greeting_is_understood() {
    let greeting = Greeting::parse(&mysql_8()).unwrap();
    assert_eq!(greeting.version, "8.0.36");
    assert_eq!(greeting.connection_id, 8);
    assert_eq!(greeting.plugin, "caching_sha2_password");
    assert_eq!(greeting.collation, 255);
    assert_eq!(greeting.capabilities, 0xdfff_ffff);
    assert_eq!(greeting.extended, 0);
    assert_eq!(greeting.salt[..2], [0x1a, 0x3f]);
    assert_eq!(greeting.salt[18..], [0x55, 0x47]);
    assert_eq!(greeting.encode(), mysql_8());
}

#[test]
fn a_mariadb_greeting_comes_back() {
    let greeting = Greeting {
        version: "5.5.5-10.11.6-MariaDB".to_owned(),
        connection_id: 0x4000_0001,
        salt: *b"abcdefghij1234567890",
        capabilities: 0x81ff_f7fe,
        extended: 0x1d,
        collation: 45,
        status: 2,
        plugin: "mysql_native_password".to_owned(),
    };
    assert_eq!(Greeting::parse(&greeting.encode()), Ok(greeting));
}

#[test]
fn a_response_comes_back() {
    let response = Response {
        capabilities: PROTOCOL_41
            | SECURE_CONNECTION
            | PLUGIN_AUTH
            | PLUGIN_AUTH_LENENC
            | CONNECT_WITH_DB
            | SESSION_TRACK
            | DEPRECATE_EOF,
        max_packet: 1 << 24,
        collation: 45,
        user: "app".to_owned(),
        answer: vec![7; 20],
        schema: Some("shop".to_owned()),
        plugin: Some("mysql_native_password".to_owned()),
    };
    let parsed = FirstAnswer::parse(&response.encode()).unwrap();
    assert_eq!(parsed, FirstAnswer::Response(response));
}

#[test]
fn a_request_for_tls_is_told_apart() {
    let mut bytes = (PROTOCOL_41 | SSL).to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0; 28]);
    assert_eq!(FirstAnswer::parse(&bytes), Ok(FirstAnswer::Tls));
}

#[test]
fn a_response_without_its_last_zero_and_with_attributes_is_understood() {
    let mut response = Response {
        capabilities: PLUGIN_AUTH,
        user: "u".to_owned(),
        ..Response::default()
    }
    .encode();
    assert_eq!(response.pop(), Some(0));
    let FirstAnswer::Response(parsed) = FirstAnswer::parse(&response).unwrap() else {
        panic!("not a response");
    };
    assert_eq!(parsed.plugin.as_deref(), Some("mysql_native_password"));
    response.extend_from_slice(b"\0\x08\x03_os\x03foo");
    assert!(FirstAnswer::parse(&response).is_ok());
}

#[test]
fn a_switch_brings_the_challenge_of_its_plugin() {
    let salted = AuthSwitch {
        plugin: "caching_sha2_password".to_owned(),
        salt: *b"abcdefghij1234567890",
        nonce: None,
    };
    assert_eq!(AuthSwitch::parse(&salted.encode()), Ok(salted));
    // client_ed25519's is 32 bytes long, and its first 20 are no salt of anybody's.
    let signed = [b"\xfeclient_ed25519\0".as_slice(), &[9; 32]].concat();
    let switch = AuthSwitch::parse(&signed).unwrap();
    assert_eq!(switch.nonce, Some([9; 32]));
    assert_eq!(
        AuthSwitch::parse(b"\xfemysql_clear_password\0")
            .unwrap()
            .nonce,
        None
    );
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes: Vec<u8>) {
        drop(Greeting::parse(&bytes));
        drop(FirstAnswer::parse(&bytes));
        drop(Program::of(&bytes));
        drop(AuthSwitch::parse(&bytes));
        drop(ChangeUser::parse(&bytes));
    }

    #[test]
    fn no_cut_of_a_good_packet_makes_a_parser_panic(cut in 0usize..100) {
        let whole = mysql_8();
        drop(Greeting::parse(&whole[..cut.min(whole.len())]));
    }
}
