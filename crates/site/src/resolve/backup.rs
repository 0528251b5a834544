//! Pure: `[database.backup]`: where to, how often, for how long, with which key.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::at::{At, Span};
use crate::name::ServerName;
use crate::problem::Code;
use crate::quantity::show_duration;
use crate::resolve::environment::secret;
use crate::resolve::monitoring::is_web_url;
use crate::resolve::setting::{duration, span};
use crate::source::Problems;
use crate::spelling::Value;
use crate::suggest::closest;
use crate::target::backup::{BackupPlace, BackupTarget, S3Target};
use crate::topology::{Backup, Server};
use crate::written::backup::{BackupSection, S3Section};

/// As RDS and Cloud SQL have it.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// Long enough that an accident of a Friday is still in it after a holiday.
const KEEP: Duration = Duration::from_secs(14 * 24 * 3600);
const VERIFY: Duration = Duration::from_secs(7 * 24 * 3600);
/// As RDS archives its logs.
const ARCHIVE: Duration = Duration::from_secs(5 * 60);
/// Members keep their binary logs for a week: what is archived more seldom is gone before.
const ARCHIVE_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// None when there is a problem with where to.
pub(super) fn resolve(
    At {
        value: section,
        span: at,
    }: &At<BackupSection>,
    servers: &[Server],
    problems: &mut Problems<'_>,
) -> Option<Backup> {
    let to = place(
        section.to.as_ref()?,
        section.s3.as_ref(),
        at,
        servers,
        problems,
    );
    let mut time = |key, written: Option<&At<String>>, default, bounds| {
        duration(key, written, default, bounds, problems)
    };
    let full = time("every", section.every.as_ref(), EVERY, bounds());
    let incremental = section.incremental.as_ref();
    let incremental = incremental.map(|at| time("incremental", Some(at), EVERY, bounds()));
    let keep = time("keep", section.keep.as_ref(), KEEP, bounds());
    let verify = time("verify", section.verify.as_ref(), VERIFY, bounds());
    let seconds = Duration::from_secs(1)..=ARCHIVE_AT_MOST;
    let archive = time(
        "archive-logs",
        section.archive_logs.as_ref(),
        ARCHIVE,
        seconds,
    );
    if incremental.is_some_and(|incremental| incremental >= full) {
        let at = span(section.incremental.as_ref(), at);
        longer("incremental", "every", full, &at, problems);
    }
    if keep < full {
        let at = span(section.keep.as_ref(), at);
        let what = "`keep` is shorter than `every`: there would be times without any full backup";
        let write = format!("keep = \"{}\", or more", show_duration(full));
        problems.add(Code::Conflict, &at, what, write);
    }
    let key = section
        .key
        .as_ref()
        .and_then(|key| secret("key", "backup-key", key, problems));
    let at = problems.source.place(at.start);
    let target = BackupTarget {
        to: to?,
        full,
        incremental_ms: incremental.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        keep,
        verify,
        archive,
        key,
    };
    Some(Backup { target, at })
}

/// From what leaves a backup time to be taken, to what nobody would call a schedule any more.
fn bounds() -> RangeInclusive<Duration> {
    Duration::from_secs(60)..=Duration::from_secs(10 * 365 * 24 * 3600)
}

fn longer(key: &str, than: &str, limit: Duration, at: &Span, problems: &mut Problems<'_>) {
    let what = format!(
        "`{key}` must be shorter than `{than}`, which is {}",
        show_duration(limit)
    );
    let shorter = show_duration(limit / 24);
    problems.add(Code::Conflict, at, what, format!("{key} = \"{shorter}\""));
}

fn place(
    At { value: to, span }: &At<String>,
    s3: Option<&At<S3Section>>,
    section: &Span,
    servers: &[Server],
    problems: &mut Problems<'_>,
) -> Option<BackupPlace> {
    if let Some(bucket) = to.strip_prefix("s3://") {
        return storage(bucket, s3, span, section, problems).map(BackupPlace::S3);
    }
    if let Some(s3) = s3 {
        let what = "[database.backup.s3] has no effect: `to` is not in a bucket";
        let write = "to = \"s3://BUCKET/PREFIX\", or no [database.backup.s3]";
        problems.add(Code::Conflict, &s3.span, what, write);
    }
    let example =
        "to = \"/mnt/backups/foobar\", to = \"server:NAME\", or to = \"s3://BUCKET/PREFIX\"";
    if let Some(name) = to.strip_prefix("server:") {
        let known: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
        if known.contains(&name) {
            return Some(BackupPlace::Server(ServerName::new(name)));
        }
        let what = format!("there is no server `{name}`");
        let near = closest(name, known.iter().copied());
        let write = near.map_or_else(
            || format!("one of {}", known.join(", ")),
            |near| format!("to = \"server:{near}\""),
        );
        problems.add(Code::UnknownValue, span, what, write);
        return None;
    }
    let what = if to.is_empty() {
        "`to` is empty".to_owned()
    } else if to.contains("://") {
        format!("`{to}` is nowhere backups are sent to")
    } else if to.chars().any(char::is_control) || to.starts_with('~') {
        format!("`{to}` is no directory that every process finds")
    } else {
        return Some(BackupPlace::Directory(PathBuf::from(to)));
    };
    problems.add(Code::BadValue, span, what, example);
    None
}

fn storage(
    path: &str,
    s3: Option<&At<S3Section>>,
    to: &Span,
    section: &Span,
    problems: &mut Problems<'_>,
) -> Option<S3Target> {
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let prefix = prefix.trim_end_matches('/');
    let plain = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        text.chars().all(allowed) && !text.starts_with('/') && !text.contains("//")
    };
    let of_bucket = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(of_bucket) || !plain(prefix) {
        let what = format!("`{path}` is no bucket and prefix");
        problems.add(Code::BadValue, to, what, "to = \"s3://my-backups/foobar\"");
        return None;
    }
    let Some(At { value: s3, .. }) = s3 else {
        let what = "it is not said where the storage is";
        let write = "[database.backup.s3]\n\
                     endpoint = \"https://s3.eu-central-1.amazonaws.com\"\n\
                     region = \"eu-central-1\"\n\
                     access-key = { secret = \"s3-access-key\" }\n\
                     secret-key = { secret = \"s3-secret-key\" }";
        problems.add(Code::Missing, section, what, write);
        return None;
    };
    let endpoint = s3.endpoint.as_ref()?;
    if !is_web_url(&endpoint.value) {
        let what = format!("`{}` is no web address", endpoint.value);
        let write = "endpoint = \"https://s3.eu-central-1.amazonaws.com\"";
        problems.add(Code::BadValue, &endpoint.span, what, write);
    }
    let mut name = |key: &str, written: Option<&At<Value>>| {
        secret(key, &format!("s3-{key}"), written?, problems)
    };
    let access_key = name("access-key", s3.access_key.as_ref());
    let secret_key = name("secret-key", s3.secret_key.as_ref());
    Some(S3Target {
        endpoint: endpoint.value.clone(),
        region: s3
            .region
            .as_ref()
            .map_or_else(|| "us-east-1".to_owned(), |region| region.value.clone()),
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        access_key: access_key?,
        secret_key: secret_key?,
    })
}
