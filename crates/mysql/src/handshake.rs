//! Pure: the greeting of a server and the response of a client, both directions.
//!
//! Source: MySQL internals, "Protocol::HandshakeV10", "Protocol::HandshakeResponse41";
//! MariaDB KB, "Connection" (there the last four reserved bytes are extended capabilities).

mod program;

use crate::auth::Salt;
use crate::capability::{
    CONNECT_ATTRS, CONNECT_WITH_DB, Capabilities, PLUGIN_AUTH, PLUGIN_AUTH_LENENC, PROTOCOL_41,
    SECURE_CONNECTION, SSL,
};
use crate::wire::{Malformed, Reader, put_lenenc_bytes, put_nul_terminated};

pub use program::Program;

/// A server's first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// MariaDB writes `5.5.5-10.11.6-MariaDB`: old replicas wanted to see 5.5.
    pub version: String,
    pub connection_id: u32,
    pub salt: Salt,
    pub capabilities: Capabilities,
    /// MariaDB's extended capabilities; 0 of a MySQL.
    pub extended: u32,
    pub collation: u8,
    pub status: u16,
    pub plugin: String,
}

impl Greeting {
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        Self::read(payload).ok_or(Malformed("greeting"))
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != 10 {
            return None;
        }
        let version = text(reader.nul_terminated()?);
        let connection_id = reader.u32()?;
        let salt_head = reader.bytes(8)?;
        reader.u8()?;
        let low = reader.u16()?;
        let collation = reader.u8()?;
        let status = reader.u16()?;
        let high = reader.u16()?;
        let capabilities = u32::from(low) | u32::from(high) << 16;
        // The length of the salt, its closing zero included: 21 for all plugins of today.
        reader.u8()?;
        reader.bytes(6)?;
        let extended = reader.u32()?;
        let salt_tail = reader.bytes(12)?;
        reader.u8()?;
        let plugin = match capabilities & PLUGIN_AUTH {
            0 => crate::auth::NATIVE.to_owned(),
            // Some servers leave the closing zero out.
            _ => text(reader.rest().split(|byte| *byte == 0).next()?),
        };
        let mut salt = [0; 20];
        let bytes = salt_head.iter().chain(salt_tail);
        salt.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        Some(Self {
            version,
            connection_id,
            salt,
            capabilities,
            extended,
            collation,
            status,
            plugin,
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let (head, tail) = self.salt.split_at(8);
        let [c0, c1, c2, c3] = self.capabilities.to_le_bytes();
        let mut out = Vec::with_capacity(96);
        out.push(10);
        put_nul_terminated(&mut out, self.version.as_bytes());
        out.extend_from_slice(&self.connection_id.to_le_bytes());
        out.extend_from_slice(head);
        out.push(0);
        out.extend_from_slice(&[c0, c1, self.collation]);
        out.extend_from_slice(&self.status.to_le_bytes());
        out.extend_from_slice(&[c2, c3, 21]);
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&self.extended.to_le_bytes());
        out.extend_from_slice(tail);
        out.push(0);
        put_nul_terminated(&mut out, self.plugin.as_bytes());
        out
    }
}

/// A client's answer to the greeting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    pub capabilities: Capabilities,
    pub max_packet: u32,
    pub collation: u8,
    pub user: String,
    pub answer: Vec<u8>,
    pub schema: Option<String>,
    /// The plugin the answer was made for.
    pub plugin: Option<String>,
}

/// What came instead of, or as, a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstAnswer {
    Response(Response),
    /// The client wants to go on over TLS, where its response follows.
    Tls,
}

