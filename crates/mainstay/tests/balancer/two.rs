//! HTTP/2 with another's implementation (the h2 crate), as client and as endpoint.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use http_types::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::running::own_address;

/// Runs a test's conversation, which does not take long.
pub(crate) fn conversation<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    let within = async { tokio::time::timeout(Duration::from_secs(25), test).await };
    let result = runtime.block_on(local.run_until(within));
    result.unwrap_or_else(|_| panic!("the conversation hangs"))
}

/// A client's connection in cleartext, begun with HTTP/2 (RFC 9113 section 3.3).
pub(crate) async fn plain(address: &str) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    over(stream).await
}

/// One over TLS, whose ALPN says `h2`.
pub(crate) async fn secure(
    address: &str,
    name: &str,
    mut config: rustls::ClientConfig,
) -> SendRequest<Bytes> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    over(stream).await
}

async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> SendRequest<Bytes> {
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::task::spawn_local(async move {
        // Its end is seen by the streams.
        let _ended = connection.await;
    });
    send.ready().await.unwrap()
}

/// A request without a body.
pub(crate) fn ask(method: &str, url: &str) -> Request<()> {
    Request::builder().method(method).uri(url).body(()).unwrap()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request with this body, and the whole answer.
pub(crate) async fn call(
    send: &mut SendRequest<Bytes>,
    request: Request<()>,
    body: &[u8],
) -> Result<Answer, h2::Error> {
    let (response, mut stream) = send.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        stream.send_data(Bytes::copy_from_slice(body), true)?;
    }
    whole(response.await?).await
}

pub(crate) async fn whole(response: Response<h2::RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut body) = response.into_parts();
    let bytes = drain(&mut body).await?;
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: bytes,
        trailers: body.trailers().await?,
    })
}

/// All of a body.
pub(crate) async fn body(mut body: h2::RecvStream) -> Vec<u8> {
    drain(&mut body).await.unwrap()
}

async fn drain(body: &mut h2::RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

pub(crate) type Arrived = (Request<h2::RecvStream>, SendResponse<Bytes>);

/// An endpoint of HTTP/2 until the test's end; its address. Each request is served by a task.
pub(crate) fn endpoint<F>(serve: impl Fn(Arrived) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + 'static,
{
    endpoint_told(move |arrived, _| serve(arrived), false)
}

/// The same; `proxy`: connections begin with a PROXY header of version 1, and requests come with it.
pub(crate) fn endpoint_told<F>(
    serve: impl Fn(Arrived, String) -> F + Send + 'static,
    proxy: bool,
) -> String
where
    F: Future<Output = ()> + 'static,
{
    let address = own_address();
    let listener = std::net::TcpListener::bind(&address).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let serve = std::rc::Rc::new(serve);
        let local = tokio::task::LocalSet::new();
        runtime.block_on(local.run_until(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let serve = std::rc::Rc::clone(&serve);
                tokio::task::spawn_local(async move {
                    let mut stream = stream;
                    let mut told = Vec::new();
                    while proxy && !told.ends_with(b"\r\n") {
                        told.push(stream.read_u8().await.unwrap());
                    }
                    let told = String::from_utf8(told).unwrap();
                    let mut builder = h2::server::Builder::new();
                    builder.enable_connect_protocol();
                    let Ok(mut connection) = builder.handshake(stream).await else {
                        return;
                    };
                    while let Some(Ok(arrived)) = connection.accept().await {
                        tokio::task::spawn_local(serve(arrived, told.clone()));
                    }
                });
            }
        }));
    });
    address
}

/// gRPC's frame around a message (gRPC over HTTP2, "Length-Prefixed-Message").
pub(crate) fn message(bytes: &[u8]) -> Bytes {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], &length[..], bytes].concat().into()
}

/// gRPC's end of an answer.
pub(crate) fn grpc_status(status: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    trailers
}

/// The head of an answer of gRPC.
pub(crate) fn grpc_head() -> Response<()> {
    let head = Response::builder().header("content-type", "application/grpc");
    head.body(()).unwrap()
}
