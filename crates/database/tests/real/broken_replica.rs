//! A replica that cannot go on is rebuilt from the primary, and its old data is kept.

use std::os::unix::fs::PermissionsExt as _;

use database::{Keeper, MemberReport, MemberState, Programs};

use crate::bed::{Bed, LONG, run, until};

/// A row only the replica has, which the primary's next row collides with.
async fn collide(bed: &Bed) {
    let mut replica = bed.admin("db-1.2").await;
    run(&mut replica, "SET SESSION sql_log_bin = 0").await;
    run(&mut replica, "INSERT INTO foobar_app.t VALUES (2, 999)").await;
    run(&mut bed.app("db-1").await, "INSERT INTO t VALUES (2, 2)").await;
}

async fn is_rebuilt(bed: &mut Bed, replica: &Keeper) {
    until(replica, "rebuilding", |report| {
        report.state == MemberState::Rebuilding
    })
    .await;
    until(replica, "it serves again", MemberReport::serves).await;
    bed.arrives("SELECT v FROM t WHERE id = 2", "2").await;
    run(&mut bed.app("db-1").await, "INSERT INTO t VALUES (3, 3)").await;
    bed.arrives("SELECT v FROM t WHERE id = 3", "3").await;
    bed.same("foobar_app.t").await;
    let aside = bed.data_dir("db-1.2.replaced-1");
    assert!(
        aside.join("foobar_app/t.ibd").is_file(),
        "the old data is kept"
    );
    let names: Vec<_> = std::fs::read_dir(bed.dir.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        // What was saved of a member.
        .filter(|name| !name.as_encoded_bytes().ends_with(b".sql"))
        .collect();
    assert_eq!(
        names.len(),
        5,
        "both members' data and tmp, the old data: {names:?}"
    );
    let kinds = bed.kinds();
    for kind in ["replication-broken", "replica-rebuilt", "replica-following"] {
        assert!(
            kinds.contains(&format!("member db-1.2 {kind}")),
            "{kind}: {kinds:?}"
        );
    }
}

#[tokio::test]
async fn a_duplicate_row_leads_to_a_rebuild_by_backup() {
    let mut bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    collide(&bed).await;
    is_rebuilt(&mut bed, &replica).await;
    let broken = bed.said("replication-broken").unwrap();
    assert!(broken.contains("1062"), "{broken}");
    let rebuilt = bed.said("replica-rebuilt").unwrap();
    assert!(rebuilt.contains("mariadb-backup"), "{rebuilt}");
    bed.stop([replica, primary]).await;
}

#[tokio::test]
async fn without_the_backup_program_it_is_rebuilt_by_dump() {
    let mut bed = Bed::new();
    // Everything but mariadb-backup.
    let bin = bed.dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    for name in ["mariadbd", "mariadb-install-db", "mariadb-dump", "mariadb"] {
        let found = path
            .split(':')
            .chain(["/usr/sbin"])
            .map(|dir| std::path::Path::new(dir).join(name))
            .find(|path| path.is_file());
        std::os::unix::fs::symlink(found.unwrap(), bin.join(name)).unwrap();
    }
    bed.programs = Programs::in_dirs(vec![bin]);
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    collide(&bed).await;
    is_rebuilt(&mut bed, &replica).await;
    let rebuilt = bed.said("replica-rebuilt").unwrap();
    assert!(rebuilt.contains("mariadb-dump"), "{rebuilt}");
    bed.stop([replica, primary]).await;
}

#[tokio::test]
async fn a_transaction_of_its_own_is_noted_before_it_is_discarded() {
    let mut bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    let mut admin = bed.admin("db-1.2").await;
    run(&mut admin, "INSERT INTO foobar_app.t VALUES (2, 999)").await;
    run(&mut bed.app("db-1").await, "INSERT INTO t VALUES (2, 2)").await;
    is_rebuilt(&mut bed, &replica).await;
    let extra = bed.said("replica-extra-transactions").unwrap();
    assert!(extra.contains("0-102-"), "{extra}");
    let saved = saved(&mut bed, "db-1.2.extra-1.sql");
    assert!(
        saved.contains("999") && saved.contains("foobar_app"),
        "{saved}"
    );
    bed.stop([replica, primary]).await;
}

#[tokio::test]
async fn a_replica_whose_logs_are_gone_is_rebuilt() {
    let mut bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    replica.stop().await;
    let mut admin = bed.admin("db-1").await;
    run(&mut admin, "INSERT INTO foobar_app.t VALUES (2, 2)").await;
    run(&mut admin, "FLUSH LOCAL BINARY LOGS").await;
    run(&mut admin, "FLUSH LOCAL BINARY LOGS").await;
    let rows = admin.query("SHOW BINARY LOGS").await.unwrap();
    let last = rows.rows.last().unwrap()[0].clone().unwrap();
    // Until the primary has noticed that nobody reads the old ones any more.
    let began = std::time::Instant::now();
    loop {
        run(&mut admin, &format!("PURGE BINARY LOGS TO '{last}'")).await;
        let rows = admin.query("SHOW BINARY LOGS").await.unwrap();
        if rows.rows[0][0].as_ref() == Some(&last) {
            break;
        }
        assert!(began.elapsed() < LONG, "{rows:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let replica = database::start(bed.parts("db-1.2"));
    is_rebuilt(&mut bed, &replica).await;
    let broken = bed.said("replication-broken").unwrap();
    assert!(broken.contains("1236"), "{broken}");
    bed.stop([replica, primary]).await;
}

/// The file of what only one server had; told with one transaction.
fn saved(bed: &mut Bed, name: &str) -> String {
    let told = bed.said("replica-extra-saved").unwrap();
    assert!(
        told.contains("1 transactions") && told.contains(name),
        "{told}"
    );
    let path = bed.data_dir("db-1").with_file_name(name);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::read_to_string(path).unwrap()
}
