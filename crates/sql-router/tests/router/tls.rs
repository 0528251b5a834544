//! TLS on both sides of the router.

use std::net::IpAddr;

use mysql::auth::{NativeKey, Password, certificate_proof};
use mysql::tls::{Connector, Trust};
use mysql_async::prelude::Queryable as _;
use sql_router::snapshot::ServersTls;

use crate::bed::{Bed, Server, whereabouts};
use crate::certificates::Authority;
use crate::modern_client::{Modern, Options};
use crate::plugins::mariadb;

#[tokio::test]
async fn clients_may_use_tls_and_must_when_it_is_required() {
    let bed = Bed::start().await;
    let refused = mariadb(&bed, "app", "secret", &["--ssl-verify-server-cert"]);
    assert!(refused.is_err(), "nothing is offered without a certificate");
    let authority = Authority::new(bed.dir.path());
    let files = authority.sign("router", bed.address.ip());
    bed.change(|snapshot| snapshot.certificate = Some(files));
    let ca = format!("--ssl-ca={}", authority.file().display());
    let verified = ["--ssl", ca.as_str(), "--ssl-verify-server-cert"];
    for version in ["--tls-version=TLSv1.2", "--tls-version=TLSv1.3"] {
        let user = mariadb(&bed, "app", "secret", &[&verified[..], &[version]].concat());
        assert_eq!(user.unwrap().trim(), "app@%");
    }
    let plain = mariadb(&bed, "app", "secret", &["--skip-ssl"]);
    assert_eq!(plain.unwrap().trim(), "app@%");

    bed.change(|snapshot| snapshot.target.require_tls = true);
    let why = mariadb(&bed, "app", "secret", &["--skip-ssl"]).unwrap_err();
    assert!(why.contains("3159"), "{why}");
    assert!(mariadb(&bed, "app", "secret", &verified).is_ok());
    let socket = format!("--socket={}", bed.dir.path().join("sql.sock").display());
    let by_socket = ["--skip-ssl", "--host=localhost", &socket];
    assert_eq!(
        mariadb(&bed, "app", "secret", &by_socket).unwrap().trim(),
        "app@%"
    );

    // Another one in its place, without a word to the router.
    let other = tempfile::tempdir().unwrap();
    let other = Authority::new(other.path());
    let renewed = other.sign("router", bed.address.ip());
    let shown = bed.snapshot.load().certificate.clone().unwrap();
    std::fs::copy(&renewed.key, &shown.key).unwrap();
    std::fs::copy(&renewed.chain, &shown.chain).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let why = mariadb(&bed, "app", "secret", &verified).unwrap_err();
    assert!(why.contains("certificate"), "{why}");
    let ca = format!("--ssl-ca={}", other.file().display());
    assert!(
        mariadb(
            &bed,
            "app",
            "secret",
            &["--ssl", &ca, "--ssl-verify-server-cert"]
        )
        .is_ok()
    );
}

#[tokio::test]
async fn large_answers_and_commands_pass_over_tls() {
    let bed = Bed::start().await;
    let authority = Authority::new(bed.dir.path());
    let files = authority.sign("router", bed.address.ip());
    bed.change(|snapshot| snapshot.certificate = Some(files));
    let connector = Connector::from_file(&authority.file(), Trust::Name).unwrap();
    let options = Options {
        tls: Some(&connector),
        ..Options::default()
    };
    let (mut client, _) = Modern::connect(&bed, options).await.unwrap();
    let long = client.query("SELECT REPEAT('x', 900000)").await.unwrap();
    assert_eq!(long.len(), 900_000);
    let sql = format!("SELECT LENGTH('{}')", "y".repeat(3_000_000));
    assert_eq!(client.query(&sql).await.unwrap(), "3000000");
    assert_eq!(client.query("SELECT @@report_host").await.unwrap(), "db-2");
}

#[tokio::test]
async fn a_client_that_trusts_no_authority_is_shown_who_signed() {
    let bed = Bed::start().await;
    let authority = Authority::new(bed.dir.path());
    let files = authority.sign("router", bed.address.ip());
    let leaf = leaf(&files.chain);
    bed.change(|snapshot| snapshot.certificate = Some(files));
    let connector = Connector::from_file(&authority.file(), Trust::Name).unwrap();
    let tls = Options {
        tls: Some(&connector),
        ..Options::default()
    };
    let (client, _) = Modern::connect(&bed, tls).await.unwrap();
    let stored = NativeKey::of(Password::new("secret").expose())
        .stored()
        .unwrap();
    let fingerprint = {
        use sha2::Digest as _;
        sha2::Sha256::digest(leaf).into()
    };
    let proof = certificate_proof(&stored, &client.salt(), &fingerprint);
    assert_eq!(client.info, proof.as_bytes());
    let (client, _) = Modern::connect(&bed, Options::default()).await.unwrap();
    assert!(client.info.is_empty(), "only over TLS");
}

