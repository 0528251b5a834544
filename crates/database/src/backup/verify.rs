//! A backup restored on trial: stored bytes compared with what was written, the data prepared, a server
//! started over it, every table checked and summed up. Nothing else shows that a backup is one.
//!
//! The sums are kept: the next trial of the same backup, and so a restore, must give the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use site::target::MemberTarget;
use telemetry::wall_clock::now_ms;

use super::catalog::Backup;
use super::destination::Destination;
use super::key::Key;
use super::record::{FORMAT, Manifest, Verification};
use super::restore::{Apart, RestoreError};
use super::take::Bench;
use super::unpack;
use crate::engine::accounts::name;
use crate::engine::admin::{Admin, AdminError, LOOK};
use crate::engine::create::{self, beside};
use crate::engine::mariadb::STOP_GRACE;

/// One table: a scan of some hundred gigabytes.
const TABLE: Duration = Duration::from_secs(3 * 3600);

const TABLES: &str = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
                      WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN \
                      ('information_schema', 'performance_schema') ORDER BY 1, 2";

/// What is tried.
#[derive(Debug, Clone)]
pub struct Trial {
    pub chain: Vec<Manifest>,
    /// The last of the chain, with its former trial.
    pub backup: Backup,
    pub destination: Destination,
    pub key: Option<Key>,
    pub member: MemberTarget,
}

/// Not a judgement of the backup: the trial itself could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the trial restore of {id} could not be made: {why}")]
pub struct NoTrial {
    pub id: String,
    pub why: String,
}

/// `dir`: where the copy is made and removed again.
pub async fn verify(bench: &mut Bench, trial: &Trial, dir: &Path) -> Result<Verification, NoTrial> {
    let began = Instant::now();
    let id = trial.backup.manifest.id.clone();
    let tried = attempt(bench, trial, dir).await;
    for left in [
        dir.to_owned(),
        beside(dir, ".increment"),
        beside(dir, ".tmp"),
    ] {
        if left.exists()
            && let Err(e) = std::fs::remove_dir_all(&left)
        {
            tracing::warn!("{}: {e}", left.display());
        }
    }
    let (tables, failed) = match tried {
        Ok((tables, failed)) => (tables, failed),
        Err(e) if is_about_the_backup(&e) => (BTreeMap::new(), Some(e.to_string())),
        Err(e) => {
            let why = e.to_string();
            return Err(NoTrial { id, why });
        }
    };
    Ok(Verification {
        format: FORMAT,
        id,
        at_ms: now_ms(),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        failed,
        tables,
    })
}

/// A destination that does not answer, a full disk here, a missing key: none of them says that the
/// backup is bad.
fn is_about_the_backup(error: &RestoreError) -> bool {
    use super::seal::UnsealError;
    use super::shelf::ShelfError;
    use super::unpack::UnpackError;
    match error {
        RestoreError::Unpack(UnpackError::Stored { source, .. }) => match source {
            ShelfError::Place(e) => matches!(e, super::destination::PlaceError::Missing(_)),
            ShelfError::Foreign { .. } => false,
            ShelfError::Object { why, .. } => matches!(why, UnsealError::Damaged(_)),
        },
        RestoreError::Unpack(UnpackError::Tool { source, .. }) => {
            matches!(source, crate::engine::tool::ToolError::Failed { .. })
        }
        RestoreError::Start(e) => !e.needs_you(),
        _ => false,
    }
}

type Tried = (BTreeMap<String, String>, Option<String>);

async fn attempt(bench: &mut Bench, trial: &Trial, dir: &Path) -> Result<Tried, RestoreError> {
    create::make_empty(&bench.work_dir)?;
    let key = trial.key.as_ref();
    unpack::unpack(bench, &trial.destination, key, &trial.chain, dir).await?;
    let apart = Apart::new(bench, trial.member.clone(), dir.to_owned());
    let mut running = apart.start(bench, &["--skip-log-bin"]).await?;
    let mut cancel = bench.cancel.clone();
    let mut admin = apart.server.connection();
    let judged = tokio::select! {
        judged = judge(&mut admin, trial) => judged,
        () = cancel.told() => Err(crate::engine::mariadb::StartError::Cancelled.into()),
    };
    running.stop(STOP_GRACE).await;
    judged
}

async fn judge(admin: &mut Admin, trial: &Trial) -> Result<Tried, RestoreError> {
    let rows = admin.query(TABLES, LOOK).await?;
    let mut sums = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in &rows.rows {
        let [Some(schema), Some(table)] = row.as_slice() else {
            continue;
        };
        let full = format!("{}.{}", name(schema), name(table));
        if let Some(why) = check(admin, &full).await? {
            wrong.push(format!("table {schema}.{table}: {why}"));
        }
        // The server's own tables change with every start.
        if !["mysql", "sys"].contains(&schema.as_str()) {
            sums.insert(format!("{schema}.{table}"), sum(admin, &full).await?);
        }
    }
    if let Some(former) = trial.backup.verification.as_ref().filter(|v| v.is_good()) {
        wrong.extend(different(&former.tables, &sums));
    }
    let failed = (!wrong.is_empty()).then(|| wrong.join("; "));
    Ok((sums, failed))
}

/// None: it is well.
async fn check(admin: &mut Admin, table: &str) -> Result<Option<String>, AdminError> {
    let rows = admin.query(&format!("CHECK TABLE {table}"), TABLE).await?;
    // The last row sums it up; an engine that cannot check says so in a note.
    let last = rows.rows.len().saturating_sub(1);
    let text = rows.get(last, "Msg_text").unwrap_or("no answer");
    let is_note = rows.get(last, "Msg_type") == Some("note");
    Ok((text != "OK" && !is_note).then(|| text.to_owned()))
}

async fn sum(admin: &mut Admin, table: &str) -> Result<String, AdminError> {
    let rows = admin
        .query(&format!("CHECKSUM TABLE {table}"), TABLE)
        .await?;
    Ok(rows.first("Checksum").unwrap_or("NULL").to_owned())
}

fn different(
    former: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> impl Iterator<Item = String> {
    let names: std::collections::BTreeSet<&String> = former.keys().chain(now.keys()).collect();
    names
        .into_iter()
        .filter(|name| former.get(*name) != now.get(*name))
        .map(|name| {
            let of = |sums: &BTreeMap<String, String>| {
                sums.get(name)
                    .cloned()
                    .unwrap_or_else(|| "no such table".to_owned())
            };
            format!(
                "table {name}: its checksum is {}, and was {} in the trial before",
                of(now),
                of(former)
            )
        })
        .collect::<Vec<_>>()
        .into_iter()
}
