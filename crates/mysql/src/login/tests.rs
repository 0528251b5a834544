//! The client's half against servers that say what MySQL 8 and MariaDB say, in order.

use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;
use crate::auth::{NATIVE, NativeKey, Password};
use crate::capability::{PLUGIN_AUTH, PROTOCOL_41};
use crate::handshake::FirstAnswer;
use crate::{reply, rsa};

const SALT: Salt = *b"abcdefghij1234567890";
const OTHER: Salt = *b"09876543210987654321";

fn greeting(plugin: &str) -> Greeting {
    Greeting {
        version: "8.0.36".to_owned(),
        connection_id: 7,
        salt: SALT,
        capabilities: 0xdfff_ffff,
        extended: 0,
        collation: 255,
        status: 2,
        plugin: plugin.to_owned(),
    }
}

async fn tcp() -> (Channel, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(connecting, listener.accept());
    (client.unwrap().into(), accepted.unwrap().0.into())
}

fn unix() -> (Channel, Channel) {
    let (a, b) = UnixStream::pair().unwrap();
    (a.into(), b.into())
}

/// The other side of a login: what it says, and hears.
struct Server(Channel, u8);

impl Server {
    async fn say(&mut self, payload: &[u8]) {
        let mut out = Vec::new();
        packet::put(&mut out, &mut self.1, payload);
        self.0.write(&out).await.unwrap();
    }

    async fn hear(&mut self) -> Vec<u8> {
        let packet = self.0.packet(1 << 16).await.unwrap();
        assert_eq!(packet.sequence, self.1, "numbered in turn");
        self.1 = packet.sequence.wrapping_add(1);
        packet.payload.to_vec()
    }

    async fn response(&mut self) -> Response {
        match FirstAnswer::parse(&self.hear().await).unwrap() {
            FirstAnswer::Response(response) => response,
            FirstAnswer::Tls => panic!("TLS was not wanted"),
        }
    }
}

async fn log_in_with(mut channel: Channel, key: Key) -> Result<u16, LoginError> {
    let greeted = greeted(&mut channel).await?;
    let who = Who {
        user: "app",
        key: &key,
        schema: None,
        capabilities: PROTOCOL_41 | PLUGIN_AUTH,
        max_packet: 1 << 24,
        collation: 45,
    };
    log_in(&mut channel, &greeted, &who, None).await
}

fn password() -> Key {
    Key::Password(Password::new("secret"))
}

fn answer() -> Vec<u8> {
    sha2::answer(&Password::new("secret"), &SALT)
}

#[tokio::test]
async fn a_server_that_remembers_takes_the_fast_path() {
    let (client, server) = tcp().await;
    let mut server = Server(server, 0);
    let serve = async {
        server.say(&greeting(CACHING_SHA2).encode()).await;
        let response = server.response().await;
        assert_eq!(response.plugin.as_deref(), Some(CACHING_SHA2));
        assert_eq!(response.answer, answer());
        server.say(&[1, 3]).await;
        server.say(&reply::ok(2)).await;
    };
    let (status, ()) = tokio::join!(log_in_with(client, password()), serve);
    assert_eq!(status.unwrap(), 2);
}

#[tokio::test]
async fn in_private_the_password_is_sent_as_it_is() {
    let (client, server) = unix();
    let mut server = Server(server, 0);
    let serve = async {
        server.say(&greeting(CACHING_SHA2).encode()).await;
        server.response().await;
        server.say(&[1, 4]).await;
        assert_eq!(server.hear().await, b"secret\0");
        server.say(&reply::ok(2)).await;
    };
    let (status, ()) = tokio::join!(log_in_with(client, password()), serve);
    assert_eq!(status.unwrap(), 2);
}

#[tokio::test]
async fn where_others_can_listen_it_is_encrypted() {
    let (client, server) = tcp().await;
    let mut server = Server(server, 0);
    let key = rsa::DecryptingKey::generate().unwrap();
    let serve = async {
        // The greeting names another plugin, the account is of this one, with a new salt.
        server.say(&greeting(NATIVE).encode()).await;
        server.response().await;
        let switch = AuthSwitch {
            plugin: CACHING_SHA2.to_owned(),
            salt: OTHER,
            nonce: None,
        };
        server.say(&switch.encode()).await;
        assert_eq!(server.hear().await.len(), 32);
        server.say(&[1, 4]).await;
        assert_eq!(server.hear().await, [2]);
        server.say(&[&[1], key.pem().as_bytes()].concat()).await;
        let masked = key.decrypt(&server.hear().await).unwrap();
        assert_eq!(sha2::mask(&masked, &OTHER), b"secret\0");
        server.say(&reply::ok(2)).await;
    };
    let (status, ()) = tokio::join!(log_in_with(client, password()), serve);
    assert_eq!(status.unwrap(), 2);
}

#[tokio::test]
async fn a_key_that_is_no_password_says_why_it_cannot() {
    for (question, what) in [
        (vec![1, 4], "not at hand"),
        (vec![1, 9], "makes no sense"),
        (b"\xfedialog\0\x04".to_vec(), "`dialog`"),
    ] {
        let (client, server) = tcp().await;
        let mut server = Server(server, 0);
        let serve = async {
            server.say(&greeting(NATIVE).encode()).await;
            server.response().await;
            if question[0] == 1 {
                let switch = [b"\xfecaching_sha2_password\0", SALT.as_slice()].concat();
                server.say(&switch).await;
                let answered = server.0.packet(1 << 16).await;
                if answered.is_err() {
                    return;
                }
            }
            server.say(&question).await;
        };
        let key = Key::Native(NativeKey::of("secret"));
        let (failed, ()) = tokio::join!(log_in_with(client, key), serve);
        let text = failed.unwrap_err().to_string();
        assert!(
            text.contains(what) || text.contains("caching_sha2_password"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_server_that_asks_for_ever_is_left() {
    let (client, server) = tcp().await;
    let mut server = Server(server, 0);
    let serve = async {
        server.say(&greeting(CACHING_SHA2).encode()).await;
        server.response().await;
        for _ in 0..ROUNDS {
            server.say(&[1, 3]).await;
        }
    };
    let (failed, ()) = tokio::join!(log_in_with(client, password()), serve);
    assert!(matches!(failed, Err(LoginError::Protocol(_))));
}
