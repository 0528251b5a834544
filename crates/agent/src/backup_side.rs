//! Backups of a running site: the keeper of them, and what people ask of it.

use std::path::Path;

use cluster::Secrets;
use database::backup::destination::{Bucket, Destination, Directory, S3};
use database::backup::keeper::Orders;
use database::backup::key::Key;
use database::backup::record::{Kind, Manifest, Verification};
use database::backup::report::Report;
use database::backup::schedule::Schedule;
use database::backup::{self, Order};
use monitor::status::BackupStatus;
use serde::Serialize as _;
use site::target::Target;
use site::target::backup::{BackupPlace, BackupTarget};
use telemetry::Secret;
use telemetry::metrics::Exposition;
use telemetry::wall_clock::now_ms;
use tokio::sync::watch;

use crate::app_side::given;
use crate::known::{Known, locked};
use crate::local::Running;
use crate::up_error::UpError;

/// The keeper, for those who look at it and those who give it orders.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) report: watch::Receiver<Report>,
    pub(crate) orders: Orders,
    pub(crate) settings: BackupTarget,
}

/// Where backups are kept; under `mainstay up` another server's directory is one beside the others'.
pub(crate) fn destination(
    settings: &BackupTarget,
    state: &Path,
    secrets: &Secrets,
) -> Result<Destination, UpError> {
    let whom = "`to` of [database.backup]";
    let directory = |path| Destination::Directory(Directory::new(path));
    Ok(match &settings.to {
        BackupPlace::Directory(path) => directory(path.clone()),
        BackupPlace::Server(name) => {
            directory(state.join("servers").join(name.as_str()).join("backups"))
        }
        BackupPlace::S3(s3) => {
            let bucket = Bucket {
                endpoint: s3.endpoint.clone(),
                region: s3.region.clone(),
                name: s3.bucket.clone(),
                prefix: s3.prefix.clone(),
                access_key: Secret::new(given(secrets, &s3.access_key, whom)?),
                secret_key: Secret::new(given(secrets, &s3.secret_key, whom)?),
            };
            let s3 = S3::new(&bucket).map_err(|e| UpError::new(e.to_string(), ""))?;
            Destination::S3(s3)
        }
    })
}

/// The key by its name in the site file, made now if there is none.
fn key(settings: &BackupTarget, secrets: &Secrets) -> Result<Option<Key>, UpError> {
    let Some(name) = &settings.key else {
        return Ok(None);
    };
    let secret = secrets
        .get_or_keep(name, &Key::generate())
        .map_err(|e| UpError::new(e.to_string(), ""))?;
    let key = Key::of(name, &secret).map_err(|e| UpError::new(e.to_string(), ""))?;
    Ok(Some(key))
}

/// Starts it, if the site file wants backups.
pub(crate) fn start(running: &mut Running) -> Result<(), UpError> {
    let Some(settings) = running.target.backup.clone() else {
        return Ok(());
    };
    let Some(member) = first_member(&running.target) else {
        return Ok(());
    };
    let keeper = backup::start(backup::Parts {
        site: running.target.site.clone(),
        destination: destination(&settings, &running.state.root, &running.secrets)?,
        key: key(&settings, &running.secrets)?,
        schedule: Schedule {
            full: settings.full,
            incremental: settings.incremental(),
            verify: Some(settings.verify),
        },
        keep: settings.keep,
        archive: Some(settings.archive),
        max_lag: member.max_lag,
        members: locked(&running.known.members).clone(),
        member,
        programs: database::Programs::from_path(std::env::var_os("PATH")),
        spawner: running.spawner.clone(),
        cluster: running.cluster.clone(),
        secrets: running.secrets.clone(),
        events: running.events(),
        runtime_dir: running.state.runtime.join("backup"),
        work_dir: running.state.root.join("database").join("backup-work"),
        log: running.state.log("backup", "tools"),
    });
    running.follow(keeper.report());
    *locked(&running.known.backups) = Some(Watched {
        report: keeper.report(),
        orders: keeper.orders(),
        settings,
    });
    running.backups = Some(keeper);
    Ok(())
}