impl FirstAnswer {
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let read = Self::read(payload).ok_or(Malformed("login"))?;
        Ok(read.0)
    }

    /// And the connection attributes behind it.
    fn read(payload: &[u8]) -> Option<(Self, Option<&[u8]>)> {
        let mut reader = Reader::new(payload);
        let capabilities = reader.u32()?;
        if capabilities & PROTOCOL_41 == 0 {
            return None;
        }
        let max_packet = reader.u32()?;
        let collation = reader.u8()?;
        reader.bytes(23)?;
        if capabilities & SSL != 0 && reader.is_empty() {
            return Some((Self::Tls, None));
        }
        let user = text(reader.nul_terminated()?);
        let answer = if capabilities & PLUGIN_AUTH_LENENC != 0 {
            reader.lenenc_bytes()?
        } else if capabilities & SECURE_CONNECTION != 0 {
            let length = reader.u8()?;
            reader.bytes(usize::from(length))?
        } else {
            reader.nul_terminated()?
        };
        let schema = match capabilities & CONNECT_WITH_DB {
            0 => None,
            _ => Some(text(reader.nul_terminated()?)).filter(|schema| !schema.is_empty()),
        };
        let plugin = match capabilities & PLUGIN_AUTH {
            0 => None,
            // Some clients leave the closing zero out when nothing follows.
            _ => reader
                .nul_terminated()
                .or_else(|| Some(reader.rest()).filter(|name| !name.is_empty()))
                .map(text),
        };
        let attributes = match capabilities & CONNECT_ATTRS {
            0 => None,
            _ => reader.lenenc_bytes(),
        };
        let response = Response {
            capabilities,
            max_packet,
            collation,
            user,
            answer: answer.to_vec(),
            schema,
            plugin,
        };
        Some((Self::Response(response), attributes))
    }
}

impl Response {
    /// `capabilities` says what is written; CONNECT_WITH_DB follows `schema`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.head();
        self.put_rest(&mut out);
        out
    }

    /// The request to go on over TLS, where the response itself follows.
    pub fn request_tls(&self) -> Vec<u8> {
        self.head()
    }

    fn head(&self) -> Vec<u8> {
        let mut capabilities = self.capabilities & !(CONNECT_ATTRS | CONNECT_WITH_DB);
        capabilities |= PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH | PLUGIN_AUTH_LENENC;
        if self.schema.is_some() {
            capabilities |= CONNECT_WITH_DB;
        }
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(&capabilities.to_le_bytes());
        out.extend_from_slice(&self.max_packet.to_le_bytes());
        out.push(self.collation);
        out.extend_from_slice(&[0; 23]);
        out
    }

    fn put_rest(&self, out: &mut Vec<u8>) {
        put_nul_terminated(out, self.user.as_bytes());
        put_lenenc_bytes(out, &self.answer);
        if let Some(schema) = &self.schema {
            put_nul_terminated(out, schema.as_bytes());
        }
        let plugin = self.plugin.as_deref().unwrap_or(crate::auth::NATIVE);
        put_nul_terminated(out, plugin.as_bytes());
    }
}

/// "Answer again, with this plugin": 0xFE, plugin, salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSwitch {
    pub plugin: String,
    pub salt: Salt,
    /// The longer challenge of client_ed25519.
    pub nonce: Option<[u8; 32]>,
}

impl AuthSwitch {
    /// `payload` with its first byte.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        Self::read(payload).ok_or(Malformed("request to switch the authentication plugin"))
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        reader.u8().filter(|first| *first == 0xfe)?;
        let plugin = text(reader.nul_terminated()?);
        let nonce = { reader }.bytes(32);
        let salt = reader.bytes(20.min(reader.left()))?;
        Some(Self {
            plugin,
            nonce: nonce.and_then(|nonce| nonce.try_into().ok()),
            // Plugins that need no salt (a clear password, a socket) send none.
            salt: salt.try_into().unwrap_or([0; 20]),
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0xfe];
        put_nul_terminated(&mut out, self.plugin.as_bytes());
        match &self.nonce {
            Some(nonce) => out.extend_from_slice(nonce),
            None => out.extend_from_slice(&self.salt),
        }
        out.push(0);
        out
    }
}

/// COM_CHANGE_USER: the response again, in another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeUser {
    pub user: String,
    pub answer: Vec<u8>,
    pub schema: Option<String>,
    pub collation: Option<u8>,
    pub plugin: Option<String>,
}

impl ChangeUser {
    /// `payload` without the command's byte.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        Self::read(payload).ok_or(Malformed("change of user"))
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let user = text(reader.nul_terminated()?);
        let length = reader.u8()?;
        let answer = reader.bytes(usize::from(length))?.to_vec();
        let schema = Some(text(reader.nul_terminated()?)).filter(|schema| !schema.is_empty());
        let collation = reader
            .u16()
            .and_then(|collation| u8::try_from(collation).ok());
        let plugin = reader.nul_terminated().map(text);
        Some(Self {
            user,
            answer,
            schema,
            collation,
            plugin,
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
