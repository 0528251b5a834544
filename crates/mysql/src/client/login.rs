//! How the small client logs in.

use std::fmt;

use telemetry::Secret;
use tokio::net::{TcpStream, UnixStream};

use super::{ANSWER_LIMIT, Address, COLLATION, ConnectError, Connection};
use crate::auth::{self, NativeKey};
use crate::capability::{
    CONNECT_WITH_DB, DEPRECATE_EOF, LONG_FLAG, MULTI_RESULTS, PLUGIN_AUTH, PLUGIN_AUTH_LENENC,
    PROTOCOL_41, SECURE_CONNECTION, SESSION_TRACK, TRANSACTIONS,
};
use crate::handshake::{AuthSwitch, Greeting, Response};
use crate::packet::{self, Channel, PacketError};
use crate::reply;

pub(super) async fn open(
    to: &Address,
    user: &str,
    password: &Secret,
    schema: Option<&str>,
) -> Result<Connection, ConnectError> {
    let refused = |source| ConnectError::Refused {
        address: to.clone(),
        source,
    };
    let channel: Channel = match to {
        Address::Unix(path) => UnixStream::connect(path).await.map_err(refused)?.into(),
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(refused)?;
            stream.set_nodelay(true).map_err(refused)?;
            stream.into()
        }
    };
    let login = Login {
        to,
        user,
        password,
        schema,
    };
    login.run(channel).await
}

/// A login under way, with what its errors must name.
struct Login<'a> {
    to: &'a Address,
    user: &'a str,
    password: &'a Secret,
    schema: Option<&'a str>,
}

impl Login<'_> {
    async fn run(&self, mut channel: Channel) -> Result<Connection, ConnectError> {
        let first = self.next(&mut channel).await?;
        let greeting = Greeting::parse(&first.payload).map_err(|e| self.protocol(e))?;
        let wanted = PROTOCOL_41
            | LONG_FLAG
            | TRANSACTIONS
            | SECURE_CONNECTION
            | MULTI_RESULTS
            | PLUGIN_AUTH
            | PLUGIN_AUTH_LENENC
            | SESSION_TRACK
            | DEPRECATE_EOF;
        if greeting.capabilities & DEPRECATE_EOF == 0 {
            return Err(self.protocol("the server is older than MySQL 5.7 and MariaDB 10.2"));
        }
        // A plugin we do not speak: answer with the oldest, the server will ask to switch.
        let plugin = match greeting.plugin.as_str() {
            auth::CACHING_SHA2 => auth::CACHING_SHA2,
            _ => auth::NATIVE,
        };
        let connect_with = self.schema.map_or(0, |_| CONNECT_WITH_DB);
        let response = Response {
            capabilities: wanted & greeting.capabilities | connect_with,
            max_packet: u32::try_from(ANSWER_LIMIT).unwrap_or(u32::MAX),
            collation: COLLATION,
            user: self.user.to_owned(),
            answer: self.answer(plugin, &greeting.salt)?,
            schema: self.schema.map(str::to_owned),
            plugin: Some(plugin.to_owned()),
        };
        self.send(&mut channel, first.sequence, &response.encode())
            .await?;
        self.verdict(&mut channel).await?;
        Ok(Connection { channel, greeting })
    }

    async fn verdict(&self, channel: &mut Channel) -> Result<(), ConnectError> {
        loop {
            let packet = self.next(channel).await?;
            match packet.payload.first() {
                Some(0x00) => return Ok(()),
                Some(0xfe) => {
                    let switch =
                        AuthSwitch::parse(&packet.payload).map_err(|e| self.protocol(e))?;
                    let answer = self.answer(&switch.plugin, &switch.salt)?;
                    self.send(channel, packet.sequence, &answer).await?;
                }
                // caching_sha2: 3 "known, go on", 4 "send me the password over TLS".
                Some(0x01) if packet.payload.get(1) == Some(&3) => {}
                Some(0x01) => {
                    return Err(self.protocol("the server asks for the password over TLS"));
                }
                _ => return Err(self.protocol("the server's verdict makes no sense")),
            }
        }
    }

    fn answer(&self, plugin: &str, salt: &auth::Salt) -> Result<Vec<u8>, ConnectError> {
        match plugin {
            auth::NATIVE => Ok(NativeKey::of(self.password.expose()).answer(salt)),
            auth::CACHING_SHA2 => Ok(auth::caching_sha2_answer(self.password.expose(), salt)),
            // The socket's owner is the proof; there is nothing to say.
            "unix_socket" | "auth_socket" => Ok(Vec::new()),
            other => Err(self.protocol(format!(
                "the account `{}` uses the authentication plugin `{other}`, which is not supported",
                self.user
            ))),
        }
    }

    /// The next packet; an error packet becomes the error.
    async fn next(&self, channel: &mut Channel) -> Result<packet::Packet, ConnectError> {
        let packet = channel
            .packet(packet::FULL_FRAME)
            .await
            .map_err(|e| self.lost(e))?;
        if packet.payload.first() != Some(&0xff) {
            return Ok(packet);
        }
        let error = reply::ErrPacket::parse(&packet.payload).map_err(|e| self.protocol(e))?;
        Err(ConnectError::Denied {
            address: self.to.clone(),
            user: self.user.to_owned(),
            code: error.code,
            message: error.message,
        })
    }

    async fn send(
        &self,
        channel: &mut Channel,
        after: u8,
        payload: &[u8],
    ) -> Result<(), ConnectError> {
        let mut out = Vec::with_capacity(payload.len() + packet::HEADER);
        packet::put(&mut out, &mut after.wrapping_add(1), payload);
        channel.write(&out).await.map_err(|e| self.lost(e.into()))
    }

    fn lost(&self, error: PacketError) -> ConnectError {
        match error {
            PacketError::Io(source) => ConnectError::Refused {
                address: self.to.clone(),
                source,
            },
            other => self.protocol(other),
        }
    }

    fn protocol(&self, what: impl fmt::Display) -> ConnectError {
        ConnectError::Protocol {
            address: self.to.clone(),
            what: what.to_string(),
        }
    }
}
