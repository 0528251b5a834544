//! The role: accepts, detects, and passes every request on to one upstream. Also its applications.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::body::framing;
use http::client::{self, Address, Times, Upstream};
use http::copy::Copy;
use http::deadline::Watch;
use http::h2::preface::Spoken;
use http::h2::{Accepted, Links, Session, client as link, server};
use http::head::traits::{self, Traits};
use http::head::{self, Storage, write};
use http::server::Connection;
use http::{Fault, Stream, exchange};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Runs a test as a role's thread runs.
pub(crate) fn on_a_thread(test: impl AsyncFnOnce(Rc<Watch>)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let watch = Watch::new();
        let local = LocalSet::new();
        let whole = local.run_until(async {
            spawn_local(Rc::clone(&watch).run());
            test(watch).await;
        });
        let within = tokio::time::timeout(Duration::from_secs(20), whole).await;
        within.expect("the test hangs");
    });
}

/// Where requests go.
#[derive(Clone)]
pub(crate) enum To {
    One(SocketAddr),
    Two(SocketAddr, Rc<Links>),
}

impl To {
    pub(crate) fn two(address: SocketAddr) -> Self {
        Self::Two(address, Rc::default())
    }
}

#[derive(Clone)]
pub(crate) struct Role {
    pub(crate) watch: Rc<Watch>,
    pub(crate) to: To,
    pub(crate) keep_alive: Duration,
    pub(crate) idle_body: Duration,
}

impl Role {
    pub(crate) fn new(watch: &Rc<Watch>, to: To) -> Self {
        Self {
            watch: Rc::clone(watch),
            to,
            keep_alive: PATIENCE,
            idle_body: PATIENCE,
        }
    }

    pub(crate) async fn listen(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                spawn_local(self.clone().connection(stream));
            }
        });
        address
    }

    async fn connection(self, stream: TcpStream) {
        let mut client = Connection::new(Stream::Tcp(stream), self.watch.deadline());
        match server::detect(&mut client, PATIENCE).await {
            Spoken::Unclear => {}
            Spoken::One => self.serve(client).await,
            Spoken::Two => {
                let Ok(mut session) = Session::start(client, PATIENCE, self.keep_alive).await
                else {
                    return;
                };
                while let Some(Accepted { stream, gone }) = session.next().await {
                    let role = self.clone();
                    let client = Connection::new(stream, self.watch.deadline());
                    spawn_local(async move {
                        tokio::select! {
                            () = role.serve(client) => {}
                            () = gone => {}
                        }
                    });
                }
            }
        }
    }

    async fn serve(&self, mut client: Connection) {
        while let Ok(Some(length)) = client.read_head(self.keep_alive, PATIENCE).await {
            match self.one(&mut client, length).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(fault) => {
                    let status = fault.status();
                    let text =
                        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nWhy: {fault}\r\n\r\n");
                    let _sent = client.write_all(text.as_bytes(), PATIENCE).await;
                    client.linger(1 << 20, Duration::from_secs(1)).await;
                    break;
                }
            }
        }
    }

    async fn one(&self, client: &mut Connection, length: usize) -> Result<bool, Fault> {
        let malformed = |kind| Fault::client(http::Phase::RequestHead, kind);
        let bytes = client.buffer.filled()[..length].to_vec();
        client.buffer.consume(length);
        let mut storage = Storage::new();
        let head = head::request(&bytes, &mut storage).map_err(malformed)?;
        let framing = framing::of_request(&head).map_err(malformed)?;
        let (host, path) = traits::target(&head);
        let upgrade = traits::upgrade(&head);
        let mut out = Vec::new();
        write::outgoing(&head, path, framing, upgrade, host, None, &mut out);
        let mut request = Copy::new(out, framing, u64::MAX);
        let times = Times {
            response_head: PATIENCE,
            idle_body: self.idle_body,
        };
        let mut upstream = self.upstream(client).await?;
        let traits = Traits::of(&head);
        let manner = exchange::Manner {
            upgrade,
            times,
            edit: None,
            late: None,
            own: false,
        };
        let relayed =
            exchange::converse(client, &mut upstream, &mut request, traits, &manner).await?;
        Ok(relayed.keep_client)
    }

    async fn upstream(&self, client: &Connection) -> Result<Upstream, Fault> {
        let connect = async |to: &SocketAddr| {
            client::connect(&Address::Tcp(*to), &client.deadline, PATIENCE).await
        };
        match &self.to {
            To::One(address) => connect(address).await,
            To::Two(address, links) => {
                let kept = links.open();
                let reused = kept.is_some();
                let stream = match kept {
                    Some(stream) => stream,
                    None => {
                        let fresh = connect(address).await?;
                        let made = link::connect(fresh.stream, &client.deadline, PATIENCE).await;
                        let failed =
                            |e: std::io::Error| Fault::upstream(http::Phase::Connect, e.into());
                        let (link, driver) = made.map_err(failed)?;
                        spawn_local(driver);
                        let stream = link.open().unwrap();
                        links.add(link);
                        stream
                    }
                };
                Ok(Upstream {
                    stream,
                    buffer: http::Buffer::with_capacity(http::limits::BUFFER),
                    reused,
                })
            }
        }
    }
}

