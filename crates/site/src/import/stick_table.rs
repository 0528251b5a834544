//! Pure: what stick tables count, and over which time.
//!
//! Source: HAProxy configuration manual, section 11.1 "stick-table declaration".

use std::collections::BTreeMap;

use super::acl::Counted;
use super::config::Proxy;
use super::limits::milliseconds;

/// A second: what "at once" is counted over, to have a number.
const SECOND: u64 = 1000;

/// Proxy → its table's counters.
#[derive(Debug, Default)]
pub(super) struct Tables(BTreeMap<String, Vec<String>>);

impl Tables {
    pub(super) fn new(proxies: &[Proxy]) -> Self {
        let tables = proxies.iter().filter_map(|proxy| {
            let line = proxy.last(&["stick-table"])?;
            let stores = line
                .words
                .iter()
                .zip(line.from(1))
                .filter(|(word, _)| *word == "store");
            let counters = stores
                .flat_map(|(_, list)| list.split(','))
                .map(|text| text.trim().to_owned());
            Some((proxy.name.clone(), counters.collect()))
        });
        Self(tables.collect())
    }

    /// Milliseconds over which it counts.
    pub(super) fn period(&self, table: &str, what: Counted) -> Option<u64> {
        let names: &[&str] = match what {
            Counted::Open => return Some(SECOND),
            Counted::Requests => &["http_req_rate"],
            Counted::Connections => &["conn_rate", "sess_rate"],
        };
        let counters = self.0.get(table)?;
        let found = counters.iter().find_map(|counter| {
            let (name, rest) = counter.split_once('(')?;
            names.contains(&name).then(|| rest.trim_end_matches(')'))
        });
        milliseconds(found?)
            .ok()
            .filter(|time| (1..=86_400_000).contains(time))
    }
}
