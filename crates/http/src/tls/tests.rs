//! Both sides of TLS against each other, with authorities and certificates made here.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::accept::{self, Clients};
use super::connect::{self, Authorities};
use super::*;
use crate::client::{self, Address, Upstream};
use crate::deadline::Watch;
use crate::fault::{Fault, Kind, Phase};
use crate::pool::Pool;
use crate::server::Connection;
use crate::shared_idle::{Keep, SharedIdle};
use crate::socket::Socket;
use crate::stream::Stream;

const LIMIT: Duration = Duration::from_secs(5);

/// A directory with what a test needs; each authority signs for itself.
struct Files {
    directory: tempfile::TempDir,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    path: PathBuf,
}

impl Files {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn authority(&self, name: &str) -> Authority {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let subject = &mut parameters.distinguished_name;
        subject.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Authority {
            path: self.write(&format!("{name}.ca"), &certificate.pem()),
            issuer: Issuer::new(parameters, key),
        }
    }

    fn certificate(&self, by: &Authority, file: &str, names: &[&str]) -> CertificateFiles {
        self.certificate_of(by, file, names, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    fn certificate_of(
        &self,
        by: &Authority,
        file: &str,
        names: &[&str],
        algorithm: &'static rcgen::SignatureAlgorithm,
    ) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let subject = &mut parameters.distinguished_name;
        subject.push(rcgen::DnType::CommonName, file);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = parameters.signed_by(&key, &by.issuer).unwrap();
        CertificateFiles {
            chain: self.write(&format!("{file}.pem"), &certificate.pem()),
            key: self.write(&format!("{file}.key"), &key.serialize_pem()),
        }
    }
}

fn listener_terms(certificates: Vec<CertificateFiles>) -> accept::Terms {
    accept::Terms {
        certificates,
        alpn: vec![Alpn::H2, Alpn::Http11],
        minimum: Version::Tls12,
        clients: Clients::None,
    }
}

fn upstream_terms(ca: &Authority, name: &str) -> connect::Terms {
    connect::Terms {
        authorities: Authorities::File(ca.path.clone()),
        name: Some(name.to_owned()),
        identity: None,
        alpn: vec![Alpn::Http11],
        minimum: Version::Tls12,
    }
}

fn listen(terms: &accept::Terms) -> Arc<ServerConfig> {
    accept::config(terms, &Resumption::default()).unwrap()
}

/// Both ends of a connection, or what the connecting side says.
async fn meet(
    config: &Arc<ServerConfig>,
    connector: &Connector,
) -> Result<(Stream, Upstream), Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Address::Tcp(listener.local_addr().unwrap());
    let watch = Watch::new();
    let deadline = watch.deadline();
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        accept(Socket::from(stream), config).await
    };
    let connecting = client::connect_secure(&to, connector, &deadline, LIMIT);
    let (accepted, connected) = tokio::join!(accepting, connecting);
    let upstream = connected?;
    Ok((accepted.unwrap(), upstream))
}

/// Sends a byte each way, so that both sides have seen everything of the handshake.
async fn exchange(ours: &mut Stream, theirs: &mut Upstream) -> std::io::Result<()> {
    let Stream::Tls(ours) = ours else { panic!() };
    let Stream::Tls(theirs) = &mut theirs.stream else {
        panic!()
    };
    theirs.write_all(b"?").await?;
    theirs.flush().await?;
    assert_eq!(ours.read_u8().await?, b'?');
    ours.write_all(b"!").await?;
    ours.flush().await?;
    assert_eq!(theirs.read_u8().await?, b'!');
    Ok(())
}

fn shown(upstream: &Upstream) -> String {
    Facts::of(&upstream.stream).unwrap().peer.unwrap().subject
}

