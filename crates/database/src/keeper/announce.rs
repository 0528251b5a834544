//! What a member writes into the cluster state of itself, when it changes.

use std::time::Duration;

use cluster::{Cluster, PutError, Version, keys};

use crate::engine::identity;
use crate::engine::mariadb::Server;
use crate::failover::view::Time;
use crate::observe;
use crate::record::{FORMAT, Identity, MemberRecord, Standing};

/// The record that stands in the cluster state.
#[derive(Debug, Default)]
pub(super) struct Announcement {
    /// What is there was read in this life, or written by it.
    is_known: bool,
    version: Option<Version>,
    written: Option<MemberRecord>,
    /// When, for what changes all the time; `None`: another one may be under way.
    at: Option<Time>,
    /// Somebody waits for positions.
    pub(super) hurry: bool,
}

/// Positions alone are written this often: each write is one for the whole site to agree on.
const POSITIONS_EVERY: Duration = Duration::from_secs(1);

impl Announcement {
    /// Tells the others how this member is reached and what it followed last. A member whose data
    /// directory is another's says nothing. What cannot be written now is written with the next look.
    pub(super) async fn keep(
        &mut self,
        cluster: &Cluster,
        server: &Server,
        identity: Option<&Identity>,
        machine: &str,
        standing: Standing,
        now: Time,
    ) {
        if identity.is_none()
            && self.written.is_none()
            && identity::read(&server.data_dir, server.who()).is_err()
        {
            return;
        }
        let record = MemberRecord {
            format: FORMAT,
            server_id: server.target.server_id,
            machine: machine.to_owned(),
            socket: server.socket(),
            data_dir: server.data_dir.clone(),
            obeyed: identity.and_then(|identity| identity.obeyed.clone()),
            standing,
        };
        if !self.is_news(&record, now) {
            return;
        }
        let Ok(text) = serde_json::to_string(&record) else {
            return;
        };
        let key = keys::database_member(&server.target.name);
        let put = cluster.put_if(&key, self.version, text);
        match tokio::time::timeout(observe::STORE_LIMIT, put).await {
            Ok(Ok(version)) => {
                self.version = Some(version);
                self.written = Some(record);
                self.at = Some(now);
            }
            // It may come later: until another is written, nothing is known.
            Err(_) | Ok(Err(PutError::Store(_) | PutError::Bounds(_))) => self.at = None,
            // Only an earlier life of this keeper, or a write of which nobody knew, can have been quicker.
            // It may be a promise, and somebody may go by it already: it is not overwritten unread.
            Ok(Err(PutError::Conflict(_))) => {
                self.at = None;
                self.is_known = false;
            }
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// The promise in the record as it stands: it still holds. `Err`: not known yet.
    pub(super) async fn recall(
        &mut self,
        cluster: &Cluster,
        server: &Server,
    ) -> Result<Option<u64>, String> {
        let key = keys::database_member(&server.target.name);
        let entry = observe::within(cluster.get(&key)).await?;
        self.is_known = true;
        self.version = entry.as_ref().map(|entry| entry.version);
        // A record of another form is of before there were promises.
        let record = entry.and_then(|e| serde_json::from_str::<MemberRecord>(&e.value).ok());
        Ok(record.and_then(|record| record.standing.stopped_for))
    }

    /// What others decide by is written at once, what only moves on now and then.
    fn is_news(&self, record: &MemberRecord, now: Time) -> bool {
        let (Some(last), Some(at)) = (&self.written, self.at) else {
            return true;
        };
        let mut coarse = record.clone();
        coarse.standing = Standing {
            seen: last.standing.seen,
            received: last.standing.received.clone(),
            applied: last.standing.applied.clone(),
            lag_ms: last.standing.lag_ms,
            ..record.standing.clone()
        };
        // A promise says where it stopped; and who has yet to show that it has everything is waited for.
        let shows = record.standing.linked && !record.standing.whole;
        let at_once = self.hurry || shows || record.standing.stopped_for.is_some();
        coarse != *last || (*record != *last && (at_once || now.since(at) >= POSITIONS_EVERY))
    }

    /// The record in the store is the one written last, and it makes this promise.
    pub(super) fn says(&self, promised: Option<u64>) -> bool {
        let last = self.written.as_ref().filter(|_| self.at.is_some());
        last.is_some_and(|last| last.standing.stopped_for == promised)
    }
}
