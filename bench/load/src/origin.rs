//! The origin: `/big` 64 KiB, an upgrade to an echo of bytes, everything else a small answer. It reads a
//! request's body and forgets it.

use std::io;
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const BIG: usize = 64 << 10;
const SMALL: usize = 100;

struct Answers {
    small: Vec<u8>,
    big: Vec<u8>,
}

fn answer(size: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Length: {size}\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + size, b'x');
    bytes
}

pub async fn run(addresses: &[String]) -> Result<(), String> {
    let answers = Rc::new(Answers {
        small: answer(SMALL),
        big: answer(BIG),
    });
    for address in addresses {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| format!("{address}: {e}"))?;
        let answers = answers.clone();
        tokio::task::spawn_local(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                };
                let answers = answers.clone();
                tokio::task::spawn_local(async move {
                    // A proxy that goes away mid-request is its own affair.
                    let _gone = serve(stream, &answers).await;
                });
            }
        });
    }
    println!("ready");
    std::future::pending().await
}

async fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    let mut held = 0;
    loop {
        let bytes = buffer.get(..held).unwrap_or_default();
        let Some(head) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            let count = stream
                .read(buffer.get_mut(held..).unwrap_or_default())
                .await?;
            if count == 0 {
                return Ok(());
            }
            held += count;
            continue;
        };
        let (big, body) = {
            let text = std::str::from_utf8(bytes.get(..head).unwrap_or_default())
                .map_err(io::Error::other)?;
            if field(text, "upgrade").is_some() {
                return echo(stream, buffer).await;
            }
            let body = field(text, "content-length").and_then(|text| text.parse().ok());
            (text.contains(" /big"), body.unwrap_or(0_usize))
        };
        let mut left = (head + 4 + body).saturating_sub(held);
        // What stands behind the body is of the next request; nobody here sends that early.
        held = 0;
        while left > 0 {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            left = left.saturating_sub(count);
        }
        let answer = if big { &answers.big } else { &answers.small };
        stream.write_all(answer).await?;
    }
}

fn field<'t>(text: &'t str, wanted: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

async fn echo(mut stream: TcpStream, mut buffer: Vec<u8>) -> io::Result<()> {
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(answer).await?;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream
            .write_all(buffer.get(..count).unwrap_or_default())
            .await?;
    }
}
