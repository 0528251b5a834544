//! Pure: backends that one failure empties.

use crate::audit::{Finding, Kind, Severity};
use crate::topology::Site;

pub(super) fn look(site: &Site, findings: &mut Vec<Finding>) {
    for backend in site.balancer.backends.iter().filter(|backend| !backend.own) {
        let [only] = backend.endpoints.as_slice() else {
            continue;
        };
        findings.push(Finding {
            code: "endpoint-alone",
            kind: Kind::SinglePoint,
            severity: Severity::Medium,
            what: format!(
                "the backend `{}` has one endpoint, {}",
                backend.name, only.address
            ),
            consequence: "when it fails, or while it is changed, its requests get 503".to_owned(),
            add: vec![
                format!("[backends.{}]", backend.name),
                format!("endpoints = [\"{}\", \"10.0.0.6:80\"]", only.address),
            ],
            at: None,
        });
    }
}
