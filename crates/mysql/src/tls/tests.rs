//! Channels over TLS, with certificates made for the occasion.

use std::net::IpAddr;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;
use crate::packet::{Channel, Idle, put};

/// An authority, and a certificate of it for one address.
struct Made {
    dir: tempfile::TempDir,
}

impl Made {
    fn new(address: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&authority.pem(), key).unwrap();
        let own = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let address: IpAddr = address.parse().unwrap();
        params.subject_alt_names.push(SanType::IpAddress(address));
        let certificate = params.signed_by(&own, &issuer).unwrap();
        let write = |name, text: String| std::fs::write(dir.path().join(name), text).unwrap();
        write("authority", authority.pem());
        write("chain", certificate.pem() + &authority.pem());
        write("key", own.serialize_pem());
        Self { dir }
    }

    fn acceptor(&self) -> Acceptor {
        let path = |name| self.dir.path().join(name);
        Acceptor::from_files(&path("chain"), &path("key")).unwrap()
    }

    fn connector(&self, trust: Trust) -> Connector {
        Connector::from_file(&self.dir.path().join("authority"), trust).unwrap()
    }
}

async fn tcp() -> (Channel, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(connecting, listener.accept());
    (client.unwrap().into(), accepted.unwrap().0.into())
}

async fn both(
    (client, server): (&mut Channel, &mut Channel),
    connector: &Connector,
    acceptor: &Acceptor,
) -> std::io::Result<()> {
    let (a, b) = tokio::join!(client.connect_tls(connector), server.accept_tls(acceptor));
    a.and(b)
}

#[tokio::test]
async fn packets_pass_and_an_idle_connection_is_quiet_until_it_is_closed() {
    let made = Made::new("127.0.0.1");
    let (acceptor, connector) = (made.acceptor(), made.connector(Trust::Name));
    for mut pair in [
        tcp().await,
        UnixStream::pair()
            .map(|(a, b)| (a.into(), b.into()))
            .unwrap(),
    ] {
        both((&mut pair.0, &mut pair.1), &connector, &acceptor)
            .await
            .unwrap();
        let (mut client, mut server) = pair;
        assert!(client.is_tls() && server.is_private());
        // The tickets of TLS 1.3 have come, or are coming, and are nothing.
        assert_eq!(client.idle(), Idle::Quiet);
        assert_eq!(server.idle(), Idle::Quiet);
        let payload: Vec<u8> = (0..3_000_000).map(|i| (i % 251) as u8).collect();
        let mut out = Vec::new();
        put(&mut out, &mut 0, &payload);
        for _ in 0..2 {
            let (written, got) = tokio::join!(server.write(&out), client.packet(1 << 30));
            written.unwrap();
            assert!(got.unwrap().payload == payload);
            std::mem::swap(&mut client, &mut server);
        }
        assert_eq!(client.idle(), Idle::Quiet);
        drop(server);
        while client.idle() == Idle::Quiet {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn tls_may_begin_in_the_same_segment_as_its_request() {
    let made = Made::new("127.0.0.1");
    let (mut client, mut server) = tcp().await;
    let mut request = Vec::new();
    put(&mut request, &mut 1, &[0; 32]);
    let (acceptor, connector) = (made.acceptor(), made.connector(Trust::Name));
    let asking = async {
        client.write(&request).await.unwrap();
        client.connect_tls(&connector).await
    };
    let serving = async {
        // Until the ClientHello is there too: 36 bytes are the request.
        server.fill_to(100).await.unwrap();
        assert_eq!(server.packet(100).await.unwrap().payload.len(), 32);
        server.accept_tls(&acceptor).await
    };
    let (asked, served) = tokio::join!(asking, serving);
    asked.unwrap();
    served.unwrap();
    assert!(
        server.input().is_empty(),
        "nothing of before is left to be read as if it came over TLS"
    );
}

#[tokio::test]
async fn whose_certificates_are_taken() {
    let (right, elsewhere, other) = (
        Made::new("127.0.0.1"),
        Made::new("10.0.0.1"),
        Made::new("127.0.0.1"),
    );
    for (shown, asked, trust, taken) in [
        (&right, &right, Trust::Name, true),
        (&right, &right, Trust::Authority, true),
        (&elsewhere, &elsewhere, Trust::Name, false),
        (&elsewhere, &elsewhere, Trust::Authority, true),
        (&right, &other, Trust::Name, false),
        (&right, &other, Trust::Authority, false),
    ] {
        let (mut client, mut server) = tcp().await;
        let (connector, acceptor) = (asked.connector(trust), shown.acceptor());
        let done = both((&mut client, &mut server), &connector, &acceptor).await;
        assert_eq!(done.is_ok(), taken, "{trust:?}");
        if !taken {
            assert!(client.write(b"x").await.is_err(), "it is over, not plain");
            assert_eq!(client.idle(), Idle::Gone);
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let made = Made::new("127.0.0.1");
    let other = Made::new("127.0.0.1");
    let path = |of: &Made, name| of.dir.path().join(name);
    for (chain, key, what) in [
        ("nothing", path(&made, "key"), "nothing"),
        ("key", path(&made, "key"), "no certificate"),
        ("chain", path(&made, "authority"), "authority"),
        ("chain", path(&other, "key"), "chain"),
    ] {
        let error = Acceptor::from_files(&path(&made, chain), &key).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}
