//! Two real servers (primary and GTID replica) and a router before them, all of one test. Everything
//! is gone when the test is over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mysql::client::{Address, Connection, Rows};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use process::snapshot::Shared;
use site::name::{MemberName, ServerName};
use site::target::{Consistency, MemberAddress, SqlMode, SqlPool, SqlRouterTarget, SqlRouting};
use sql_router::router::{Patience, Router};
use sql_router::snapshot::{Replica, Servers, ServersTls, Snapshot};
use telemetry::Secret;

/// Longer than anything should take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A mariadbd; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    dir: PathBuf,
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    id: u32,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port is free until its server listens, a while after it was asked for: no two servers get the same.
static GIVEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());

/// On a loopback address of this test process alone: on 127.0.0.1 the near end of somebody's outgoing
/// connection may take a port that was free a moment ago.
fn free_address() -> SocketAddr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(
        127,
        128 | high | middle >> 4,
        middle << 4 | low >> 4,
        low << 4 | 1,
    );
    let mut given = GIVEN.lock().unwrap();
    loop {
        let listener = TcpListener::bind((own, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        if given.insert(address) {
            return address;
        }
    }
}

impl Server {
    /// All servers of this process have this address, with a port of their own.
    pub(crate) fn any_address() -> SocketAddr {
        free_address()
    }

    /// A server of its own, that takes writes and knows no other.
    pub(crate) async fn alone(dir: &Path, name: &'static str) -> Self {
        copy_template(dir, name);
        let server = Self::start(dir, name, 3);
        server.ready().await;
        server.sql(&["SET GLOBAL read_only=0"]).await;
        server
    }

    fn start(dir: &Path, name: &'static str, id: u32) -> Self {
        let address = free_address();
        let dir = dir.join(name);
        let child = Self::spawn(&dir, name, id, address);
        Self {
            child,
            dir,
            name,
            address,
            id,
        }
    }

    fn spawn(dir: &Path, name: &str, id: u32, address: SocketAddr) -> Child {
        let log = std::fs::File::create(dir.with_extension("log")).unwrap();
        let mut command = Command::new("mariadbd");
        command.arg("--no-defaults");
        if std::fs::metadata(dir).unwrap().uid() == 0 {
            command.arg("--user=root");
        }
        let path = |name: &str| dir.join(name).display().to_string();
        command
            .arg(format!("--datadir={}", dir.display()))
            .arg(format!("--tmpdir={}", dir.display()))
            .arg(format!("--socket={}", path("sock")))
            .arg(format!("--pid-file={}", path("pid")))
            .arg(format!("--port={}", address.port()))
            .arg(format!("--server-id={id}"))
            .arg(format!("--report-host={name}"))
            .arg(format!("--bind-address={}", address.ip()))
            .args([
                "--log-bin=bin",
                "--log-slave-updates",
                "--binlog-format=ROW",
                "--gtid-strict-mode=1",
                "--read-only=1",
                "--skip-slave-start",
                "--innodb-buffer-pool-size=24M",
                "--innodb-log-file-size=8M",
                "--innodb-flush-log-at-trx-commit=2",
                "--performance-schema=0",
                "--max-allowed-packet=128M",
                "--slave-max-allowed-packet=128M",
                "--skip-name-resolve",
                "--local-infile=1",
                "--log-bin-trust-function-creators=1",
            ])
            // What a test wants besides, in a file so that a restart has it too.
            .args(lines(&dir.with_extension("args")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.spawn().unwrap()
    }

    /// As after a power cut.
    pub(crate) fn kill(&mut self) {
        // An error means that it is dead already.
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.child = Self::spawn(&self.dir, self.name, self.id, self.address);
        self.ready().await;
    }

    async fn ready(&self) {
        let until = Instant::now() + PATIENCE;
        while self.connect().await.is_none() {
            let log = std::fs::read_to_string(self.dir.with_extension("log")).unwrap();
            let over = log.contains("[ERROR] Aborting") || Instant::now() >= until;
            assert!(!over, "{} does not start:\n{log}", self.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn connect(&self) -> Option<Connection> {
        let address = Address::Unix(self.dir.join("sock"));
        Connection::connect(&address, "root", &Secret::new(""), None)
            .await
            .ok()
    }

    /// Runs statements as root, past the router.
    pub(crate) async fn sql(&self, statements: &[&str]) -> Rows {
        let mut connection = self.connect().await.unwrap();
        let mut rows = Rows::default();
        for sql in statements {
            rows = connection
                .query(sql)
                .await
                .unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        connection.quit().await;
        rows
    }

    /// One that may be refused.
    pub(crate) async fn try_sql(&self, sql: &str) {
        let mut connection = self.connect().await.unwrap();
        drop(connection.query(sql).await);
        connection.quit().await;
    }

    /// A status counter.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        let rows = self
            .sql(&[&format!("SHOW GLOBAL STATUS LIKE '{name}'")])
            .await;
        rows.first("Value").unwrap().parse().unwrap()
    }
}

/// What differs from a usual arrangement.
#[derive(Debug)]
pub(crate) struct Wish {
    /// There is a second replica.
    pub(crate) second: bool,
    /// Of the router.
    pub(crate) threads: usize,
    pub(crate) patience: Patience,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            second: false,
            threads: 2,
            patience: Patience::default(),
        }
    }
}

/// The whole arrangement.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) primary: Server,
    pub(crate) replica: Server,
    /// A second replica, where a test asks for one.
    pub(crate) second: Option<Server>,
    pub(crate) router: Router,
    pub(crate) snapshot: Shared<Snapshot>,
    pub(crate) address: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
}

impl Bed {
    pub(crate) async fn start() -> Self {
        Self::with(Wish::default()).await
    }

    pub(crate) async fn with(wish: Wish) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), wish).await
    }

    pub(crate) async fn with_threads(threads: usize) -> Self {
        let wish = Wish {
            threads,
            ..Wish::default()
        };
        Self::with(wish).await
    }

    /// `dir` may have `NAME.args`: further arguments of the server NAME, one a line.
    pub(crate) async fn start_in(dir: tempfile::TempDir, wish: Wish) -> Self {
        let Wish {
            second,
            threads,
            patience,
        } = wish;
        let names = ["db-1", "db-2", "db-3"];
        for name in &names[..if second { 3 } else { 2 }] {
            copy_template(dir.path(), name);
        }
        let primary = Server::start(dir.path(), "db-1", 1);
        let replica = Server::start(dir.path(), "db-2", 2);
        let second = second.then(|| Server::start(dir.path(), "db-3", 4));
        primary.ready().await;
        make_primary(&primary).await;
        for replica in [Some(&replica), second.as_ref()].into_iter().flatten() {
            replica.ready().await;
            follow(&primary, replica).await;
        }
        fill(&primary).await;
        std::fs::write(dir.path().join("password"), "svc").unwrap();

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let replicas: Vec<_> = [&replica].into_iter().chain(&second).collect();
        let snapshot = Shared::new(snapshot(dir.path(), address, &primary, &replicas));
        let socket = UnixListener::bind(dir.path().join("sql.sock")).unwrap();
        let router =
            Router::start_with(&[listener], &[socket], &snapshot, threads, patience).unwrap();
        let bed = Self {
            primary,
            replica,
            second,
            router,
            snapshot,
            address,
            dir,
        };
        bed.caught_up().await;
        bed
    }

    /// The replicas have what the primary has.
    pub(crate) async fn caught_up(&self) {
        let gtid = self.primary.sql(&["SELECT @@gtid_binlog_pos"]).await;
        let wait = format!("SELECT MASTER_GTID_WAIT('{}', 20)", gtid.single().unwrap());
        for replica in [&self.replica].into_iter().chain(&self.second) {
            assert_eq!(replica.sql(&[&wait]).await.single(), Some("0"));
        }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        change(&mut snapshot);
        self.snapshot.store(snapshot);
    }

    pub(crate) fn options(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname(self.address.ip().to_string())
            .tcp_port(self.address.port())
            .prefer_socket(false)
            .user(Some("app"))
            .pass(Some("secret"))
            .db_name(Some("app"))
            .max_allowed_packet(Some(128 << 20))
            .wait_timeout(Some(28_800))
    }

    pub(crate) async fn client(&self) -> Conn {
        Conn::new(self.options()).await.unwrap()
    }
}

