//! Backups of real servers: taken, archived, tried, restored to a moment between two transactions.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use database::backup::catalog::Catalog;
use database::backup::destination::{Destination, Directory};
use database::backup::key::Key;
use database::backup::moment::Moment;
use database::backup::point_in_time::{self, Until, Wanted};
use database::backup::record::Kind;
use database::backup::restore::{self, Job, RestoreError, Restored};
use database::backup::schedule::Schedule;
use database::backup::shelf::Shelf;
use database::backup::take::Bench;
use database::backup::{self, Backups, Order};
use database::engine::mariadb::Server;
use database::engine::tool::Cancel;
use database::{Keeper, accounts};
use mysql::client::Connection;
use tokio::sync::watch;

use crate::bed::{Bed, run};

/// Restores of a small database take some seconds on two busy cores.
const LONG: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(365 * 86400);

pub(crate) struct Site {
    pub(crate) bed: Bed,
    primary: Keeper,
    replica: Keeper,
    key: Option<Key>,
    stop: watch::Sender<bool>,
}

impl Site {
    pub(crate) async fn new(key: Option<Key>) -> Self {
        let bed = Bed::new();
        let (primary, replica) = bed.pair().await;
        bed.seed().await;
        Self {
            bed,
            primary,
            replica,
            key,
            stop: watch::channel(false).0,
        }
    }

    pub(crate) fn place(&self) -> PathBuf {
        self.bed.dir.path().join("backups")
    }

    fn destination(&self) -> Destination {
        Destination::Directory(Directory::new(self.place()))
    }

    pub(crate) fn parts(&self) -> backup::Parts {
        let parts = self.bed.parts("db-1");
        backup::Parts {
            site: parts.site,
            destination: self.destination(),
            key: self.key.clone(),
            schedule: Schedule {
                full: YEAR,
                incremental: None,
                verify: None,
            },
            keep: YEAR,
            archive: Some(Duration::from_millis(100)),
            max_lag: Duration::from_secs(5),
            members: vec![self.replica.report(), self.primary.report()],
            member: parts.target,
            programs: parts.programs,
            spawner: parts.spawner,
            cluster: parts.cluster,
            secrets: parts.secrets,
            events: parts.events,
            runtime_dir: self.bed.dir.path().join("b"),
            work_dir: self.bed.dir.path().join("backup-work"),
            log: self.bed.dir.path().join("log/backup.log"),
        }
    }

    fn bench(&self) -> Bench {
        let parts = self.bed.parts("db-1");
        Bench {
            site: parts.site,
            programs: parts.programs,
            spawner: parts.spawner,
            runtime_dir: self.bed.dir.path().join("r"),
            work_dir: self.bed.dir.path().join("restore-work"),
            log: self.bed.dir.path().join("log/restore-tools.log"),
            admin: parts.secrets.get_or_create(accounts::ADMIN_SECRET).unwrap(),
            cancel: Cancel::new(self.stop.subscribe()),
        }
    }

    pub(crate) fn catalog(&self) -> Catalog {
        let mut shelf = Shelf::new(self.destination(), "foobar".to_owned());
        let inventory = shelf.load().unwrap();
        assert_eq!(inventory.unreadable, Vec::<String>::new());
        inventory.catalog
    }

    async fn restore(&self, wanted: &Wanted, name: &str) -> Result<Restored, RestoreError> {
        let catalog = self.catalog();
        let plan = point_in_time::plan(&catalog, wanted).unwrap();
        let chain = plan.chain.iter();
        let chain = chain.map(|id| catalog.backup(id).unwrap().manifest.clone());
        let log = |id: &String| {
            catalog
                .logs
                .iter()
                .find(|log| log.id == *id)
                .unwrap()
                .clone()
        };
        let job = Job {
            chain: chain.collect(),
            logs: plan.logs.iter().map(log).collect(),
            plan,
            destination: self.destination(),
            key: self.key.clone(),
            member: self.bed.parts("db-1").target,
            into: self.bed.dir.path().join(name),
        };
        restore::restore(&mut self.bench(), &job).await
    }

