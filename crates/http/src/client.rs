//! The side that faces an upstream: connecting, sending a request while waiting for its answer, and
//! relaying the answer.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixStream};

use crate::buffer::Buffer;
use crate::copy::{Copy, CopyFault};
use crate::deadline::{Deadline, Late};
use crate::fault::{Fault, Kind, Phase};
use crate::head;
use crate::limits;
use crate::server::Connection;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::tls::Connector;

/// Where an upstream listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A connection to an upstream.
#[derive(Debug)]
pub struct Upstream {
    pub stream: Stream,
    pub buffer: Buffer,
    /// It has served a request before: it may have been closed meanwhile.
    pub reused: bool,
}

/// The time limits of an exchange.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From the end of the request to the head of the response.
    pub response_head: Duration,
    /// Between two bytes of a body.
    pub idle_body: Duration,
}

/// Opens a plain connection.
pub async fn connect(
    to: &Address,
    deadline: &Deadline,
    within: Duration,
) -> Result<Upstream, Fault> {
    deadline.set(within);
    watched(deadline, async {
        let (stream, buffer) = dial(to).await?.into_plain();
        Ok(Upstream {
            stream,
            buffer,
            reused: false,
        })
    })
    .await
}

/// Opens a connection with TLS: both handshakes together within `within`.
pub async fn connect_secure(
    to: &Address,
    tls: &Connector,
    deadline: &Deadline,
    within: Duration,
) -> Result<Upstream, Fault> {
    deadline.set(within);
    watched(deadline, async {
        Ok(Upstream {
            stream: tls.connect(dial(to).await?, to).await?,
            buffer: Buffer::new(),
            reused: false,
        })
    })
    .await
}

/// Opens a connection whose first bytes are `before` (a PROXY header), with TLS after them or without.
pub async fn connect_after(
    to: &Address,
    before: &[u8],
    tls: Option<&Connector>,
    deadline: &Deadline,
    within: Duration,
) -> Result<Upstream, Fault> {
    deadline.set(within);
    watched(deadline, async {
        let mut socket = dial(to).await?;
        socket.write_all(before).await?;
        let (stream, buffer) = match tls {
            Some(tls) => (tls.connect(socket, to).await?, Buffer::new()),
            None => socket.into_plain(),
        };
        Ok(Upstream {
            stream,
            buffer,
            reused: false,
        })
    })
    .await
}

async fn watched(
    deadline: &Deadline,
    connecting: impl Future<Output = io::Result<Upstream>>,
) -> Result<Upstream, Fault> {
    let fault = |kind| Fault::upstream(Phase::Connect, kind);
    match deadline.watch(connecting).await {
        Ok(connected) => connected.map_err(|e| fault(e.into())),
        Err(Late) => Err(fault(Kind::Timeout)),
    }
}

async fn dial(to: &Address) -> io::Result<Socket> {
    Ok(match to {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            stream.into()
        }
        Address::Unix(path) => UnixStream::connect(path).await?.into(),
    })
}

/// A question of our own, without a client behind it (a health check): connects, sends `request`, waits
/// for the head of the answer. All of it within `within`. The value is the connection and the length of
/// the head in its buffer.
pub async fn ask(
    to: &Address,
    request: &[u8],
    deadline: &Deadline,
    within: Duration,
) -> Result<(Upstream, usize), Fault> {
    let upstream = connect(to, deadline, within).await?;
    ask_over(upstream, request, deadline).await
}

