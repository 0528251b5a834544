//! Asks an instance for its health: one HTTP/1.1 request over a new connection, of which only the status
//! matters. That is all there is to it, so no HTTP library is needed here.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::instance::Listen;

/// `HTTP/1.1 200`: what is read of an answer.
const STATUS: usize = 12;

/// The error says what is wrong, for people.
pub(crate) async fn ask(listen: &Listen, path: &str, within: Duration) -> Result<(), String> {
    let asked = async {
        match listen {
            Listen::Socket(socket) => converse(UnixStream::connect(socket).await?, path).await,
            Listen::Port(address) => converse(TcpStream::connect(address).await?, path).await,
        }
    };
    match tokio::time::timeout(within, asked).await {
        Ok(Ok(200..=299)) => Ok(()),
        Ok(Ok(status)) => Err(format!("{path} answered {status}")),
        Ok(Err(e)) if e.kind() == io::ErrorKind::NotFound => {
            Err("it does not listen on its SOCKET".to_owned())
        }
        Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => {
            Err("it does not listen".to_owned())
        }
        Ok(Err(e)) => Err(format!("{path}: {e}")),
        Err(_) => Err(format!(
            "{path} did not answer within {} ms",
            within.as_millis()
        )),
    }
}

async fn converse(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    path: &str,
) -> io::Result<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: mainstay\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; STATUS];
    stream.read_exact(&mut status).await?;
    std::str::from_utf8(&status)
        .ok()
        .filter(|text| text.starts_with("HTTP/1."))
        .and_then(|text| text.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| io::Error::other("the answer is not HTTP"))
}
