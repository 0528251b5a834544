//! One request and its response over one upstream connection, with everything that may come between:
//! informational responses, an upgrade, an HTTP/1.0 client behind a chunked answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::body::{Framing, framing};
use crate::client::{self, Times, Upstream};
use crate::copy::Copy;
use crate::fault::{Fault, Kind, Phase};
use crate::head::forwarded::NOT_HANDLED;
use crate::head::traits::Traits;
use crate::head::write::{self, After, Edit};
use crate::head::{self, ResponseHead, Storage};
use crate::limits;
use crate::server::Connection;
use crate::upgrade;

/// A response that was (at least begun to be) relayed.
#[derive(Debug, Clone, Copy)]
pub struct Relayed {
    pub status: u16,
    /// Body bytes written to the client.
    pub bytes: u64,
    /// The response broke off.
    pub fault: Option<Fault>,
    /// The client's connection can take another request.
    pub keep_client: bool,
    /// So can the upstream's.
    pub keep_upstream: bool,
}

/// Lines of a final response that are found out when the upstream has answered, before the client hears
/// of it.
pub trait Late: fmt::Debug {
    /// Whole lines, each with its end; or nothing.
    fn lines(&self) -> Pin<Box<dyn Future<Output = Vec<u8>> + '_>>;
}

/// How a request is passed on and its response back.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// The protocol the client wants to change to.
    pub upgrade: Option<&'a str>,
    pub times: Times,
    /// Of the response.
    pub edit: Option<&'a Edit<'a>>,
    /// More lines for it.
    pub late: Option<&'a dyn Late>,
    /// The upstream is one of ours: its word that it did nothing with the request is believed.
    pub own: bool,
}

/// An error means that nothing of a final response was written to the client.
pub async fn converse(
    client: &mut Connection,
    upstream: &mut Upstream,
    request: &mut Copy,
    traits: Traits,
    manner: &Manner<'_>,
) -> Result<Relayed, Fault> {
    let times = manner.times;
    let malformed = |kind| Fault::upstream(Phase::ResponseHead, kind);
    for _ in 0..limits::INFORMATIONAL {
        let length = client::read_head(client, upstream, request, times).await?;
        let bytes = upstream.buffer.filled().get(..length).unwrap_or_default();
        let complete = request.is_complete();
        // The last answer of a connection that ends with its process says so.
        let traits = Traits {
            keep: traits.keep && !client.deadline.draining(),
            ..traits
        };
        // The fields stay inside: what lives across an `await` is held by every connection.
        let next = next(bytes, traits, complete, manner)?;
        upstream.buffer.consume(length);
        match next {
            Next::Final {
                mut out,
                status,
                plan,
            } => {
                if let Some(late) = manner.late {
                    let lines = late.lines().await;
                    // Before the empty line at its end.
                    let end = out.len().saturating_sub(2);
                    out.splice(end..end, lines);
                }
                return Ok(relay(client, upstream, request, out, status, &plan, times).await);
            }
            Next::Switching { out } => {
                let moved = upgrade::tunnel(client, upstream, out, times.idle_body).await;
                return Ok(Relayed {
                    status: 101,
                    bytes: moved.to_client,
                    fault: None,
                    keep_client: false,
                    keep_upstream: false,
                });
            }
            // RFC 9110 section 15.2: not to an HTTP/1.0 client.
            Next::Informational { out } if traits.minor == 1 => {
                client.write_all(&out, times.idle_body).await?;
            }
            Next::Informational { .. } => {}
        }
    }
    Err(malformed(Kind::Malformed(
        "too many informational responses",
    )))
}

/// What a head of a response means, with the bytes that go on to the client.
#[derive(Debug)]
enum Next {
    Final {
        out: Vec<u8>,
        status: u16,
        plan: Plan,
    },
    Switching {
        out: Vec<u8>,
    },
    Informational {
        out: Vec<u8>,
    },
}

fn next(bytes: &[u8], traits: Traits, complete: bool, manner: &Manner<'_>) -> Result<Next, Fault> {
    let upgrade = manner.upgrade;
    let malformed = |kind| Fault::upstream(Phase::ResponseHead, kind);
    let mut storage = Storage::new();
    let head = head::response(bytes, &mut storage).map_err(malformed)?;
    if head.status == 503 && manner.own && head.fields.get(NOT_HANDLED).is_some() {
        return Err(Fault::upstream(Phase::Connect, Kind::NotHandled));
    }
    if head.status >= 200 {
        let plan = Plan::of(&head, traits, complete).map_err(malformed)?;
        let mut out = Vec::with_capacity(bytes.len() + 128);
        write::incoming(&head, plan.chunked, plan.after, manner.edit, &mut out);
        let status = head.status;
        return Ok(Next::Final { out, status, plan });
    }
    let switching = head.status == 101;
    if switching && upgrade.is_none() {
        return Err(malformed(Kind::Malformed("101 without a wish to upgrade")));
    }
    let mut out = Vec::with_capacity(bytes.len());
    write::informational(&head, upgrade.filter(|_| switching), &mut out);
    Ok(if switching {
        Next::Switching { out }
    } else {
        Next::Informational { out }
    })
}

/// How a response goes on to its client.
#[derive(Debug)]
struct Plan {
    framing: Framing,
    /// Chunks are passed on as chunks.
    chunked: bool,
    after: After,
    keep_upstream: bool,
}

