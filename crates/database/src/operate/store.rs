//! Reads the records of a cluster out of the cluster state, and changes what people ask for.

use std::collections::BTreeMap;

use cluster::{Cluster, PutError, keys};
use site::name::MemberName;

use super::message::Change;
use crate::failover::view::Store;
use crate::observe;
use crate::record::{FORMAT, MemberRecord, RequestRecord, StateRecord};

/// Tries to change a request when others change it at the same moment.
const TRIES: u32 = 5;

/// What is written down.
#[derive(Debug)]
pub struct Stored {
    pub state: Option<StateRecord>,
    pub request: RequestRecord,
    pub records: BTreeMap<MemberName, MemberRecord>,
}

/// `Err`: why it cannot be read.
pub async fn read(cluster: &Cluster) -> Result<Stored, String> {
    let state = match observe::store(cluster).await.0 {
        Store::Unusable(why) => return Err(why),
        Store::Empty => None,
        Store::Names(state) => Some(*state),
    };
    let request = observe::request(cluster).await;
    let entries = observe::within(cluster.list(keys::DATABASE_MEMBERS)).await?;
    let records = entries.iter().filter_map(|(key, entry)| {
        let name = key.strip_prefix(keys::DATABASE_MEMBERS)?;
        let record: MemberRecord = serde_json::from_str(&entry.value).ok()?;
        (record.format == FORMAT).then(|| (MemberName::new(name), record))
    });
    Ok(Stored {
        state,
        request: request.unwrap_or_default(),
        records: records.collect(),
    })
}

/// Writes the change; what is asked for now.
pub async fn change(cluster: &Cluster, change: &Change) -> Result<RequestRecord, String> {
    let mut tries = 0;
    loop {
        let entry = observe::within(cluster.get(keys::DATABASE_REQUEST)).await?;
        let before = match &entry {
            Some(entry) => serde_json::from_str(&entry.value)
                .map_err(|e| format!("{}: {e}", keys::DATABASE_REQUEST))?,
            None => RequestRecord::default(),
        };
        let next = change.on(&before);
        let text = serde_json::to_string(&next).map_err(|e| e.to_string())?;
        let version = entry.map(|entry| entry.version);
        tries += 1;
        match cluster.put_if(keys::DATABASE_REQUEST, version, text).await {
            Ok(_) => return Ok(next),
            Err(PutError::Conflict(_)) if tries < TRIES => {}
            Err(e) => return Err(e.to_string()),
        }
    }
}
