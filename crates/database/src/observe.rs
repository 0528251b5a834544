//! What is seen of the server, the cluster state and the other members. Seeing only: nothing here
//! changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster::{Cluster, Version, keys};
use site::name::MemberName;

use crate::engine::admin::{Admin, AdminError, LOOK};
use crate::engine::{accounts, status};
use crate::failover::lag;
use crate::failover::view::{Io, Status, Store};
use crate::record::{FORMAT, MemberRecord, RequestRecord, StateRecord};

/// A read of the store takes microseconds here and a few milliseconds over a network.
pub(crate) const STORE_LIMIT: Duration = Duration::from_secs(1);

/// Microseconds since 1970, for the heartbeat only.
pub(crate) fn wall_clock_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}

/// `database/state`, and the version it has in the store.
pub(crate) async fn store(cluster: &Cluster) -> (Store, Option<Version>) {
    let entry = match within(cluster.get(keys::DATABASE_STATE)).await {
        Ok(entry) => entry,
        Err(why) => return (Store::Unusable(why), None),
    };
    let Some(entry) = entry else {
        return (Store::Empty, None);
    };
    let store = match serde_json::from_str::<StateRecord>(&entry.value) {
        Ok(state) if state.format == FORMAT => Store::Names(Box::new(state)),
        Ok(state) => Store::Unusable(format!(
            "{} has format {}, this version knows {FORMAT}",
            keys::DATABASE_STATE,
            state.format
        )),
        Err(e) => Store::Unusable(format!("{}: {e}", keys::DATABASE_STATE)),
    };
    (store, Some(entry.version))
}

/// `database/request`. One that cannot be understood asks for nothing; `None`: not known.
pub(crate) async fn request(cluster: &Cluster) -> Option<RequestRecord> {
    match within(cluster.get(keys::DATABASE_REQUEST)).await {
        Ok(Some(entry)) => Some(serde_json::from_str(&entry.value).unwrap_or_else(|e| {
            tracing::warn!("{}: {e}", keys::DATABASE_REQUEST);
            RequestRecord::default()
        })),
        Ok(None) => Some(RequestRecord::default()),
        Err(why) => {
            tracing::debug!("{}: {why}", keys::DATABASE_REQUEST);
            None
        }
    }
}

/// A store that does not answer must not keep the keeper from its other duties.
pub(crate) async fn within<T, E: std::fmt::Display>(
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(STORE_LIMIT, asked).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} ms", STORE_LIMIT.as_millis())),
    }
}

/// What the other members wrote down of themselves; one that cannot be read was not heard.
pub(crate) async fn others(
    cluster: &Cluster,
    me: &MemberName,
) -> BTreeMap<MemberName, MemberRecord> {
    let entries = match within(cluster.list(keys::DATABASE_MEMBERS)).await {
        Ok(entries) => entries,
        Err(why) => {
            tracing::warn!("{me}: {why}");
            return BTreeMap::new();
        }
    };
    let mut records = BTreeMap::new();
    for (key, entry) in entries {
        let name = key.strip_prefix(keys::DATABASE_MEMBERS).unwrap_or(&key);
        match serde_json::from_str::<MemberRecord>(&entry.value) {
            Ok(record) if record.format == FORMAT => {
                records.insert(MemberName::new(name), record);
            }
            Ok(record) => tracing::warn!("{key}: unknown format {}", record.format),
            Err(e) => tracing::warn!("{key}: {e}"),
        }
    }
    records.remove(me);
    records
}

/// What the server says of itself. `start_from`: its data was copied and not followed on yet.
pub(crate) async fn status(
    admin: &mut Admin,
    server_id: u32,
    start_from: bool,
) -> Result<Status, AdminError> {
    let rows = admin.query(status::VARIABLES, LOOK).await?;
    let Some(variables) = status::variables(&rows, server_id) else {
        let what = format!("its variables make no sense: {rows:?}");
        return Err(mysql::client::QueryError::Protocol(what).into());
    };
    let rows = admin.query(status::REPLICATION, LOOK).await?;
    let replication = status::replication(&rows);
    // Without a connection to the primary nobody knows what is missing.
    let connected = replication
        .as_ref()
        .is_some_and(|r| r.io == Io::Running && r.sql_running);
    let lag = if connected {
        newest_beat(admin)
            .await?
            .map(|newest| lag::lag(wall_clock_us(), newest))
    } else {
        None
    };
    // A replica that replicates for others is none of ours: only a primary has followers to look at.
    let (connected, locked) = match replication.is_none() {
        true => followers(admin).await?,
        false => Default::default(),
    };
    Ok(Status {
        semi_sync: variables.semi_sync,
        connected,
        locked,
        version: variables.version,
        read_only: variables.read_only,
        binlog_pos: variables.binlog_pos,
        own: variables.own,
        slave_pos: variables.slave_pos,
        replication,
        start_from,
        lag,
    })
}

/// The members that receive from this server, and those whose account is locked.
async fn followers(
    admin: &mut Admin,
) -> Result<(BTreeSet<MemberName>, BTreeSet<MemberName>), AdminError> {
    let rows = admin.query(status::FOLLOWERS, LOOK).await?;
    let mut connected = BTreeSet::new();
    let mut locked = BTreeSet::new();
    for row in &rows.rows {
        if let [Some(user), Some(what)] = row.as_slice()
            && let Some(member) = accounts::replicates_for(user)
        {
            match what.as_str() {
                "locked" => locked.insert(member),
                _ => connected.insert(member),
            };
        }
    }
    Ok((connected, locked))
}

async fn newest_beat(admin: &mut Admin) -> Result<Option<i64>, AdminError> {
    match admin.query(status::NEWEST_BEAT, LOOK).await {
        Ok(rows) => Ok(status::newest_beat(&rows)),
        // 1146, 1049: a new replica has not received the table or its schema yet.
        Err(e) if matches!(e.code(), Some(1146 | 1049)) => Ok(None),
        Err(e) => Err(e),
    }
}
