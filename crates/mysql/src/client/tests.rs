//! The client against a server of recorded bytes. The real server stands in `sql-router`'s tests.

use super::*;
use crate::auth;

/// A server that says `greeting`, reads the login, then says `rest`.
async fn against(greeting: Vec<u8>, rest: Vec<u8>) -> Result<Connection, ConnectError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut channel = Channel::from(stream);
        let mut out = Vec::new();
        packet::put(&mut out, &mut 0, &greeting);
        channel.write(&out).await.unwrap();
        if channel.packet(1 << 16).await.is_ok() {
            let mut out = Vec::new();
            packet::put(&mut out, &mut 2, &rest);
            channel.write(&out).await.unwrap();
        }
        channel
    };
    let password = Secret::new("secret");
    let connecting = Connection::connect(&address, "app", &password, None);
    let (connected, _channel) = tokio::join!(connecting, server);
    connected
}

fn greeting() -> Vec<u8> {
    Greeting {
        version: "5.5.5-10.11.6-MariaDB".to_owned(),
        connection_id: 7,
        salt: *b"abcdefghij1234567890",
        capabilities: 0x81ff_f7fe,
        extended: 0x1d,
        collation: 45,
        status: 2,
        plugin: auth::NATIVE.to_owned(),
    }
    .encode()
}

#[tokio::test]
async fn a_right_password_logs_in() {
    let connection = against(greeting(), reply::ok(2)).await.unwrap();
    assert_eq!(connection.connection_id(), 7);
    assert_eq!(connection.server_version(), "5.5.5-10.11.6-MariaDB");
}

#[tokio::test]
async fn a_denied_login_names_address_user_and_the_servers_words() {
    let denied = reply::err(crate::error_code::ACCESS_DENIED, "Access denied");
    let error = against(greeting(), denied).await.unwrap_err();
    assert!(matches!(error, ConnectError::Denied { code: 1045, .. }));
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:") && text.contains("`app`") && text.contains("1045"));
}

#[tokio::test]
async fn a_full_server_is_a_denial_too() {
    let error = against(b"\xff\x10\x04Too many connections".to_vec(), Vec::new())
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Denied { code: 1040, .. }));
}

#[tokio::test]
async fn another_protocol_is_named() {
    let error = against(b"SSH-2.0-OpenSSH".to_vec(), Vec::new())
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Protocol { .. }));
}

#[tokio::test]
async fn nobody_there_is_refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    drop(listener);
    let error = Connection::connect(&address, "app", &Secret::new(""), None)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }));
}
