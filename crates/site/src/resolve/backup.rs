//! Pure: `[database.backup]`: where to, how often, for how long, with which key.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::at::{At, Span};
use crate::name::ServerName;
use crate::problem::Code;
use crate::quantity::show_duration;
use crate::resolve::environment::secret;
use crate::resolve::setting::{duration, span};
use crate::source::Problems;
use crate::suggest::closest;
use crate::target::backup::{BackupPlace, BackupTarget};
use crate::topology::{Backup, Server};
use crate::written::backup::BackupSection;

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
    let to = place(section.to.as_ref()?, servers, problems);
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
    servers: &[Server],
    problems: &mut Problems<'_>,
) -> Option<BackupPlace> {
    let example = "to = \"/mnt/backups/foobar\", or to = \"server:NAME\"";
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
        format!("`{to}` is no directory; backups are not sent to a URL in this version")
    } else if to.chars().any(char::is_control) || to.starts_with('~') {
        format!("`{to}` is no directory that every process finds")
    } else {
        return Some(BackupPlace::Directory(PathBuf::from(to)));
    };
    problems.add(Code::BadValue, span, what, example);
    None
}
