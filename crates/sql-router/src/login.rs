//! The client's login, ended here: greeting, TLS, proof (`proving.rs`), schema. What proves the client yields
//! the key that logs in to the servers.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use mysql::auth::{self, Key, Salt};
use mysql::capability::{
    CONNECT_ATTRS, CONNECT_WITH_DB, Capabilities, IGNORE_SIGPIPE, LONG_FLAG, PLUGIN_AUTH,
    PLUGIN_AUTH_LENENC, PROTOCOL_41, RESERVED, SECURE_CONNECTION, SESSION_TRACK, SSL, TRANSACTIONS,
};
use mysql::error_code::{self, ErrorCode};
use mysql::handshake::{FirstAnswer, Greeting, Program, Response};
use mysql::packet::{self, Channel, PacketError};
use mysql::reply;
use mysql::tls::Acceptor;

use crate::limits::{LOGIN, LOGIN_PACKET, USERS_AGE};
use crate::metrics::bump;
use crate::proving::{self, Claim};
use crate::server::{AskError, CARRIED, Identity, OpenError, ServerConnection};
use crate::sessions::Ticket;
use crate::state::{SessionState, Settings};
use crate::users::Users;
use crate::worker::Worker;

/// What a client is offered, besides TLS when there is a certificate. Not: compression (its frames hide the
/// packets), and MariaDB's extended capabilities, which change how result sets are written.
const OFFERED: Capabilities = CARRIED
    | LONG_FLAG
    | CONNECT_WITH_DB
    | PROTOCOL_41
    | IGNORE_SIGPIPE
    | TRANSACTIONS
    | RESERVED
    | SECURE_CONNECTION
    | PLUGIN_AUTH
    | CONNECT_ATTRS
    | PLUGIN_AUTH_LENENC
    | SESSION_TRACK;

/// utf8mb4_general_ci, as MariaDB announces itself.
const COLLATION: u8 = 45;

/// A client that has logged in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) client: Channel,
    pub(crate) peer: IpAddr,
    pub(crate) ticket: Ticket,
    pub(crate) salt: Salt,
    /// It knows no mysql_native_password.
    pub(crate) lacks_native: bool,
    pub(crate) who: Identity,
    /// It wants to know what changes in the session.
    pub(crate) tracks: bool,
    pub(crate) state: SessionState,
    /// Opened already, to see whether the schema is one.
    pub(crate) primary: Option<Box<ServerConnection>>,
}

/// Why a login ends without a session.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The client is gone or too slow; nothing can be said.
    Silent(String),
    /// The packet to answer and what to say.
    Said { after: u8, payload: Vec<u8> },
}

impl From<PacketError> for Failed {
    fn from(error: PacketError) -> Self {
        Self::Silent(error.to_string())
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Silent(error.to_string())
    }
}

pub(crate) fn said(after: u8, code: ErrorCode, message: &str) -> Failed {
    let payload = reply::err(code, message);
    Failed::Said { after, payload }
}

/// Logs a client in, or tells it why not.
pub(crate) async fn admit(
    worker: &Rc<Worker>,
    mut client: Channel,
    peer: IpAddr,
) -> Option<Admitted> {
    let limit = worker.snapshot.load().target.sessions;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let Some(ticket) = worker.sessions.begin(limit) else {
        bump(&worker.counts.logins_refused);
        // Before the login an error has no SQLSTATE.
        let [low, high] = error_code::TOO_MANY_CONNECTIONS.code.to_le_bytes();
        let payload = [&[0xff, low, high], b"Too many connections".as_slice()].concat();
        tell(&mut client, u8::MAX, &payload).await;
        return None;
    };
    let failed =
        match tokio::time::timeout(LOGIN, handshake(worker, &mut client, peer, &ticket)).await {
            Ok(Ok(login)) => return finish(worker, client, peer, ticket, login).await,
            Ok(Err(failed)) => failed,
            Err(_) => Failed::Silent(format!("no login within {} s", LOGIN.as_secs())),
        };
    bump(&worker.counts.logins_refused);
    refuse(&mut client, peer, failed).await;
    None
}

async fn refuse(client: &mut Channel, peer: IpAddr, failed: Failed) {
    match failed {
        Failed::Silent(why) => tracing::debug!("login of {peer}: {why}"),
        Failed::Said { after, payload } => tell(client, after, &payload).await,
    }
}

