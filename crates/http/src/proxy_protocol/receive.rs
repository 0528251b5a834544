//! Reads the header from a connection just accepted, before TLS or HTTP. What came with it in the same
//! packet stays to be read.

use std::time::Duration;

use super::claim::Claim;
use crate::deadline::Deadline;
use crate::fault::{Fault, Phase};
use crate::socket::Socket;

/// "The receiver must wait for it, and close the connection when it does not come or is not valid":
/// an error is the end of the connection.
pub async fn receive(
    socket: &mut Socket,
    deadline: &Deadline,
    within: Duration,
) -> Result<Claim, Fault> {
    deadline.set(within);
    let read = socket.look(deadline, super::parse).await;
    let header = read.map_err(|kind| Fault::client(Phase::RequestHead, kind))?;
    socket.consume(header.length);
    Ok(header.claim)
}
