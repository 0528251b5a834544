//! `mainstay schema`: the whole schema as a snapshot, because editors depend on it.

use crate::{in_empty_directory, mainstay, shown};

#[test]
fn the_schema() {
    let directory = in_empty_directory();
    insta::assert_snapshot!(shown(&mainstay(&directory, &["schema"])));
}