/// The same over a connection that is there already, within the limit that is set already.
pub async fn ask_over(
    mut upstream: Upstream,
    request: &[u8],
    deadline: &Deadline,
) -> Result<(Upstream, usize), Fault> {
    let (mut sent, mut scanned) = (0, 0);
    let length = poll_fn(|cx| {
        while let Some(rest) = request.get(sent..).filter(|rest| !rest.is_empty()) {
            match upstream.stream.poll_write(cx, rest) {
                Poll::Ready(Ok(count)) => sent += count,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(Kind::from(e))),
                Poll::Pending if deadline.poll_late(cx) => return Poll::Ready(Err(Kind::Timeout)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match upstream.stream.poll_flush(cx) {
            Poll::Ready(Err(e)) => return Poll::Ready(Err(Kind::from(e))),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        match poll_head(cx, &mut upstream, &mut scanned) {
            Poll::Pending if deadline.poll_late(cx) => Poll::Ready(Err(Kind::Timeout)),
            step => step,
        }
    })
    .await
    .map_err(|kind| Fault::upstream(Phase::ResponseHead, kind))?;
    Ok((upstream, length))
}

/// Sends `request`, all of it, without waiting for an answer, within the limit that is set already.
pub async fn send(
    upstream: &mut Upstream,
    request: &[u8],
    deadline: &Deadline,
) -> Result<(), Fault> {
    let stream = &mut upstream.stream;
    let mut sent = 0;
    poll_fn(|cx| {
        let step = loop {
            match request.get(sent..).filter(|rest| !rest.is_empty()) {
                None => break stream.poll_flush(cx),
                Some(rest) => match stream.poll_write(cx, rest) {
                    Poll::Ready(Ok(count)) => sent += count,
                    Poll::Ready(Err(e)) => break Poll::Ready(Err(e)),
                    Poll::Pending => break Poll::Pending,
                },
            }
        };
        match step {
            Poll::Ready(done) => Poll::Ready(done.map_err(Kind::from)),
            Poll::Pending if deadline.poll_late(cx) => Poll::Ready(Err(Kind::Timeout)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
    .map_err(|kind| Fault::upstream(Phase::ResponseHead, kind))
}

/// Waits until something of an answer is in the buffer, within the limit that is set already.
pub async fn begins(upstream: &mut Upstream, deadline: &Deadline) -> Result<(), Fault> {
    let Upstream { stream, buffer, .. } = upstream;
    poll_fn(|cx| {
        if !buffer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match buffer.poll_fill(cx, stream, limits::HEAD + limits::BUFFER) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Kind::Closed)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e.into())),
            Poll::Pending if deadline.poll_late(cx) => Poll::Ready(Err(Kind::Timeout)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
    .map_err(|kind| Fault::upstream(Phase::ResponseHead, kind))
}

/// Reads more of an answer into the buffer, which grows up to `limit` bytes, within the limit that is set
/// already. False: it has ended, or is late.
pub async fn read_more(upstream: &mut Upstream, limit: usize, deadline: &Deadline) -> bool {
    let Upstream { stream, buffer, .. } = upstream;
    poll_fn(|cx| {
        if !buffer.make_room(limit) {
            return Poll::Ready(false);
        }
        match stream.poll_read(cx, buffer.spare()) {
            Poll::Ready(Ok(count)) => {
                buffer.advance(count);
                Poll::Ready(count > 0)
            }
            Poll::Ready(Err(_)) => Poll::Ready(false),
            Poll::Pending if deadline.poll_late(cx) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Sends the request (or what is left of it) and waits for the head of a response, both at once: an
/// upstream may answer before it has read everything. The value is the length of the head, which is in
/// the upstream's buffer. After an informational response call it again.
pub async fn read_head(
    client: &mut Connection,
    upstream: &mut Upstream,
    request: &mut Copy,
    times: Times,
) -> Result<usize, Fault> {
    let Connection {
        stream,
        buffer,
        deadline,
    } = client;
    deadline.set(if request.is_complete() {
        times.response_head
    } else {
        times.idle_body
    });
    let mut scanned = 0;
    let mut refused = None;
    poll_fn(|cx| {
        if !request.is_over() {
            let before = request.moved();
            match request.poll(cx, stream, buffer, &mut upstream.stream) {
                Poll::Ready(Ok(())) => deadline.set(times.response_head),
                Poll::Ready(Err(CopyFault::Source(kind))) => {
                    return Poll::Ready(Err(Fault::client(Phase::RequestBody, kind)));
                }
                // It may have answered before it stopped reading.
                Poll::Ready(Err(CopyFault::Sink(kind))) => refused = Some(kind),
                Poll::Pending if request.moved() != before => deadline.set(times.idle_body),
                Poll::Pending => {}
            }
        }
        match poll_head(cx, upstream, &mut scanned) {
            Poll::Ready(result) => Poll::Ready(result.map_err(|kind| {
                // That nothing was done is worth more than where we noticed first.
                let first = refused.filter(|_| kind != Kind::NotHandled);
                Fault::upstream(Phase::ResponseHead, first.unwrap_or(kind))
            })),
            Poll::Pending if !deadline.poll_late(cx) => {
                // The client's next bytes are read after the answer: until then it needs no memory.
                buffer.release();
                Poll::Pending
            }
            Poll::Pending if request.is_over() || request.is_writing() => {
                Poll::Ready(Err(Fault::upstream(Phase::ResponseHead, Kind::Timeout)))
            }
            Poll::Pending => Poll::Ready(Err(Fault::client(Phase::RequestBody, Kind::Timeout))),
        }
    })
    .await
}

fn poll_head(
    cx: &mut Context<'_>,
    upstream: &mut Upstream,
    scanned: &mut usize,
) -> Poll<Result<usize, Kind>> {
    let Upstream { stream, buffer, .. } = upstream;
    loop {
        if let Some(end) = head::find_end(buffer.filled(), *scanned) {
            return Poll::Ready(if end > limits::HEAD {
                Err(Kind::TooLarge("response head"))
            } else {
                Ok(end)
            });
        }
        *scanned = buffer.filled().len();
        if *scanned >= limits::HEAD {
            return Poll::Ready(Err(Kind::TooLarge("response head")));
        }
        // Whatever has come of the body is read with the head, in one system call.
        buffer.widen(limits::BODY_BUFFER);
        match buffer.poll_fill(cx, stream, limits::BODY_BUFFER) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(Kind::Closed)),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e.into())),
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// Relays the response, and what is left of the request meanwhile.
pub async fn relay(
    client: &mut Connection,
    upstream: &mut Upstream,
    request: &mut Copy,
    response: &mut Copy,
    times: Times,
) -> Result<(), Fault> {
    let Connection {
        stream,
        buffer,
        deadline,
    } = client;
    deadline.set(times.idle_body);
    poll_fn(|cx| {
        let before = request.moved() + response.moved();
        // A request that breaks now no longer matters: the answer is there. `is_complete` tells the
        // caller that the connections cannot be used again.
        if !request.is_over() {
            let broke = request.poll(cx, stream, buffer, &mut upstream.stream);
            if let Poll::Ready(Err(fault)) = broke {
                tracing::debug!("the rest of a request: {fault:?}");
            }
        }
        match response.poll(cx, &mut upstream.stream, &mut upstream.buffer, stream) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(CopyFault::Source(kind))) => {
                return Poll::Ready(Err(Fault::upstream(Phase::ResponseBody, kind)));
            }
            Poll::Ready(Err(CopyFault::Sink(kind))) => {
                return Poll::Ready(Err(Fault::client(Phase::ResponseBody, kind)));
            }
            Poll::Pending => {}
        }
        if request.moved() + response.moved() != before {
            deadline.set(times.idle_body);
        }
        if deadline.poll_late(cx) {
            // A client that does not read is not its upstream's failure.
            let of = match response.is_writing() {
                true => Fault::client,
                false => Fault::upstream,
            };
            return Poll::Ready(Err(of(Phase::ResponseBody, Kind::Timeout)));
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::net::TcpListener;

    use super::*;
    use crate::body::Framing;
    use crate::deadline::Watch;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(to), listener.accept());
        (ours.unwrap(), theirs.unwrap().0)
    }

    /// Two directions of 64 MiB, of which nobody reads the far ends.
    async fn stuck<T>(test: impl AsyncFnOnce(&mut Connection, &mut Upstream) -> T) -> T {
        let (visitor, accepted) = pair().await;
        let (connected, app) = pair().await;
        let watch = Watch::new();
        let mut client = Connection::new(Stream::Tcp(accepted), watch.deadline());
        let mut upstream = Upstream {
            stream: Stream::Tcp(connected),
            buffer: Buffer::with_capacity(limits::BUFFER),
            reused: false,
        };
        let sending = |stream: TcpStream| async move {
            loop {
                stream.writable().await.unwrap();
                // Until the test is over; what cannot be written yet is not.
                let _sent = stream.try_write(&[b'x'; 4096]);
            }
        };
        tokio::select! {
            value = test(&mut client, &mut upstream) => value,
            () = sending(visitor) => unreachable!(),
            () = sending(app) => unreachable!(),
            () = Rc::clone(&watch).run() => unreachable!(),
        }
    }

    const TIMES: Times = Times {
        response_head: Duration::from_millis(300),
        idle_body: Duration::from_millis(300),
    };

    #[tokio::test]
    async fn a_client_that_does_not_read_is_to_blame_itself() {
        let fault = stuck(async |client, upstream| {
            let mut request = Copy::new(Vec::new(), Framing::None, u64::MAX);
            let mut response = Copy::new(Vec::new(), Framing::Length(64 << 20), u64::MAX);
            relay(client, upstream, &mut request, &mut response, TIMES).await
        });
        let fault = fault.await.unwrap_err();
        assert_eq!(
            fault,
            Fault::client(Phase::ResponseBody, Kind::Timeout),
            "{fault}"
        );
    }
}
