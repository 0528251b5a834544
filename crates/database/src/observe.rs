//! What is seen of the server, the cluster state and the other members. Seeing only: nothing here
//! changes anything.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use cluster::{Cluster, keys};
use site::name::MemberName;

use crate::engine::admin::{Admin, AdminError, LOOK};
use crate::engine::status;
use crate::failover::lag;
use crate::failover::view::{Io, Status, Store};
use crate::record::{FORMAT, MemberRecord, Obeyed, StateRecord};

/// Microseconds since 1970, for the heartbeat only.
pub(crate) fn wall_clock_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}

/// `database/state`.
pub(crate) async fn store(cluster: &Cluster) -> Store {
    let entry = match cluster.get(keys::DATABASE_STATE).await {
        Ok(entry) => entry,
        Err(e) => return Store::Unusable(e.to_string()),
    };
    let Some(entry) = entry else {
        return Store::Empty;
    };
    match serde_json::from_str::<StateRecord>(&entry.value) {
        Ok(state) if state.format == FORMAT => Store::Names(Obeyed {
            primary: state.primary,
            generation: state.generation,
        }),
        Ok(state) => Store::Unusable(format!(
            "{} has format {}, this version knows {FORMAT}",
            keys::DATABASE_STATE,
            state.format
        )),
        Err(e) => Store::Unusable(format!("{}: {e}", keys::DATABASE_STATE)),
    }
}

/// What the other members wrote down of themselves; one that cannot be read was not heard.
pub(crate) async fn others(
    cluster: &Cluster,
    me: &MemberName,
) -> BTreeMap<MemberName, MemberRecord> {
    let entries = match cluster.list(keys::DATABASE_MEMBERS).await {
        Ok(entries) => entries,
        Err(e) => {
            tracing::warn!("{me}: {e}");
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
    Ok(Status {
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

async fn newest_beat(admin: &mut Admin) -> Result<Option<i64>, AdminError> {
    match admin.query(status::NEWEST_BEAT, LOOK).await {
        Ok(rows) => Ok(status::newest_beat(&rows)),
        // 1146, 1049: a new replica has not received the table or its schema yet.
        Err(e) if matches!(e.code(), Some(1146 | 1049)) => Ok(None),
        Err(e) => Err(e),
    }
}
