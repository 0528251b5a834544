//! One short action → one effect. Never retries, never decides; the two long ones (start, rebuild)
//! are tasks of the keeper.

use cluster::{Cluster, PutError, Secrets, SecretsError, keys};
use site::name::MemberName;
use site::target::MemberAddress;

use crate::engine::accounts::{self, Hashes, PasswordHash, Reserved};
use crate::engine::admin::{Admin, AdminError, CHANGE, LOOK};
use crate::engine::identity::{self, IdentityError};
use crate::engine::mariadb::{self, Server, Source};
use crate::failover::decision::Action;
use crate::failover::view::Store;
use crate::observe;
use crate::record::{FORMAT, Generation, Identity, Obeyed, StateRecord};

/// What an action works with.
#[derive(Debug)]
pub(crate) struct Hands<'a> {
    pub(crate) server: &'a Server,
    pub(crate) admin: &'a mut Admin,
    pub(crate) cluster: &'a Cluster,
    pub(crate) secrets: &'a Secrets,
    pub(crate) identity: &'a mut Option<Identity>,
}

/// The action had no effect, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Put(#[from] PutError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Reserved(#[from] Reserved),
    #[error("the data directory has no identity yet")]
    NoIdentity,
    #[error("the cluster state changed meanwhile")]
    StateChanged,
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
        Action::CreateState(generation) => create_state(hands, *generation).await,
        Action::SetWritable(generation) => set_writable(hands, *generation).await,
        Action::Beat(_) => beat(hands).await,
        Action::Follow { source, .. } => follow(hands, source).await,
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

async fn create_state(hands: &Hands<'_>, generation: Generation) -> Result<(), ActError> {
    let state = StateRecord {
        format: FORMAT,
        primary: hands.server.target.name.clone(),
        generation,
    };
    let text = serde_json::to_string(&state).map_err(|_| ActError::StateChanged)?;
    hands
        .cluster
        .put_if(keys::DATABASE_STATE, None, text)
        .await?;
    Ok(())
}

/// The state is asked once more: what was decided on may be a moment old.
async fn set_writable(hands: &mut Hands<'_>, generation: Generation) -> Result<(), ActError> {
    let wanted = Store::Names(Obeyed {
        primary: hands.server.target.name.clone(),
        generation,
    });
    if observe::store(hands.cluster).await != wanted {
        return Err(ActError::StateChanged);
    }
    hands
        .admin
        .query("SET GLOBAL read_only = 0", CHANGE)
        .await?;
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

async fn follow(hands: &mut Hands<'_>, source: &MemberAddress) -> Result<(), ActError> {
    let me = &hands.server.target.name;
    let identity = hands.identity.clone().ok_or(ActError::NoIdentity)?;
    let source = Source {
        address: source.address,
        user: accounts::replication_user(me),
        password: hands
            .secrets
            .get_or_create(&accounts::replication_secret(me))?,
        start_from: identity.start_from.clone(),
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
