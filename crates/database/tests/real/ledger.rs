//! The workload that shows a loss: writers insert ids that only grow and note which were acknowledged.
//!
//! Each has a connection of its own, to whoever the cluster state names as open primary; after any error
//! it connects anew and goes on with the next id. An id counts as acknowledged when the OK has arrived.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use cluster::Cluster;
use database::accounts;
use mysql::client::{Address, Connection, Rows};
use telemetry::Secret;
use tokio::task::JoinHandle;

use crate::bed::{LONG, run};
use crate::hosts::{self, Hosts};
use crate::sampler::Sampler;

const WRITERS: u64 = 4;
/// Between two writes of a writer: the machine has more to do than this.
const PAUSE: Duration = Duration::from_millis(5);
/// A server that is stopped answers nobody until it is killed.
const STATEMENT: Duration = Duration::from_secs(30);

pub(crate) const TABLE: &str = "CREATE TABLE ledger (id BIGINT PRIMARY KEY, payload CHAR(40))";

/// What the writers know.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) sent: BTreeSet<u64>,
    pub(crate) acknowledged: BTreeSet<u64>,
    /// Errors of connections and statements.
    pub(crate) errors: u64,
    /// When the newest acknowledged write was sent.
    newest: Option<Instant>,
}

/// Acknowledged, and not there any more.
pub(crate) fn lost(book: &Book, present: &BTreeSet<u64>) -> Vec<u64> {
    book.acknowledged.difference(present).copied().collect()
}

/// There, and sent by nobody.
pub(crate) fn invented(book: &Book, present: &BTreeSet<u64>) -> Vec<u64> {
    present.difference(&book.sent).copied().collect()
}

/// What a server has of the ledger.
pub(crate) async fn present(server: &mut Connection) -> BTreeSet<u64> {
    let rows = server.query("SELECT id FROM foobar_app.ledger").await;
    ids(&rows.unwrap())
}

fn ids(rows: &Rows) -> BTreeSet<u64> {
    let cells = rows.rows.iter().flatten().flatten();
    cells.map(|id| id.parse().unwrap()).collect()
}

/// The running workload.
pub(crate) struct Ledger {
    book: Arc<Mutex<Book>>,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
    sampler: Sampler,
}

fn open(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap()
}

impl Ledger {
    /// Makes the table and begins.
    pub(crate) async fn start(hosts: &Hosts) -> Self {
        let primary = hosts.state().await.unwrap().primary.to_string();
        run(&mut hosts.bed.app(&primary).await, TABLE).await;
        Self::go_on_with(hosts, Book::default())
    }

    /// The table is there, and this is known of it.
    pub(crate) fn go_on_with(hosts: &Hosts, book: Book) -> Self {
        let known = book.sent.clone();
        let next = |number: u64| {
            let begin = number * 1_000_000_000;
            let sent = known.range(begin..begin + 1_000_000_000).last();
            sent.copied().unwrap_or(begin)
        };
        let book = Arc::new(Mutex::new(book));
        let stop = Arc::new(AtomicBool::new(false));
        let password = hosts.bed.secrets.get_or_create(accounts::USER_SECRET);
        let password = password.unwrap();
        let members = hosts.names().into_iter();
        let addresses: Vec<(String, Address)> = members
            .map(|name| {
                let address = Address::Tcp(hosts.bed.address(&name));
                (name, address)
            })
            .collect();
        let writers = (0..WRITERS).map(|number| {
            let writer = Writer {
                next: next(number),
                cluster: hosts.bed.cluster.clone(),
                addresses: addresses.clone(),
                password: password.clone(),
                book: Arc::clone(&book),
                stop: Arc::clone(&stop),
            };
            tokio::spawn(writer.write())
        });
        Self {
            writers: writers.collect(),
            sampler: Sampler::start(hosts),
            book,
            stop,
        }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        open(&self.book).acknowledged.len()
    }