    /// What a server over a restored directory answers.
    async fn asked(&self, name: &str, sql: &[&str]) -> Vec<String> {
        let parts = self.bed.parts("db-1");
        let server = Server {
            site: parts.site,
            target: parts.target,
            data_dir: self.bed.dir.path().join(name),
            runtime_dir: self.bed.dir.path().join("q"),
            log: self.bed.dir.path().join("log/asked.log"),
            programs: parts.programs,
            spawner: parts.spawner,
            admin: self.bench().admin,
        };
        let mut cancel = Cancel::new(self.stop.subscribe());
        let mut running = server.start_unreachable(&[], &mut cancel).await.unwrap();
        let mut admin = server.connection();
        let mut answers = Vec::new();
        for sql in sql {
            let rows = admin.query(sql, LONG).await.unwrap();
            let last = rows.rows.first().and_then(|row| row.last().cloned());
            answers.push(last.flatten().unwrap_or_default());
        }
        running.stop(Duration::from_secs(10)).await;
        answers
    }

    pub(crate) async fn stop(self) {
        self.bed.stop([self.replica, self.primary]).await;
    }
}

async fn take(backups: &Backups, kind: Kind) -> backup::record::Manifest {
    let taken = backups.orders().give(Order::Take(kind)).await;
    taken.unwrap().0
}

async fn position(connection: &mut Connection) -> String {
    let rows = connection.query("SELECT @@last_gtid").await.unwrap();
    rows.single().unwrap().to_owned()
}

async fn sum(connection: &mut Connection) -> String {
    let rows = connection.query("CHECKSUM TABLE foobar_app.t").await;
    rows.unwrap().first("Checksum").unwrap().to_owned()
}

/// Waits for what a condition gives.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < LONG, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The first full one, which nobody has asked for.
async fn first(site: &Site) -> backup::record::Manifest {
    eventually("the first backup", || {
        Some(site.catalog().backups.first()?.manifest.clone())
    })
    .await
}

fn until(until: Until) -> Wanted {
    Wanted {
        backup: None,
        until,
    }
}

