//! Pure: what a site file asks for and this version does not do yet. A setting that is taken and has no
//! effect must be said, or somebody counts on it.

use crate::target::backup::BackupPlace;
use crate::topology::{Authority, Role, Site};

/// One sentence each; empty for a site of which everything is done.
pub fn not_yet(site: &Site) -> Vec<&'static str> {
    let backup = site.database.as_ref().and_then(|it| it.backup.as_ref());
    let elsewhere = backup.is_some_and(|it| matches!(it.target.to, BackupPlace::Server(_)));
    let tls = site.tls.as_ref();
    let acme = tls.is_some_and(|tls| tls.authority == Authority::Acme);
    let coordinators = site.servers_with(Role::Coordinator).next().is_some();
    let all = [
        (
            elsewhere,
            "backups with `to = \"server:…\"` stay on this machine, in the state directory",
        ),
        (
            acme,
            "certificates of a public authority are not fetched; `mainstay up` has HTTPS by a local one",
        ),
        (site.firewall.is_some(), "[firewall] has no effect"),
        (
            site.virtual_address.is_some(),
            "[virtual-address] has no effect",
        ),
        (
            coordinators,
            "coordinators do nothing; `mainstay up` needs no agreement",
        ),
    ];
    all.into_iter()
        .filter_map(|(asked, sentence)| asked.then_some(sentence))
        .collect()
}