async fn tell(client: &mut Channel, after: u8, payload: &[u8]) {
    if let Err(e) = send(client, after, payload).await {
        tracing::debug!("a client left during its login: {e}");
    }
}

/// Sends a packet numbered after `after`.
async fn send(client: &mut Channel, after: u8, payload: &[u8]) -> std::io::Result<()> {
    let mut out = Vec::with_capacity(payload.len() + packet::HEADER);
    packet::put(&mut out, &mut after.wrapping_add(1), payload);
    client.write(&out).await
}

/// What the handshake yields.
struct Login {
    salt: Salt,
    lacks_native: bool,
    response: Response,
    key: Key,
    users: Arc<Users>,
    /// Of the last packet, whoever sent it.
    sequence: u8,
    /// Of the certificate that the client was shown, for clients that want one.
    proof: Option<String>,
}

async fn handshake(
    worker: &Worker,
    client: &mut Channel,
    peer: IpAddr,
    ticket: &Ticket,
) -> Result<Login, Failed> {
    let users = worker.users.get(&worker.snapshot.load(), USERS_AGE).await;
    let Some(users) = users else {
        let what = "no database server can be asked who may log in";
        return Err(said(u8::MAX, error_code::SHUTDOWN, what));
    };
    let salt = salt().map_err(|e| Failed::Silent(e.to_string()))?;
    let acceptor = worker.tls.acceptor(&worker.snapshot.load());
    let greeting = Greeting {
        version: users.version.clone(),
        connection_id: ticket.id,
        salt,
        capabilities: OFFERED | acceptor.as_ref().map_or(0, |_| SSL),
        extended: 0,
        collation: COLLATION,
        status: users.status,
        plugin: auth::NATIVE.to_owned(),
    };
    send(client, u8::MAX, &greeting.encode()).await?;
    let (response, program, mut sequence) = response(client, acceptor.as_ref()).await?;
    if worker.snapshot.load().target.require_tls && !client.is_private() {
        let what = "Connections using insecure transport are prohibited: the SQL router is set to \
                    require-tls = true";
        return Err(said(sequence, error_code::TLS_REQUIRED, what));
    }
    let claim = Claim {
        user: &response.user,
        peer,
        salt,
        plugin: response.plugin.as_deref(),
        answer: &response.answer,
        lacks_native: program.lacks_native_password(),
    };
    let key = proving::prove(worker, client, &claim, &mut sequence).await?;
    let proof = acceptor.filter(|_| client.is_tls());
    let proof = proof.and_then(|acceptor| proof_of(&acceptor, &key, &salt));
    Ok(Login {
        salt,
        lacks_native: program.lacks_native_password(),
        response,
        key,
        users,
        sequence,
        proof,
    })
}

/// The client's response, after TLS has begun if the client wants it.
async fn response(
    client: &mut Channel,
    acceptor: Option<&Acceptor>,
) -> Result<(Response, Program, u8), Failed> {
    for tls in [acceptor, None] {
        let packet = client.packet(LOGIN_PACKET).await?;
        let sequence = packet.sequence;
        match (FirstAnswer::parse(&packet.payload), tls) {
            (Ok(FirstAnswer::Response(response)), _) => {
                return Ok((response, Program::of(&packet.payload), sequence));
            }
            (Ok(FirstAnswer::Tls), Some(acceptor)) => client.accept_tls(acceptor).await?,
            (Ok(FirstAnswer::Tls), None) => {
                let what = "the SQL router offers no TLS here; connect without it";
                return Err(said(sequence, error_code::BAD_HANDSHAKE, what));
            }
            (Err(e), _) => return Err(said(sequence, error_code::BAD_HANDSHAKE, &e.to_string())),
        }
    }
    Err(Failed::Silent(
        "it asked for TLS again and again".to_owned(),
    ))
}

fn proof_of(acceptor: &Acceptor, key: &Key, salt: &Salt) -> Option<String> {
    let Key::Native(key) = key else {
        return None;
    };
    let stored = key.stored()?;
    let fingerprint = acceptor.fingerprint();
    Some(auth::certificate_proof(&stored, salt, fingerprint))
}