/// Where a statement is answered. The variable is one of those that replicas may be asked for.
pub(crate) async fn whereabouts(client: &mut Conn) -> String {
    client
        .query_first("SELECT @@report_host")
        .await
        .unwrap()
        .unwrap()
}

/// The server's error code.
pub(crate) fn code(error: &mysql_async::Error) -> u16 {
    match error {
        mysql_async::Error::Server(error) => error.code,
        other => panic!("not a server's error: {other}"),
    }
}

fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn copy_template(dir: &Path, name: &str) {
    let copied = Command::new("cp")
        .args([Path::new("-a"), &template(), &dir.join(name)])
        .status();
    assert!(copied.unwrap().success());
}

/// An empty data directory, made once for all tests and runs of this version of the server.
fn template() -> PathBuf {
    let version = Command::new("mariadbd").arg("--version").output();
    let version = version
        .expect("mariadbd: is mariadb-server installed?")
        .stdout;
    let version: String = String::from_utf8_lossy(&version)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let template = all.join(format!("empty-{version}"));
    if !template.exists() {
        std::fs::create_dir_all(all).unwrap();
        let making = tempfile::tempdir_in(all).unwrap();
        let made = making.path().join("data");
        install(&made);
        // Another test may have been first; then its one is used.
        std::fs::rename(&made, &template).unwrap_or_default();
    }
    template
}

