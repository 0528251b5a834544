//! A site with a primary and a replica on this machine, and what tests ask of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cluster::{Cluster, Secrets};
use database::{Keeper, MemberReport, Parts, Programs, accounts};
use mysql::client::{Address, Connection, QueryError, Rows};
use nix::sys::signal::Signal;
use process::spawn::Spawner;
use site::name::{MemberName, ServerName};
use site::target::{MemberAddress, MemberTarget};
use telemetry::{Event, Secret};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Nothing here takes longer unless it is broken.
pub(crate) const LONG: Duration = Duration::from_secs(15);

static NEXT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Bed {
    pub(crate) dir: TempDir,
    pub(crate) cluster: Cluster,
    pub(crate) secrets: Secrets,
    pub(crate) programs: Programs,
    pub(crate) members: Vec<MemberAddress>,
    /// Semi-synchronous.
    pub(crate) acknowledged: bool,
    spawner: Spawner,
    pub(crate) mark: String,
    events_in: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    seen: Vec<Event>,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::of(&["db-1", "db-1.2"])
    }

    /// The first makes the first primary.
    pub(crate) fn of(names: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("db").tempdir().unwrap();
        // An address of its own: on 127.0.0.1 a port that was free may be taken meanwhile by the near
        // end of any connection.
        let [high, low] = (std::process::id() as u16).to_be_bytes();
        let bed = NEXT.fetch_add(1, Ordering::Relaxed) as u8;
        let mark = format!("database-test-{}-{bed}", std::process::id());
        let members = [1, 101, 171]
            .into_iter()
            .zip(names)
            .map(|(last, name)| MemberAddress {
                name: MemberName::new(*name),
                server: ServerName::new("db-1"),
                address: ([127, high | 128, low, bed + last], 3306).into(),
            })
            .collect();
        let (events_in, events) = mpsc::channel(256);
        Self {
            cluster: Cluster::open_embedded(&dir.path().join("cluster.json")).unwrap(),
            secrets: Secrets::open(&dir.path().join("secrets")).unwrap(),
            programs: Programs::from_path(std::env::var_os("PATH")),
            members,
            acknowledged: true,
            spawner: Spawner::start_with(None, false, mark.clone()).unwrap(),
            mark,
            dir,
            events_in,
            events,
            seen: Vec::new(),
        }
    }

    pub(crate) fn address(&self, member: &str) -> SocketAddr {
        let found = self.members.iter().find(|m| m.name.as_str() == member);
        found.unwrap().address
    }

    pub(crate) fn data_dir(&self, member: &str) -> PathBuf {
        self.dir.path().join("data").join(member)
    }

    pub(crate) fn parts(&self, member: &str) -> Parts {
        let index = self.members.iter().position(|m| m.name.as_str() == member);
        let index = u32::try_from(index.unwrap()).unwrap();
        Parts {
            site: "foobar".to_owned(),
            target: MemberTarget {
                name: MemberName::new(member),
                listen: self.address(member),
                server_id: 101 + index,
                first_primary: index == 0,
                schema: "foobar_app".to_owned(),
                user: "foobar".to_owned(),
                members: self.members.clone(),
                acknowledged: self.acknowledged,
                buffer_pool: 16 << 20,
                settings: [("max_connections".to_owned(), "50".to_owned())].into(),
                max_lag: Duration::from_secs(2),
            },
            data_dir: self.data_dir(member),
            runtime_dir: self.dir.path().join("run"),
            log: self.dir.path().join("log").join(format!("{member}.log")),
            programs: self.programs.clone(),
            spawner: self.spawner.clone(),
            cluster: self.cluster.clone(),
            secrets: self.secrets.clone(),
            events: self.events_in.clone(),
        }
    }

    /// Primary and replica from nothing, both serving.
    pub(crate) async fn pair(&self) -> (Keeper, Keeper) {
        let primary = database::start(self.parts("db-1"));
        let replica = database::start(self.parts("db-1.2"));
        until(&primary, "the primary serves", MemberReport::serves).await;
        until(&replica, "the replica serves", MemberReport::serves).await;
        (primary, replica)
    }

    /// A table with a row, there on both.
    pub(crate) async fn seed(&self) {
        let mut app = self.app("db-1").await;
        run(&mut app, "CREATE TABLE t (id INT PRIMARY KEY, v INT)").await;
        run(&mut app, "INSERT INTO t VALUES (1, 1)").await;
        self.arrives("SELECT v FROM t WHERE id = 1", "1").await;
    }

    /// The application's connection to a member, over the network.
    pub(crate) async fn app(&self, member: &str) -> Connection {
        let password = self.secrets.get_or_create(accounts::USER_SECRET).unwrap();
        self.login(member, "foobar", &password).await.unwrap()
    }

    pub(crate) async fn login(
        &self,
        member: &str,
        user: &str,
        password: &Secret,
    ) -> Result<Connection, mysql::client::ConnectError> {
        let address = Address::Tcp(self.address(member));
        let schema = (user == "foobar").then_some("foobar_app");
        Connection::connect(&address, user, password, schema).await
    }

    /// The keeper's own account, which may write everywhere.
    pub(crate) async fn admin(&self, member: &str) -> Connection {
        let socket = self.dir.path().join("run").join(format!("{member}.sock"));
        let password = self.secrets.get_or_create(accounts::ADMIN_SECRET).unwrap();
        Connection::connect(&Address::Unix(socket), accounts::ADMIN, &password, None)
            .await
            .unwrap()
    }

    /// Its server takes the keeper's login.
    pub(crate) async fn answers(&self, member: &str) -> bool {
        let socket = self.dir.path().join("run").join(format!("{member}.sock"));
        let password = self.secrets.get_or_create(accounts::ADMIN_SECRET).unwrap();
        let address = Address::Unix(socket);
        let login = Connection::connect(&address, accounts::ADMIN, &password, None);
        login.await.is_ok()
    }

    /// Waits until the replica gives `wanted`.
    pub(crate) async fn arrives(&self, sql: &str, wanted: &str) {
        let password = self.secrets.get_or_create(accounts::USER_SECRET).unwrap();
        let began = Instant::now();
        loop {
            if let Ok(mut app) = self.login("db-1.2", "foobar", &password).await
                && let Ok(rows) = app.query(sql).await
                && rows.single() == Some(wanted)
            {
                return;
            }
            assert!(began.elapsed() < LONG, "{sql} never gave {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Both have the same rows, once the replica has what the primary has.
    pub(crate) async fn same(&self, table: &str) {
        let sql = format!("CHECKSUM TABLE {table}");
        let mut primary = self.admin("db-1").await;
        let sum = |rows: &Rows| rows.first("Checksum").map(str::to_owned);
        let began = Instant::now();
        loop {
            let wanted = sum(&primary.query(&sql).await.unwrap());
            assert!(wanted.is_some());
            if sum(&self.admin("db-1.2").await.query(&sql).await.unwrap()) == wanted {
                return;
            }
            assert!(began.elapsed() < LONG, "{table} never became the same");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All events so far: of whom, of which kind.
    pub(crate) fn kinds(&mut self) -> Vec<String> {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
        let of = |event: &Event| format!("{} {}", event.subject, event.kind);
        self.seen.iter().map(of).collect()
    }

    pub(crate) fn said(&mut self, kind: &str) -> Option<String> {
        self.kinds();
        let found = self.seen.iter().find(|event| event.kind == kind);
        found.map(|event| event.what.clone())
    }

    /// Replica first, as a caller should; then nothing of ours runs.
    pub(crate) async fn stop(&self, keepers: impl IntoIterator<Item = Keeper>) {
        for keeper in keepers {
            let report = keeper.report();
            keeper.stop().await;
            assert_eq!(report.borrow().state, database::MemberState::Stopped);
        }
        // What a keeper killed may take a moment to be gone: bounded, and then it must be.
        let until = Instant::now() + Duration::from_secs(20);
        while !process::leash::marked(&self.mark).is_empty() {
            assert!(Instant::now() < until, "processes are left");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Whatever fails, no process stays.
impl Drop for Bed {
    fn drop(&mut self) {
        process::leash::kill_marked(&self.mark);
        if std::thread::panicking() {
            for entry in std::fs::read_dir(self.dir.path().join("log"))
                .into_iter()
                .flatten()
            {
                let path = entry.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let tail: Vec<&str> = text
                    .lines()
                    .rev()
                    .filter(|line| !line.trim_end().ends_with('Z'))
                    .take(40)
                    .collect();
                println!("--- {}", path.display());
                tail.iter().rev().for_each(|line| println!("{line}"));
            }
            self.kinds();
            println!("events: {:#?}", self.seen);
        }
    }
}

/// Waits for a report.
pub(crate) async fn until(
    keeper: &Keeper,
    what: &str,
    wanted: impl Fn(&MemberReport) -> bool,
) -> MemberReport {
    let mut report = keeper.report();
    let found = tokio::time::timeout(LONG, report.wait_for(|report| wanted(report))).await;
    match found {
        Ok(found) => found.unwrap().clone(),
        Err(_) => panic!(
            "never: {what}; the last report is {:#?}",
            keeper.report().borrow()
        ),
    }
}

pub(crate) async fn run(connection: &mut Connection, sql: &str) {
    if let Err(e) = connection.query(sql).await {
        panic!("{sql}: {e}");
    }
}

pub(crate) fn code(result: Result<Rows, QueryError>) -> Option<u16> {
    result.unwrap_err().code()
}

/// As `kill -9` does, to exactly this process.
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::SIGKILL);
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
    nix::sys::signal::kill(pid, signal).unwrap();
}
