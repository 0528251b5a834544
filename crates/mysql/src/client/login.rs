//! How the small client logs in.

use telemetry::Secret;
use tokio::net::{TcpStream, UnixStream};

use super::{ANSWER_LIMIT, Address, COLLATION, ConnectError, Connection};
use crate::auth::{Key, Password};
use crate::capability::{
    DEPRECATE_EOF, LONG_FLAG, MULTI_RESULTS, PLUGIN_AUTH, PLUGIN_AUTH_LENENC, PROTOCOL_41,
    SECURE_CONNECTION, SESSION_TRACK, TRANSACTIONS,
};
use crate::login::{self, LoginError, Who};
use crate::packet::{Channel, PacketError};
use crate::tls::Connector;

pub(super) async fn open(
    to: &Address,
    user: &str,
    password: &Secret,
    schema: Option<&str>,
    tls: Option<&Connector>,
) -> Result<Connection, ConnectError> {
    let failed = |error| told(to, user, error);
    let mut channel = channel(to).await.map_err(|e| failed(e.into()))?;
    let greeted = login::greeted(&mut channel).await.map_err(failed)?;
    let wanted = PROTOCOL_41
        | LONG_FLAG
        | TRANSACTIONS
        | SECURE_CONNECTION
        | MULTI_RESULTS
        | PLUGIN_AUTH
        | PLUGIN_AUTH_LENENC
        | SESSION_TRACK
        | DEPRECATE_EOF;
    if greeted.greeting.capabilities & DEPRECATE_EOF == 0 {
        let what = "the server is older than MySQL 5.7 and MariaDB 10.2".to_owned();
        return Err(failed(LoginError::Protocol(what)));
    }
    let who = Who {
        user,
        key: &Key::Password(Password::new(password.expose())),
        schema,
        capabilities: wanted & greeted.greeting.capabilities,
        max_packet: u32::try_from(ANSWER_LIMIT).unwrap_or(u32::MAX),
        collation: COLLATION,
    };
    let logged_in = login::log_in(&mut channel, &greeted, &who, tls).await;
    logged_in.map_err(failed)?;
    Ok(Connection {
        channel,
        greeting: greeted.greeting,
    })
}

async fn channel(to: &Address) -> std::io::Result<Channel> {
    match to {
        Address::Unix(path) => Ok(UnixStream::connect(path).await?.into()),
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream.into())
        }
    }
}

/// With what an error must name.
fn told(to: &Address, user: &str, error: LoginError) -> ConnectError {
    let address = to.clone();
    match error {
        LoginError::Refused(error) => ConnectError::Denied {
            address,
            user: user.to_owned(),
            code: error.code,
            message: error.message,
        },
        LoginError::Packet(PacketError::Io(source)) => ConnectError::Refused { address, source },
        other => ConnectError::Protocol {
            address,
            what: other.to_string(),
        },
    }
}