pub(crate) fn salt() -> Result<Salt, getrandom::Error> {
    let mut random = [0; 20];
    getrandom::fill(&mut random)?;
    Ok(auth::salt_from(random))
}

/// The session is this user's from now on. `Err`: the packet to send.
pub(crate) fn claim(worker: &Worker, ticket: &Ticket, user: &str) -> Result<(), Vec<u8>> {
    let limit = worker
        .snapshot
        .load()
        .target
        .user_sessions
        .get(user)
        .copied();
    match (ticket.claim(user, limit), limit) {
        (false, Some(limit)) => {
            let message = format!(
                "User '{user}' has all {limit} sessions that the SQL router lets him have at once"
            );
            Err(reply::err(error_code::USER_LIMIT_REACHED, &message))
        }
        _ => Ok(()),
    }
}

/// The part after the password was right: the schema, and OK.
async fn finish(
    worker: &Rc<Worker>,
    mut client: Channel,
    peer: IpAddr,
    ticket: Ticket,
    login: Login,
) -> Option<Admitted> {
    let Login {
        salt,
        lacks_native,
        response,
        key,
        users,
        sequence,
        proof,
    } = login;
    let capabilities = response.capabilities & OFFERED;
    let who = Identity {
        user: response.user,
        key,
        capabilities: capabilities & CARRIED,
        collation: response.collation,
    };
    if let Err(payload) = claim(worker, &ticket, &who.user) {
        bump(&worker.counts.logins_refused);
        tell(&mut client, sequence, &payload).await;
        return None;
    }
    let primary = match schema_exists(worker, &who, response.schema.as_deref()).await {
        Ok(primary) => primary,
        Err(payload) => {
            tell(&mut client, sequence, &payload).await;
            return None;
        }
    };
    let status = primary
        .as_ref()
        .map_or(users.status, |primary| primary.status);
    let state = SessionState::new(status, who.collation, response.schema);
    let ok = match &proof {
        Some(proof) => reply::ok_with_info(state.status, proof),
        None => reply::ok(state.status),
    };
    if send(&mut client, sequence, &ok).await.is_err() {
        return None;
    }
    worker.keep_warm(&who, state.settings.schema.as_deref());
    Some(Admitted {
        client,
        peer,
        ticket,
        salt,
        lacks_native,
        who,
        tracks: capabilities & SESSION_TRACK != 0,
        state,
        primary,
    })
}

/// A client that names a schema expects to hear at once when there is none. Asks the primary, if
/// there is one to be asked. `Err`: the packet to send.
pub(crate) async fn schema_exists(
    worker: &Worker,
    who: &Identity,
    schema: Option<&str>,
) -> Result<Option<Box<ServerConnection>>, Vec<u8>> {
    let Some(schema) = schema.filter(|schema| !worker.knows_schema(&who.user, schema)) else {
        return Ok(None);
    };
    let snapshot = worker.snapshot.load();
    let Some(primary) = &snapshot.servers.primary else {
        return Ok(None);
    };
    let hold = snapshot.target.hold;
    let wants = Settings {
        schema: Some(schema.to_owned()),
        ..Settings::default()
    };
    match worker.connect(&snapshot, primary, who, &wants, hold).await {
        // One from the pool may be in another schema, or in one that is gone.
        Ok(mut connection) => match connection.use_schema(schema).await {
            Ok(()) => {
                worker.learn_schema(&who.user, schema);
                Ok(Some(connection))
            }
            Err(AskError::Refused(error)) => Err(refused(&error)),
            Err(AskError::Broken(_)) => Ok(None),
        },
        Err(OpenError::Refused(error)) => Err(refused(&error)),
        // Later, when a statement needs it, it is waited for.
        Err(OpenError::Unreachable { .. } | OpenError::Busy { .. }) => Ok(None),
    }
}

/// A server's own error, as a packet again.
pub(crate) fn refused(error: &reply::ErrPacket) -> Vec<u8> {
    let mut out = vec![0xff];
    out.extend_from_slice(&error.code.to_le_bytes());
    out.push(b'#');
    let state = error.state.as_bytes();
    out.extend_from_slice(if state.len() == 5 { state } else { b"HY000" });
    out.extend_from_slice(error.message.as_bytes());
    out
}