#[tokio::test]
async fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    let files = Files::new();
    let ca = files.authority("ca");
    let config = listen(&listener_terms(vec![
        files.certificate(&ca, "main", &["foobar.com", "Default.test"]),
        files.certificate(&ca, "wild", &["*.foobar.com"]),
        files.certificate(&ca, "api", &["api.foobar.com"]),
    ]));
    for (name, expected) in [
        ("foobar.com", "CN=main"),
        ("default.TEST", "CN=main"),
        ("www.foobar.com", "CN=wild"),
        ("api.foobar.com", "CN=api"),
    ] {
        let connector = Connector::new(&upstream_terms(&ca, name)).unwrap();
        let (mut ours, mut theirs) = meet(&config, &connector).await.unwrap();
        exchange(&mut ours, &mut theirs).await.unwrap();
        assert_eq!(shown(&theirs), expected, "{name}");
        let facts = Facts::of(&ours).unwrap();
        assert_eq!(facts.server_name.as_deref(), Some(&*name.to_lowercase()));
        assert_eq!(
            (facts.alpn, facts.version, facts.resumed),
            (Some(Alpn::Http11), Version::Tls13, false)
        );
    }
    // Nobody's name: the first certificate, which is not for it.
    let connector = Connector::new(&upstream_terms(&ca, "other.test")).unwrap();
    let fault = meet(&config, &connector).await.unwrap_err();
    let expected = Kind::Tls("the certificate is for another name");
    assert_eq!(fault, Fault::upstream(Phase::Connect, expected));
}

#[tokio::test]
async fn an_elliptic_curve_is_preferred_where_both_are_there() {
    let files = Files::new();
    let ca = files.authority("ca");
    let config = listen(&listener_terms(vec![
        files.certificate_of(&ca, "rsa", &["foobar.com"], &rcgen::PKCS_RSA_SHA256),
        files.certificate(&ca, "ecdsa", &["foobar.com"]),
    ]));
    let connector = Connector::new(&upstream_terms(&ca, "foobar.com")).unwrap();
    let (_ours, theirs) = meet(&config, &connector).await.unwrap();
    assert_eq!(shown(&theirs), "CN=ecdsa");
}

#[tokio::test]
async fn what_cannot_be_used_is_told_with_its_file() {
    let files = Files::new();
    let ca = files.authority("ca");
    let good = files.certificate(&ca, "good", &["foobar.com"]);
    let other = files.certificate(&ca, "other", &["foobar.com"]);
    let nameless = files.certificate(&ca, "nameless", &[]);
    let empty = files.write("empty.pem", "nothing\n");
    let trouble = |chain: &PathBuf, key: &PathBuf| {
        let files = CertificateFiles {
            chain: chain.clone(),
            key: key.clone(),
        };
        let terms = listener_terms(vec![files]);
        let error = accept::config(&terms, &Resumption::default()).unwrap_err();
        error.to_string().replace(&files_path(&good), "")
    };
    assert_eq!(
        trouble(&good.chain, &other.key),
        "other.key is not the key of the certificate in good.pem"
    );
    assert!(trouble(&nameless.chain, &nameless.key).starts_with("the certificate in nameless.pem"));
    assert_eq!(trouble(&empty, &good.key), "empty.pem has no certificate");
    assert_eq!(trouble(&good.chain, &empty), "empty.pem has no private key");
    assert!(trouble(&PathBuf::from("/nowhere.pem"), &good.key).starts_with("/nowhere.pem: "));
    let mut terms = listener_terms(Vec::new());
    let none = accept::config(&terms, &Resumption::default());
    assert!(matches!(none, Err(TlsError::NoCertificate)));
    terms.certificates.push(good);
    terms.clients = Clients::Required { ca: empty };
    assert!(accept::config(&terms, &Resumption::default()).is_err());
    let mut terms = upstream_terms(&ca, "not a name");
    assert!(matches!(
        Connector::new(&terms),
        Err(TlsError::ServerName { .. })
    ));
    terms.name = None;
    terms.identity = Some(CertificateFiles {
        chain: other.chain,
        key: nameless.key,
    });
    assert!(matches!(
        Connector::new(&terms),
        Err(TlsError::WrongKey { .. })
    ));
}

fn files_path(files: &CertificateFiles) -> String {
    format!("{}/", files.chain.parent().unwrap().display())
}

