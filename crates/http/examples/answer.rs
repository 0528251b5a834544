//! Answers every request with 100 bytes, in HTTP/1.1 or HTTP/2, on one thread: what the parts of this
//! crate cost without anything behind them. For measuring:
//!
//! ```sh
//! cargo run --release -p mainstay-http --example answer -- 127.0.0.1:8099
//! h2load -n 200000 -c 4 -m 10 http://127.0.0.1:8099/        # or: --h1
//! ```
//!
//! At the end of each connection it says how much CPU time its process has used so far.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for developers: a panic and a line are its reports"
)]

extern crate mainstay_http as http;

use std::rc::Rc;
use std::time::Duration;

use http::Stream;
use http::deadline::Watch;
use http::h2::preface::Spoken;
use http::h2::{Session, server};
use http::head::{self, Storage};
use http::server::Connection;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

const WITHIN: Duration = Duration::from_secs(60);

fn main() {
    let address = std::env::args().nth(1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(LocalSet::new().run_until(async {
        let watch = Watch::new();
        spawn_local(Rc::clone(&watch).run());
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            spawn_local(connection(Rc::clone(&watch), stream));
        }
    }));
}

async fn connection(watch: Rc<Watch>, stream: TcpStream) {
    let mut client = Connection::new(Stream::Tcp(stream), watch.deadline());
    match server::detect(&mut client, WITHIN).await {
        Spoken::Unclear => {}
        Spoken::One => serve(client).await,
        Spoken::Two => {
            let mut session = Session::start(client, WITHIN, WITHIN).await.unwrap();
            while let Some(accepted) = session.next().await {
                spawn_local(serve(Connection::new(accepted.stream, watch.deadline())));
            }
        }
    }
    let used = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let nanoseconds: u64 = used.split(' ').next().unwrap().parse().unwrap();
    println!("{} µs", nanoseconds / 1000);
}

async fn serve(mut client: Connection) {
    let mut answer = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\n\
        Content-Length: 100\r\n\r\n"
        .to_vec();
    answer.resize(answer.len() + 100, b'x');
    while let Ok(Some(length)) = client.read_head(WITHIN, WITHIN).await {
        let mut storage = Storage::new();
        let bytes = client.buffer.filled().get(..length).unwrap();
        head::request(bytes, &mut storage).unwrap();
        client.buffer.consume(length);
        client.write_all(&answer, WITHIN).await.unwrap();
    }
}
