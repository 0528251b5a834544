//! Backups of a whole site: taken by themselves, listed, restored beside the live data and in its place.

use mysql::client::{Address, Connection};
use serde_json::Value;
use telemetry::Secret;

use crate::harness::{Prepared, Site, text, wait};

const BACKUP: &str = r#"
[database.backup]
to = "server:app-2"
archive-logs = "1s"
key = { secret = "backup-key" }
"#;

/// What the primary answers.
fn sql(site: &Site, sql: &str) -> Option<String> {
    let state = site.path().join(".mainstay");
    let password = std::fs::read_to_string(state.join("secrets/database-admin")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let address = Address::Unix(agent::state_dir::runtime_of(&state).join("db-1/db-1.sock"));
        let password = Secret::new(password.trim());
        let mut connection = Connection::connect(&address, "mainstay", &password, None)
            .await
            .unwrap();
        let mut answer = None;
        for sql in sql.split(';') {
            let rows = connection.query(sql).await.unwrap();
            answer = rows.single().map(str::to_owned);
        }
        answer
    })
}

fn json(site: &Site) -> Value {
    serde_json::from_str(&site.ok(&["db", "backups", "--json"])).unwrap()
}

#[test]
fn a_site_is_backed_up_and_brought_back() {
    let prepared = Prepared::foobar();
    let file = prepared.path().join("site.toml");
    let with = std::fs::read_to_string(&file).unwrap() + BACKUP;
    std::fs::write(&file, with).unwrap();
    let mut site = prepared.up();

    // By itself: a full one, and its trial.
    let first = wait("a verified backup", || {
        let backups = json(&site);
        let first = backups["backups"].as_array()?.first()?.clone();
        first["verification"]["failed"].is_null().then_some(())?;
        first["verification"]["at_ms"].as_u64()?;
        Some(first["backup"]["id"].as_str()?.to_owned())
    });
    let key = std::fs::read_to_string(site.path().join(".mainstay/secrets/backup-key")).unwrap();
    assert!(key.starts_with("AGE-SECRET-KEY-1"));
    let status = site.status();
    assert!(
        status["backup"]["verified_ms"].as_u64().is_some(),
        "{status:#}"
    );

    sql(
        &site,
        "CREATE TABLE foobar.ledger (id INT PRIMARY KEY);INSERT INTO foobar.ledger VALUES (1)",
    );
    let taken = site.ok(&["db", "backup", "--incremental"]);
    assert!(taken.contains("incremental backup of"), "{taken}");
    let good = sql(
        &site,
        "INSERT INTO foobar.ledger VALUES (2);SELECT @@last_gtid",
    );
    // One connection each: what it has written last is the accident.
    let accident = sql(&site, "DELETE FROM foobar.ledger;SELECT @@last_gtid").unwrap();
    let before: u64 = accident.rsplit('-').next().unwrap().parse().unwrap();
    let before = format!("{}-{}", accident.rsplit_once('-').unwrap().0, before - 1);
    assert!(good.is_some());

    // Beside the live data, as soon as the log is archived.
    let restored = wait("the accident is archived", || {
        let output = site.run(&["db", "restore", "--to", &before, "--into", "copy"]);
        match output.status.success() {
            true => Some(text(&output.stdout)),
            false => {
                let said = text(&output.stderr);
                assert!(said.contains("beyond what is archived"), "{said}");
                None
            }
        }
    });
    assert!(restored.contains(&first), "{restored}");
    assert!(
        restored.contains("the live data was not touched"),
        "{restored}"
    );
    assert!(site.path().join("copy/ibdata1").exists());
    assert_eq!(
        sql(&site, "SELECT COUNT(*) FROM foobar.ledger").unwrap(),
        "0"
    );

    // In its place: only stopped, and only with the name.
    let in_place = ["db", "restore", "--to", &before, "--in-place"];
    let (_, said) = site.fails(&in_place);
    assert!(said.contains("--confirm foobar"), "{said}");
    let confirmed = [in_place.as_slice(), &["--confirm", "foobar"]].concat();
    let (_, said) = site.fails(&confirmed);
    assert!(said.contains("mainstay down"), "{said}");
    site.down();
    let said = site.ok(&confirmed);
    assert!(said.contains("kept aside"), "{said}");
    site.up_again();
    site.wait_until_serving();
    assert_eq!(
        sql(&site, "SELECT COUNT(*) FROM foobar.ledger").unwrap(),
        "2"
    );
    // It goes on: new transactions have numbers after the restored ones, replicas follow, and the new
    // history gets a full backup of its own.
    let next = sql(
        &site,
        "INSERT INTO foobar.ledger VALUES (3);SELECT @@last_gtid",
    )
    .unwrap();
    let number = |gtid: &str| gtid.rsplit('-').next().unwrap().parse::<u64>().unwrap();
    assert!(number(&next) > number(&before), "{next} after {before}");
    wait("a backup of the new history", || {
        let backups = json(&site);
        let last = backups["backups"].as_array()?.last()?.clone();
        (last["backup"]["history"] == 2 && last["backup"]["kind"] == "full").then_some(())
    });
    let page = site.ok(&["db", "backups"]);
    assert!(page.contains("VERIFIED") && page.contains(&first), "{page}");
    wait("the last row is archived", || {
        let backups = json(&site);
        let has = |log: &Value| {
            log["history"] == 2 && number(log["after"].as_str().unwrap()) >= number(&next)
        };
        backups["logs"].as_array()?.iter().any(has).then_some(())
    });
    site.down();
    let listed = site.ok(&["db", "backups"]);
    assert!(listed.contains(&first), "also when nothing runs: {listed}");

    // The machine is gone, but for the backups; of the key there was a copy.
    let state = site.path().join(".mainstay");
    let kept = site.path().join("kept");
    std::fs::rename(state.join("servers"), &kept).unwrap();
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    std::fs::rename(&kept, state.join("servers")).unwrap();
    let everything = ["db", "restore", "--in-place", "--confirm", "foobar"];
    let (_, said) = site.fails(&everything);
    assert!(said.contains("put your copy of it into"), "{said}");
    let secret = state.join("secrets/backup-key");
    std::fs::write(&secret, key).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, private).unwrap();
    site.ok(&everything);
    site.up_again();
    site.wait_until_serving();
    let count = sql(&site, "SELECT COUNT(*) FROM foobar.ledger");
    assert_eq!(count.unwrap(), "3", "all that was archived");
    wait("a backup of the third history", || {
        let backups = json(&site);
        let last = backups["backups"].as_array()?.last()?.clone();
        (last["backup"]["history"] == 3).then_some(())
    });
}