fn install(dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    let mut command = Command::new("mariadb-install-db");
    command.arg("--no-defaults");
    if std::fs::metadata(dir).unwrap().uid() == 0 {
        command.arg("--user=root");
    }
    let done = command
        .arg(format!("--datadir={}", dir.display()))
        // Servers of other containers may use the same names in a shared /tmp.
        .arg(format!("--tmpdir={}", dir.display()))
        .args([
            "--auth-root-authentication-method=normal",
            "--innodb-log-file-size=8M",
            "--skip-test-db",
            "--skip-name-resolve",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("mariadb-install-db: is mariadb-server installed?");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

async fn make_primary(primary: &Server) {
    primary
        .sql(&[
            "SET GLOBAL read_only=0",
            "CREATE USER repl@'%' IDENTIFIED BY 'repl'",
            "GRANT REPLICATION SLAVE ON *.* TO repl@'%'",
        ])
        .await;
}

async fn follow(primary: &Server, replica: &Server) {
    let change = format!(
        "CHANGE MASTER TO MASTER_HOST='{}', MASTER_PORT={}, MASTER_USER='repl', \
         MASTER_PASSWORD='repl', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1",
        primary.address.ip(),
        primary.address.port()
    );
    replica.sql(&[&change, "START SLAVE"]).await;
}

async fn fill(primary: &Server) {
    primary
        .sql(&[
            "CREATE DATABASE app",
            "CREATE USER svc@'%' IDENTIFIED BY 'svc'",
            "GRANT SELECT ON mysql.global_priv TO svc@'%'",
            "CREATE USER app@'%' IDENTIFIED BY 'secret'",
            "GRANT ALL ON app.* TO app@'%'",
            "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100))",
        ])
        .await;
}

fn snapshot(dir: &Path, listen: SocketAddr, primary: &Server, replicas: &[&Server]) -> Snapshot {
    let member = |server: &Server| MemberAddress {
        name: MemberName::new(server.name),
        server: ServerName::new(server.name),
        address: server.address,
    };
    Snapshot {
        target: SqlRouterTarget {
            listen,
            members: [&primary]
                .into_iter()
                .chain(replicas)
                .map(|server| member(server))
                .collect(),
            sessions: 100,
            connections: 64,
            pool: SqlPool {
                idle_age: Duration::from_secs(30),
                max_age: Duration::from_secs(3600),
                ready: 0,
            },
            // Long, so that a busy machine does not look like a replica that is behind. Tests of that
            // set their own.
            causal_wait: Duration::from_secs(15),
            hold: Duration::from_secs(1),
            max_lag: Duration::from_secs(10),
            slow: None,
            routing: SqlRouting {
                mode: SqlMode::Split,
                consistency: Consistency::Session,
            },
            users: BTreeMap::new(),
            user_sessions: BTreeMap::new(),
            socket: None,
            certificate: None,
            require_tls: false,
        },
        visitors: None,
        servers: Servers {
            generation: 1,
            primary: Some(MemberName::new(primary.name)),
            draining: false,
            replicas: replicas
                .iter()
                .map(|replica| Replica {
                    member: MemberName::new(replica.name),
                    replicating: true,
                    lag_ms: Some(0),
                })
                .collect(),
        },
        service_user: "svc".to_owned(),
        service_password_file: dir.join("password"),
        slow_log: dir.join("sql-slow.log"),
        certificate: None,
        servers_tls: ServersTls::Off,
    }
}