#[tokio::test]
async fn data_comes_back_as_it_was_at_a_time_and_at_a_transaction() {
    let site = Site::new(Some(Key::of("k", &Key::generate()).unwrap())).await;
    let backups = backup::start(site.parts());
    let full = first(&site).await;
    assert_eq!(full.kind, Kind::Full);
    assert_eq!(full.member.as_str(), "db-1.2", "the replica is copied");
    let mut app = site.bed.app("db-1").await;
    run(&mut app, "INSERT INTO t VALUES (2, 2)").await;
    let incremental = take(&backups, Kind::Incremental).await;
    assert_eq!(incremental.base.as_ref(), Some(&full.id));
    assert!(incremental.data.bytes < full.data.bytes);

    // Three states: before the accident, after its first half, after its second.
    run(&mut app, "INSERT INTO t VALUES (3, 3)").await;
    run(&mut app, "UPDATE t SET v = 33 WHERE id = 3").await;
    let mut admin = site.bed.admin("db-1").await;
    let good = sum(&mut admin).await;
    // A time has whole seconds: the accident is in a later one than what was good.
    let now = || Moment(telemetry::wall_clock::now_ms());
    let second = now().s();
    let time = eventually("the next second", || {
        (now().s() > second).then(|| Moment::from_s(now().s()))
    })
    .await;
    run(&mut app, "DELETE FROM t WHERE id = 2").await;
    let half = sum(&mut admin).await;
    let gtid = position(&mut app).await;
    run(&mut app, "DROP TABLE t").await;
    let dropped = position(&mut app).await;
    eventually("the accident is archived", || {
        let archived = site.catalog().archived(1);
        archived.contains(&dropped.parse().unwrap()).then_some(())
    })
    .await;

    let restored = site.restore(&until(Until::Time(time)), "at-a-time").await;
    let restored = restored.unwrap();
    println!("restored to a time in {:?}", restored.took);
    let asked = [
        "CHECKSUM TABLE foobar_app.t",
        "SELECT @@gtid_slave_pos",
        "SELECT @@gtid_binlog_pos",
    ];
    let answers = site.asked("at-a-time", &asked).await;
    let at = restored.position.to_string();
    assert_eq!(answers, [good, at.clone(), at]);

    let wanted = until(Until::Position(gtid.parse().unwrap()));
    site.restore(&wanted, "at-a-gtid").await.unwrap();
    let answers = site.asked("at-a-gtid", &asked).await;
    assert_eq!(answers, [half, gtid.clone(), gtid]);

    site.restore(&until(Until::Latest), "latest").await.unwrap();
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'foobar_app'";
    assert_eq!(site.asked("latest", &[tables]).await, ["0"]);

    // A backup named is restored as it is.
    let wanted = Wanted {
        backup: Some(full.id),
        until: Until::Backup,
    };
    site.restore(&wanted, "full").await.unwrap();
    let count = "SELECT COUNT(*) FROM foobar_app.t";
    assert_eq!(site.asked("full", &[count]).await, ["1"]);

    // A directory that holds something is left alone.
    let again = site.restore(&wanted, "full").await.unwrap_err();
    assert!(matches!(again, RestoreError::Occupied(_)), "{again}");
    backups.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn a_trial_restore_finds_a_changed_byte_and_a_cut_file_and_names_them() {
    let site = Site::new(None).await;
    let backups = backup::start(site.parts());
    let full = first(&site).await;
    let orders = backups.orders();
    let verify = || orders.give(Order::Verify(Some(full.id.clone())));
    let (_, verification) = verify().await.unwrap();
    let verification = verification.unwrap();
    println!("tried in {} ms", verification.took_ms);
    assert_eq!(verification.failed, None);
    assert!(verification.tables.contains_key("foobar_app.t"));

    let path = site.place().join(&full.data.name);
    let whole = std::fs::read(&path).unwrap();
    let failed = async |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        verify().await.unwrap().1.unwrap().failed.unwrap()
    };
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let why = failed(&flipped).await;
    assert!(why.contains("its bytes have changed: SHA-256"), "{why}");
    assert!(why.contains(path.to_str().unwrap()), "{why}");
    let why = failed(&whole[..whole.len() - 10]).await;
    assert!(why.contains("bytes long"), "{why}");
    // A bad backup is not restored from, and a full one takes its place.
    let wanted = Wanted {
        backup: Some(full.id.clone()),
        until: Until::Backup,
    };
    let refused = point_in_time::plan(&site.catalog(), &wanted).unwrap_err();
    assert!(
        refused.to_string().contains("failed its trial"),
        "{refused}"
    );
    eventually("a full backup in place of the bad one", || {
        (site.catalog().backups.len() == 2).then_some(())
    })
    .await;
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(verify().await.unwrap().1.unwrap().failed, None);
    backups.stop().await;
    site.stop().await;
}

#[tokio::test]
async fn a_wrong_key_is_said_with_both_keys() {
    let key = || Key::of("k", &Key::generate()).unwrap();
    let mut site = Site::new(Some(key())).await;
    let backups = backup::start(site.parts());
    first(&site).await;
    let right = site.key.replace(key()).unwrap();
    let error = site.restore(&until(Until::Latest), "r").await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains(&right.public()), "{error}");
    assert!(
        error.contains(&site.key.as_ref().unwrap().public()),
        "{error}"
    );
    site.key = None;
    let error = site.restore(&until(Until::Latest), "r").await.unwrap_err();
    assert!(
        error.to_string().contains("there is no key here"),
        "{error}"
    );
    assert!(!site.bed.dir.path().join("r").exists());
    backups.stop().await;
    site.stop().await;
}
