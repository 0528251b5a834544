//! Members on hosts of their own: each keeper has a runtime to itself that can be frozen or lost, and
//! a mariadbd that can be made unable to start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cluster::{Cluster, Versioned, keys};
use database::record::{MemberRecord, RequestRecord, StateRecord, SyncSet, Wanted};
use database::{MemberReport, Parts, Programs, Role};
use mysql::client::Connection;
use nix::sys::signal::Signal;
use process::spawn::Spawner;
use site::name::MemberName;
use tokio::sync::{mpsc, oneshot, watch};

use crate::bed::{Bed, LONG, signal};

pub(crate) const THREE: [&str; 3] = ["db-1", "db-2", "db-3"];
pub(crate) const TWO: [&str; 2] = ["db-1", "db-2"];

/// How mariadbd is started: as it is, unless a file beside it says otherwise.
const WRAPPER: &str = "#!/bin/sh\n\
    [ -e \"$0.broken\" ] && { echo '[ERROR] broken by the test'; exit 1; }\n\
    [ -e \"$0.slow\" ] && exec sleep 3\n\
    PATH=$PATH:/usr/sbin exec mariadbd \"$@\"\n";

enum Order {
    Freeze(oneshot::Sender<()>, Receiver<()>),
    Stop(oneshot::Sender<()>),
}

/// A machine with one member.
struct Host {
    mark: String,
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    report: watch::Receiver<MemberReport>,
}

/// Goes on when it is dropped.
pub(crate) struct Frozen(#[expect(dead_code, reason = "its drop is what counts")] SyncSender<()>);

impl Host {
    async fn start(mut parts: Parts, mark: &str) -> Self {
        parts.spawner = Spawner::start_with(None, false, mark.to_owned()).unwrap();
        let (orders, mut queue) = mpsc::channel(1);
        let (tell, told) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let keeper = database::start(parts);
                tell.send(keeper.report()).unwrap();
                while let Some(order) = queue.recv().await {
                    match order {
                        // Nothing on this runtime goes on meanwhile.
                        Order::Freeze(frozen, until) => {
                            frozen.send(()).unwrap();
                            assert!(until.recv().is_err(), "dropped, not told");
                        }
                        Order::Stop(done) => {
                            keeper.stop().await;
                            done.send(()).unwrap();
                            return;
                        }
                    }
                }
            });
            runtime.shutdown_background();
        });
        Self {
            mark: mark.to_owned(),
            orders: Some(orders),
            thread: Some(thread),
            report: told.await.unwrap(),
        }
    }

    fn order(&self, order: Order) {
        self.orders.as_ref().unwrap().try_send(order).ok().unwrap();
    }
}

/// As when the power goes: the keeper is gone in the middle of what it did, and so is every process.
impl Drop for Host {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        // What it had asked for last may be about to start.
        std::thread::sleep(Duration::from_millis(10));
        process::leash::kill_marked(&self.mark);
    }
}

/// A site, and its machines by member.
pub(crate) struct Hosts {
    hosts: BTreeMap<String, Host>,
    pub(crate) bed: Bed,
}

impl Hosts {
    /// Everything from nothing; every replica may acknowledge.
    pub(crate) async fn start(names: &[&str]) -> Self {
        let mut hosts = Self::prepare(Bed::of(names));
        hosts.power_on_all().await;
        hosts.whole_set().await;
        hosts
    }

