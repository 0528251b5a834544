//! The statements, with the hashes of known passwords.

use super::*;
use crate::engine::fixtures::target;

fn hashes() -> Hashes {
    let hash = |password: &str| PasswordHash::of(&Secret::new(password));
    Hashes {
        router: hash("router"),
        user: hash("user"),
        replication: ["db-1", "db-1.2"]
            .map(|member| (MemberName::new(member), hash(member)))
            .into(),
    }
}

#[test]
fn a_hash_is_what_the_server_computes() {
    // SELECT PASSWORD('hello') on MariaDB 10.11.
    let hash = PasswordHash::of(&Secret::new("hello"));
    assert_eq!(hash.0, "*6B4F89A54E2D27ECD7E8DA05B4AB8FD9D1D8B119");
}

#[test]
fn the_bootstrap_statements() {
    insta::assert_snapshot!(bootstrap(&PasswordHash::of(&Secret::new("admin"))));
}

#[test]
fn the_statements_of_a_first_primary() {
    let sql = statements(&target(), &hashes()).unwrap();
    insta::assert_snapshot!(sql.join(";\n"));
}

#[test]
fn the_digest_changes_with_any_statement() {
    let sql = statements(&target(), &hashes()).unwrap();
    let mut other = hashes();
    other.user = PasswordHash::of(&Secret::new("another"));
    assert_ne!(
        digest(&sql),
        digest(&statements(&target(), &other).unwrap())
    );
}

#[test]
fn names_cannot_leave_their_quotes_and_our_accounts_are_not_given_away() {
    assert_eq!(name("a`b"), "`a``b`");
    assert_eq!(text("a'b\\c"), "'a''b\\\\c'");
    assert_eq!(pattern("my_app"), "`my\\_app`");
    for user in ["root", "mainstay", "mainstay_router", "repl_x", ""] {
        let mut target = target();
        target.user = user.to_owned();
        assert!(statements(&target, &hashes()).is_err(), "{user}");
    }
}