/// An application with HTTP/1.1: `answer` gets each connection with what its first read brought.
pub(crate) async fn app<F>(answer: impl Fn(TcpStream, String) -> F + 'static) -> SocketAddr
where
    F: Future<Output = ()> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap() == 0 {
                    break;
                }
            }
            spawn_local(answer(stream, String::from_utf8_lossy(&head).into_owned()));
        }
    });
    address
}

/// One that always says the same, and ends the connection.
pub(crate) async fn app_saying(text: impl Into<String>) -> SocketAddr {
    let text = text.into();
    app(move |mut stream, _| {
        let text = text.clone();
        async move {
            stream.write_all(text.as_bytes()).await.unwrap();
            // A reset would take the answer away from who is still sending.
            stream.shutdown().await.unwrap();
            let _rest = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    })
    .await
}

/// One that answers with the head of the request, and what follows it up to `\r\n\r\n`.
pub(crate) async fn app_echoing_heads() -> SocketAddr {
    app(|mut stream, mut head| async move {
        let chunked = head.contains("chunked");
        while chunked && !head.ends_with("0\r\n\r\n") && !head.contains("\r\n0\r\n") {
            let mut more = Vec::new();
            if stream.read_buf(&mut more).await.unwrap() == 0 {
                break;
            }
            head += &String::from_utf8(more).unwrap();
        }
        let length = head.len();
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{head}");
        stream.write_all(text.as_bytes()).await.unwrap();
    })
    .await
}

/// A real client, its connection driven by a task.
pub(crate) async fn client(address: SocketAddr) -> ::h2::client::SendRequest<Bytes> {
    client_with(address, &::h2::client::Builder::new()).await
}

pub(crate) async fn client_with(
    address: SocketAddr,
    builder: &::h2::client::Builder,
) -> ::h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (send, connection) = builder.handshake(stream).await.unwrap();
    spawn_local(async move {
        let _ended = connection.await;
    });
    send
}

/// Everything of a body, its window opened at once; or how it broke off.
pub(crate) async fn whole(
    mut body: ::h2::RecvStream,
) -> Result<(Vec<u8>, http_types::HeaderMap), ::h2::Error> {
    let mut data = Vec::new();
    while let Some(bytes) = body.data().await {
        let bytes = bytes?;
        body.flow_control().release_capacity(bytes.len())?;
        data.extend(bytes);
    }
    Ok((data, body.trailers().await?.unwrap_or_default()))
}

pub(crate) fn get(path: &str) -> http_types::Request<()> {
    ask("GET", path)
}

pub(crate) fn ask(method: &str, path: &str) -> http_types::Request<()> {
    http_types::Request::builder()
        .method(method)
        .uri(format!("http://www.foobar.com{path}"))
        .body(())
        .unwrap()
}

/// Sends all of `data` as the window allows.
pub(crate) async fn send_all(send: &mut ::h2::SendStream<Bytes>, mut data: Bytes, end: bool) {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        let room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await;
        let Some(Ok(room)) = room else { return };
        let part = data.split_to(room.min(data.len()));
        let last = end && data.is_empty();
        send.send_data(part, last).unwrap();
    }
}
