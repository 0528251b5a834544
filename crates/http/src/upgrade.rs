//! After `101 Switching Protocols`: two directions of bytes until one side has ended and the other has
//! had the rest, or until nothing has moved for a while (RFC 9110 section 7.8).

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::body::Framing;
use crate::client::Upstream;
use crate::copy::Copy;
use crate::server::Connection;

/// Bytes that went each way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moved {
    pub to_upstream: u64,
    pub to_client: u64,
}

/// Relays until the end. `head` (the 101) is written to the client first.
pub async fn tunnel(
    client: &mut Connection,
    upstream: &mut Upstream,
    head: Vec<u8>,
    idle: Duration,
) -> Moved {
    let mut up = Copy::new(Vec::new(), Framing::UntilClose, u64::MAX);
    let mut down = Copy::new(head, Framing::UntilClose, u64::MAX);
    let (mut up_closed, mut down_closed) = (false, false);
    let Connection {
        stream,
        buffer,
        deadline,
    } = client;
    deadline.set(idle);
    poll_fn(|cx| {
        let before = up.moved() + down.moved();
        if !up.is_over() {
            let _pending = up
                .poll(cx, stream, buffer, &mut upstream.stream)
                .is_pending();
        }
        if !down.is_over() {
            let Upstream {
                stream: from,
                buffer,
                ..
            } = &mut *upstream;
            let _pending = down.poll(cx, from, buffer, stream).is_pending();
        }
        // An end is passed on as an end: half-closed connections stay usable the other way.
        if up.is_complete() && !up_closed {
            up_closed = upstream.stream.poll_shutdown(cx).is_ready();
        }
        if down.is_complete() && !down_closed {
            down_closed = stream.poll_shutdown(cx).is_ready();
        }
        let broken = |copy: &Copy| copy.is_over() && !copy.is_complete();
        if up.is_over() && down.is_over() || broken(&up) || broken(&down) {
            return Poll::Ready(());
        }
        if up.moved() + down.moved() != before {
            deadline.set(idle);
        }
        if deadline.poll_late(cx) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    Moved {
        to_upstream: up.moved(),
        to_client: down.moved(),
    }
}
