//! Clients with other plugins than mysql_native_password, and accounts that want more of them.

use std::path::Path;
use std::process::Command;

use mysql::auth::CLEAR;
use mysql::tls::{Connector, Trust};

use crate::bed::Bed;
use crate::certificates::Authority;
use crate::modern_client::{Modern, Options, Way};

/// A bed that offers TLS, and what trusts it.
async fn with_tls() -> (Bed, Authority, Connector) {
    let bed = Bed::start().await;
    let authority = Authority::new(bed.dir.path());
    let files = authority.sign("router", bed.address.ip());
    bed.change(|snapshot| snapshot.certificate = Some(files));
    let connector = Connector::from_file(&authority.file(), Trust::Name).unwrap();
    (bed, authority, connector)
}

#[tokio::test]
async fn a_client_that_knows_no_native_password_gets_in_and_is_remembered() {
    let (bed, _authority, connector) = with_tls().await;
    bed.primary
        .sql(&[
            "CREATE USER nobody@'%'",
            "GRANT SELECT ON app.* TO nobody@'%'",
        ])
        .await;
    let plain = Options::default();
    let tls = Options {
        tls: Some(&connector),
        ..plain
    };
    let socket = Options {
        socket: true,
        ..plain
    };
    let wrong = Options {
        password: "wrong",
        ..plain
    };
    for (options, way) in [
        (plain, Way::Rsa),
        (plain, Way::Fast),
        (tls, Way::Fast),
        (socket, Way::Fast),
    ] {
        let (mut client, by) = Modern::connect(&bed, options).await.unwrap();
        assert_eq!(by, way);
        assert_eq!(
            client.query("SELECT CURRENT_USER()").await.unwrap(),
            "app@%"
        );
    }
    // A new password is another account: what was known of the old one is of no use.
    bed.primary
        .sql(&["SET PASSWORD FOR app@'%' = PASSWORD('new')"])
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let new = |options| Options {
        password: "new",
        ..options
    };
    let (_, by) = Modern::connect(&bed, new(tls)).await.unwrap();
    assert_eq!(by, Way::Full);
    let (mut client, _) = Modern::connect(&bed, new(socket)).await.unwrap();
    assert_eq!(client.query("SELECT 5").await.unwrap(), "5");
    for options in [
        wrong,
        tls,
        socket,
        Options {
            password: "",
            ..plain
        },
    ] {
        assert_eq!(Modern::connect(&bed, options).await.err(), Some(1045));
    }
    let nobody = Options {
        user: "nobody",
        password: "",
        ..tls
    };
    let (_, by) = Modern::connect(&bed, nobody).await.unwrap();
    assert_eq!(by, Way::Empty);
    let clear = Options {
        plugin: CLEAR,
        ..new(tls)
    };
    let (_, by) = Modern::connect(&bed, clear).await.unwrap();
    assert_eq!(by, Way::Clear);
}

#[tokio::test]
async fn a_change_of_user_is_proven_the_same_way() {
    let (bed, _authority, connector) = with_tls().await;
    bed.primary
        .sql(&[
            "CREATE USER other@'%' IDENTIFIED BY 'x'",
            "GRANT SELECT ON app.* TO other@'%'",
        ])
        .await;
    for tls in [None, Some(&connector)] {
        let options = Options {
            tls,
            ..Options::default()
        };
        let (mut client, _) = Modern::connect(&bed, options).await.unwrap();
        let way = client.change_user("other", "x").await.unwrap();
        assert_eq!(way, if tls.is_some() { Way::Fast } else { Way::Rsa });
        assert_eq!(
            client.query("SELECT CURRENT_USER()").await.unwrap(),
            "other@%"
        );
        assert_eq!(client.change_user("app", "wrong").await, Err(1045));
    }
}

/// MariaDB's client with each plugin as its own choice. Over TLS it sends the password at once.
#[tokio::test]
async fn mariadbs_own_client_gets_in_by_each_plugin() {
    let (bed, authority, _) = with_tls().await;
    let ca = format!("--ssl-ca={}", authority.file().display());
    for plugin in [
        "mysql_native_password",
        "caching_sha2_password",
        "mysql_clear_password",
    ] {
        for password in ["secret", "wrong"] {
            let auth = format!("--default-auth={plugin}");
            let arguments = ["--ssl", &ca, "--ssl-verify-server-cert", &auth];
            let output = mariadb(&bed, "app", password, &arguments);
            let expected = if password == "secret" {
                Ok("app@%")
            } else {
                Err("1045")
            };
            match (output, expected) {
                (Ok(user), Ok(expected)) => assert_eq!(user.trim(), expected, "{plugin}"),
                (Err(why), Err(code)) => assert!(why.contains(code), "{plugin}: {why}"),
                (output, _) => panic!("{plugin} {password}: {output:?}"),
            }
        }
    }
}

