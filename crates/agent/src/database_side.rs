//! The database of a site, for `mainstay db`: how it stands, what people ask of it, its accounts.

use cluster::{Cluster, Secrets};
use database::accounts::{self, PasswordHash};
use database::engine::admin::{Admin, CHANGE, LOOK};
use database::operate::advice::Trouble;
use database::operate::message::{Account, Change, Users};
use database::operate::status::{self, ClusterStatus, Parts};
use database::operate::{store, users};
use database::record::RequestRecord;
use site::target::{MemberTarget, Target};
use telemetry::wall_clock::now_ms;

use crate::known::Known;
use crate::restoring::Of;
use crate::up_error::UpError;

/// What it takes to look at the database, and to change it.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) cluster: Cluster,
    pub(crate) secrets: Secrets,
}

/// As the members and the cluster state say now.
pub(crate) async fn status(
    database: &Database,
    known: &Known,
    target: &Target,
) -> Result<ClusterStatus, UpError> {
    let members = members(target)?;
    put_together(&database.cluster, &members, known, &target.site).await
}

async fn put_together(
    cluster: &Cluster,
    members: &[MemberTarget],
    known: &Known,
    site: &str,
) -> Result<ClusterStatus, UpError> {
    let stored = store::read(cluster).await.map_err(unreadable)?;
    Ok(status::of(Parts {
        site,
        at_ms: now_ms(),
        members,
        reports: &known.member_reports(),
        state: stored.state,
        request: stored.request,
        records: &stored.records,
    }))
}

/// As it was written down last; for a site that does not run.
pub async fn written_down(of: &Of) -> Result<ClusterStatus, UpError> {
    let target = of.target();
    let members = members(&target)?;
    let path = of.state.join("cluster.json");
    let cluster = Cluster::open_embedded(&path).map_err(|e| unreadable(e.to_string()))?;
    put_together(&cluster, &members, &Known::default(), &target.site).await
}

fn unreadable(why: String) -> UpError {
    UpError::new(
        why,
        "the cluster state is in `cluster.json` of the state directory",
    )
}

fn members(target: &Target) -> Result<Vec<MemberTarget>, UpError> {
    let servers = target.servers.values();
    let members: Vec<MemberTarget> = servers.flat_map(|it| it.database.clone()).collect();
    match members.is_empty() {
        true => Err(UpError::new(
            "this site has no database",
            "a server with the role `database` in the site file makes one",
        )),
        false => Ok(members),
    }
}

/// Writes down what people ask for.
pub(crate) async fn change(database: &Database, wanted: &Change) -> Result<RequestRecord, UpError> {
    store::change(&database.cluster, wanted)
        .await
        .map_err(|why| UpError::new(why, "try again"))
}

/// What the change is, as an event: kind and sentence. Taking something back is none.
pub(crate) fn told(change: &Change) -> Option<(&'static str, String)> {
    let to = |wanted: &database::record::Wanted| {
        let to = wanted.to.as_ref();
        to.map_or_else(String::new, |to| format!(" to {to}"))
    };
    Some(match change {
        Change::Pause(true) => (
            "maintenance",
            "the database is in maintenance: no failover, and no server is started again"
                .to_owned(),
        ),
        Change::Pause(false) => (
            "maintenance",
            "the maintenance of the database is over".to_owned(),
        ),
        Change::Switchover(wanted) => (
            "switchover-wanted",
            format!(
                "somebody asked for a switchover{} in generation {}",
                to(wanted),
                wanted.generation
            ),
        ),
        Change::Promote(wanted) => (
            "promotion-forced",
            format!(
                "somebody ordered a promotion{} that may lose writes of generation {}",
                to(wanted),
                wanted.generation
            ),
        ),
        Change::Restart(_) | Change::TakeBack(_) => return None,
    })
}

/// Lists accounts, makes or removes one, on the primary: its replicas get the same.
pub(crate) async fn users(
    database: &Database,
    known: &Known,
    target: &Target,
    wanted: &Users,
) -> Result<Vec<Account>, UpError> {
    let cluster = status(database, known, target).await?;
    let Some(primary) = cluster.serving_primary() else {
        return Err(UpError::new(
            "no primary takes writes",
            "`mainstay db status` shows why, and what to do",
        ));
    };
    let members = members(target)?;
    let member = members.iter().find(|it| it.name == primary.name);
    let (Some(member), Some(socket)) = (member, &primary.socket) else {
        return Err(UpError::new(
            format!("{} is not known yet", primary.name),
            "try again",
        ));
    };
    let secrets = &database.secrets;
    let password = secrets
        .get_or_create(accounts::ADMIN_SECRET)
        .map_err(|e| failed(&e))?;
    let mut admin = Admin::new(socket, &password);
    let there = list(&mut admin, member, secrets).await?;
    match wanted {
        Users::List => return Ok(there),
        Users::Add { name, read_only } => {
            users::may_add(name, member, &there).map_err(refused)?;
            let secret = secrets
                .get_or_create(&users::secret(name))
                .map_err(|e| failed(&e))?;
            let sql = users::add(name, *read_only, member, &PasswordHash::of(&secret));
            admin.all(&sql).await.map_err(|e| failed(&e))?;
        }
        Users::Remove { name } => {
            users::may_remove(name, &there).map_err(refused)?;
            admin
                .query(&users::remove(name), CHANGE)
                .await
                .map_err(|e| failed(&e))?;
            secrets
                .remove(&users::secret(name))
                .map_err(|e| failed(&e))?;
        }
    }
    list(&mut admin, member, secrets).await
}

async fn list(
    admin: &mut Admin,
    member: &MemberTarget,
    secrets: &Secrets,
) -> Result<Vec<Account>, UpError> {
    let rows = admin
        .query(users::LIST, LOOK)
        .await
        .map_err(|e| failed(&e))?;
    let is_kept = |name: &str| matches!(secrets.get(name), Ok(Some(_)));
    Ok(users::accounts(&rows, member, is_kept))
}

fn refused(trouble: Trouble) -> UpError {
    UpError::new(trouble.what, trouble.next)
}

fn failed(e: &dyn std::error::Error) -> UpError {
    UpError::new(
        e.to_string(),
        "`mainstay db status` shows how the database stands",
    )
}
