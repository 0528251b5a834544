//! What a keeper refuses, in words that say what to do, leaving nothing behind.

use std::os::unix::fs::PermissionsExt;

use database::{Keeper, MemberReport, MemberState, Programs};
use site::name::MemberName;

use crate::bed::{Bed, until};

/// The reason it is down for, once it is.
async fn refusal(keeper: &Keeper) -> String {
    let report = until(keeper, "it refuses", |report: &MemberReport| {
        matches!(
            report.state,
            MemberState::Down {
                needs_you: true,
                ..
            }
        )
    })
    .await;
    match report.state {
        MemberState::Down { reason, .. } => reason,
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn another_members_data_directory() {
    let bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.stop([replica, primary]).await;
    let mut parts = bed.parts("db-1");
    parts.data_dir = bed.data_dir("db-1.2");
    let keeper = database::start(parts);
    let reason = refusal(&keeper).await;
    for part in [
        bed.data_dir("db-1.2").to_str().unwrap(),
        "db-1.2 of site foobar",
        "not to db-1 of site foobar",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    bed.stop([keeper]).await;
}

#[tokio::test]
async fn a_directory_of_somebody_else() {
    let bed = Bed::new();
    let dir = bed.data_dir("db-1");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("precious"), "x").unwrap();
    let keeper = database::start(bed.parts("db-1"));
    let reason = refusal(&keeper).await;
    assert!(reason.contains(dir.to_str().unwrap()), "{reason}");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    bed.stop([keeper]).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_written() {
    let bed = Bed::new();
    // A file in the way stops root too.
    std::fs::write(bed.dir.path().join("data"), "x").unwrap();
    let keeper = database::start(bed.parts("db-1"));
    let reason = refusal(&keeper).await;
    let path = bed.dir.path().join("data");
    assert!(reason.contains(path.to_str().unwrap()), "{reason}");
    bed.stop([keeper]).await;
    // Nor does the kernel let root make a directory there.
    let mut parts = bed.parts("db-1");
    parts.data_dir = "/sys/mainstay-test/db-1".into();
    let keeper = database::start(parts);
    let reason = refusal(&keeper).await;
    assert!(reason.contains("/sys/mainstay-test"), "{reason}");
    bed.stop([keeper]).await;
    if nix::unistd::geteuid().is_root() {
        return;
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o500)).unwrap();
    let keeper = database::start(bed.parts("db-1"));
    let reason = refusal(&keeper).await;
    assert!(reason.contains("Permission denied"), "{reason}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    bed.stop([keeper]).await;
}

#[tokio::test]
async fn missing_programs_name_their_package() {
    let mut bed = Bed::new();
    bed.programs = Programs::in_dirs(Vec::new());
    let keeper = database::start(bed.parts("db-1"));
    let reason = refusal(&keeper).await;
    assert!(
        reason.contains("apt-get install mariadb-server"),
        "{reason}"
    );
    assert!(!bed.data_dir("db-1").exists());
    bed.stop([keeper]).await;
}

#[tokio::test]
async fn an_address_in_use_a_long_path_and_a_setting_of_ours() {
    let bed = Bed::new();
    let taken = std::net::TcpListener::bind(bed.address("db-1")).unwrap();
    let keeper = database::start(bed.parts("db-1"));
    let reason = refusal(&keeper).await;
    assert!(
        reason.contains(&bed.address("db-1").to_string()),
        "{reason}"
    );
    bed.stop([keeper]).await;
    drop(taken);

    let mut parts = bed.parts("db-1");
    parts.runtime_dir = bed.dir.path().join("x".repeat(100));
    let keeper = database::start(parts);
    let reason = refusal(&keeper).await;
    assert!(reason.contains("shorter state directory"), "{reason}");
    bed.stop([keeper]).await;

    let mut parts = bed.parts("db-1");
    parts.target.settings = [("read_only".to_owned(), "0".to_owned())].into();
    let keeper = database::start(parts);
    let reason = refusal(&keeper).await;
    assert!(reason.contains("`read_only`"), "{reason}");
    bed.stop([keeper]).await;
}

#[tokio::test]
async fn a_secret_that_is_not_the_servers() {
    let bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.stop([replica, primary]).await;
    let path = bed.secrets.path(database::accounts::ADMIN_SECRET).unwrap();
    std::fs::remove_file(path).unwrap();
    let keeper = database::start(bed.parts("db-1"));
    let reason = refusal(&keeper).await;
    assert!(reason.contains("database-admin"), "{reason}");
    bed.stop([keeper]).await;
}

/// The state names a primary whose data is gone: it must not begin empty.
/// With another that has its data, that one takes its place (failover.rs).
#[tokio::test]
async fn a_primary_that_lost_its_data() {
    let mut bed = Bed::of(&["db-1"]);
    let primary = database::start(bed.parts("db-1"));
    until(&primary, "it takes writes", |report| {
        report.serves() && report.read_only == Some(false)
    })
    .await;
    primary.stop().await;
    std::fs::rename(bed.data_dir("db-1"), bed.dir.path().join("lost")).unwrap();
    let primary = database::start(bed.parts("db-1"));
    let report = until(&primary, "it says so", |report| {
        report.reason.contains("data directory is empty")
    })
    .await;
    assert_eq!(report.read_only, Some(true));
    assert_eq!(report.primary, Some(MemberName::new("db-1")));
    assert!(bed.said("member-stuck").is_some());
    bed.stop([primary]).await;
}
