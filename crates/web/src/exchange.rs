//! The life of a request here: read, locate, then a file or the app.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use http::body::{Framing, framing};
use http::head::traits::{self, Traits};
use http::head::write::{self, Edit, Origin, is_claim};
use http::head::{self, RequestHead, Storage};
use http::limits::{LINGER, LINGER_BYTES};
use http::server::Connection;
use http::{Fault, Kind, Phase};

use crate::answer;
use crate::conditional::{self, Verdict};
use crate::file;
use crate::locate::{Location, locate};
use crate::proxy::{self, Outgoing};
use crate::range::{self, Selection};
use crate::site_files::SiteFile;
use crate::state::State;
use crate::visitor::Visitor;
use crate::worker::{View, Worker};

/// How an exchange ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) keep: bool,
}

/// What a request's head leads to; owns what outlives the head.
enum Plan<'v> {
    /// Ready to be written as it is.
    Answer {
        status: u16,
        bytes: Vec<u8>,
    },
    File {
        file: &'v SiteFile,
        status: u16,
        head: Vec<u8>,
        start: u64,
        length: u64,
    },
    App(Outgoing),
}

/// Serves a connection until it ends.
pub(crate) async fn serve(worker: &Rc<Worker>, mut client: Connection, peer: SocketAddr) {
    loop {
        let view = worker.view();
        let limits = &view.state.snapshot.target.limits;
        let read = client
            .read_head(limits.keep_alive, limits.request_head)
            .await;
        drop(view);
        // One view for the whole request, taken when there is one.
        let view = worker.view();
        let started = Instant::now();
        let outcome = match read {
            Ok(None) => return,
            // On the heap while it lasts: a connection that waits does not hold the room of one that works.
            Ok(Some(length)) => Box::pin(one(worker, &view, &mut client, peer, length)).await,
            Err(fault) if fault.kind == Kind::Closed => return,
            Err(fault) => refuse(&mut client, fault).await,
        };
        worker
            .counts
            .add(outcome.status, started.elapsed(), outcome.bytes);
        if !outcome.keep || worker.watch.draining() {
            return;
        }
    }
}

async fn one(
    worker: &Worker,
    view: &View,
    client: &mut Connection,
    peer: SocketAddr,
    length: usize,
) -> Outcome {
    let idle = view.state.snapshot.target.limits.idle_body;
    let prepared = prepare(&view.state, client.buffer.filled(), length, peer);
    let (plan, traits, taken, body_left) = match prepared {
        Ok(prepared) => prepared,
        Err(fault) => return refuse(client, fault).await,
    };
    client.buffer.consume(taken);
    // A body that nobody reads stands before the next request.
    let keep = traits.keep && !body_left;
    let (status, sent) = match plan {
        Plan::App(outgoing) => return proxy::forward(worker, view, client, outgoing, traits).await,
        Plan::Answer { status, bytes } => {
            let sent = client.write_all(&bytes, idle).await;
            (status, sent.map(|()| bytes.len() as u64))
        }
        Plan::File {
            file,
            status,
            head,
            start,
            length,
        } => match file::open(file) {
            Ok(open) => (
                status,
                file::send(client, &open, head, start, length, idle).await,
            ),
            Err(e) => {
                tracing::error!("{}: {e}", file.path.display());
                let mut bytes = Vec::new();
                let text = "the file cannot be read\n";
                answer::text(500, "", text, !traits.is_head, !keep, &mut bytes);
                let sent = client.write_all(&bytes, idle).await;
                (500, sent.map(|()| bytes.len() as u64))
            }
        },
    };
    if sent.is_ok() && !keep {
        client.linger(LINGER_BYTES, LINGER).await;
    }
    Outcome {
        status,
        bytes: sent.unwrap_or_default(),
        keep: keep && sent.is_ok(),
    }
}

async fn refuse(client: &mut Connection, fault: Fault) -> Outcome {
    let mut out = Vec::new();
    answer::text(
        fault.status(),
        "",
        &format!("{fault}\n"),
        true,
        true,
        &mut out,
    );
    if client.write_all(&out, LINGER).await.is_ok() {
        client.linger(LINGER_BYTES, LINGER).await;
    }
    Outcome {
        status: fault.status(),
        bytes: out.len() as u64,
        keep: false,
    }
}