#[tokio::test]
async fn tickets_are_taken_after_a_change_of_certificate() {
    let files = Files::new();
    let ca = files.authority("ca");
    let resumption = Resumption::default();
    for minimum in [Version::Tls12, Version::Tls13] {
        let mut terms = listener_terms(vec![files.certificate(&ca, "one", &["foobar.com"])]);
        terms.minimum = minimum;
        let former = accept::config(&terms, &resumption).unwrap();
        let connector = Connector::new(&upstream_terms(&ca, "foobar.com")).unwrap();
        let (mut ours, mut theirs) = meet(&former, &connector).await.unwrap();
        exchange(&mut ours, &mut theirs).await.unwrap();
        terms.certificates = vec![files.certificate(&ca, "two", &["foobar.com"])];
        let config = accept::config(&terms, &resumption).unwrap();
        drop(former);
        let (mut ours, mut theirs) = meet(&config, &connector).await.unwrap();
        exchange(&mut ours, &mut theirs).await.unwrap();
        assert!(Facts::of(&ours).unwrap().resumed);
        assert!(Facts::of(&theirs.stream).unwrap().resumed);
        // Keys of another process do not fit.
        let foreign = listen(&terms);
        let (ours, _theirs) = meet(&foreign, &connector).await.unwrap();
        assert!(!Facts::of(&ours).unwrap().resumed);
    }
}

/// The same keys everywhere would let a client resume at a listener that wants a certificate what it
/// began at one that does not.
#[tokio::test]
async fn a_ticket_is_no_way_round_a_client_certificate() {
    let files = Files::new();
    let (ca, of_clients) = (files.authority("ca"), files.authority("clients"));
    let resumption = Resumption::default();
    let mut terms = listener_terms(vec![files.certificate(&ca, "one", &["foobar.com"])]);
    let open = accept::config(&terms, &resumption).unwrap();
    let required = of_clients.path.clone();
    terms.clients = Clients::Required { ca: required };
    let closed = accept::config(&terms, &resumption).unwrap();
    let connector = Connector::new(&upstream_terms(&ca, "foobar.com")).unwrap();
    let (mut ours, mut theirs) = meet(&open, &connector).await.unwrap();
    exchange(&mut ours, &mut theirs).await.unwrap();
    let refused = refusal(&closed, &connector).await;
    assert_eq!(refused, Kind::Tls("the other side wants a certificate"));
}

/// What a client without the right certificate learns: in TLS 1.3 only after its own handshake is over.
async fn refusal(config: &Arc<ServerConfig>, connector: &Connector) -> Kind {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Address::Tcp(listener.local_addr().unwrap());
    let watch = Watch::new();
    let deadline = watch.deadline();
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        accept(Socket::from(stream), config).await.unwrap_err();
    };
    let asking = async {
        let upstream = client::connect_secure(&to, connector, &deadline, LIMIT).await?;
        client::ask_over(upstream, b"GET / HTTP/1.1\r\n\r\n", &deadline).await
    };
    let ((), asked) = tokio::join!(accepting, asking);
    asked.unwrap_err().kind
}

#[tokio::test]
async fn both_sides_show_certificates() {
    let files = Files::new();
    let (ca, of_clients) = (files.authority("ca"), files.authority("clients"));
    let identity = files.certificate(&of_clients, "alice", &["alice"]);
    let stranger = files.certificate(&ca, "mallory", &["mallory"]);
    let mut terms = listener_terms(vec![files.certificate(&ca, "one", &["foobar.com"])]);
    let path = of_clients.path.clone();
    terms.clients = Clients::Required { ca: path.clone() };
    let required = listen(&terms);
    terms.clients = Clients::Optional { ca: path };
    let optional = listen(&terms);

    let mut ours = upstream_terms(&ca, "foobar.com");
    let nobody = Connector::new(&ours).unwrap();
    ours.identity = Some(identity);
    let alice = Connector::new(&ours).unwrap();
    ours.identity = Some(stranger);
    let mallory = Connector::new(&ours).unwrap();

    for config in [&required, &optional] {
        let (mut accepted, mut upstream) = meet(config, &alice).await.unwrap();
        exchange(&mut accepted, &mut upstream).await.unwrap();
        let peer = Facts::of(&accepted).unwrap().peer.unwrap();
        assert_eq!(peer.subject, "CN=alice");
        assert_ne!(peer.fingerprint, [0; 32]);
        let refused = refusal(config, &mallory).await;
        let expected = Kind::Tls("the other side does not trust our certificate");
        assert_eq!(refused, expected);
    }
    let (accepted, _upstream) = meet(&optional, &nobody).await.unwrap();
    assert_eq!(Facts::of(&accepted).unwrap().peer, None);
    let refused = refusal(&required, &nobody).await;
    assert_eq!(refused, Kind::Tls("the other side wants a certificate"));
}