/// What `SELECT CURRENT_USER()` says, or the error.
pub(crate) fn mariadb(
    bed: &Bed,
    user: &str,
    password: &str,
    arguments: &[&str],
) -> Result<String, String> {
    let output = Command::new("mariadb")
        .arg("--no-defaults")
        .arg(format!("--host={}", bed.address.ip()))
        .arg(format!("--port={}", bed.address.port()))
        .arg(format!("--user={user}"))
        .arg(format!("--password={password}"))
        .args(arguments)
        .args(["-N", "-B", "-e", "SELECT CURRENT_USER()", "app"])
        .output()
        .expect("mariadb: is mariadb-client installed?");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Debian has the plugin in mariadb-server, of which only the programs are installed.
#[tokio::test]
#[ignore = "AUTH_ED25519_DIR must name a directory with auth_ed25519.so"]
async fn accounts_of_ed25519_are_signed_for() {
    let plugins = std::env::var("AUTH_ED25519_DIR").unwrap();
    assert!(Path::new(&plugins).join("auth_ed25519.so").exists());
    let dir = tempfile::tempdir().unwrap();
    for name in ["db-1", "db-2"] {
        let arguments = format!("--plugin-dir={plugins}\n--plugin-load-add=auth_ed25519\n");
        std::fs::write(dir.path().join(name).with_extension("args"), arguments).unwrap();
    }
    let bed = Bed::start_in(dir, crate::bed::Wish::default()).await;
    bed.primary
        .sql(&[
            "CREATE USER signed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('a secret of some length, more than 32')",
            "GRANT ALL ON app.* TO signed@'%'",
        ])
        .await;
    bed.caught_up().await;
    let right = Options {
        user: "signed",
        password: "a secret of some length, more than 32",
        ..Options::default()
    };
    for way in [Way::Rsa, Way::Fast] {
        let (mut client, by) = Modern::connect(&bed, right).await.unwrap();
        assert_eq!(by, way);
        assert_eq!(
            client.query("SELECT CURRENT_USER()").await.unwrap(),
            "signed@%"
        );
    }
    // One that answers by mysql_native_password is asked again.
    let asked = mariadb(&bed, "signed", right.password, &[]);
    assert_eq!(asked.unwrap().trim(), "signed@%");
    let wrong = Options {
        password: "wrong",
        ..right
    };
    assert_eq!(Modern::connect(&bed, wrong).await.err(), Some(1045));
    let (mut client, _) = Modern::connect(&bed, Options::default()).await.unwrap();
    assert_eq!(
        client.change_user("signed", right.password).await,
        Ok(Way::Fast)
    );
    assert_eq!(
        client.query("SELECT CURRENT_USER()").await.unwrap(),
        "signed@%"
    );
}

/// PyMySQL, a client that is neither MySQL's nor ours, asked by caching_sha2_password and RSA.
#[tokio::test]
async fn pymysql_gets_in() {
    let (bed, authority, _) = with_tls().await;
    let script = r#"
import pymysql, sys
from pymysql import connections as c
port, ca, tls = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "tls"
# As if caching_sha2_password were its own choice.
first = c.Connection._get_server_information
def get(self):
    first(self)
    self._auth_plugin_name = "caching_sha2_password"
c.Connection._get_server_information = get
for password in ["secret", "secret", "wrong"]:
    try:
        con = pymysql.connect(host="127.0.0.1", port=port, user="app", password=password, database="app",
                              ssl={"ca": ca} if tls else None)
        with con.cursor() as cur:
            cur.execute("SELECT CURRENT_USER()")
            print(cur.fetchone()[0])
    except pymysql.err.OperationalError as e:
        print(e.args[0])
"#;
    for transport in ["tls", "plain"] {
        let output = Command::new("/usr/bin/python3")
            .args(["-c", script, &bed.address.port().to_string()])
            .arg(authority.file())
            .arg(transport)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            said.split_whitespace().collect::<Vec<_>>(),
            ["app@%", "app@%", "1045"],
            "{why}"
        );
    }
}