/// From bytes to what is to be done, with the bytes taken and whether a body is left unread.
fn prepare<'v>(
    state: &'v State,
    bytes: &[u8],
    length: usize,
    peer: SocketAddr,
) -> Result<(Plan<'v>, Traits, usize, bool), Fault> {
    let malformed = |kind| Fault::client(Phase::RequestHead, kind);
    let (head_bytes, rest) = bytes
        .split_at_checked(length)
        .ok_or(malformed(Kind::Malformed("the head")))?;
    let mut storage = Storage::new();
    let head = head::request(head_bytes, &mut storage).map_err(malformed)?;
    let framing = framing::of_request(&head).map_err(malformed)?;
    let traits = Traits::of(&head);
    let (host, path) = traits::target(&head);
    let target = &state.snapshot.target;
    if matches!(framing, Framing::Length(length) if length > target.limits.request_body) {
        return Err(Fault::client(
            Phase::RequestBody,
            Kind::TooLarge("request body"),
        ));
    }
    let body_left = framing != Framing::None;
    if path == target.health_path {
        return Ok((health(state, traits), traits, length, body_left));
    }
    let plan = match locate(path, &state.paths) {
        Location::File(file) if matches!(head.method, "GET" | "HEAD") => {
            send_file(state, file, &head, traits, body_left)
        }
        Location::File(_) => answer(405, "Allow: GET, HEAD\r\n", "method not allowed\n", traits),
        Location::AddSlash => {
            let location = match path.split_once('?') {
                Some((path, query)) => format!("Location: {path}/?{query}\r\n"),
                None => format!("Location: {path}/\r\n"),
            };
            answer(301, &location, "moved\n", traits)
        }
        Location::App if !state.snapshot.has_app => answer(404, "", "not found\n", traits),
        Location::App => {
            let outgoing = outgoing(state, &head, host, path, framing, rest, peer);
            let taken = length + outgoing.body_taken;
            return Ok((Plan::App(outgoing), traits, taken, false));
        }
    };
    Ok((plan, traits, length, body_left))
}

fn answer(status: u16, extra: &str, text: &str, traits: Traits) -> Plan<'static> {
    let mut bytes = Vec::new();
    answer::text(
        status,
        extra,
        text,
        !traits.is_head,
        !traits.keep,
        &mut bytes,
    );
    Plan::Answer { status, bytes }
}

/// The balancer's question: end to end, a web server without its app is not healthy.
fn health(state: &State, traits: Traits) -> Plan<'static> {
    let (ready, all) = (state.ready(), state.snapshot.instances.len());
    if !state.snapshot.has_app {
        return answer(200, "", "static files only\n", traits);
    }
    match ready {
        0 => answer(503, "", &format!("no ready instance of {all}\n"), traits),
        _ => answer(
            200,
            "",
            &format!("{ready} of {all} instances ready\n"),
            traits,
        ),
    }
}

fn send_file<'v>(
    state: &State,
    file: &'v SiteFile,
    head: &RequestHead<'_, '_>,
    traits: Traits,
    body_left: bool,
) -> Plan<'v> {
    let (status, selection) = match conditional::evaluate(head.fields, &file.etag, file.modified) {
        Verdict::NotModified => (304, Selection::Whole),
        Verdict::PreconditionFailed => (412, Selection::Whole),
        Verdict::Send if conditional::range_applies(head.fields, &file.etag, file.modified) => {
            // RFC 9110 section 14.2: a range is asked for by GET only.
            let range = head.fields.text("range").filter(|_| !traits.is_head);
            match range::select(range, file.size) {
                Selection::Whole => (200, Selection::Whole),
                Selection::Unsatisfiable => (416, Selection::Unsatisfiable),
                part @ Selection::Part { .. } => (206, part),
            }
        }
        Verdict::Send => (200, Selection::Whole),
    };
    let (start, length) = match (status, selection) {
        (_, _) if traits.is_head => (0, 0),
        (206, Selection::Part { start, length }) => (start, length),
        (200, _) => (0, file.size),
        _ => (0, 0),
    };
    let mut out = Vec::with_capacity(512);
    let max_age = state.snapshot.target.max_age;
    answer::file_head(
        file,
        status,
        selection,
        max_age,
        !traits.keep || body_left,
        &mut out,
    );
    Plan::File {
        file,
        status,
        head: out,
        start,
        length,
    }
}

fn outgoing(
    state: &State,
    head: &RequestHead<'_, '_>,
    host: &str,
    path: &str,
    framing: Framing,
    rest: &[u8],
    peer: SocketAddr,
) -> Outgoing {
    let upgrade = traits::upgrade(head);
    // The balancer's account of the request is passed on; anybody else's is replaced.
    let trusted = state.snapshot.target.trusted.contains(&peer.ip())
        && head.fields.get("x-forwarded-for").is_some();
    let id = head.fields.text("x-request-id").unwrap_or_default();
    let origin = Origin {
        client: peer.ip(),
        scheme: "http",
        host,
        request_id: id,
    };
    let mut added = Vec::new();
    if !trusted {
        origin.put(&mut added);
    }
    let edit = Edit {
        keeps: &|name| !is_claim(name),
        added: &added,
    };
    let mut bytes = Vec::with_capacity(head.fields.iter().count() * 48 + 256);
    let edit = (!trusted).then_some(&edit);
    write::outgoing(head, path, framing, upgrade, host, edit, &mut bytes);
    // A body that is all here goes along: one write, and the request can be repeated.
    let whole = match framing {
        Framing::Length(length) => usize::try_from(length).ok().and_then(|n| rest.get(..n)),
        _ => None,
    };
    bytes.extend_from_slice(whole.unwrap_or_default());
    Outgoing {
        bytes,
        framing: if whole.is_some() {
            Framing::None
        } else {
            framing
        },
        body_taken: whole.map_or(0, <[u8]>::len),
        upgrade: upgrade.map(str::to_owned),
        visitor: state.signer.as_ref().map(|signer| Visitor {
            seen: signer.seen(head.fields),
            secure: trusted && head.fields.text("x-forwarded-proto") == Some("https"),
        }),
    }
}
