//! A client that can say anything.

use mysql::auth::NativeKey;
use mysql::capability::{
    CONNECT_WITH_DB, Capabilities, DEPRECATE_EOF, LOCAL_FILES, LONG_FLAG, MULTI_RESULTS,
    PLUGIN_AUTH, TRANSACTIONS,
};
use mysql::command::{self, Command};
use mysql::handshake::{Greeting, Response};
use mysql::packet::{Channel, PacketError, put};
use mysql::reply::error_code;
use tokio::net::TcpStream;

use crate::bed::Bed;

#[derive(Debug)]
pub(crate) struct Raw(Channel);

impl Raw {
    /// It has not logged in.
    pub(crate) async fn connect(bed: &Bed) -> Self {
        Self(Channel::from(
            TcpStream::connect(bed.address).await.unwrap(),
        ))
    }

    pub(crate) async fn login(bed: &Bed) -> Self {
        let (raw, verdict) = Self::login_with(bed, DEPRECATE_EOF).await;
        assert_eq!(verdict[0], 0);
        raw
    }

    /// With more capabilities than any client has; and the router's verdict.
    pub(crate) async fn login_with(bed: &Bed, more: Capabilities) -> (Self, Vec<u8>) {
        let mut raw = Self::connect(bed).await;
        let greeting = Greeting::parse(&raw.answer().await.unwrap()).unwrap();
        let response = Response {
            capabilities: LONG_FLAG
                | LOCAL_FILES
                | TRANSACTIONS
                | MULTI_RESULTS
                | PLUGIN_AUTH
                | CONNECT_WITH_DB
                | more,
            max_packet: 1 << 30,
            collation: 45,
            user: "app".to_owned(),
            answer: NativeKey::of("secret").answer(&greeting.salt),
            schema: Some("app".to_owned()),
            plugin: None,
        };
        let mut out = Vec::new();
        put(&mut out, &mut 1, &response.encode());
        raw.say(&out).await;
        let verdict = raw.answer().await.unwrap();
        (raw, verdict)
    }

    /// Bytes as they are; the router may have closed the connection.
    pub(crate) async fn try_say(&mut self, bytes: &[u8]) -> bool {
        self.0.write(bytes).await.is_ok()
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.0.write(bytes).await.unwrap();
    }

    pub(crate) async fn command(&mut self, command: Command, payload: &[u8]) {
        let mut out = Vec::new();
        command::put(&mut out, command, payload);
        self.say(&out).await;
    }

    /// The next packet.
    pub(crate) async fn answer(&mut self) -> Result<Vec<u8>, PacketError> {
        Ok(self.0.packet(1 << 24).await?.payload.to_vec())
    }

    /// The error that the next packet is.
    pub(crate) async fn error(&mut self) -> Option<u16> {
        error_code(&self.answer().await.ok()?)
    }

    /// A statement whose answer is read to its end, as long as that is one packet or one row.
    pub(crate) async fn query(&mut self, sql: &str) {
        self.command(Command::Query, sql.as_bytes()).await;
        let head = self.answer().await.unwrap();
        if head[0] == 1 {
            for _ in 0..3 {
                self.answer().await.unwrap();
            }
        }
    }

    /// Everything there still is to read goes by, up to the end.
    pub(crate) async fn is_closed(&mut self) {
        loop {
            let there = self.0.input().len();
            self.0.consume(there);
            if self.0.fill().await.is_err() {
                return;
            }
        }
    }
}
