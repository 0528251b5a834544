//! The certificates that a site under `up` makes for itself, by its local authority.

use std::time::SystemTime;

use certs::local::{Local, Purpose};
use site::target::balancer::CertificateFiles;

use super::Running;
use crate::up_error::UpError;

/// Of the balancers, for the site's domains.
pub(super) fn site(running: &Running, now: SystemTime) -> Result<Option<Local>, UpError> {
    let mut balancers = running
        .target
        .servers
        .values()
        .filter_map(|s| s.balancer.as_ref());
    let Some(balancer) = balancers.next() else {
        return Ok(None);
    };
    let dir = running.state.root.join("certificates");
    let mut names = balancer.domains.clone();
    if names.is_empty() {
        names.extend(["localhost", "127.0.0.1"].map(str::to_owned));
    }
    certs::local::ensure(&dir, &running.target.site, &names, now)
        .map(Some)
        .map_err(|e| UpError::new(e.to_string(), ""))
}

/// What SQL routers show to clients, when the site file names nothing else: for the names by which clients
/// find them.
pub(super) fn sql(running: &Running, now: SystemTime) -> Result<Option<CertificateFiles>, UpError> {
    let routers = running.target.servers.values();
    let routers = routers.filter_map(|server| server.sql_router.as_ref());
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend(routers.map(|router| router.listen.ip().to_string()));
    if names.len() == 2 {
        return Ok(None);
    }
    names.dedup();
    let dir = running.state.root.join("certificates");
    let made = certs::local::ensure_for(&dir, &running.target.site, Purpose::Sql, &names, now);
    let local = made.map_err(|e| UpError::new(e.to_string(), ""))?;
    Ok(Some(CertificateFiles {
        chain: local.chain,
        key: local.key,
    }))
}
