//! Pure: what a site file asks for and this version does not do yet. A setting that is taken and has no
//! effect must be said, or somebody counts on it.

use crate::topology::{Authority, Replication, Role, Site};

/// One sentence each; empty for a site of which everything is done.
pub fn not_yet(site: &Site) -> Vec<&'static str> {
    let replicas = site
        .database
        .as_ref()
        .is_some_and(|database| database.replicas > 0);
    let semi_sync = site
        .database
        .as_ref()
        .is_some_and(|database| database.replication == Replication::SemiSync);
    let mut backends = site.balancer.backends.iter();
    let hedges = backends.any(|backend| backend.retries.hedge_after.is_some());
    let tls = site.tls.as_ref();
    let acme = tls.is_some_and(|tls| tls.authority == Authority::Acme);
    let coordinators = site.servers_with(Role::Coordinator).next().is_some();
    let all = [
        (
            replicas,
            "a replica does not take over by itself when the primary's server is lost",
        ),
        (
            semi_sync,
            "`replication = \"semi-sync\"` is taken, replication is asynchronous",
        ),
        (
            hedges,
            "`hedge-after` has no effect: no request is asked of two endpoints at once",
        ),
        (
            acme && site.alone,
            "`authority = \"acme\"` is taken, the certificate is of a local authority",
        ),
        (
            site.tls.is_some() && !site.alone,
            "[tls] has no effect; `mainstay up` has HTTPS by a local authority",
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
