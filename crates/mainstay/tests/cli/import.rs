//! `mainstay import haproxy`: configurations as they are found, each with the site file that is made of
//! it and the list of what is not; and files that are refused.
//!
//! To add one: a file in `haproxy/`, a line below, and its two snapshots read as an operator would.

use std::path::Path;

use crate::{in_empty_directory, mainstay, shown};

/// Snapshots of the site file and of the list; the site file is valid.
fn imported(name: &str, flags: &[&str], status: i32) {
    let directory = in_empty_directory();
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/haproxy")
        .join(format!("{name}.cfg"));
    std::fs::copy(from, directory.path().join("haproxy.cfg")).unwrap();
    let mut arguments = vec!["import", "haproxy", "haproxy.cfg"];
    arguments.extend(flags);
    let output = mainstay(&directory, &arguments);
    let snapshot = match flags {
        [] => name.to_owned(),
        [.., last] => format!("{name}-{last}"),
    };
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "snapshots/haproxy" }, {
        insta::assert_snapshot!(format!("{snapshot}.list"), shown(&output));
        let written = std::fs::read_to_string(directory.path().join("site.toml")).unwrap();
        insta::assert_snapshot!(format!("{snapshot}.site"), written);
    });
    assert_eq!(output.status.code(), Some(status));
    let check = mainstay(&directory, &["check"]);
    assert!(
        matches!(check.status.code(), Some(0 | 1)),
        "{}",
        shown(&check)
    );
}

#[test]
fn two_servers() {
    imported("two-servers", &[], 1);
}

#[test]
fn tls_termination() {
    imported("tls-termination", &[], 1);
}

#[test]
fn many_hosts() {
    imported("many-hosts", &[], 1);
}

#[test]
fn databases() {
    imported("databases", &[], 1);
}

#[test]
fn sni_passthrough() {
    imported("sni-passthrough", &[], 0);
}

#[test]
fn sticky_and_stats() {
    imported("sticky-and-stats", &[], 1);
}

#[test]
fn one_frontend_of_several() {
    imported("sticky-and-stats", &["--frontend", "other"], 1);
}

#[test]
fn rate_limits() {
    imported("rate-limits", &[], 1);
}

#[test]
fn grpc() {
    imported("grpc", &[], 1);
}

#[test]
fn a_site_file_is_never_written_over() {
    let directory = in_empty_directory();
    let file = directory.path().join("site.toml");
    std::fs::write(&file, "mine").unwrap();
    std::fs::write(directory.path().join("haproxy.cfg"), SHORTEST).unwrap();
    insta::assert_snapshot!(shown(&mainstay(
        &directory,
        &["import", "haproxy", "haproxy.cfg"]
    )));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn to_standard_output() {
    let directory = in_empty_directory();
    std::fs::write(directory.path().join("haproxy.cfg"), SHORTEST).unwrap();
    let arguments = ["import", "haproxy", "haproxy.cfg", "--output", "-"];
    insta::assert_snapshot!(shown(&mainstay(&directory, &arguments)));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    for (name, bytes) in [
        (
            "no-backend",
            b"frontend a\n  mode http\n  bind :80\n".as_slice(),
        ),
        ("open-quote", b"global\n  log 'x\n"),
        ("no-section", b"bind :80\n"),
        ("no-text", b"global\n  description caf\xe9\n"),
    ] {
        let directory = in_empty_directory();
        std::fs::write(directory.path().join("haproxy.cfg"), bytes).unwrap();
        let output = mainstay(&directory, &["import", "haproxy", "haproxy.cfg"]);
        insta::assert_snapshot!(name, shown(&output));
        assert_eq!(output.status.code(), Some(2));
    }
    let directory = in_empty_directory();
    insta::assert_snapshot!(
        "no-file",
        shown(&mainstay(&directory, &["import", "haproxy", "haproxy.cfg"]))
    );
}

#[test]
fn an_unknown_frontend_is_told_the_known_ones() {
    let directory = in_empty_directory();
    std::fs::write(directory.path().join("haproxy.cfg"), SHORTEST).unwrap();
    let arguments = ["import", "haproxy", "haproxy.cfg", "--frontend", "x"];
    insta::assert_snapshot!(shown(&mainstay(&directory, &arguments)));
}

const SHORTEST: &str = "listen www\n  mode http\n  bind :80\n  server a 10.0.0.5:80 check\n";