#[tokio::test]
async fn accounts_that_require_tls_get_in_by_tls_alone() {
    let (bed, _authority, verify) = servers_with_tls().await;
    bed.change(|snapshot| snapshot.servers_tls = verify);
    let files = Authority::new(&bed.dir.path().join("clients"));
    let shown = files.sign("router", bed.address.ip());
    bed.change(|snapshot| snapshot.certificate = Some(shown));
    bed.primary
        .sql(&[
            "CREATE USER only@'%' IDENTIFIED BY 'x' REQUIRE SSL",
            "CREATE USER mutual@'%' IDENTIFIED BY 'x' REQUIRE X509",
            "GRANT ALL ON app.* TO only@'%'",
        ])
        .await;
    let why = mariadb(&bed, "only", "x", &["--skip-ssl"]).unwrap_err();
    assert!(
        why.contains("1045") && why.contains("requires TLS"),
        "{why}"
    );
    let ca = format!("--ssl-ca={}", files.file().display());
    let user = mariadb(&bed, "only", "x", &["--ssl", &ca]);
    assert_eq!(user.unwrap().trim(), "only@%");
    let why = mariadb(&bed, "mutual", "x", &["--ssl", &ca]).unwrap_err();
    assert!(why.contains("certificate of the client"), "{why}");
}

/// Servers that take connections over TLS alone, each with a certificate for its address.
async fn servers_with_tls() -> (Bed, Authority, ServersTls) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("clients")).unwrap();
    let authority = Authority::new(dir.path());
    let address: IpAddr = Server::any_address().ip();
    for name in ["db-1", "db-2"] {
        let files = authority.sign(&format!("{name}-tls"), address);
        let arguments = format!(
            "--ssl-cert={}\n--ssl-key={}\n--ssl-ca={}\n",
            files.chain.display(),
            files.key.display(),
            authority.file().display()
        );
        std::fs::write(dir.path().join(name).with_extension("args"), arguments).unwrap();
    }
    let bed = Bed::start_in(dir, crate::bed::Wish::default()).await;
    let verify = ServersTls::Verify {
        authority: authority.file(),
    };
    (bed, authority, verify)
}

#[tokio::test]
async fn servers_are_spoken_to_over_tls() {
    let (bed, authority, verify) = servers_with_tls().await;
    let by_authority = ServersTls::Authority {
        authority: authority.file(),
    };
    let cipher = "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS \
                  WHERE VARIABLE_NAME = 'Ssl_version'";
    for (way, used) in [
        (ServersTls::Off, false),
        (by_authority, true),
        (verify.clone(), true),
    ] {
        // Connections of another way are not kept.
        bed.change(|snapshot| {
            snapshot.servers_tls = way.clone();
            snapshot.servers.generation += 1;
        });
        for _ in 0..2 {
            let mut client = bed.client().await;
            for on in ["db-1", "db-2"] {
                if on == "db-1" {
                    client.query_drop("BEGIN").await.unwrap();
                }
                assert_eq!(whereabouts(&mut client).await, on);
                let version: String = client.query_first(cipher).await.unwrap().unwrap();
                assert_eq!(version.starts_with("TLS"), used, "{way:?}: {version}");
                client.query_drop("ROLLBACK").await.unwrap();
            }
            client.disconnect().await.unwrap();
        }
    }
    // Idle for a while, and used again.
    let reused = || {
        let text = bed.router.metrics();
        let line = text
            .lines()
            .find(|line| line.starts_with("mainstay_sql_server_connections_reused_total"));
        line.unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let before = reused();
    for _ in 0..8 {
        let mut client = bed.client().await;
        assert_eq!(whereabouts(&mut client).await, "db-2");
        client.disconnect().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(
        reused() > before,
        "a connection over TLS is kept and used again"
    );

    let strange = tempfile::tempdir().unwrap();
    let strange = Authority::new(strange.path());
    bed.change(|snapshot| {
        snapshot.servers_tls = ServersTls::Verify {
            authority: strange.file(),
        };
        snapshot.servers.generation += 1;
    });
    let mut client = bed.client().await;
    let error = client.query_drop("SELECT 1").await.unwrap_err();
    assert!(
        error.to_string().contains("certificate") || error.to_string().contains("primary"),
        "{error}"
    );
}

/// The first certificate of a file.
fn leaf(file: &std::path::Path) -> Vec<u8> {
    let pem = std::fs::read_to_string(file).unwrap();
    let mut body = String::new();
    for line in pem
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('-'))
    {
        body.push_str(line);
    }
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap()
}
