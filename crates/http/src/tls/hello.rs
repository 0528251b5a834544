//! Waits for a client's ClientHello and looks at it; the bytes stay for whoever takes the connection.

use std::time::Duration;

use super::peek::{Hello, Seen, client_hello};
use crate::deadline::Deadline;
use crate::fault::{Fault, Kind, Phase};
use crate::socket::Socket;

/// `Ok(None)`: the client does not speak TLS.
pub async fn look(
    socket: &mut Socket,
    deadline: &Deadline,
    within: Duration,
) -> Result<Option<Hello>, Fault> {
    deadline.set(within);
    let parse = |bytes: &[u8]| {
        Ok(match client_hello(bytes)? {
            Seen::NeedMore => None,
            Seen::Hello(hello) => Some(Some(hello)),
            Seen::NotTls => Some(None),
        })
    };
    let seen = socket.look(deadline, parse).await;
    seen.map_err(|kind: Kind| Fault::client(Phase::RequestHead, kind))
}
