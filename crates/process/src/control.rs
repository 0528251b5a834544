//! Framed messages over a unix socket between a parent and its roles.
//!
//! The parent listens on a path in its runtime directory (mode 0700), the role connects and says
//! `Hello`. A path and not an inherited descriptor, so that a role can find a restarted parent.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

use crate::message::{FORMAT, FromRole};

/// Bytes of one message. A snapshot of 1,000 endpoints is about 200 KiB, one of 10,000 routes over 4 MiB; a
/// reload takes a site file of 2 MiB, which makes less than this.
const MESSAGE_LIMIT: usize = 64 << 20;

/// Why a control connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("control socket {path}: {source}")]
    Socket { path: PathBuf, source: io::Error },
    #[error("control connection: {0}")]
    Io(#[from] io::Error),
    #[error("the other side closed the control connection")]
    Closed,
    #[error("a control message of {0} bytes is over the limit of {MESSAGE_LIMIT}")]
    TooLong(usize),
    #[error("a control message cannot be read: {0}")]
    Format(#[from] serde_json::Error),
    #[error(
        "the other side speaks format {theirs}, this binary {FORMAT}: both must be one version"
    )]
    Version { theirs: u32 },
    #[error("the first message was not a greeting")]
    NoHello,
}

/// The reading half of a control connection.
#[derive(Debug)]
pub struct Receiver(OwnedReadHalf);

/// The writing half of a control connection.
#[derive(Debug)]
pub struct Sender(OwnedWriteHalf);

impl Receiver {
    /// The next message. Cancelling it in the middle of a message loses the connection's framing:
    /// give it a task of its own.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<T, ControlError> {
        let length = match self.0.read_u32().await {
            Ok(length) => usize::try_from(length).unwrap_or(usize::MAX),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(ControlError::Closed),
            Err(e) => return Err(e.into()),
        };
        if length > MESSAGE_LIMIT {
            return Err(ControlError::TooLong(length));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }
}

impl Sender {
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), ControlError> {
        let bytes = serde_json::to_vec(message)?;
        let length = u32::try_from(bytes.len())
            .ok()
            .filter(|_| bytes.len() <= MESSAGE_LIMIT)
            .ok_or(ControlError::TooLong(bytes.len()))?;
        let mut frame = Vec::with_capacity(4 + bytes.len());
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&bytes);
        Ok(self.0.write_all(&frame).await?)
    }
}

/// The parent's end: where roles call in.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
}

impl Listener {
    /// Binds `path`; a socket file left by a dead parent is replaced.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let failed = |source| ControlError::Socket {
            path: path.to_owned(),
            source,
        };
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        Ok(Self {
            socket: UnixListener::bind(path).map_err(failed)?,
        })
    }

    /// A connection, before its greeting: `greeting` reads it, apart, so that a silent caller
    /// keeps nobody waiting.
    pub async fn accept(&self) -> Result<(Receiver, Sender), ControlError> {
        let (stream, _) = self.socket.accept().await?;
        let (read, write) = stream.into_split();
        Ok((Receiver(read), Sender(write)))
    }
}

/// The name and process id a role calls itself by.
pub async fn greeting(from: &mut Receiver) -> Result<(String, u32), ControlError> {
    match from.next::<FromRole>().await? {
        FromRole::Hello {
            format: FORMAT,
            name,
            pid,
        } => Ok((name, pid)),
        FromRole::Hello { format: theirs, .. } => Err(ControlError::Version { theirs }),
        _ => Err(ControlError::NoHello),
    }
}

/// The role's end: connects and greets.
pub async fn call(path: &Path, name: &str) -> Result<(Receiver, Sender), ControlError> {
    let stream = UnixStream::connect(path)
        .await
        .map_err(|source| ControlError::Socket {
            path: path.to_owned(),
            source,
        })?;
    let (read, write) = stream.into_split();
    let mut sender = Sender(write);
    let hello = FromRole::Hello {
        format: FORMAT,
        name: name.to_owned(),
        pid: std::process::id(),
    };
    sender.send(&hello).await?;
    Ok((Receiver(read), sender))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ToRole;

    #[tokio::test]
    async fn messages_go_both_ways() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = Listener::bind(&path).unwrap();
        let (called, accepted) = tokio::join!(call(&path, "lb-1/balancer"), listener.accept());
        let (mut role_in, mut role_out) = called.unwrap();
        let (mut parent_in, mut parent_out) = accepted.unwrap();
        assert_eq!(greeting(&mut parent_in).await.unwrap().0, "lb-1/balancer");

        parent_out
            .send(&ToRole::Drain { deadline_ms: 7 })
            .await
            .unwrap();
        let got: ToRole = role_in.next().await.unwrap();
        assert!(matches!(got, ToRole::Drain { deadline_ms: 7 }));

        role_out.send(&FromRole::Ready).await.unwrap();
        drop(role_out);
        drop(role_in);
        assert!(matches!(
            parent_in.next::<FromRole>().await.unwrap(),
            FromRole::Ready
        ));
        assert!(matches!(
            parent_in.next::<FromRole>().await,
            Err(ControlError::Closed)
        ));
    }

    #[tokio::test]
    async fn a_snapshot_of_ten_thousand_routes_passes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = Listener::bind(&path).unwrap();
        let (called, accepted) = tokio::join!(call(&path, "lb-1/balancer"), listener.accept());
        let (mut role_in, _role_out) = called.unwrap();
        let (_parent_in, mut parent_out) = accepted.unwrap();
        let value = serde_json::Value::from("x".repeat(10_000 * 1024));
        let snapshot = ToRole::Snapshot { version: 1, value };
        let (sent, got) = tokio::join!(parent_out.send(&snapshot), role_in.next::<ToRole>());
        sent.unwrap();
        assert!(matches!(got.unwrap(), ToRole::Snapshot { version: 1, .. }));
    }

    #[tokio::test]
    async fn a_length_over_the_limit_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = Listener::bind(&path).unwrap();
        let (stream, accepted) = tokio::join!(UnixStream::connect(&path), listener.accept());
        stream
            .unwrap()
            .write_all(&u32::MAX.to_be_bytes())
            .await
            .unwrap();
        let (mut parent_in, _out) = accepted.unwrap();
        assert!(matches!(
            parent_in.next::<FromRole>().await,
            Err(ControlError::TooLong(_))
        ));
    }
}
