//! `mainstay check`: exit statuses, text and JSON for the presets, files that cannot be read.

use crate::{in_empty_directory, mainstay, shown};

#[test]
fn textbook_has_the_faults_of_the_textbook() {
    let directory = in_empty_directory();
    mainstay(&directory, &["init"]);
    insta::assert_snapshot!(shown(&mainstay(&directory, &["check"])));
}

#[test]
fn textbook_as_json() {
    let directory = in_empty_directory();
    mainstay(&directory, &["init"]);
    insta::assert_snapshot!(shown(&mainstay(&directory, &["check", "--json"])));
}

#[test]
fn three_servers_is_clean() {
    let directory = in_empty_directory();
    mainstay(&directory, &["init", "--preset", "three-servers"]);
    insta::assert_snapshot!(shown(&mainstay(&directory, &["check"])));
}

#[test]
fn a_directory_stands_for_the_file_in_it() {
    let directory = in_empty_directory();
    mainstay(&directory, &["init", "--preset", "three-servers", "shop"]);
    assert_eq!(
        mainstay(&directory, &["check", "shop"]).status.code(),
        Some(0)
    );
}

#[test]
fn an_invalid_file_as_json() {
    let directory = in_empty_directory();
    std::fs::write(directory.path().join("site.toml"), "[site]\nnam = \"x\"\n").unwrap();
    insta::assert_snapshot!(shown(&mainstay(&directory, &["check", "--json"])));
}

#[test]
fn a_missing_file_says_how_to_begin() {
    let directory = in_empty_directory();
    insta::assert_snapshot!(shown(&mainstay(&directory, &["check"])), @r"
    status 2
    ── stderr
    error: there is no site.toml
      next: mainstay init, which writes one to begin with
    ");
}

#[test]
fn what_is_no_text_is_named_with_its_place() {
    let directory = in_empty_directory();
    std::fs::write(
        directory.path().join("site.toml"),
        b"[site]\nname = \"caf\xe9\"\n",
    )
    .unwrap();
    insta::assert_snapshot!(shown(&mainstay(&directory, &["check"])));
}

#[test]
fn a_huge_file_is_not_read() {
    let directory = in_empty_directory();
    std::fs::write(directory.path().join("site.toml"), vec![b'#'; 2 << 20]).unwrap();
    insta::assert_snapshot!(shown(&mainstay(&directory, &["check"])), @r"
    status 2
    ── stderr
    error: site.toml is larger than 1 MiB, so it is no site file
      next: name the site file
    ");
}
