//! One request and its response over one upstream connection, with everything that may come between:
//! informational responses, an upgrade, an HTTP/1.0 client behind a chunked answer.

use crate::body::{Framing, framing};
use crate::client::{self, Times, Upstream};
use crate::copy::Copy;
use crate::fault::{Fault, Kind, Phase};
use crate::head::forwarded::NOT_HANDLED;
use crate::head::traits::Traits;
use crate::head::write::{self, After};
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

/// An error means that nothing of a final response was written to the client.
/// `upgrade`: the protocol the client wants to change to. `request_id`: put into the response, by the
/// balancer, whose upstreams are our web servers.
pub async fn converse(
    client: &mut Connection,
    upstream: &mut Upstream,
    request: &mut Copy,
    traits: Traits,
    upgrade: Option<&str>,
    times: Times,
    request_id: Option<&str>,
) -> Result<Relayed, Fault> {
    let malformed = |kind| Fault::upstream(Phase::ResponseHead, kind);
    for _ in 0..limits::INFORMATIONAL {
        let length = client::read_head(client, upstream, request, times).await?;
        let bytes = upstream.buffer.filled().get(..length).unwrap_or_default();
        let mut storage = Storage::new();
        let head = head::response(bytes, &mut storage).map_err(malformed)?;
        if head.status == 503 && request_id.is_some() && head.fields.get(NOT_HANDLED).is_some() {
            return Err(Fault::upstream(Phase::Connect, Kind::NotHandled));
        }
        if head.status >= 200 {
            let complete = request.is_complete();
            let plan = Plan::of(&head, traits, complete).map_err(malformed)?;
            let mut out = Vec::with_capacity(length + 128);
            write::incoming(&head, plan.chunked, plan.after, request_id, &mut out);
            let status = head.status;
            upstream.buffer.consume(length);
            return Ok(relay(client, upstream, request, out, status, &plan, times).await);
        }
        let switching = head.status == 101;
        if switching && upgrade.is_none() {
            return Err(malformed(Kind::Malformed("101 without a wish to upgrade")));
        }
        let mut out = Vec::with_capacity(length);
        write::informational(&head, upgrade.filter(|_| switching), &mut out);
        upstream.buffer.consume(length);
        if switching {
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
        if traits.minor == 1 {
            client.write_all(&out, times.idle_body).await?;
        }
    }
    Err(malformed(Kind::Malformed(
        "too many informational responses",
    )))
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
    let whole = fault.is_none() && request.is_complete();
    Relayed {
        status,
        bytes: response.moved(),
        fault,
        keep_client: whole && plan.after != After::Close,
        keep_upstream: whole && plan.keep_upstream,
    }
}