#[tokio::test]
async fn an_upstream_is_trusted_by_its_authority_and_its_name() {
    let files = Files::new();
    let (ca, other) = (files.authority("ca"), files.authority("other"));
    let by_address = files.certificate(&ca, "address", &["127.0.0.1"]);
    let config = listen(&listener_terms(vec![by_address]));
    let mut terms = upstream_terms(&ca, "x");
    terms.name = None;
    meet(&config, &Connector::new(&terms).unwrap())
        .await
        .unwrap();
    terms.authorities = Authorities::File(other.path);
    let fault = meet(&config, &Connector::new(&terms).unwrap())
        .await
        .unwrap_err();
    let expected = Kind::Tls("the certificate's issuer is not trusted");
    assert_eq!(fault, Fault::upstream(Phase::Connect, expected));
    let plain = meet_plain(&Connector::new(&terms).unwrap()).await;
    assert_eq!(plain.kind, Kind::Tls("this is not TLS"));
}

async fn meet_plain(connector: &Connector) -> Fault {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Address::Tcp(listener.local_addr().unwrap());
    let watch = Watch::new();
    let deadline = watch.deadline();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let connecting = client::connect_secure(&to, connector, &deadline, LIMIT);
    let (_stream, connected) = tokio::join!(answering, connecting);
    connected.unwrap_err()
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_late() {
    let local = tokio::task::LocalSet::new();
    let test = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = Address::Tcp(listener.local_addr().unwrap());
        let files = Files::new();
        let ca = files.authority("ca");
        let connector = Connector::new(&upstream_terms(&ca, "foobar.com")).unwrap();
        let watch = Watch::new();
        let ticking = tokio::task::spawn_local(Rc::clone(&watch).run());
        let deadline = watch.deadline();
        let within = Duration::from_millis(50);
        let fault = client::connect_secure(&to, &connector, &deadline, within).await;
        let expected = Fault::upstream(Phase::Connect, Kind::Timeout);
        assert_eq!(fault.unwrap_err(), expected);
        ticking.abort();
    };
    local.run_until(test).await;
}

/// As a router by name does that also ends TLS for some names.
#[tokio::test]
async fn a_connection_can_be_looked_at_before_tls_begins() {
    let files = Files::new();
    let ca = files.authority("ca");
    let one = files.certificate(&ca, "one", &["foobar.com"]);
    let config = listen(&listener_terms(vec![one]));
    let connector = Connector::new(&upstream_terms(&ca, "foobar.com")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Address::Tcp(listener.local_addr().unwrap());
    let watch = Watch::new();
    let (ours, theirs) = (watch.deadline(), watch.deadline());
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = Socket::from(stream);
        let seen = hello::look(&mut socket, &ours, LIMIT).await.unwrap();
        let seen = seen.unwrap();
        assert_eq!(seen.server_name.as_deref(), Some("foobar.com"));
        assert_eq!(seen.alpn, [b"http/1.1"]);
        accept(socket, &config).await.unwrap()
    };
    let connecting = client::connect_secure(&to, &connector, &theirs, LIMIT);
    let (mut accepted, connected) = tokio::join!(accepting, connecting);
    exchange(&mut accepted, &mut connected.unwrap())
        .await
        .unwrap();
}

