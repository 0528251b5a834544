//! Pure: what a TLS client asks for, read from its ClientHello without an end of TLS here: for routing
//! by server name at the level of TCP (RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301).
//!
//! Bounded: a ClientHello of more than `limits::CLIENT_HELLO` bytes is refused, as are records of no
//! bytes, which would let a client keep us reading without an end.

use std::borrow::Cow;

use crate::fault::Kind;
use crate::limits;

/// What has been seen so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The beginning of a ClientHello.
    NeedMore,
    Hello(Hello),
    /// Something else altogether.
    NotTls,
}

/// What the client asks for. Nothing of it is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// In lower case; `None` when there is none, or it is no DNS name.
    pub server_name: Option<String>,
    /// In the client's order.
    pub alpn: Vec<Vec<u8>>,
}

const RECORD_HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// RFC 8446 section 5.1.
const LONGEST_RECORD: usize = 1 << 14;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// Reads the beginning of a connection.
pub fn client_hello(bytes: &[u8]) -> Result<Seen, Kind> {
    let Some(Handshake {
        message,
        interrupted,
    }) = handshake(bytes)?
    else {
        return Ok(Seen::NotTls);
    };
    let mut all = Reader(&message);
    let (Some(kind), Some(length)) = (all.number(1), all.number(3)) else {
        return unfinished(interrupted);
    };
    if kind != usize::from(CLIENT_HELLO) {
        return Err(Kind::Malformed("a handshake without a ClientHello"));
    }
    if length > limits::CLIENT_HELLO {
        return Err(Kind::TooLarge("ClientHello"));
    }
    match all.bytes(length) {
        Some(body) => hello(body)
            .map(Seen::Hello)
            .ok_or(Kind::Malformed("the ClientHello")),
        None => unfinished(interrupted),
    }
}

fn unfinished(interrupted: bool) -> Result<Seen, Kind> {
    if interrupted {
        return Err(Kind::Malformed("something stands inside the ClientHello"));
    }
    Ok(Seen::NeedMore)
}

/// What the records at the front carry.
struct Handshake<'a> {
    message: Cow<'a, [u8]>,
    /// Something that is no handshake follows.
    interrupted: bool,
}

/// `None`: this is not TLS.
fn handshake(bytes: &[u8]) -> Result<Option<Handshake<'_>>, Kind> {
    let (mut message, mut interrupted) = (Cow::Borrowed(&[][..]), false);
    let mut rest = Reader(bytes);
    while !rest.0.is_empty() {
        let first = message.is_empty();
        match rest.0 {
            [HANDSHAKE] | [HANDSHAKE, 3, ..] => {}
            _ if first => return Ok(None),
            _ => {
                interrupted = true;
                break;
            }
        }
        let (Some(_), Some(length)) = (rest.bytes(RECORD_HEADER - 2), rest.number(2)) else {
            break;
        };
        if length == 0 || length > LONGEST_RECORD {
            return Err(Kind::Malformed("a TLS record's length"));
        }
        let fragment = rest.bytes(length).unwrap_or_else(|| rest.all());
        if first {
            message = Cow::Borrowed(fragment);
        } else {
            message.to_mut().extend_from_slice(fragment);
        }
        // What follows a whole message is of no interest, whatever it is.
        let mut front = Reader(&message);
        if let (Some(_), Some(length)) = (front.number(1), front.number(3))
            && (front.0.len() >= length || length > limits::CLIENT_HELLO)
        {
            break;
        }
    }
    Ok(Some(Handshake {
        message,
        interrupted,
    }))
}

/// `None`: it is not formed as it must be.
fn hello(body: &[u8]) -> Option<Hello> {
    let mut body = Reader(body);
    let _version_and_random = body.bytes(2 + 32)?;
    let _session = body.counted(1)?;
    let _ciphers = body.counted(2)?;
    let _compression = body.counted(1)?;
    let mut hello = Hello::default();
    if body.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Reader(body.counted(2)?);
    let (mut has_name, mut has_alpn) = (false, false);
    while !extensions.0.is_empty() {
        let kind = u16::try_from(extensions.number(2)?).ok()?;
        let content = extensions.counted(2)?;
        match kind {
            SERVER_NAME => {
                // Two of one kind: whoever reads the other one would go elsewhere.
                if std::mem::replace(&mut has_name, true) {
                    return None;
                }
                hello.server_name = server_name(content)?;
            }
            ALPN => {
                if std::mem::replace(&mut has_alpn, true) {
                    return None;
                }
                hello.alpn = protocols(content)?;
            }
            _ => {}
        }
    }
    body.0.is_empty().then_some(hello)
}

fn server_name(content: &[u8]) -> Option<Option<String>> {
    let mut content = Reader(content);
    let mut list = Reader(content.counted(2)?);
    let mut found = None;
    while !list.0.is_empty() {
        let kind = list.number(1)?;
        let name = list.counted(2)?;
        if kind == 0 && found.replace(name).is_some() {
            return None;
        }
    }
    content.0.is_empty().then_some(found.and_then(dns_name))
}

/// Letters, digits, `-`, `_` and `.`; an address in brackets or with colons is no name.
fn dns_name(name: &[u8]) -> Option<String> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let valid = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    if name.is_empty() || name.len() > 253 || !name.iter().all(valid) {
        return None;
    }
    String::from_utf8(name.to_ascii_lowercase()).ok()
}

