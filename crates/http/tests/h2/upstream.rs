//! Upstreams with HTTP/2, through the role: gRPC's ways, long bodies, early answers, shared links.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::raw::{self, END_HEADERS, Raw};
use crate::role::{Role, To, ask, client, get, on_a_thread, send_all, whole};

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// An application of the `h2` crate.
pub(crate) async fn app_two<F>(
    answer: impl Fn(http_types::Request<::h2::RecvStream>, ::h2::server::SendResponse<Bytes>) -> F
    + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Rc::new(answer);
    spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = Rc::clone(&answer);
            spawn_local(async move {
                let mut connection = ::h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    spawn_local(answer(request, respond));
                }
            });
        }
    });
    address
}

/// A server that is written by hand, of one connection.
pub(crate) async fn app_raw<F>(
    settings: &'static [(u16, u32)],
    serve: impl FnOnce(Raw) -> F + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(Raw::accepted(stream, settings).await).await;
    });
    address
}

#[test]
fn grpc_goes_end_to_end() {
    on_a_thread(async |watch| {
        // Echoes every message at once; ends when the client has, with a trailer of each side.
        let address = app_two(|request, mut respond| async move {
            assert_eq!(request.headers()["te"], "trailers");
            assert_eq!(request.headers()["content-type"], "application/grpc");
            if request.uri().path() == "/absent" {
                let only = http_types::Response::builder()
                    .header("grpc-status", "5")
                    .body(())
                    .unwrap();
                respond.send_response(only, true).unwrap();
                return;
            }
            let response = http_types::Response::builder()
                .header("content-type", "application/grpc")
                .body(())
                .unwrap();
            let mut send = respond.send_response(response, false).unwrap();
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                send_all(&mut send, data, false).await;
            }
            let mut trailers = body.trailers().await.unwrap().unwrap();
            trailers.insert("grpc-status", "0".parse().unwrap());
            send.send_trailers(trailers).unwrap();
        })
        .await;
        let mut send = client(Role::new(&watch, To::two(address)).listen().await).await;
        let ask = |path| {
            let mut request = ask("POST", path);
            request
                .headers_mut()
                .insert("te", "trailers".parse().unwrap());
            request
                .headers_mut()
                .insert("content-type", "application/grpc".parse().unwrap());
            request
        };
        let (response, mut up) = send.send_request(ask("/echo"), false).unwrap();
        // The response begins before the request is over.
        let response = response.await.unwrap();
        let mut down = response.into_body();
        for message in ["one", "two", "three"] {
            send_all(&mut up, Bytes::from_static(message.as_bytes()), false).await;
            let data = down.data().await.unwrap().unwrap();
            assert_eq!(data, message);
        }
        let mut trailers = http_types::HeaderMap::new();
        trailers.insert("mine", "1".parse().unwrap());
        up.send_trailers(trailers).unwrap();
        let (rest, trailers) = whole(down).await.unwrap();
        assert!(rest.is_empty());
        assert_eq!(
            (&trailers["grpc-status"], &trailers["mine"]),
            (&"0".parse().unwrap(), &"1".parse().unwrap())
        );

        let (response, mut up) = send.send_request(ask("/absent"), false).unwrap();
        up.send_data(Bytes::new(), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "5");
        assert!(
            response.body().is_end_stream(),
            "status without trailers must end with its head"
        );
    });
}

#[test]
fn long_bodies_pass_two_connections_of_http_2() {
    on_a_thread(async |watch| {
        let address = app_two(|request, mut respond| async move {
            let mut send = respond
                .send_response(http_types::Response::new(()), false)
                .unwrap();
            let mut body = request.into_body();
            while let Some(Ok(data)) = body.data().await {
                body.flow_control().release_capacity(data.len()).unwrap();
                send_all(&mut send, data, false).await;
            }
            send.send_data(Bytes::new(), true).unwrap();
        })
        .await;
        let mut send = client(Role::new(&watch, To::two(address)).listen().await).await;
        let long = Bytes::from(vec![b'x'; 3 << 20]);
        let all = (0..4).map(|_| send.send_request(ask("POST", "/"), false).unwrap());
        let tasks: Vec<_> = all
            .map(|(response, mut up)| {
                let long = long.clone();
                spawn_local(async move {
                    let sending = send_all(&mut up, long.clone(), true);
                    let reading =
                        async { whole(response.await.unwrap().into_body()).await.unwrap() };
                    let ((), (data, _)) = tokio::join!(sending, reading);
                    assert_eq!(data.len(), long.len());
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_head_of_as_many_fields_as_allowed_goes_on() {
    on_a_thread(async |watch| {
        let address = app_two(|request, mut respond| async move {
            let count = request.headers().len();
            let response = http_types::Response::builder()
                .header("count", count)
                .body(())
                .unwrap();
            respond.send_response(response, true).unwrap();
        })
        .await;
        let mut send = client(Role::new(&watch, To::two(address)).listen().await).await;
        let mut request = get("/");
        request
            .headers_mut()
            .insert("te", "trailers".parse().unwrap());
        for at in 0..98 {
            let name: http_types::HeaderName = format!("a-{at}").parse().unwrap();
            request.headers_mut().insert(name, at.into());
        }
        let (response, _) = send.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().headers()["count"], "99");
    });
}

#[test]
fn an_early_answer_of_an_upstream_comes_whole() {
    on_a_thread(async |watch| {
        let address = app_raw(&[], |mut raw| async move {
            let head = raw.wait_for(raw::HEADERS).await.unwrap();
            // A literal with the indexed name `:status`.
            raw.send(&raw::frame(
                raw::HEADERS,
                END_HEADERS,
                head.stream,
                b"\x08\x03403",
            ))
            .await;
            raw.send(&raw::frame(raw::DATA, raw::END_STREAM, head.stream, b"no"))
                .await;
            let code = raw::NO_ERROR.to_be_bytes();
            raw.send(&raw::frame(raw::RST_STREAM, 0, head.stream, &code))
                .await;
            while raw.next().await.is_some() {}
        })
        .await;
        let mut send = client(Role::new(&watch, To::two(address)).listen().await).await;
        let (response, mut up) = send.send_request(ask("POST", "/"), false).unwrap();
        let sending = send_all(&mut up, Bytes::from(vec![b'x'; 1 << 20]), true);
        let reading = async {
            let response = response.await.unwrap();
            assert_eq!(response.status(), 403);
            let (data, _) = whole(response.into_body()).await.unwrap();
            assert_eq!(data, b"no");
        };
        tokio::join!(sending, reading);
    });
}

#[test]
fn clients_of_http_1_share_a_link() {
    on_a_thread(async |watch| {
        let address = app_two(|_, mut respond| async move {
            let response = http_types::Response::builder()
                .status(204)
                .body(())
                .unwrap();
            respond.send_response(response, true).unwrap();
        })
        .await;
        let to = To::two(address);
        let To::Two(_, links) = &to else {
            unreachable!()
        };
        let links = Rc::clone(links);
        let address = Role::new(&watch, to).listen().await;
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for _ in 0..3 {
                stream.write_all(GET.as_bytes()).await.unwrap();
                let mut text = [0; 27];
                stream.read_exact(&mut text).await.unwrap();
                // The client's connection is kept, whatever is said of the stream.
                assert_eq!(&text, b"HTTP/1.1 204 No Content\r\n\r\n");
            }
        }
        assert_eq!(links.len(), 1);
        links.sweep(std::time::Instant::now());
        assert_eq!(links.len(), 1);
        links.sweep(std::time::Instant::now() + Duration::from_secs(60));
        assert_eq!(links.len(), 0);
    });
}
