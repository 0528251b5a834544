//! What a member writes into the cluster state of itself, when it changes.

use cluster::{Cluster, PutError, Version, keys};

use crate::engine::identity;
use crate::engine::mariadb::Server;
use crate::record::{FORMAT, Identity, MemberRecord};

/// The record that stands in the cluster state.
#[derive(Debug, Default)]
pub(super) struct Announcement(Option<(Version, MemberRecord)>);

impl Announcement {
    /// Tells the others how this member is reached and what it followed last. A member whose data
    /// directory is another's says nothing. What cannot be written now is written with the next look.
    pub(super) async fn keep(
        &mut self,
        cluster: &Cluster,
        server: &Server,
        identity: Option<&Identity>,
        machine: &str,
    ) {
        if identity.is_none()
            && self.0.is_none()
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
        };
        if self.0.as_ref().is_some_and(|(_, last)| *last == record) {
            return;
        }
        let Ok(text) = serde_json::to_string(&record) else {
            return;
        };
        let key = keys::database_member(&server.target.name);
        let known = self.0.as_ref().map(|(version, _)| *version);
        let mut put = cluster.put_if(&key, known, text.clone()).await;
        // The only writer is this member, in an earlier life.
        if let Err(PutError::Conflict(conflict)) = put {
            let current = conflict.current.map(|current| current.version);
            put = cluster.put_if(&key, current, text).await;
        }
        match put {
            Ok(version) => self.0 = Some((version, record)),
            Err(e) => tracing::warn!("{}: {e}", server.target.name),
        }
    }
}
