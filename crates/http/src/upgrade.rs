//! After `101 Switching Protocols`: two directions of bytes until one side has ended and the other has
//! had the rest, or until nothing has moved for a while (RFC 9110 section 7.8).

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::body::Framing;
use crate::client::Upstream;
use crate::copy::{Copy, CopyFault};
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
    let mut client_gone = false;
    poll_fn(|cx| {
        let before = up.moved() + down.moved();
        if !up.is_over() {
            let polled = up.poll(cx, stream, buffer, &mut upstream.stream);
            client_gone = matches!(polled, Poll::Ready(Err(CopyFault::Source(_))));
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
        // An upstream that takes no more may have said something before: that still goes down.
        let down_broken = down.is_over() && !down.is_complete();
        if up.is_over() && down.is_over() || client_gone || down_broken {
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

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::buffer::Buffer;
    use crate::deadline::Watch;
    use crate::stream::Stream;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (one, other) = tokio::join!(TcpStream::connect(to), listener.accept());
        (one.unwrap(), other.unwrap().0)
    }

    #[tokio::test]
    async fn the_last_words_of_an_upstream_arrive_though_it_listens_no_more() {
        let (mut visitor, ours) = pair().await;
        let (to, mut app) = pair().await;
        // More than the client's socket takes at once.
        let words = "last words".repeat(5_000);
        SockRef::from(&ours).set_send_buffer_size(4 << 10).unwrap();
        SockRef::from(&visitor)
            .set_recv_buffer_size(4 << 10)
            .unwrap();
        app.write_all(words.as_bytes()).await.unwrap();
        // Its end is a reset: the next write to it fails.
        SockRef::from(&app)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        to.readable().await.unwrap();
        drop(app);
        visitor.write_all(b"hello?").await.unwrap();
        ours.readable().await.unwrap();
        let mut client = Connection::new(Stream::Tcp(ours), Watch::new().deadline());
        let mut upstream = Upstream {
            stream: Stream::Tcp(to),
            buffer: Buffer::new(),
            reused: false,
        };
        let idle = Duration::from_secs(60);
        let relayed = async {
            let moved = tunnel(&mut client, &mut upstream, b"101 ".to_vec(), idle).await;
            drop(client);
            moved
        };
        let mut heard = String::new();
        let (moved, end) = tokio::join!(relayed, visitor.read_to_string(&mut heard));
        end.unwrap();
        assert_eq!(heard.len(), 4 + words.len(), "{moved:?}");
    }
}