    /// Some load, so that a fault hits something.
    pub(crate) async fn writes(&self, count: usize) {
        let wanted = self.acknowledged() + count;
        let began = Instant::now();
        while self.acknowledged() < wanted {
            assert!(began.elapsed() < LONG, "too few writes are acknowledged");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a write that was sent after `fault` is acknowledged; how long after it.
    pub(crate) async fn serves_again(&self, hosts: &Hosts, fault: Instant) -> Duration {
        let began = Instant::now();
        while open(&self.book).newest.is_none_or(|sent| sent <= fault) {
            if began.elapsed() > LONG {
                let reports: Vec<_> = hosts.reports();
                let state = hosts.state().await;
                panic!("nothing is acknowledged any more: {state:#?} {reports:#?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fault.elapsed()
    }

    /// Nobody writes any more.
    pub(crate) async fn stop(self) -> (Book, Sampler) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            tokio::time::timeout(LONG, writer).await.unwrap().unwrap();
        }
        let book = Arc::try_unwrap(self.book).unwrap().into_inner().unwrap();
        (book, self.sampler)
    }

    /// All that must be true after whatever happened, once all members are back.
    pub(crate) async fn holds(self, hosts: &Hosts) -> Book {
        hosts.all_back().await;
        let (book, sampler) = self.stop().await;
        let primary = hosts.all_back().await;
        let there = present(&mut hosts.admin(&primary).await).await;
        assert_eq!(
            lost(&book, &there),
            Vec::<u64>::new(),
            "acknowledged writes are lost"
        );
        assert_eq!(
            invented(&book, &there),
            Vec::<u64>::new(),
            "writes that nobody sent"
        );
        for name in hosts.names() {
            if name != primary {
                same(hosts, &primary, &name, &there).await;
                replica_waits_for_nobody(hosts, &name).await;
            }
        }
        let seen = sampler.stop().await;
        assert_eq!(seen.two_writable(), None, "two servers took writes at once");
        println!(
            "{} acknowledged, {} errors, {} samples",
            book.acknowledged.len(),
            book.errors,
            seen.len()
        );
        book
    }
}

/// The replica has all the primary has, and nothing else.
async fn same(hosts: &Hosts, primary: &str, replica: &str, there: &BTreeSet<u64>) {
    let began = Instant::now();
    loop {
        let here = present(&mut hosts.admin(replica).await).await;
        if here == *there {
            break;
        }
        assert!(
            began.elapsed() < LONG,
            "{replica} has not what {primary} has: {} and {} rows",
            here.len(),
            there.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sum = "CHECKSUM TABLE foobar_app.ledger";
    let of_primary = hosts.admin(primary).await.query(sum).await.unwrap();
    let of_replica = hosts.admin(replica).await.query(sum).await.unwrap();
    assert_eq!(
        of_primary, of_replica,
        "checksums of {primary} and {replica}"
    );
}

/// A replica that waited for acknowledgements would hang in its own applier when it is promoted.
async fn replica_waits_for_nobody(hosts: &Hosts, name: &str) {
    let sql = "SELECT CONCAT(@@read_only, @@rpl_semi_sync_master_enabled)";
    let rows = hosts.admin(name).await.query(sql).await.unwrap();
    assert_eq!(rows.single(), Some("ONOFF"), "{name}");
}

struct Writer {
    next: u64,
    cluster: Cluster,
    addresses: Vec<(String, Address)>,
    password: Secret,
    book: Arc<Mutex<Book>>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    async fn write(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(mut connection) = self.connect().await else {
                tokio::time::sleep(PAUSE * 5).await;
                continue;
            };
            while !self.stop.load(Ordering::Relaxed) {
                if !self.insert(&mut connection).await {
                    open(&self.book).errors += 1;
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn connect(&self) -> Option<Connection> {
        let state = hosts::state(&self.cluster).await?;
        let primary = state.is_open().then_some(state.primary)?;
        let address = self.addresses.iter();
        let (_, address) = address
            .clone()
            .find(|(name, _)| *name == primary.as_str())?;
        let login = Connection::connect(address, "foobar", &self.password, Some("foobar_app"));
        let connected = tokio::time::timeout(Duration::from_secs(1), login).await;
        connected.ok()?.ok()
    }

    async fn insert(&mut self, connection: &mut Connection) -> bool {
        self.next += 1;
        let id = self.next;
        let sent = Instant::now();
        open(&self.book).sent.insert(id);
        let sql = format!("INSERT INTO ledger VALUES ({id}, SHA1({id}))");
        let answer = tokio::time::timeout(STATEMENT, connection.execute(&sql)).await;
        if !matches!(answer, Ok(Ok(_))) {
            return false;
        }
        let mut book = open(&self.book);
        book.acknowledged.insert(id);
        book.newest = book.newest.max(Some(sent));
        true
    }
}
