//! Pure: backups, as a table and as sentences.

use std::path::Path;

use agent::restoring::Done;
use database::backup::catalog::Backup;
use database::backup::moment::Moment;
use database::backup::record::{Manifest, Verification};
use database::backup::shelf::Inventory;

use super::status::table;
use super::text::line;

/// `mainstay db backups`.
pub(crate) fn page(inventory: &Inventory, key: Option<&Path>) -> String {
    let mut text = String::new();
    let catalog = &inventory.catalog;
    if catalog.backups.is_empty() {
        text.push_str("There is no backup yet. `mainstay db backup` takes one.\n");
    } else {
        let header = [
            "BACKUP", "KIND", "TAKEN", "OF", "SIZE", "POSITION", "VERIFIED",
        ];
        let mut rows = vec![header.map(str::to_owned)];
        rows.extend(catalog.backups.iter().map(row));
        table(&mut text, &rows);
        reach(&mut text, inventory);
    }
    for unreadable in &inventory.unreadable {
        line(&mut text, format_args!("! {unreadable}"));
    }
    if let Some(key) = key {
        let key = key.display();
        line(
            &mut text,
            format_args!(
                "Encrypted with {key}: without it no backup can be read. Keep a copy elsewhere."
            ),
        );
    }
    text
}

fn row(backup: &Backup) -> [String; 7] {
    let manifest = &backup.manifest;
    [
        manifest.id.clone(),
        manifest.kind.to_string(),
        backup.taken().to_string(),
        manifest.member.to_string(),
        size(manifest.data.bytes),
        manifest.position.clone(),
        match &backup.verification {
            None => "-".to_owned(),
            Some(Verification {
                failed: Some(why), ..
            }) => format!("BAD: {why}"),
            Some(tried) => Moment(tried.at_ms).to_string(),
        },
    ]
}

/// From where to where any second can be had.
fn reach(text: &mut String, inventory: &Inventory) {
    let catalog = &inventory.catalog;
    let logs = catalog.logs.len();
    let bytes: u64 = catalog.logs.iter().map(|log| log.data.bytes).sum();
    let last = catalog.logs.iter().map(|log| log.closed_s).max();
    let last = last.map_or_else(
        || "none yet".to_owned(),
        |last| format!("until {}", Moment::from_s(last)),
    );
    line(
        text,
        format_args!("{logs} archived logs ({}), {last}", size(bytes)),
    );
}

/// Everything, for programs.
pub(crate) fn json(inventory: &Inventory) -> serde_json::Value {
    let backups = inventory.catalog.backups.iter();
    let backups: Vec<serde_json::Value> = backups
        .map(|backup| {
            serde_json::json!({ "backup": backup.manifest, "verification": backup.verification })
        })
        .collect();
    serde_json::json!({
        "backups": backups,
        "logs": inventory.catalog.logs,
        "unreadable": inventory.unreadable,
    })
}

/// `mainstay db backup`.
pub(crate) fn taken(manifest: &Manifest) -> String {
    let took = Moment(manifest.ended_ms).since(Moment(manifest.began_ms));
    format!(
        "{}: {} backup of {} at {}, {} in {:.1} s\n",
        manifest.id,
        manifest.kind,
        manifest.member,
        manifest.position,
        size(manifest.data.bytes),
        took.as_secs_f64()
    )
}

/// `mainstay db backup --verify`.
pub(crate) fn tried(verification: &Verification) -> String {
    let id = &verification.id;
    match &verification.failed {
        None => format!(
            "{id}: restored on trial in {:.1} s, {} tables are well\n",
            std::time::Duration::from_millis(verification.took_ms).as_secs_f64(),
            verification.tables.len()
        ),
        Some(why) => format!("{id} is BAD: {why}\n"),
    }
}

/// `mainstay db restore`.
pub(crate) fn restored(done: &Done) -> String {
    let mut text = String::new();
    let restored = &done.restored;
    let dir = restored.data_dir.display();
    line(
        &mut text,
        format_args!(
            "restored {} and {} logs, up to {}, in {:.1} s",
            done.plan.chain.join(" + "),
            done.plan.logs.len(),
            restored.position,
            restored.took.as_secs_f64()
        ),
    );
    line(&mut text, format_args!("  data: {dir}"));
    if done.aside.is_empty() {
        line(
            &mut text,
            format_args!(
                "  look:  mariadbd --no-defaults --skip-grant-tables --skip-networking \
                 --socket=/tmp/restored.sock --datadir={dir} &\n         mariadb --socket=/tmp/restored.sock"
            ),
        );
        line(
            &mut text,
            format_args!("  the live data was not touched; --in-place puts this in its place"),
        );
        return text;
    }
    for aside in &done.aside {
        line(
            &mut text,
            format_args!(
                "  kept aside: {} (remove it when all is well)",
                aside.display()
            ),
        );
    }
    line(&mut text, format_args!("  next: mainstay up"));
    text
}

/// `12.3 MiB`.
fn size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = bytes.saturating_mul(10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_that_fits() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 40), "5.0 TiB");
    }
}