impl Plan {
    fn of(head: &ResponseHead<'_, '_>, traits: Traits, complete: bool) -> Result<Self, Kind> {
        let method = if traits.is_head { "HEAD" } else { "" };
        let framing = framing::of_response(head, method)?;
        let decoded = framing == Framing::Chunked && traits.minor == 0;
        let until_close = framing == Framing::UntilClose;
        // A request that was not read to its end leaves bytes that are not a next request.
        let keep = traits.keep && !until_close && !decoded && complete;
        let after = match (keep, traits.minor) {
            (false, _) => After::Close,
            (true, 0) => After::KeepOld,
            (true, _) => After::Keep,
        };
        let keep_upstream = !until_close
            && match head.minor {
                0 => head.fields.has_token("connection", "keep-alive"),
                _ => !head.fields.has_token("connection", "close"),
            };
        Ok(Self {
            framing,
            chunked: framing == Framing::Chunked && !decoded,
            after,
            keep_upstream,
        })
    }
}

async fn relay(
    client: &mut Connection,
    upstream: &mut Upstream,
    request: &mut Copy,
    head: Vec<u8>,
    status: u16,
    plan: &Plan,
    times: Times,
) -> Relayed {
    let mut response = Copy::new(head, plan.framing, u64::MAX);
    if !plan.chunked {
        response = response.decoded();
    }
    let fault = client::relay(client, upstream, request, &mut response, times)
        .await
        .err();
    if fault.is_none()
        && plan.framing == Framing::UntilClose
        && let Err(e) = client.stream.finish()
    {
        tracing::debug!("the end of a response: {e}");
    }
    let whole = fault.is_none() && request.is_complete();
    if fault.is_none() && !whole {
        // The answer came early and its request is still being sent.
        client.linger(limits::LINGER_BYTES, limits::LINGER).await;
    }
    Relayed {
        status,
        bytes: response.moved(),
        fault,
        keep_client: whole && plan.after != After::Close,
        keep_upstream: whole && plan.keep_upstream,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::deadline::Watch;
    use crate::stream::Stream;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(to), listener.accept());
        (ours.unwrap(), theirs.unwrap().0)
    }

    #[tokio::test]
    async fn an_early_answer_reaches_a_client_that_is_still_sending() {
        const BODY: usize = 900_000;
        let (mut visitor, accepted) = pair().await;
        let (connected, mut app) = pair().await;
        let serving = async {
            let watch = Watch::new();
            let mut client = Connection::new(Stream::Tcp(accepted), watch.deadline());
            let mut upstream = Upstream {
                stream: Stream::Tcp(connected),
                buffer: crate::buffer::Buffer::with_capacity(limits::BUFFER),
                reused: false,
            };
            let head = b"POST / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
            let mut request = Copy::new(head, Framing::Length(BODY as u64), u64::MAX);
            let times = Times {
                response_head: Duration::from_secs(5),
                idle_body: Duration::from_secs(5),
            };
            let traits = Traits {
                minor: 1,
                keep: true,
                ..Traits::default()
            };
            let (client, upstream) = (&mut client, &mut upstream);
            let manner = Manner {
                upgrade: None,
                times,
                edit: None,
                late: None,
                own: false,
            };
            let relayed = converse(client, upstream, &mut request, traits, &manner).await;
            let relayed = relayed.unwrap();
            assert_eq!((relayed.status, relayed.keep_client), (403, false));
        };
        let answering = async {
            let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
            app.write_all(answer).await.unwrap();
            app
        };
        let asking = async {
            let mut answer = [0; 12];
            visitor.write_all(&[b'x'; 1000]).await.unwrap();
            visitor.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 403");
            // A client that does not look up before it is done must not meet a reset.
            for _ in 0..(BODY / 1000 - 1) {
                visitor.write_all(&[b'x'; 1000]).await.unwrap();
            }
            visitor.shutdown().await.unwrap();
            let mut rest = Vec::new();
            visitor.read_to_end(&mut rest).await.unwrap();
            assert!(rest.ends_with(b"\r\n\r\nno"));
        };
        tokio::join!(serving, answering, asking);
    }

    /// Every open connection holds the future that serves it. A change that makes these larger makes
    /// ten thousand idle connections larger.
    #[tokio::test]
    async fn what_a_connection_holds_stays_small() {
        let ((_visitor, accepted), (connected, _app)) = tokio::join!(pair(), pair());
        let watch = Watch::new();
        let mut client = Connection::new(Stream::Tcp(accepted), watch.deadline());
        let mut upstream = Upstream {
            stream: Stream::Tcp(connected),
            buffer: crate::buffer::Buffer::new(),
            reused: false,
        };
        let limit = Duration::from_secs(5);
        let times = Times {
            response_head: limit,
            idle_body: limit,
        };
        assert!(size_of::<Connection>() <= 104);
        assert!(size_of::<Upstream>() <= 96);
        let waiting = client.read_head(limit, limit);
        assert!(size_of_val(&waiting) <= 192, "{}", size_of_val(&waiting));
        drop(waiting);
        let mut request = Copy::new(Vec::new(), Framing::None, 0);
        let (client, upstream) = (&mut client, &mut upstream);
        let traits = Traits::default();
        let manner = Manner {
            upgrade: None,
            times,
            edit: None,
            late: None,
            own: false,
        };
        let busy = converse(client, upstream, &mut request, traits, &manner);
        assert!(size_of_val(&busy) <= 768, "{}", size_of_val(&busy));
    }
}
