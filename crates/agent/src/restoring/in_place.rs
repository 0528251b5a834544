//! Restored data in the place of the live data, of a site that is stopped.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cluster::{Cluster, keys};
use database::backup::catalog::Catalog;
use database::backup::restore::Restored;
use database::failover::state_change;
use database::record::{Identity, StateRecord};
use site::target::MemberTarget;

use super::{failed, io_failed};
use crate::up_error::UpError;

/// Puts the restored data in the place of every member's: a replica begins where it stands. What is
/// written from now on is another history: said first, so that no log of it is taken for one of the old.
pub(super) async fn replace(
    cluster: &Cluster,
    catalog: &Catalog,
    site: &str,
    data: &Path,
    primary: &MemberTarget,
    members: &[MemberTarget],
    restored: &Restored,
) -> Result<Vec<PathBuf>, UpError> {
    let identity = |member: &MemberTarget, start_from| Identity {
        format: database::record::FORMAT,
        site: site.to_owned(),
        member: member.name.clone(),
        server_id: member.server_id,
        obeyed: None,
        start_from,
    };
    let fresh = |member: &MemberTarget| data.join(format!("{}.restored", member.name));
    for member in members.iter().filter(|member| member.name != primary.name) {
        let copy = fresh(member);
        copy_dir(&restored.data_dir, &copy)?;
        let begins = Some(restored.position.to_string());
        database::engine::identity::write(&copy, &identity(member, begins))
            .map_err(|e| failed(&e))?;
    }
    database::engine::identity::write(&restored.data_dir, &identity(primary, None))
        .map_err(|e| failed(&e))?;
    let begun = database::backup::keeper::begin_history(cluster, catalog).await;
    begun.map_err(|e| UpError::new(e, ""))?;
    begin_generation(cluster, primary, restored).await?;
    let mut aside = Vec::new();
    for member in members {
        let live = data.join(member.name.as_str());
        if live.exists() {
            let to = free(data, member);
            std::fs::rename(&live, &to).map_err(io_failed(&live))?;
            aside.push(to);
        }
        let fresh = fresh(member);
        database::engine::create::rename(&fresh, &live).map_err(|e| failed(&e))?;
    }
    Ok(aside)
}

/// The cluster state says what its primary had at least: less from now on, and whoever has more does not
/// come back with it.
async fn begin_generation(
    cluster: &Cluster,
    primary: &MemberTarget,
    restored: &Restored,
) -> Result<(), UpError> {
    let entry = cluster.get(keys::DATABASE_STATE).await;
    let Some(entry) = entry.map_err(|e| failed(&e))? else {
        return Ok(());
    };
    let state: StateRecord = serde_json::from_str(&entry.value).map_err(|e| {
        let what = format!("the cluster state ({}): {e}", keys::DATABASE_STATE);
        UpError::new(what, "nothing was replaced")
    })?;
    let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH);
    let wall_ms = wall_ms.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    let position = restored.position.to_string();
    let next = state_change::restored(&state, &primary.name, position, wall_ms);
    let value = serde_json::to_string(&next).map_err(|e| failed(&e))?;
    let put = cluster.put_if(keys::DATABASE_STATE, Some(entry.version), value);
    put.await.map(drop).map_err(|e| failed(&e))
}

/// `db-1.before-restore-1`, and so on.
fn free(data: &Path, member: &MemberTarget) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let path = data.join(format!("{}.before-restore-{number}", member.name));
        if !path.exists() {
            return path;
        }
        number = number.saturating_add(1);
    }
}

/// As a rebuild leaves a replica: all but the binary logs, which are the primary's own.
fn copy_dir(from: &Path, to: &Path) -> Result<(), UpError> {
    database::engine::create::make_empty(to).map_err(|e| failed(&e))?;
    for entry in std::fs::read_dir(from).map_err(io_failed(from))? {
        let entry = entry.map_err(io_failed(from))?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(io_failed(&source))?;
        if entry.file_name().as_encoded_bytes().starts_with(b"bin.") {
            continue;
        }
        match kind.is_dir() {
            true => copy_dir(&source, &copy)?,
            false => std::fs::copy(&source, &copy)
                .map(drop)
                .map_err(io_failed(&source))?,
        }
    }
    Ok(())
}
