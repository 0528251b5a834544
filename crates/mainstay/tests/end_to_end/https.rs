//! HTTPS with the local authority.

use std::process::Command;

use crate::harness::{Prepared, TWO_APP_SERVERS, text};

#[test]
fn a_client_that_trusts_the_authority_is_served_and_others_are_warned() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let port = site.https().rsplit(':').next().unwrap().to_owned();
    let authority = site.ready["authority"].as_str().unwrap().to_owned();
    let curl = |host: &str, trusting: bool| {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "20",
            "--resolve",
            &format!("{host}:{port}:127.0.0.1"),
        ]);
        if trusting {
            curl.args(["--cacert", &authority]);
        }
        curl.arg(format!("https://{host}:{port}/headers"))
            .output()
            .unwrap()
    };
    for host in ["www.test.example", "www.test.localhost"] {
        let answer = curl(host, true);
        assert!(answer.status.success(), "{host}: {}", text(&answer.stderr));
        assert!(text(&answer.stdout).contains("X-Forwarded-Proto: https\r\n"));
    }
    assert!(!curl("www.test.example", false).status.success());

    let trust = site.run(&["trust"]);
    assert!(
        text(&trust.stdout).contains(&authority),
        "{}",
        text(&trust.stdout)
    );
}
