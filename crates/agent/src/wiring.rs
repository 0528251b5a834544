//! Pure: what each role is told of the others: reports in, snapshots out.

use std::path::{Path, PathBuf};

use app::instance::{InstanceReport, InstanceState, Listen};
use database::{MemberReport, MemberState, Role};
use site::target::balancer::CertificateFiles;
use site::target::{SqlRouterTarget, WebTarget};
use sql_router::snapshot::ServersTls;

/// Web server ← instances of its server.
pub(crate) fn web(
    target: &WebTarget,
    release: Option<&Path>,
    has_app: bool,
    instances: &[InstanceReport],
    visitors: Option<web::snapshot::Visitors>,
) -> web::snapshot::Snapshot {
    let instances = instances.iter().map(|instance| web::snapshot::Instance {
        name: instance.name.clone(),
        listen: match &instance.listen {
            Listen::Socket(path) => web::snapshot::Listen::Socket(path.clone()),
            Listen::Port(address) => web::snapshot::Listen::Port(*address),
        },
        ready: instance.state == InstanceState::Ready,
    });
    let mut target = target.clone();
    if !has_app && release.is_some() {
        // The release of a site of static files only is those files.
        target.static_dir = Some(".".to_owned());
    }
    web::snapshot::Snapshot {
        target,
        release: release.map(Path::to_owned),
        visitors: visitors.filter(|_| has_app),
        has_app,
        instances: instances.collect(),
    }
}

/// Files that a SQL router is told of.
#[derive(Debug)]
pub(crate) struct ForRouter {
    pub(crate) service_password_file: PathBuf,
    pub(crate) slow_log: PathBuf,
    pub(crate) visitors: Option<PathBuf>,
    pub(crate) certificate: Option<CertificateFiles>,
}

/// SQL router ← all database members.
pub(crate) fn sql_router(
    target: &SqlRouterTarget,
    members: &[MemberReport],
    files: ForRouter,
) -> sql_router::snapshot::Snapshot {
    let generation = members.iter().filter_map(|member| member.generation).max();
    let current = |member: &&MemberReport| member.generation == generation;
    let primary = members.iter().filter(current).find(|member| {
        member.role == Role::Primary
            && member.state == MemberState::Running
            && member.read_only == Some(false)
    });
    let draining = primary.is_some_and(MemberReport::hands_over);
    let replicas = members.iter().filter(|member| member.role == Role::Replica);
    let replicas = replicas.map(|member| sql_router::snapshot::Replica {
        member: member.name.clone(),
        replicating: member.state == MemberState::Running
            && member.generation == generation
            && member.lag_ms.is_some(),
        lag_ms: coarse(member.lag_ms),
    });
    sql_router::snapshot::Snapshot {
        target: target.clone(),
        servers: sql_router::snapshot::Servers {
            generation: generation.map_or(0, |generation| generation.0),
            primary: primary.map(|member| member.name.clone()),
            draining,
            replicas: replicas.collect(),
        },
        visitors: files.visitors,
        service_user: database::accounts::ROUTER.to_owned(),
        service_password_file: files.service_password_file,
        slow_log: files.slow_log,
        certificate: files.certificate,
        // The members are on this machine.
        servers_tls: ServersTls::Off,
    }
}

/// Routers need to know whether a replica lags, not by which millisecond: a snapshot is sent when the
/// value changes, so small changes are none.
fn coarse(lag_ms: Option<u64>) -> Option<u64> {
    lag_ms.map(|lag| lag.div_ceil(1000) * 1000)
}
