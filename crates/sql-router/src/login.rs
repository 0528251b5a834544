//! The client's login, ended here: greeting, answer, verdict. The client's password never comes by;
//! its answer yields the key that logs in to the servers.

use std::net::IpAddr;
use std::rc::Rc;

use mysql::auth::{self, NativeKey, Salt};
use mysql::capability::{
    CONNECT_ATTRS, CONNECT_WITH_DB, Capabilities, IGNORE_SIGPIPE, LONG_FLAG, PLUGIN_AUTH,
    PLUGIN_AUTH_LENENC, PROTOCOL_41, RESERVED, SECURE_CONNECTION, SESSION_TRACK, TRANSACTIONS,
};
use mysql::error_code::{self, ErrorCode};
use mysql::handshake::{AuthSwitch, FirstAnswer, Greeting, Response};
use mysql::packet::{self, Channel, PacketError};
use mysql::reply;

use crate::account::{self, Refusal};
use crate::limits::{LOGIN, LOGIN_PACKET, USERS_AGE, USERS_MISS};
use crate::metrics::bump;
use crate::server::{AskError, CARRIED, Identity, OpenError, ServerConnection};
use crate::sessions::Ticket;
use crate::state::SessionState;
use crate::users::Users;
use crate::worker::Worker;

/// What a client is offered. Not: compression (its frames hide the packets), TLS (not yet), and
/// MariaDB's extended capabilities, which change how result sets are written.
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
    pub(crate) who: Identity,
    /// It wants to know what changes in the session.
    pub(crate) tracks: bool,
    pub(crate) state: SessionState,
    /// Opened already, to see whether the schema is one.
    pub(crate) primary: Option<ServerConnection>,
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

fn said(after: u8, code: ErrorCode, message: &str) -> Failed {
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
    response: Response,
    key: NativeKey,
    users: Rc<Users>,
    /// The client's last packet.
    sequence: u8,
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
    let greeting = Greeting {
        version: users.version.clone(),
        connection_id: ticket.id,
        salt,
        capabilities: OFFERED,
        extended: 0,
        collation: COLLATION,
        status: users.status,
        plugin: auth::NATIVE.to_owned(),
    };
    send(client, u8::MAX, &greeting.encode()).await?;
    let first = client.packet(LOGIN_PACKET).await?;
    let mut sequence = first.sequence;
    let mut response = match FirstAnswer::parse(&first.payload) {
        Ok(FirstAnswer::Response(response)) => response,
        Ok(FirstAnswer::Tls) => {
            let what = "the SQL router does not offer TLS; connect without it";
            return Err(said(sequence, error_code::BAD_HANDSHAKE, what));
        }
        Err(e) => return Err(said(sequence, error_code::BAD_HANDSHAKE, &e.to_string())),
    };
    let native = response
        .plugin
        .as_deref()
        .is_none_or(|plugin| plugin == auth::NATIVE);
    if !native {
        // The client answered for another plugin; asked to, it answers for ours.
        let switch = AuthSwitch {
            plugin: auth::NATIVE.to_owned(),
            salt,
        };
        send(client, sequence, &switch.encode()).await?;
        let second = client.packet(LOGIN_PACKET).await?;
        sequence = second.sequence;
        response.answer = second.payload.to_vec();
    }
    let checked = authenticate(worker, peer, &response.user, &salt, &response.answer).await;
    match checked {
        Ok(key) => Ok(Login {
            salt,
            response,
            key,
            users,
            sequence,
        }),
        Err(refusal) => {
            let (code, message) =
                words(&refusal, &response.user, peer, !response.answer.is_empty());
            Err(said(sequence, code, &message))
        }
    }
}

pub(crate) fn salt() -> Result<Salt, getrandom::Error> {
    let mut random = [0; 20];
    getrandom::fill(&mut random)?;
    Ok(auth::salt_from(random))
}

/// The verdict on an answer; when it is "no", the accounts are read again first: somebody may have
/// been created or have a new password.
pub(crate) async fn authenticate(
    worker: &Worker,
    peer: IpAddr,
    user: &str,
    salt: &Salt,
    answer: &[u8],
) -> Result<NativeKey, Refusal> {
    let snapshot = worker.snapshot.load();
    let mut refusal = Refusal::Denied;
    for age in [USERS_AGE, USERS_MISS] {
        let Some(users) = worker.users.get(&snapshot, age).await else {
            break;
        };
        match account::verdict(users.accounts(user), peer, salt, answer) {
            Ok(key) => return Ok(key),
            Err(e) => refusal = e,
        }
    }
    Err(refusal)
}

/// What a refused client is told.
pub(crate) fn words(
    refusal: &Refusal,
    user: &str,
    peer: IpAddr,
    with_password: bool,
) -> (ErrorCode, String) {
    match refusal {
        Refusal::Denied => {
            let using = if with_password { "YES" } else { "NO" };
            let message =
                format!("Access denied for user '{user}'@'{peer}' (using password: {using})");
            (error_code::ACCESS_DENIED, message)
        }
        Refusal::Plugin(plugin) => {
            let message = format!(
                "the account '{user}' uses the authentication plugin `{plugin}`, which the SQL \
                 router cannot check; give it mysql_native_password"
            );
            (error_code::PLUGIN_NOT_LOADED, message)
        }
        Refusal::WritesThrough => {
            let message = format!(
                "the account '{user}' has SUPER or READ ONLY ADMIN and could write to a replica; \
                 the SQL router refuses it: revoke them, or connect to the server itself"
            );
            (error_code::ACCESS_DENIED, message)
        }
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
        response,
        key,
        users,
        sequence,
    } = login;
    let capabilities = response.capabilities & OFFERED;
    let who = Identity {
        user: response.user,
        key,
        capabilities: capabilities & CARRIED,
        collation: response.collation,
    };
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
    if send(&mut client, sequence, &reply::ok(state.status))
        .await
        .is_err()
    {
        return None;
    }
    Some(Admitted {
        client,
        peer,
        ticket,
        salt,
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
) -> Result<Option<ServerConnection>, Vec<u8>> {
    let Some(schema) = schema.filter(|schema| !worker.knows_schema(&who.user, schema)) else {
        return Ok(None);
    };
    let snapshot = worker.snapshot.load();
    let Some(primary) = &snapshot.servers.primary else {
        return Ok(None);
    };
    let hold = snapshot.target.hold;
    match worker
        .connect(&snapshot, primary, who, Some(schema), hold)
        .await
    {
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
