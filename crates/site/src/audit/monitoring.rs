//! Pure: what would go wrong without anybody knowing.

use crate::audit::{Finding, Kind, Severity};
use crate::topology::Site;

pub(super) fn look(site: &Site, findings: &mut Vec<Finding>) {
    findings.extend(alerts(site));
    findings.extend(no_backup(site));
}

fn no_backup(site: &Site) -> Option<Finding> {
    let database = site.database.as_ref()?;
    database.backup.is_none().then(|| Finding {
        code: "no-backup",
        kind: Kind::Monitoring,
        severity: Severity::High,
        what: "the database is not backed up".to_owned(),
        consequence:
            "a wrong DELETE is on every replica a moment later, and nothing brings the rows back"
                .to_owned(),
        add: vec![
            "[database.backup]".to_owned(),
            "to = \"/mnt/backups\"  # a disk or share that no database server depends on"
                .to_owned(),
            "key = { secret = \"backup-key\" }".to_owned(),
        ],
        at: Some(database.at),
    })
}

fn alerts(site: &Site) -> Option<Finding> {
    site.alerts.webhooks.is_empty().then(|| Finding {
        code: "no-alerts",
        kind: Kind::Monitoring,
        severity: Severity::High,
        what: "nobody is told when something breaks".to_owned(),
        consequence:
            "a failed replica or server stays unnoticed until the next failure, which then \
                      finds no spare"
                .to_owned(),
        add: vec![
            "[alerts]".to_owned(),
            "webhook = [\"https://alerts.example.com/mainstay\"]  # yours".to_owned(),
        ],
        at: None,
    })
}
