//! The client's half of a login, from the server's greeting to its verdict: TLS if wanted, then answers to
//! whatever plugin the server asks for.
//!
//! The full path of caching_sha2_password is kept honest by recorded and simulated packets (`tests.rs`), not
//! by a live MySQL 8 server.

use crate::auth::key::Challenge;
use crate::auth::{CACHING_SHA2, Key, Salt, sha2};
use crate::capability::{Capabilities, SSL};
use crate::handshake::{AuthSwitch, Greeting, Response};
use crate::packet::{self, Channel, PacketError};
use crate::reply::{ErrPacket, OkPacket};
use crate::rsa;
use crate::tls::Connector;
use crate::wire::Malformed;

/// Questions a server may ask before its verdict; each costs it and us a round trip.
const ROUNDS: usize = 8;

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The server said no, in its own words.
    #[error("{}", .0.message)]
    Refused(ErrPacket),
    #[error("{0}")]
    Protocol(String),
}

impl From<std::io::Error> for LoginError {
    fn from(error: std::io::Error) -> Self {
        Self::Packet(error.into())
    }
}

impl From<Malformed> for LoginError {
    fn from(error: Malformed) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// Who logs in, and what is agreed on.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    pub user: &'a str,
    pub key: &'a Key,
    pub schema: Option<&'a str>,
    /// What is asked of the server, which must have all of it.
    pub capabilities: Capabilities,
    pub max_packet: u32,
    pub collation: u8,
}

/// A greeting, and the number of its packet.
#[derive(Debug)]
pub struct Greeted {
    pub greeting: Greeting,
    sequence: u8,
}

/// Reads the greeting.
pub async fn greeted(channel: &mut Channel) -> Result<Greeted, LoginError> {
    let packet = next(channel).await?;
    Ok(Greeted {
        greeting: Greeting::parse(&packet.payload)?,
        sequence: packet.sequence,
    })
}

/// Logs in; the status word of the new session. `tls`: the login goes on over TLS, or fails.
pub async fn log_in(
    channel: &mut Channel,
    greeted: &Greeted,
    who: &Who<'_>,
    tls: Option<&Connector>,
) -> Result<u16, LoginError> {
    let greeting = &greeted.greeting;
    let plugin = who.key.first_plugin(&greeting.plugin);
    let mut exchange = Exchange {
        sequence: greeted.sequence,
        key: who.key,
        plugin: plugin.to_owned(),
        salt: greeting.salt,
    };
    let mut response = Response {
        capabilities: who.capabilities,
        max_packet: who.max_packet,
        collation: who.collation,
        user: who.user.to_owned(),
        answer: Vec::new(),
        schema: who.schema.map(str::to_owned),
        plugin: Some(plugin.to_owned()),
    };
    if let Some(connector) = tls {
        if greeting.capabilities & SSL == 0 {
            let what = "it offers no TLS".to_owned();
            return Err(LoginError::Protocol(what));
        }
        response.capabilities |= SSL;
        exchange.send(channel, &response.request_tls()).await?;
        channel.connect_tls(connector).await?;
    }
    // What a key cannot answer, the server asks for again by the account's plugin.
    response.answer = exchange.answer(channel, None).unwrap_or_default();
    exchange.send(channel, &response.encode()).await?;
    exchange.verdict(channel).await
}

/// A login under way.
struct Exchange<'a> {
    /// Of the last packet, whoever sent it.
    sequence: u8,
    key: &'a Key,
    plugin: String,
    salt: Salt,
}

impl Exchange<'_> {
    fn answer(&self, channel: &Channel, nonce: Option<&[u8; 32]>) -> Option<Vec<u8>> {
        self.key.answer(&Challenge {
            plugin: &self.plugin,
            salt: &self.salt,
            nonce,
            private: channel.is_private(),
        })
    }

    async fn verdict(&mut self, channel: &mut Channel) -> Result<u16, LoginError> {
        for _ in 0..ROUNDS {
            let payload = self.next(channel).await?;
            match payload.first() {
                Some(0x00) => return Ok(OkPacket::parse(&payload, true)?.status),
                Some(0xfe) => {
                    let switch = AuthSwitch::parse(&payload)?;
                    self.plugin = switch.plugin;
                    self.salt = switch.salt;
                    let Some(answer) = self.answer(channel, switch.nonce.as_ref()) else {
                        let what = format!(
                            "the account uses the authentication plugin `{}`, which cannot be answered here",
                            self.plugin
                        );
                        return Err(LoginError::Protocol(what));
                    };
                    self.send(channel, &answer).await?;
                }
                Some(&sha2::MORE) if self.plugin == CACHING_SHA2 => {
                    match payload.get(1) {
                        // OK follows.
                        Some(&sha2::FAST_OK) => {}
                        Some(&sha2::FULL) => self.full(channel).await?,
                        _ => return Err(nonsense()),
                    }
                }
                _ => return Err(nonsense()),
            }
        }
        Err(nonsense())
    }

    /// The password itself: in clear where nobody listens, else by RSA.
    async fn full(&mut self, channel: &mut Channel) -> Result<(), LoginError> {
        let Key::Password(password) = self.key else {
            let what = "it asks for the password of caching_sha2_password, which is not at hand";
            return Err(LoginError::Protocol(what.to_owned()));
        };
        let plain = password.with_zero();
        if channel.is_private() {
            return self.send(channel, &plain).await;
        }
        self.send(channel, &[sha2::KEY_PLEASE]).await?;
        let payload = self.next(channel).await?;
        let Some((&sha2::MORE, pem)) = payload.split_first() else {
            return Err(nonsense());
        };
        let encrypted = rsa::encrypt(pem, &sha2::mask(&plain, &self.salt));
        let encrypted = encrypted.map_err(|e| LoginError::Protocol(e.to_string()))?;
        self.send(channel, &encrypted).await
    }

    async fn next(&mut self, channel: &mut Channel) -> Result<bytes::BytesMut, LoginError> {
        let packet = next(channel).await?;
        self.sequence = packet.sequence;
        Ok(packet.payload)
    }

    async fn send(&mut self, channel: &mut Channel, payload: &[u8]) -> Result<(), LoginError> {
        let mut out = Vec::with_capacity(payload.len() + packet::HEADER);
        self.sequence = self.sequence.wrapping_add(1);
        packet::put(&mut out, &mut { self.sequence }, payload);
        Ok(channel.write(&out).await?)
    }
}

fn nonsense() -> LoginError {
    LoginError::Protocol("its verdict on the login makes no sense".to_owned())
}

/// The next packet; an error packet becomes the error.
async fn next(channel: &mut Channel) -> Result<packet::Packet, LoginError> {
    let packet = channel.packet(packet::FULL_FRAME).await?;
    match packet.payload.first() {
        Some(0xff) => Err(LoginError::Refused(ErrPacket::parse(&packet.payload)?)),
        _ => Ok(packet),
    }
}

#[cfg(test)]
mod tests;
