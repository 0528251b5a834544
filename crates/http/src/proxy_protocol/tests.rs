//! Both versions: the examples of the specification, what must be refused, and properties.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::*;
use crate::deadline::Watch;
use crate::limits;
use crate::socket::Socket;

fn known(source: &str, destination: &str) -> Origin {
    Origin::Known {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

#[test]
fn lines_of_version_1() {
    let example = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n";
    let header = parse(example).unwrap().unwrap();
    let expected = known("192.168.0.1:56324", "192.168.0.11:443");
    assert_eq!(header.claim, Claim::of(expected));
    assert_eq!(&example[header.length..], b"GET / HTTP/1.1\r\n");
    let longest = b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
        ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!(longest.len(), 107);
    let header = parse(longest).unwrap().unwrap();
    assert_eq!((header.claim.origin, header.length), (Origin::Unknown, 107));
}

#[test]
fn bad_lines_are_refused() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PROXY\tTCP4",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rx",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        b"PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n",
        b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.1.1.1 ::1 1 2\r\n",
        b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY \r\n",
    ] {
        assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
    }
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat();
    assert!(parse(&long).is_err());
}

#[test]
fn headers_of_version_2() {
    let mut bytes = Vec::new();
    v2::write(
        &Claim::of(known("1.2.3.4:5", "6.7.8.9:10")),
        false,
        &mut bytes,
    );
    let plain = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x06\x07\x08\x09\0\x05\0\x0a";
    assert_eq!(bytes, plain);
    // Local, with addresses that do not count; a unix socket; a datagram.
    for (twelfth, family, expected) in [
        (0x20, 0x11, Origin::Local),
        (0x21, 0x31, Origin::Unknown),
        (0x21, 0x12, Origin::Unknown),
        (0x21, 0x00, Origin::Unknown),
    ] {
        bytes[12] = twelfth;
        bytes[13] = family;
        let header = parse(&bytes).unwrap().unwrap();
        assert_eq!((header.claim.origin, header.length), (expected, 28));
    }
}

#[test]
fn bad_headers_are_refused() {
    let mut good = Vec::new();
    let claim = Claim {
        origin: known("[2001:db8::1]:5", "[::1]:443"),
        authority: Some("www.foobar.com".to_owned()),
        alpn: Some(b"h2".to_vec()),
    };
    v2::write(&claim, true, &mut good);
    assert_eq!(parse(&good).unwrap().unwrap().claim, claim);
    for (at, to, why) in [
        (0, b'x', "the signature"),
        (11, b'x', "the signature's end"),
        (12, 0x11, "version 1"),
        (12, 0x22, "an unknown command"),
        (14, 0xff, "too long"),
        (15, 35, "shorter than its addresses"),
        (16, 0, "an address, with a checksum"),
        (54, 0xff, "a field's length"),
    ] {
        let mut bad = good.clone();
        bad[at] = to;
        assert!(parse(&bad).is_err(), "{why}");
    }
}

#[test]
fn addresses_of_two_families_become_one() {
    let origin = known("1.2.3.4:5", "[2001:db8::1]:443");
    let mapped = known("[::ffff:1.2.3.4]:5", "[2001:db8::1]:443");
    let (mut one, mut two) = (Vec::new(), Vec::new());
    v1::write(origin, &mut one);
    v2::write(&Claim::of(origin), false, &mut two);
    for bytes in [one, two] {
        assert_eq!(parse(&bytes).unwrap().unwrap().claim.origin, mapped);
    }
}

#[tokio::test]
async fn a_header_is_taken_off_a_connection() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut socket = Socket::from(ours);
    let watch = Watch::new();
    let deadline = watch.deadline();
    let within = Duration::from_secs(5);
    let sending = async {
        theirs.try_write(b"PROXY TCP4 1.1.1.1 2.2.2.2").unwrap();
        tokio::task::yield_now().await;
        theirs.try_write(b" 1 2\r\nhello").unwrap();
    };
    let receiving = receive(&mut socket, &deadline, within);
    let (claim, ()) = tokio::join!(receiving, sending);
    assert_eq!(claim.unwrap().origin, known("1.1.1.1:1", "2.2.2.2:2"));
    drop(theirs);
    let mut rest = String::new();
    socket.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "hello");
}

fn origins() -> impl Strategy<Value = Origin> {
    let four = (any::<[u8; 4]>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddr::new(IpAddr::from(ip), port));
    let six = (any::<[u8; 16]>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddr::new(IpAddr::from(ip), port));
    let pair = prop_oneof![(four.clone(), four).boxed(), (six.clone(), six).boxed(),];
    prop_oneof![
        1 => Just(Origin::Unknown),
        1 => Just(Origin::Local),
        8 => pair.prop_map(|(source, destination)| Origin::Known { source, destination }),
    ]
}

proptest! {
    #[test]
    fn what_was_written_is_read_and_every_beginning_needs_more(
        origin in origins(),
        authority in proptest::option::of("[a-z.]{0,255}"),
        alpn in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=255)),
        verified: bool,
        rest in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let (mut one, mut two) = (Vec::new(), b"before".to_vec());
        v1::write(origin, &mut one);
        let mut claim = Claim { origin, authority, alpn };
        v2::write(&claim, verified, &mut two);
        two.drain(..6);
        if !matches!(origin, Origin::Known { .. }) {
            claim = Claim::of(origin);
        }
        let of_one = match origin {
            Origin::Local => Origin::Unknown,
            origin => origin,
        };
        for (written, claim) in [(one, Claim::of(of_one)), (two, claim)] {
            prop_assert!(written.len() <= limits::PROXY_HEADER);
            let length = written.len();
            let bytes = [written, rest.clone()].concat();
            prop_assert_eq!(parse(&bytes), Ok(Some(Header { claim, length })));
            for end in 0..length {
                prop_assert_eq!(parse(&bytes[..end]), Ok(None), "{}", end);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        words in "(PROXY |TCP4 |TCP6 |UNKNOWN|1\\.1\\.1\\.1 |::1 |[0-9]{1,6} ?|\r\n){0,9}",
        family in prop_oneof![Just(0x11_u8), Just(0x21), any::<u8>()],
    ) {
        let signed = [&b"\r\n\r\n\0\r\nQUIT\n\x21"[..], &[family, 0], &bytes].concat();
        for bytes in [&bytes[..], words.as_bytes(), &signed] {
            if let Ok(Some(header)) = parse(bytes) {
                prop_assert!(header.length <= bytes.len().min(limits::PROXY_HEADER));
            }
        }
    }
}