fn protocols(content: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut content = Reader(content);
    let mut list = Reader(content.counted(2)?);
    let mut found = Vec::new();
    while !list.0.is_empty() {
        found.push(list.counted(1)?.to_vec());
    }
    content.0.is_empty().then_some(found)
}

/// Takes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Big-endian, of up to three bytes.
    fn number(&mut self, width: usize) -> Option<usize> {
        let bytes = self.bytes(width)?;
        Some(bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    /// As many bytes as the number in front of them says.
    fn counted(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self.number(width)?;
        self.bytes(length)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// What a real client sends first.
    fn real(name: &str, alpn: &[&str]) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|id| id.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same handshake in records of `size` bytes.
    fn split(bytes: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in bytes[RECORD_HEADER..].chunks(size) {
            out.extend([HANDSHAKE, 3, 1]);
            out.extend(u16::try_from(piece.len()).unwrap().to_be_bytes());
            out.extend(piece);
        }
        out
    }

    fn hello(name: Option<&str>, alpn: &[&str]) -> Seen {
        Seen::Hello(Hello {
            server_name: name.map(str::to_owned),
            alpn: alpn.iter().map(|id| id.as_bytes().to_vec()).collect(),
        })
    }

    #[test]
    fn a_real_hello_is_read() {
        let bytes = real("WWW.foobar.com", &["h2", "http/1.1"]);
        let expected = hello(Some("www.foobar.com"), &["h2", "http/1.1"]);
        assert_eq!(client_hello(&bytes), Ok(expected.clone()));
        for size in [1, 2, 7, 100] {
            assert_eq!(client_hello(&split(&bytes, size)), Ok(expected.clone()));
        }
        // What follows it is somebody else's.
        for rest in [&b"\x14\x03\x03\x00\x01\x01"[..], b"\x16\x03\xff\xff\xff"] {
            let followed = [&bytes[..], rest].concat();
            assert_eq!(client_hello(&followed), Ok(expected.clone()));
        }
        assert_eq!(client_hello(&real("127.0.0.1", &[])), Ok(hello(None, &[])));
    }

    #[test]
    fn every_beginning_needs_more() {
        let whole = real("www.foobar.com", &["h2"]);
        for bytes in [split(&whole, 50), whole] {
            for end in 0..bytes.len() {
                assert_eq!(client_hello(&bytes[..end]), Ok(Seen::NeedMore), "{end}");
            }
        }
    }

    #[test]
    fn other_things_are_told_apart() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x80\x2e\x01\x03\x01",
            b"\x16\x02",
        ] {
            assert_eq!(client_hello(bytes), Ok(Seen::NotTls), "{bytes:?}");
        }
        for bytes in [
            &b"\x16\x03\x01\x00\x00"[..],
            b"\x16\x03\x01\xff\xff",
            // A ServerHello; a ClientHello of 16 MiB; an alert in the middle.
            b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
            b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
            b"\x16\x03\x01\x00\x04\x01\x00\x00\x09\x15\x03\x01\x00\x02\x02\x28",
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
        ] {
            assert!(client_hello(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn the_bound_holds_however_it_is_split() {
        let long = [&b"\x01\x00\x3f\xf0"[..], &[0; 0x3ff1]].concat();
        let mut bytes = vec![0; RECORD_HEADER];
        bytes.extend(&long);
        // Long enough to be looked at, and not a hello.
        assert!(client_hello(&split(&bytes, 1)).is_err());
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&kind.to_be_bytes()[..], &length, content].concat()
    }

    fn made(extensions: &[u8]) -> Vec<u8> {
        let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
        let body = [
            &[3, 3][..],
            &[7; 32],
            &[0],
            &[0, 2, 0x13, 1],
            &[1, 0],
            &length,
            extensions,
        ]
        .concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[1][..], &length[1..], &body].concat();
        split(&[&[0; RECORD_HEADER][..], &message].concat(), 1 << 14)
    }

    #[test]
    fn two_answers_to_one_question_are_refused() {
        let name = extension(SERVER_NAME, b"\x00\x04\x00\x00\x01a");
        assert_eq!(client_hello(&made(&name)), Ok(hello(Some("a"), &[])));
        let twice = [name.clone(), name].concat();
        assert!(client_hello(&made(&twice)).is_err());
        let two = extension(SERVER_NAME, b"\x00\x08\x00\x00\x01a\x00\x00\x01b");
        assert!(client_hello(&made(&two)).is_err());
        let odd = extension(SERVER_NAME, b"\x00\x06\x00\x00\x03a/b");
        assert_eq!(client_hello(&made(&odd)), Ok(hello(None, &[])));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            kind in prop_oneof![Just(0_u16), Just(16), any::<u16>()],
        ) {
            let _any = client_hello(&bytes);
            let _any = client_hello(&made(&bytes));
            let _any = client_hello(&made(&extension(kind, &bytes)));
        }

        #[test]
        fn a_changed_byte_does_not_make_it_panic(at in 0_usize..600, to in any::<u8>(), size in 1_usize..600) {
            let mut bytes = split(&real("www.foobar.com", &["h2"]), size);
            let at = at % bytes.len();
            bytes[at] = to;
            let _any = client_hello(&bytes);
        }
    }
}
