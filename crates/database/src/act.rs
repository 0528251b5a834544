//! One short action → one effect. Never retries, never decides; the two long ones (start, rebuild)
//! are tasks of the keeper.

use std::time::{Duration, Instant};

use cluster::{PutError, Secrets, SecretsError};
use site::name::MemberName;
use site::target::MemberAddress;

use crate::engine::accounts::{self, Hashes, PasswordHash, Reserved};
use crate::engine::admin::{Admin, AdminError, CHANGE, LOOK};
use crate::engine::identity::{self, IdentityError};
use crate::engine::mariadb::{self, Server, Source};
use crate::engine::status;
use crate::failover::decision::Action;
use crate::fence::Deadline;
use crate::observe;
use crate::record::{Identity, Obeyed};

/// A statement that must not keep a primary from renewing its lease.
const SOON: Duration = Duration::from_millis(1500);
/// Before writes are held for a switchover, transactions that are open get so long.
const DRAIN: Duration = Duration::from_millis(500);
/// And this at least: routers hear of it within milliseconds, and the list of transactions may be 0.1 s old
/// (InnoDB keeps it for so long).
const DRAIN_LEAST: Duration = Duration::from_millis(150);
const DRAIN_LOOK: Duration = Duration::from_millis(25);
const OPEN_TRANSACTIONS: &str = "SELECT COUNT(*) FROM information_schema.innodb_trx \
                                 WHERE trx_mysql_thread_id <> CONNECTION_ID()";

/// What an action works with.
#[derive(Debug)]
pub(crate) struct Hands<'a> {
    pub(crate) server: &'a Server,
    pub(crate) admin: &'a mut Admin,
    pub(crate) lease: &'a Deadline,
    pub(crate) secrets: &'a Secrets,
    pub(crate) identity: &'a mut Option<Identity>,
}

