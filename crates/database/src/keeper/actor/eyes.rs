//! What the keeper sees in one round, and what it tells the others of it.

use std::collections::BTreeMap;

use site::name::MemberName;

use super::Actor;
use crate::failover::candidate;
use crate::failover::memory::Look;
use crate::failover::switchover;
use crate::failover::view::{Engine, Peer, Store, Time, View};
use crate::observe;
use crate::record::Standing;

impl Actor {
    pub(super) async fn observe(&mut self) -> View {
        if !self.announced.is_known() {
            match self.announced.recall(&self.cluster, &self.server).await {
                Ok(promised) => self.memory.recall(promised),
                Err(why) => tracing::warn!("{}: {why}", self.me()),
            }
        }
        let (store, version) = observe::store(&self.cluster).await;
        self.state_version = version;
        // One that does not answer would not answer the other questions either, and the primary is in a
        // hurry. What was asked for stays asked for.
        if !matches!(store, Store::Unusable(_)) {
            self.others = observe::others(&self.cluster, self.me()).await;
            if let Some(request) = observe::request(&self.cluster).await {
                self.request = request;
            }
        }
        // After the answer: what a lease is counted from is never before its renewal was sent.
        let now = self.now();
        let mut engine = self.engine(now).await;
        self.memory.complete(&mut engine);
        let members = self.server.target.members.clone();
        let me = self.me().clone();
        let obeyed = self.identity.as_ref().and_then(|i| i.obeyed.clone());
        let others: Vec<MemberName> = members
            .iter()
            .map(|member| member.name.clone())
            .filter(|name| *name != me)
            .collect();
        let peers: BTreeMap<MemberName, Peer> = self
            .others
            .iter()
            .map(|(name, record)| {
                let peer = Peer::new(record.obeyed.clone(), &record.standing);
                (name.clone(), peer)
            })
            .collect();
        let look = Look {
            peers: &peers,
            me: &me,
            others: &others,
            store: &store,
            obeyed: obeyed.as_ref(),
            engine: &engine,
            request: &self.request,
        };
        self.memory.looked(&look, now);
        View {
            members,
            first_primary: self.server.target.first_primary,
            max_lag: self.server.target.max_lag,
            acknowledged: self.server.target.acknowledged,
            wall_ms: u64::try_from(observe::wall_clock_us() / 1000).unwrap_or(0),
            store,
            seen_at: self.memory.seen_at(),
            held: self.memory.held.clone(),
            request: self.request.clone(),
            obeyed,
            peers,
            announced: false,
            promised: self.memory.promised,
            whole: self.memory.whole,
            engine,
            unfit_since: self.memory.unfit_since,
            switching_since: self.memory.switching_since(),
            away: self.memory.away.clone(),
            barrier: self.memory.barrier.clone(),
            in_flight: self.long.as_ref().map(|(what, _)| what.clone()),
            accounts_for: self.accounts_for,
            last_beat: self.last_beat,
            replication_starts: self.replication_starts,
            rebuilds: self.rebuilds.clone(),
        }
    }

    /// Writes down what this member has, after a look. Whether the others can count on it.
    pub(super) async fn announce(&mut self, view: &View) -> bool {
        // Writing before the earlier promise is known would take it back.
        if !self.announced.is_known() || matches!(view.store, Store::Unusable(_)) {
            return false;
        }
        let now = self.now();
        let me = self.me().clone();
        let state = view.state();
        let standing = state.and_then(|state| candidate::standing(view, state, &me));
        let lag = view.status().and_then(|status| status.lag);
        let standing = standing.map(|peer| Standing {
            seen: peer.seen,
            stopped_for: peer.stopped_for,
            received: peer.received.to_string(),
            applied: peer.applied.to_string(),
            whole: peer.whole,
            errant: peer.errant,
            broken: peer.broken,
            receives: peer.receives,
            linked: peer.linked,
            lag_ms: lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
        });
        let standing = standing.unwrap_or_default();
        let promised = standing.stopped_for;
        self.announced.hurry = switchover::is_asked(view);
        self.announced
            .keep(
                &self.cluster,
                &self.server,
                self.identity.as_ref(),
                &self.machine,
                standing,
                now,
            )
            .await;
        self.announced.says(promised)
    }

    async fn engine(&mut self, now: Time) -> Engine {
        if let Some(down) = self.process.down() {
            return down;
        }
        let identity = self.identity.as_ref();
        let start_from = identity.is_some_and(|identity| identity.start_from.is_some());
        let server_id = self.server.target.server_id;
        match observe::status(&mut self.admin, server_id, start_from).await {
            Ok(status) => {
                self.process.answers();
                Engine::Answers(Box::new(status))
            }
            Err(e) => self.process.is_silent(e.to_string(), now),
        }
    }
}
