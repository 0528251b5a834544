//! What a client sends: commands, awaited as long as it likes; and the rest of what it has begun, which has
//! to come.

use std::io;
use std::time::Duration;

use mysql::packet::{Channel, Frame, HEADER, PacketError};

use crate::limits::COMMAND;
use crate::server::ServerConnection;

/// The head of the next command; of one that is not longer than a frame, all is there then. Safe to
/// cancel. Nobody need hurry to begin, but who has begun must go on.
pub(crate) async fn arrival(client: &mut Channel, stalled: Duration) -> Result<Frame, PacketError> {
    let frame = client.frame().await?;
    if !frame.continues() {
        fill_to(client, HEADER + frame.length, stalled).await?;
    }
    Ok(frame)
}

/// Reads until `count` bytes are there. Safe to cancel.
pub(crate) async fn fill_to(
    client: &mut Channel,
    count: usize,
    stalled: Duration,
) -> Result<(), PacketError> {
    while client.input().len() < count {
        let silent = |_| io::Error::from(io::ErrorKind::TimedOut);
        tokio::time::timeout(stalled, client.fill())
            .await
            .map_err(silent)??;
    }
    Ok(())
}

/// The head of a frame that has to come.
pub(crate) async fn head(client: &mut Channel, stalled: Duration) -> Result<Frame, PacketError> {
    fill_to(client, HEADER, stalled).await?;
    client.frame().await
}

/// What there is of the next `left` bytes, read if need be; not consumed.
pub(crate) async fn some(
    client: &mut Channel,
    left: usize,
    stalled: Duration,
) -> Result<&[u8], PacketError> {
    fill_to(client, 1, stalled).await?;
    let part = client.input().len().min(left);
    Ok(client.input().get(..part).unwrap_or_default())
}

/// Passes a command of several frames on, if there is somebody to take it. When the server stops taking
/// it (too large: it answers and closes), the rest is read from the client and dropped. The sequence
/// number of its last frame.
pub(crate) async fn command(
    client: &mut Channel,
    mut server: Option<&mut ServerConnection>,
    stalled: Duration,
) -> Result<u8, PacketError> {
    let mut length = 0;
    loop {
        let frame = head(client, stalled).await?;
        length += frame.length;
        if length > COMMAND {
            return Err(PacketError::TooLong { limit: COMMAND });
        }
        let mut left = HEADER + frame.length;
        while left > 0 {
            let bytes = some(client, left, stalled).await?;
            let part = bytes.len();
            if let Some(taking) = server.take()
                && taking.channel.write(bytes).await.is_ok()
            {
                server = Some(taking);
            }
            client.consume(part);
            left -= part;
        }
        if !frame.continues() {
            return Ok(frame.sequence);
        }
    }
}
