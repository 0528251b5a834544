//! Pure: what would go wrong without anybody knowing.

use crate::audit::{Finding, Kind, Severity};
use crate::topology::Site;

pub(super) fn look(site: &Site, findings: &mut Vec<Finding>) {
    findings.extend(alerts(site));
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