/// A client that has stopped reading takes no farewell either.
#[tokio::test]
async fn who_does_not_read_is_not_waited_for() {
    let local = tokio::task::LocalSet::new();
    let test = async {
        let files = Files::new();
        let ca = files.authority("ca");
        let one = files.certificate(&ca, "one", &["foobar.com"]);
        let config = listen(&listener_terms(vec![one]));
        let connector = Connector::new(&upstream_terms(&ca, "foobar.com")).unwrap();
        let (ours, theirs) = meet(&config, &connector).await.unwrap();
        let watch = Watch::new();
        let ticking = tokio::task::spawn_local(Rc::clone(&watch).run());
        let mut client = Connection::new(ours, watch.deadline());
        let within = Duration::from_millis(50);
        let written = client.write_all(&vec![b'x'; 64 << 20], within).await;
        let expected = Fault::client(Phase::ResponseBody, Kind::Timeout);
        assert_eq!(written.unwrap_err(), expected);
        let lingering = client.linger(0, within);
        assert!(tokio::time::timeout(LIMIT, lingering).await.is_ok());
        drop(theirs);
        ticking.abort();
    };
    local.run_until(test).await;
}

#[test]
fn a_kept_connection_moves_to_another_thread() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let now = std::time::Instant::now();
    let shared = Arc::new(SharedIdle::new(Keep::default(), 2, now));
    let here = runtime();
    let mut ours = here.block_on(async {
        let files = Files::new();
        let ca = files.authority("ca");
        let one = files.certificate(&ca, "one", &["foobar.com"]);
        let config = listen(&listener_terms(vec![one]));
        let connector = Connector::new(&upstream_terms(&ca, "foobar.com")).unwrap();
        let (mut ours, mut theirs) = meet(&config, &connector).await.unwrap();
        exchange(&mut ours, &mut theirs).await.unwrap();
        shared.leave(theirs, now);
        ours
    });
    let other = std::thread::spawn(move || {
        runtime().block_on(async {
            let mut theirs = Pool::new(shared).checkout().unwrap();
            let Stream::Tls(stream) = &mut theirs.stream else {
                panic!()
            };
            stream.write_all(b"moved").await.unwrap();
            stream.flush().await.unwrap();
        });
    });
    let Stream::Tls(stream) = &mut ours else {
        panic!()
    };
    let mut got = [0; 5];
    here.block_on(stream.read_exact(&mut got)).unwrap();
    assert_eq!(&got, b"moved");
    other.join().unwrap();
}

/// TLS 1.3 servers send tickets when the handshake is over; HAProxy and nginx do, and OpenSSL clients
/// must not take them for an answer either.
#[tokio::test]
async fn tickets_do_not_make_a_kept_connection_stale() {
    let files = Files::new();
    let ca = files.authority("ca");
    let config = listen(&listener_terms(vec![files.certificate(
        &ca,
        "one",
        &["foobar.com"],
    )]));
    let connector = Connector::new(&upstream_terms(&ca, "foobar.com")).unwrap();
    let (mut ours, theirs) = meet(&config, &connector).await.unwrap();
    let pool = Pool::default();
    pool.give_back(theirs, std::time::Instant::now());
    // The tickets have been sent; they arrive when the runtime looks.
    let mut kept = None;
    for _ in 0..20 {
        tokio::task::yield_now().await;
        kept = pool.checkout();
        pool.give_back(kept.take().unwrap(), std::time::Instant::now());
    }
    let mut theirs = pool.checkout().unwrap();
    exchange(&mut ours, &mut theirs).await.unwrap();
    assert!(!theirs.stream.is_stale());
    // An answer that nobody asked for, and an end.
    let Stream::Tls(stream) = &mut ours else {
        panic!()
    };
    stream.write_all(b"x").await.unwrap();
    stream.flush().await.unwrap();
    assert!(becomes_stale(&mut theirs).await);
    let (mut ours, mut theirs) = meet(&config, &connector).await.unwrap();
    exchange(&mut ours, &mut theirs).await.unwrap();
    let Stream::Tls(stream) = &mut ours else {
        panic!()
    };
    stream.shutdown().await.unwrap();
    assert!(becomes_stale(&mut theirs).await);
    drop(kept);
}

async fn becomes_stale(upstream: &mut Upstream) -> bool {
    for _ in 0..200 {
        if upstream.stream.is_stale() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}
