//! A client as those of MySQL 9 are: caching_sha2_password and nothing older. It says at each login how its
//! password was proven.

use mysql::auth::{CACHING_SHA2, CLEAR, Password, sha2};
use mysql::capability::{
    CONNECT_ATTRS, CONNECT_WITH_DB, LONG_FLAG, MULTI_RESULTS, PLUGIN_AUTH, PLUGIN_AUTH_LENENC,
    PROTOCOL_41, SECURE_CONNECTION, SSL, TRANSACTIONS,
};
use mysql::command::{self, Command};
use mysql::handshake::{AuthSwitch, Greeting};
use mysql::packet::{Channel, put};
use mysql::reply::ErrPacket;
use mysql::rsa;
use mysql::tls::Connector;
use mysql::wire::{Reader, put_lenenc, put_lenenc_bytes, put_nul_terminated};
use tokio::net::{TcpStream, UnixStream};

use crate::bed::Bed;

/// How the password was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Fast,
    /// In clear, over TLS or a unix socket.
    Full,
    Rsa,
    /// By mysql_clear_password.
    Clear,
    /// There is none.
    Empty,
}

pub(crate) struct Modern {
    channel: Channel,
    sequence: u8,
    salt: [u8; 20],
    /// The login OK's text.
    pub(crate) info: Vec<u8>,
}

/// How to come in, and as what.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) tls: Option<&'a Connector>,
    pub(crate) socket: bool,
    pub(crate) plugin: &'a str,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            user: "app",
            password: "secret",
            tls: None,
            socket: false,
            plugin: CACHING_SHA2,
        }
    }
}

impl Modern {
    /// The server's error code, when it says no.
    pub(crate) async fn connect(bed: &Bed, options: Options<'_>) -> Result<(Self, Way), u16> {
        let channel: Channel = match options.socket {
            true => UnixStream::connect(bed.dir.path().join("sql.sock"))
                .await
                .unwrap()
                .into(),
            false => TcpStream::connect(bed.address).await.unwrap().into(),
        };
        let mut client = Self {
            channel,
            sequence: 0,
            salt: [0; 20],
            info: Vec::new(),
        };
        let greeting = Greeting::parse(&client.hear().await?).unwrap();
        client.salt = greeting.salt;
        let mut capabilities = PROTOCOL_41
            | LONG_FLAG
            | TRANSACTIONS
            | SECURE_CONNECTION
            | PLUGIN_AUTH
            | PLUGIN_AUTH_LENENC
            | CONNECT_WITH_DB
            | MULTI_RESULTS
            | CONNECT_ATTRS;
        if options.tls.is_some() {
            assert_eq!(greeting.capabilities & SSL, SSL, "TLS is offered");
            capabilities |= SSL;
        }
        let mut response = capabilities.to_le_bytes().to_vec();
        response.extend_from_slice(&(1u32 << 24).to_le_bytes());
        response.push(45);
        response.extend_from_slice(&[0; 23]);
        if let Some(connector) = options.tls {
            client.say(&response.clone()).await;
            client.channel.connect_tls(connector).await.unwrap();
        }
        put_nul_terminated(&mut response, options.user.as_bytes());
        // The greeting is for another plugin: there is nothing to answer yet.
        response.push(0);
        response.extend_from_slice(b"app\0");
        put_nul_terminated(&mut response, options.plugin.as_bytes());
        let mut attributes = Vec::new();
        for text in ["_client_name", "libmysql", "_client_version", "9.1.0"] {
            put_lenenc_bytes(&mut attributes, text.as_bytes());
        }
        put_lenenc(&mut response, attributes.len() as u64);
        response.extend(attributes);
        client.say(&response).await;
        let way = client.prove(options.password).await?;
        Ok((client, way))
    }

    async fn prove(&mut self, password: &str) -> Result<Way, u16> {
        let password = Password::new(password);
        let mut way = Way::Empty;
        loop {
            let payload = self.hear().await?;
            match (payload[0], payload.get(1)) {
                (0, _) => {
                    let mut reader = Reader::new(&payload[7..]);
                    self.info = reader.lenenc_bytes().unwrap_or_default().to_vec();
                    return Ok(way);
                }
                (0xfe, _) => {
                    let switch = AuthSwitch::parse(&payload).unwrap();
                    self.salt = switch.salt;
                    match switch.plugin.as_str() {
                        CACHING_SHA2 if password.is_empty() => self.say(&[0]).await,
                        CACHING_SHA2 => self.say(&sha2::answer(&password, &self.salt)).await,
                        CLEAR => {
                            way = Way::Clear;
                            self.say(&password.with_zero()).await;
                        }
                        other => panic!("this client does not know {other}"),
                    }
                }
                (1, Some(3)) => way = Way::Fast,
                (1, Some(4)) if self.channel.is_private() => {
                    way = Way::Full;
                    self.say(&password.with_zero()).await;
                }
                (1, Some(4)) => {
                    way = Way::Rsa;
                    self.say(&[2]).await;
                    let pem = self.hear().await?;
                    let masked = sha2::mask(&password.with_zero(), &self.salt);
                    self.say(&rsa::encrypt(&pem[1..], &masked).unwrap()).await;
                }
                _ => panic!("{payload:?}"),
            }
        }
    }

    pub(crate) fn salt(&self) -> [u8; 20] {
        self.salt
    }

    pub(crate) async fn change_user(&mut self, user: &str, password: &str) -> Result<Way, u16> {
        let mut payload = vec![Command::ChangeUser.byte()];
        put_nul_terminated(&mut payload, user.as_bytes());
        payload.push(0);
        payload.extend_from_slice(b"app\0");
        payload.extend_from_slice(&45u16.to_le_bytes());
        put_nul_terminated(&mut payload, CACHING_SHA2.as_bytes());
        self.sequence = 0;
        self.say(&payload).await;
        self.prove(password).await
    }

    /// The first value of the first row.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<String, u16> {
        let mut out = Vec::new();
        command::put(&mut out, Command::Query, sql.as_bytes());
        self.channel.write(&out).await.unwrap();
        self.sequence = 1;
        self.hear().await?;
        while self.hear().await?[0] != 0xfe {}
        let row = self.hear().await?;
        let value = Reader::new(&row).lenenc_bytes().unwrap_or_default();
        let value = String::from_utf8_lossy(value).into_owned();
        while self.hear().await?[0] != 0xfe {}
        Ok(value)
    }

    async fn hear(&mut self) -> Result<Vec<u8>, u16> {
        let packet = self.channel.packet(1 << 20).await.map_err(|_| 0u16)?;
        assert_eq!(packet.sequence, self.sequence, "numbered in turn");
        self.sequence = packet.sequence.wrapping_add(1);
        match packet.payload.first() {
            Some(0xff) => Err(ErrPacket::parse(&packet.payload).unwrap().code),
            _ => Ok(packet.payload.to_vec()),
        }
    }

    async fn say(&mut self, payload: &[u8]) {
        let mut out = Vec::new();
        put(&mut out, &mut self.sequence, payload);
        self.channel.write(&out).await.unwrap();
    }
}
