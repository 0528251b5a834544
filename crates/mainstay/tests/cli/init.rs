//! `mainstay init`: writes a preset, never over a file.

use crate::{in_empty_directory, mainstay, shown};

#[test]
fn writes_a_site_file_and_says_what_is_next() {
    let directory = in_empty_directory();
    insta::assert_snapshot!(shown(&mainstay(&directory, &["init"])));
    let written = std::fs::read_to_string(directory.path().join("site.toml")).unwrap();
    assert_eq!(written, site::preset("textbook").unwrap().text);
}

#[test]
fn makes_the_directory() {
    let directory = in_empty_directory();
    let preset = ["init", "--preset", "three-servers", "sites/shop"];
    insta::assert_snapshot!(shown(&mainstay(&directory, &preset)));
    let written = std::fs::read_to_string(directory.path().join("sites/shop/site.toml")).unwrap();
    assert_eq!(written, site::preset("three-servers").unwrap().text);
}

#[test]
fn never_writes_over_a_file() {
    let directory = in_empty_directory();
    let file = directory.path().join("site.toml");
    std::fs::write(&file, "mine").unwrap();
    insta::assert_snapshot!(shown(&mainstay(&directory, &["init"])));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn an_unknown_preset_is_refused_with_the_known_ones() {
    let directory = in_empty_directory();
    insta::assert_snapshot!(shown(&mainstay(
        &directory,
        &["init", "--preset", "texbook"]
    )));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = in_empty_directory();
    std::fs::write(directory.path().join("file"), "").unwrap();
    insta::assert_snapshot!(shown(&mainstay(&directory, &["init", "file/shop"])));
}