    /// Nothing runs yet.
    pub(crate) fn prepare(bed: Bed) -> Self {
        let hosts = Self {
            hosts: BTreeMap::new(),
            bed,
        };
        for name in hosts.names() {
            std::fs::create_dir_all(hosts.programs(&name)).unwrap();
            let wrapper = hosts.programs(&name).join("mariadbd");
            std::fs::write(&wrapper, WRAPPER).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&wrapper, mode).unwrap();
        }
        hosts
    }

    pub(crate) async fn power_on_all(&mut self) {
        for name in self.names() {
            self.power_on(&name).await;
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.bed.members.iter();
        names.map(|member| member.name.to_string()).collect()
    }

    fn programs(&self, name: &str) -> PathBuf {
        self.bed.dir.path().join("programs").join(name)
    }

    /// From now on its mariadbd ends at once when it is started (`broken`), or never answers (`slow`).
    pub(crate) fn spoil(&self, name: &str, how: &str) {
        std::fs::write(self.programs(name).join(format!("mariadbd.{how}")), "").unwrap();
    }

    pub(crate) fn mend(&self, name: &str, how: &str) {
        std::fs::remove_file(self.programs(name).join(format!("mariadbd.{how}"))).unwrap();
    }

    pub(crate) async fn power_on(&mut self, name: &str) {
        let mut parts = self.bed.parts(name);
        let mut dirs = vec![self.programs(name)];
        let path = std::env::var_os("PATH").unwrap();
        dirs.extend(std::env::split_paths(&path));
        parts.programs = Programs::from_path(Some(std::env::join_paths(dirs).unwrap()));
        let mark = format!("{}-{name}", self.bed.mark);
        let host = Host::start(parts, &mark).await;
        assert!(self.hosts.insert(name.to_owned(), host).is_none());
    }

    pub(crate) fn power_off(&mut self, name: &str) {
        self.hosts.remove(name).unwrap();
    }

    /// All at once, the store too.
    pub(crate) async fn power_cut(&mut self) {
        for host in self.hosts.values() {
            process::leash::kill_marked(&host.mark);
        }
        self.hosts.clear();
        self.bed.cluster =
            Cluster::open_embedded(&self.bed.dir.path().join("cluster.json")).unwrap();
    }

    /// As told by a person.
    pub(crate) async fn stop(&mut self, name: &str) {
        let (done, told) = oneshot::channel();
        self.hosts[name].order(Order::Stop(done));
        told.await.unwrap();
        self.hosts.remove(name);
    }

    pub(crate) async fn freeze_keeper(&self, name: &str) -> Frozen {
        let (until, order) = sync_channel(1);
        let (tell, frozen) = oneshot::channel();
        self.hosts[name].order(Order::Freeze(tell, order));
        frozen.await.unwrap();
        Frozen(until)
    }

    pub(crate) fn report(&self, name: &str) -> MemberReport {
        self.hosts[name].report.borrow().clone()
    }

    pub(crate) fn reports(&self) -> Vec<MemberReport> {
        self.hosts.keys().map(|name| self.report(name)).collect()
    }

    pub(crate) fn pid(&self, name: &str) -> u32 {
        self.report(name).pid.unwrap()
    }

    pub(crate) async fn state(&self) -> Option<StateRecord> {
        state(&self.bed.cluster).await
    }

    /// Waits until the store has such a state.
    pub(crate) async fn until(
        &self,
        what: &str,
        wanted: impl Fn(&StateRecord) -> bool,
    ) -> StateRecord {
        let began = Instant::now();
        loop {
            let state = self.state().await;
            if let Some(state) = &state
                && wanted(state)
            {
                return state.clone();
            }
            if began.elapsed() > LONG {
                let reports = self.reports();
                panic!("never: {what}; the state is {state:#?}; the members say {reports:#?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for a report of `name`.
    pub(crate) async fn until_report(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&MemberReport) -> bool,
    ) -> MemberReport {
        let mut report = self.hosts[name].report.clone();
        let found = tokio::time::timeout(LONG, report.wait_for(|report| wanted(report))).await;
        match found {
            Ok(found) => found.unwrap().clone(),
            Err(_) => panic!("never: {what}; the last report is {:#?}", self.report(name)),
        }
    }

    /// Another than `before` is elected and open.
    pub(crate) async fn elected_after(&self, before: &str) -> String {
        let state = self
            .until("another primary", |state| {
                state.is_open() && state.primary.as_str() != before
            })
            .await;
        state.primary.to_string()
    }

    /// All members are back: the primary serves, all others follow it and acknowledge.
    pub(crate) async fn all_back(&self) -> String {
        let state = self
            .until("all replicas in the sync set", |state| {
                let others = self.bed.members.len() - 1;
                let set = state.sync_set.members();
                let serve = self.reports().iter().all(MemberReport::serves);
                serve && state.is_open() && set.is_some_and(|set| set.len() == others)
            })
            .await;
        state.primary.to_string()
    }

    /// The primary serves, all others acknowledge, and each of them could take its place.
    pub(crate) async fn whole_set(&self) -> String {
        let began = Instant::now();
        loop {
            let state = self.state().await;
            if let Some(state) = &state
                && self.is_whole(state).await
            {
                return state.primary.to_string();
            }
            assert!(
                began.elapsed() < LONG,
                "never: all replicas ready; the state is {state:#?}; the members say {:#?} {:#?}",
                self.reports(),
                self.records().await,
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn is_whole(&self, state: &StateRecord) -> bool {
        let others = self.bed.members.len() - 1;
        let records = self.records().await;
        let ready = |name: &MemberName| {
            let record = records.iter().find(|(member, _)| *member == name.as_str());
            record.is_some_and(|(_, record)| record.standing.whole && record.standing.linked)
                && self.report(name.as_str()).serves()
        };
        let set = state.sync_set.members();
        state.is_open()
            && self.report(state.primary.as_str()).role == Role::Primary
            && set.is_some_and(|set| set.len() == others && set.iter().all(ready))
    }

    /// What the members have written down of themselves.
    async fn records(&self) -> Vec<(String, MemberRecord)> {
        let all = self.bed.cluster.list(keys::DATABASE_MEMBERS).await.unwrap();
        let read = |(key, entry): (String, Versioned)| {
            let name = key.strip_prefix(keys::DATABASE_MEMBERS).unwrap().to_owned();
            (name, serde_json::from_str(&entry.value).unwrap())
        };
        all.into_iter().map(read).collect()
    }

    /// Waits until `primary` is without any replica that acknowledges.
    pub(crate) async fn alone(&self, primary: &str) {
        self.until("the primary alone", |state| {
            state.is_open()
                && state.primary.as_str() == primary
                && state.sync_set == SyncSet::alone()
        })
        .await;
    }

    pub(crate) async fn request(&self, request: &RequestRecord) {
        let text = serde_json::to_string(request).unwrap();
        let cluster = &self.bed.cluster;
        let before = cluster.get(keys::DATABASE_REQUEST).await.unwrap();
        let version = before.map(|before| before.version);
        let put = cluster.put_if(keys::DATABASE_REQUEST, version, text);
        put.await.unwrap();
    }

    pub(crate) async fn ask_switchover(&self, to: &str) {
        let wanted = Wanted {
            generation: self.state().await.unwrap().generation,
            to: Some(MemberName::new(to)),
        };
        self.request(&RequestRecord {
            switchover: Some(wanted),
            ..RequestRecord::default()
        })
        .await;
    }

    /// Many failovers in a short time make the next one wait: those so far are long ago now.
    pub(crate) async fn forget_failovers(&self) {
        let cluster = &self.bed.cluster;
        loop {
            let entry = cluster.get(keys::DATABASE_STATE).await.unwrap().unwrap();
            let mut state: StateRecord = serde_json::from_str(&entry.value).unwrap();
            state.history.iter_mut().for_each(|change| change.at_ms = 0);
            let text = serde_json::to_string(&state).unwrap();
            let put = cluster.put_if(keys::DATABASE_STATE, Some(entry.version), text);
            if put.await.is_ok() {
                return;
            }
        }
    }

    pub(crate) async fn admin(&self, name: &str) -> Connection {
        self.bed.admin(name).await
    }

    /// From now on it receives nothing, and nobody is told; until SIGCONT.
    pub(crate) async fn deafen(&self, primary: &str, replica: &str) -> u32 {
        let pid = self.pid(replica);
        signal(pid, Signal::SIGSTOP);
        self.cut_replication(primary, replica).await;
        pid
    }

    /// Ends what `from` sends to `to`, and only that; it comes back unless `to` is frozen.
    async fn cut_replication(&self, from: &str, to: &str) {
        let mut admin = self.admin(from).await;
        let sql = format!(
            "SELECT id FROM information_schema.processlist WHERE user = 'repl_{to}' \
             AND command = 'Binlog Dump'"
        );
        let rows = admin.query(&sql).await.unwrap();
        let id = rows.single().unwrap().to_owned();
        admin.query(&format!("KILL {id}")).await.unwrap();
        while admin.query(&sql).await.unwrap().single().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Replicas first; then nothing of ours runs.
    pub(crate) async fn finish(mut self) {
        let primary = self.state().await.map(|state| state.primary.to_string());
        let mut names: Vec<String> = self.hosts.keys().cloned().collect();
        names.sort_by_key(|name| Some(name) == primary.as_ref());
        for name in names {
            let mark = self.hosts[&name].mark.clone();
            self.stop(&name).await;
            let until = Instant::now() + LONG;
            while !process::leash::marked(&mark).is_empty() {
                assert!(Instant::now() < until, "{name} has left processes");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

pub(crate) async fn state(cluster: &Cluster) -> Option<StateRecord> {
    let entry = cluster.get(keys::DATABASE_STATE).await.unwrap()?;
    Some(serde_json::from_str(&entry.value).unwrap())
}
