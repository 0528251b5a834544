//! Restored data in the place of the live data, of a site that is stopped.

use std::path::{Path, PathBuf};

use cluster::Cluster;
use database::backup::catalog::Catalog;
use database::backup::restore::Restored;
use database::record::Identity;
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