fn first_member(target: &Target) -> Option<site::target::MemberTarget> {
    let mut members = target.servers.values().flat_map(|server| &server.database);
    members.find(|member| member.first_primary).cloned()
}

/// What `mainstay db backup` asks for, as words.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wanted {
    Full,
    Incremental,
    Verify(Option<String>),
}

/// Done when it is done.
pub(crate) async fn order(known: &Known, wanted: Wanted) -> Result<serde_json::Value, UpError> {
    let watched = locked(&known.backups).clone();
    let Some(watched) = watched else {
        return Err(none());
    };
    let order = match wanted {
        Wanted::Full => Order::Take(Kind::Full),
        Wanted::Incremental => Order::Take(Kind::Incremental),
        Wanted::Verify(id) => Order::Verify(id),
    };
    let next = "`mainstay logs` shows what the tools said; `mainstay db backups` what there is";
    let done = watched.orders.give(order).await;
    let (manifest, verification) = done.map_err(|why| UpError::new(why, next))?;
    as_json(&manifest, verification.as_ref()).map_err(|e| UpError::new(e.to_string(), ""))
}

fn as_json(
    manifest: &Manifest,
    verification: Option<&Verification>,
) -> serde_json::Result<serde_json::Value> {
    let manifest = manifest.serialize(serde_json::value::Serializer)?;
    let verification = verification.serialize(serde_json::value::Serializer)?;
    Ok(serde_json::json!({ "backup": manifest, "verification": verification }))
}

pub(crate) fn none() -> UpError {
    UpError::new(
        "this site has no backups",
        "[database.backup] in the site file makes them: `to = \"/mnt/backups\"` is enough to begin with",
    )
}

/// For `status` and the alerts; `None` for a site without backups.
pub(crate) fn status(known: &Known) -> Option<BackupStatus> {
    let watched = locked(&known.backups).clone()?;
    let report = watched.report.borrow();
    let ms = |moment: Option<backup::moment::Moment>| moment.map(|moment| moment.0);
    let every = watched.settings.incremental();
    let every = every.unwrap_or(watched.settings.full);
    let whole = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Some(BackupStatus {
        newest_ms: ms(report.newest),
        verified_ms: ms(report.verified),
        archived_ms: ms(report.archived),
        every_ms: whole(every),
        verify_ms: whole(watched.settings.verify),
        archive_ms: whole(watched.settings.archive),
        backups: report.backups,
        bytes: report.bytes,
        doing: report.doing.clone(),
        failed: report.failed.clone(),
        bad: report.bad.clone(),
        archive_failed: report.archive_failed.clone(),
        reason: report.reason.clone(),
    })
}

/// Of the whole site; its first server has them.
pub(crate) fn metrics(known: &Known, text: &mut Exposition) {
    let Some(watched) = locked(&known.backups).clone() else {
        return;
    };
    let report = watched.report.borrow().clone();
    let now = now_ms();
    let age = |moment: backup::moment::Moment| {
        std::time::Duration::from_millis(now.saturating_sub(moment.0)).as_secs_f64()
    };
    let ages = [
        (
            "mainstay_backup_age_seconds",
            "Since the newest backup was taken.",
            report.newest,
        ),
        (
            "mainstay_backup_verified_age_seconds",
            "Since a trial restore last succeeded.",
            report.verified,
        ),
        (
            "mainstay_backup_log_age_seconds",
            "Since the newest archived binary log was closed.",
            report.archived,
        ),
    ];
    for (name, help, moment) in ages {
        text.family(name, "gauge", help);
        if let Some(moment) = moment {
            text.sample(name, "", age(moment));
        }
    }
    let counts = [
        (
            "mainstay_backup_bytes",
            "Stored, of backups and logs.",
            report.bytes,
        ),
        ("mainstay_backup_backups", "Backups kept.", report.backups),
        ("mainstay_backup_logs", "Binary logs kept.", report.logs),
        (
            "mainstay_backup_failures",
            "Backups and trial restores that failed in a row.",
            u64::from(report.failures),
        ),
    ];
    for (name, help, count) in counts {
        text.family(name, "gauge", help);
        text.sample(name, "", count);
    }
}
