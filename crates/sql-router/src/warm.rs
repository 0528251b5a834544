//! Connections that are ready before they are needed: for each user who has logged in here, some to each
//! server, opened beside the sessions and kept while nobody uses them.

use std::rc::Rc;
use std::time::Instant;

use site::name::MemberName;

use crate::limits::WARM_USERS;
use crate::pool::Kind;
use crate::route;
use crate::server::{Identity, Past};
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// Somebody for whom connections are kept ready.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    who: Identity,
    schema: Option<String>,
}

impl Worker {
    /// He has logged in: from now on, connections are kept ready for him.
    pub(crate) fn keep_warm(self: &Rc<Self>, who: &Identity, schema: Option<&str>) {
        if self.snapshot.load().target.pool.ready == 0 {
            return;
        }
        let new = |one: &Wanted| one.who.user != who.user || one.schema.as_deref() != schema;
        let mut warm = self.warm.borrow_mut();
        if warm.len() >= WARM_USERS || !warm.iter().all(new) {
            return;
        }
        let wanted = Wanted {
            who: who.clone(),
            schema: schema.map(str::to_owned),
        };
        warm.push(wanted.clone());
        drop(warm);
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move { worker.warm_up(&wanted).await });
    }

    /// Opens what is missing, for everybody.
    pub(crate) async fn warm_all(&self) {
        let all = self.warm.borrow().clone();
        for wanted in all {
            self.warm_up(&wanted).await;
        }
    }

    async fn warm_up(&self, wanted: &Wanted) {
        let snapshot = self.snapshot.load();
        for member in in_use(&snapshot) {
            let schema = wanted.schema.as_deref();
            let kind = Kind::new(member, &wanted.who, schema);
            let ready = usize::from(snapshot.target.pool.ready);
            let missing = ready.saturating_sub(self.pool.borrow().idle(&kind));
            for _ in 0..missing {
                // Those who wait come first; and a full pool would close it again.
                let share = self.share(&snapshot);
                let room = !self.slots.is_wanted(member) && !self.pool.borrow().is_full();
                let Some(slot) = self.slots.take(member, share).filter(|_| room) else {
                    break;
                };
                match self
                    .open(&snapshot, member, &wanted.who, schema, slot)
                    .await
                {
                    Ok(connection) => self.give_back(&wanted.who, connection, Past::Clean),
                    Err(e) => {
                        tracing::debug!("no connection for {} ahead: {e}", wanted.who.user);
                        // His password may be another now: he is noted again when he logs in.
                        let user = &wanted.who.user;
                        self.warm.borrow_mut().retain(|one| one.who.user != *user);
                        return;
                    }
                }
            }
        }
    }

    /// Closes what is too old, and opens what is missing.
    pub(crate) async fn tend_pool(&self) {
        let snapshot = self.snapshot.load();
        let (generation, pool) = (snapshot.servers.generation, snapshot.target.pool);
        self.pool
            .borrow_mut()
            .sweep(generation, pool, Instant::now());
        self.warm_all().await;
    }
}

/// The primary, and the replicas that get reads.
fn in_use(snapshot: &Snapshot) -> impl Iterator<Item = &MemberName> {
    let servers = &snapshot.servers;
    let max_lag = snapshot.target.max_lag;
    let usable = move |replica: &&crate::snapshot::Replica| {
        route::unusable(servers, replica, max_lag).is_none()
    };
    let replicas = servers.replicas.iter().filter(usable);
    let replicas = replicas.map(|replica| &replica.member);
    servers.primary.iter().chain(replicas)
}