/// The action had no effect, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Reserved(#[from] Reserved),
    #[error("the data directory has no identity yet")]
    NoIdentity,
    #[error(transparent)]
    Put(#[from] PutError),
    #[error("the cluster state cannot be written down: {0}")]
    Record(serde_json::Error),
    #[error("the cluster state was not written within {} s", observe::STORE_LIMIT.as_secs())]
    StoreSilent,
    #[error("the lease is over or not confirmed")]
    LeaseOver,
    #[error("{0} is done by the keeper itself")]
    Long(&'static str),
}

pub(crate) async fn perform(hands: &mut Hands<'_>, action: &Action) -> Result<(), ActError> {
    match action {
        Action::Start => Err(ActError::Long("starting")),
        Action::Rebuild { .. } => Err(ActError::Long("rebuilding")),
        Action::SetReadOnly => set_read_only(hands).await,
        Action::Obey(obeyed) => obey(hands, obeyed),
        Action::PrepareAccounts(_) => prepare_accounts(hands).await,
        Action::Fence => Err(ActError::Long("ending the server")),
        Action::PutState(..) => Err(ActError::Long("writing the cluster state")),
        Action::SetWritable(_) => set_writable(hands).await,
        Action::HoldWrites(_) => hold_writes(hands).await,
        Action::SemiSync(_, on) => semi_sync(hands, *on).await,
        Action::LockOut(_, member) => lock_out(hands, member).await,
        Action::LetIn(_, member) => let_in(hands, member).await,
        Action::StopReceiving(_) => {
            hands.admin.query("STOP SLAVE IO_THREAD", SOON).await?;
            Ok(())
        }
        Action::ApplyReceived(_) => apply_received(hands).await,
        Action::Promote(_) => promote(hands).await,
        Action::Beat(_) => beat(hands).await,
        Action::Follow {
            source,
            was_primary,
            ..
        } => follow(hands, source, *was_primary).await,
        Action::StartReplication(_) => {
            hands.admin.query("START SLAVE", CHANGE).await?;
            Ok(())
        }
    }
}

async fn set_read_only(hands: &mut Hands<'_>) -> Result<(), ActError> {
    hands
        .admin
        .query("SET GLOBAL read_only = 1", CHANGE)
        .await?;
    Ok(())
}

fn obey(hands: &mut Hands<'_>, obeyed: &Obeyed) -> Result<(), ActError> {
    let identity = hands.identity.as_ref().ok_or(ActError::NoIdentity)?;
    let next = Identity {
        obeyed: Some(obeyed.clone()),
        ..identity.clone()
    };
    keep_identity(hands, next)
}

fn keep_identity(hands: &mut Hands<'_>, next: Identity) -> Result<(), ActError> {
    identity::write(&hands.server.data_dir, &next)?;
    *hands.identity = Some(next);
    Ok(())
}

/// Nothing is written when the very same statements were run before: a restart leaves no trace in
/// the binary log.
async fn prepare_accounts(hands: &mut Hands<'_>) -> Result<(), ActError> {
    let statements = accounts::statements(&hands.server.target, &hashes(hands)?)?;
    let digest = accounts::digest(&statements);
    let known = format!(
        "SELECT digest FROM {}.prepared WHERE id = 1",
        accounts::name(accounts::SCHEMA)
    );
    match hands.admin.query(&known, LOOK).await {
        Ok(rows) if rows.single() == Some(&digest) => return Ok(()),
        Ok(_) => {}
        // 1146, 1049: nothing was prepared yet.
        Err(e) if matches!(e.code(), Some(1146 | 1049)) => {}
        Err(e) => return Err(e.into()),
    }
    hands.admin.all(&statements).await?;
    hands
        .admin
        .query(&accounts::remember(&digest), CHANGE)
        .await?;
    Ok(())
}

fn hashes(hands: &Hands<'_>) -> Result<Hashes, SecretsError> {
    let hash = |name: &str| {
        let secret = hands.secrets.get_or_create(name)?;
        Ok::<_, SecretsError>(PasswordHash::of(&secret))
    };
    Ok(Hashes {
        router: hash(accounts::ROUTER_SECRET)?,
        user: hash(accounts::USER_SECRET)?,
        replication: hands
            .server
            .target
            .members
            .iter()
            .map(|member| {
                let hash = hash(&accounts::replication_secret(&member.name))?;
                Ok::<(MemberName, PasswordHash), SecretsError>((member.name.clone(), hash))
            })
            .collect::<Result<_, _>>()?,
    })
}

/// What was decided on may be a moment old: the lease is looked at once more.
async fn set_writable(hands: &mut Hands<'_>) -> Result<(), ActError> {
    if !hands.lease.allows() {
        return Err(ActError::LeaseOver);
    }
    hands.admin.query("SET GLOBAL read_only = 0", SOON).await?;
    Ok(())
}

/// What has begun may end first: routers send nothing new by now. A transaction that takes longer fails at its
/// next write. `read_only` waits for running commits, and those perhaps for a replica: soon, or the primary
/// goes on.
async fn hold_writes(hands: &mut Hands<'_>) -> Result<(), ActError> {
    let begun = Instant::now();
    while begun.elapsed() < DRAIN {
        tokio::time::sleep(DRAIN_LOOK).await;
        let open = hands.admin.query(OPEN_TRANSACTIONS, SOON).await?;
        if open.single() == Some("0") && begun.elapsed() >= DRAIN_LEAST {
            break;
        }
    }
    hands.admin.query("SET GLOBAL read_only = 1", SOON).await?;
    Ok(())
}

/// The timeout is the longest there is: falling back is decided, never left to the engine. AFTER_SYNC:
/// nobody sees what is not acknowledged yet.
async fn semi_sync(hands: &mut Hands<'_>, on: bool) -> Result<(), ActError> {
    let statements = match on {
        true => vec![
            "SET GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC'",
            "SET GLOBAL rpl_semi_sync_master_wait_no_slave = 1",
            "SET GLOBAL rpl_semi_sync_master_timeout = 18446744073709551615",
            "SET GLOBAL rpl_semi_sync_master_enabled = 1",
        ],
        false => vec!["SET GLOBAL rpl_semi_sync_master_enabled = 0"],
    };
    for sql in statements {
        hands.admin.query(sql, SOON).await?;
    }
    Ok(())
}

/// First the account, so that it does not come back; then the connection it has.
async fn lock_out(hands: &mut Hands<'_>, member: &MemberName) -> Result<(), ActError> {
    locally(hands, &accounts::lock(member, true)).await?;
    let user = accounts::text(&accounts::replication_user(member));
    let sql = format!(
        "SELECT id FROM information_schema.processlist WHERE user = {user} AND command = 'Binlog Dump'"
    );
    let rows = hands.admin.query(&sql, SOON).await?;
    for id in rows.rows.iter().flatten().flatten() {
        match hands.admin.query(&format!("KILL {id}"), SOON).await {
            Ok(_) => {}
            // 1094: it has ended meanwhile.
            Err(e) if e.code() == Some(1094) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

async fn let_in(hands: &mut Hands<'_>, member: &MemberName) -> Result<(), ActError> {
    locally(hands, &accounts::lock(member, false)).await
}

/// Not in the binary log: it is this server's own matter, and nobody need acknowledge it.
async fn locally(hands: &mut Hands<'_>, sql: &str) -> Result<(), ActError> {
    let all = [
        "SET SESSION sql_log_bin = 0",
        sql,
        "SET SESSION sql_log_bin = 1",
    ];
    for sql in all {
        if let Err(e) = hands.admin.query(sql, SOON).await {
            // The next statement must not run unlogged.
            hands.admin.forget();
            return Err(e.into());
        }
    }
    Ok(())
}

/// With both threads stopped, START SLAVE in GTID mode throws the relay logs away first. Without it, and
/// told where in them to go on, it applies them (both measured, 10.11).
async fn apply_received(hands: &mut Hands<'_>) -> Result<(), ActError> {
    let rows = hands.admin.query(status::REPLICATION, LOOK).await?;
    let receives = rows.first("Slave_IO_Running") != Some("No");
    if let (false, Some(file), Some(at)) = (
        receives,
        rows.first("Relay_Log_File"),
        rows.first("Relay_Log_Pos")
            .and_then(|at| at.parse::<u64>().ok()),
    ) {
        let file = accounts::text(file);
        let sql = format!(
            "CHANGE MASTER TO MASTER_USE_GTID = no, RELAY_LOG_FILE = {file}, RELAY_LOG_POS = {at}"
        );
        hands.admin.query(&sql, SOON).await?;
    }
    hands.admin.query("START SLAVE SQL_THREAD", SOON).await?;
    Ok(())
}

/// Everything is applied. `slave_pos` stays as it is: what comes now is this server's own.
async fn promote(hands: &mut Hands<'_>) -> Result<(), ActError> {
    hands.admin.all(&["STOP SLAVE", "RESET SLAVE ALL"]).await?;
    Ok(())
}

async fn beat(hands: &mut Hands<'_>) -> Result<(), ActError> {
    let sql = format!(
        "INSERT INTO {}.heartbeat (server_id, at_us) VALUES ({}, {}) \
         ON DUPLICATE KEY UPDATE at_us = VALUES(at_us)",
        accounts::name(accounts::SCHEMA),
        hands.server.target.server_id,
        observe::wall_clock_us()
    );
    hands.admin.query(&sql, LOOK).await?;
    Ok(())
}

async fn follow(
    hands: &mut Hands<'_>,
    source: &MemberAddress,
    was_primary: bool,
) -> Result<(), ActError> {
    let me = &hands.server.target.name;
    let identity = hands.identity.clone().ok_or(ActError::NoIdentity)?;
    let source = Source {
        address: source.address,
        user: accounts::replication_user(me),
        password: hands
            .secrets
            .get_or_create(&accounts::replication_secret(me))?,
        start_from: identity.start_from.clone(),
        was_primary,
    };
    mariadb::point_at(hands.admin, &source).await?;
    // Not before replication stands at the position: a crash in between sets it again.
    if identity.start_from.is_some() {
        let next = Identity {
            start_from: None,
            ..identity
        };
        keep_identity(hands, next)?;
    }
    hands.admin.query("START SLAVE", CHANGE).await?;
    Ok(())
}
