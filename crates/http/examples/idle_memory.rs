//! What an idle keep-alive connection costs a server in memory: `idle_memory [CONNECTIONS]`.
//!
//! Starts itself a second time as the client (one process would need two descriptors a connection). The
//! client opens all connections and asks once over each; the server answers as the roles do, with the
//! parts of this crate, and reports its resident memory before and after. A measure, not a test: the
//! figure depends on the allocator and the machine.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measure for people: it prints, and a panic is a report"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use mainstay_http::deadline::Watch;
use mainstay_http::front::{self, Accepted};
use mainstay_http::server::Connection;
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_secs(600);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ask", to, count] => ask(to.parse().unwrap(), count.parse().unwrap()),
        ref counts => {
            let count = counts.first().map_or(10_000, |n| n.parse().unwrap());
            measure(count);
        }
    }
}

/// Opens the connections, asks over each, says so, and waits for the end of its input.
fn ask(to: SocketAddr, count: usize) {
    let mut open = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(to).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut answer = [0; 38];
        stream.read_exact(&mut answer).unwrap();
        open.push(stream);
    }
    println!("open");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn measure(count: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let (drain, draining) = watch::channel(false);
    std::thread::spawn(move || {
        let before = resident();
        let mut client = Command::new(std::env::current_exe().unwrap())
            .args(["ask", &to, &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = client.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let after = resident();
        let each = (after - before) / count;
        println!("{count} connections: {before} → {after} bytes, {each} each");
        drop(client.stdin.take());
        client.wait().unwrap();
        drain.send_replace(true);
    });
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap()
        .block_on(serve(listener, count, draining));
}

async fn serve(listener: TcpListener, connections: usize, draining: watch::Receiver<bool>) {
    let watch = Watch::new();
    tokio::task::spawn_local(Rc::clone(&watch).run());
    front::run(&watch, vec![(listener, ())], connections, draining, answer).await;
}

async fn answer(accepted: Accepted<()>) {
    let mut client = Connection::plain(accepted.socket, accepted.deadline);
    while let Ok(Some(length)) = client.read_head(LIMIT, LIMIT).await {
        client.buffer.consume(length);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if client.write_all(answer, LIMIT).await.is_err() {
            return;
        }
    }
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() << 10
}
