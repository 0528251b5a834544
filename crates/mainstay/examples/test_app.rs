//! An application for the end-to-end tests: does on request what applications do, and what they should
//! not. Blocking, a thread per connection, no library: what goes over the wire is exactly what is
//! written here.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

struct Request {
    method: String,
    path: String,
    query: HashMap<String, String>,
    head: String,
    fields: HashMap<String, String>,
}

fn main() -> io::Result<()> {
    if let Ok(after) = std::env::var("TEST_EXIT_AFTER_MS") {
        std::thread::sleep(Duration::from_millis(after.parse().unwrap_or(0)));
        writeln!(io::stderr(), "test app: exiting as asked")?;
        return Err(io::Error::other("asked to fail"));
    }
    if let Ok(socket) = std::env::var("SOCKET") {
        let listener = UnixListener::bind(socket)?;
        writeln!(io::stdout(), "test app: listening")?;
        for stream in listener.incoming() {
            let stream = stream?;
            std::thread::spawn(move || serve(&stream));
        }
        return Ok(());
    }
    let variable = |name| std::env::var(name).map_err(io::Error::other);
    let listener = TcpListener::bind(format!("{}:{}", variable("HOST")?, variable("PORT")?))?;
    writeln!(io::stdout(), "test app: listening")?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        std::thread::spawn(move || serve(&stream));
    }
    Ok(())
}

/// Ends with the connection; its errors are the client's to see.
fn serve<S>(stream: &S)
where
    for<'s> &'s S: Read + Write,
{
    let mut reader = BufReader::new(stream);
    while let Ok(Some(request)) = read(&mut reader) {
        match answer(&request, &mut reader, stream) {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
    }
}

fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let fields = lines.filter_map(|line| line.split_once(": "));
    Ok(Some(Request {
        method,
        path: path.to_owned(),
        query: pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        fields: fields
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        head,
    }))
}

/// Whether the connection goes on.
fn answer<S>(request: &Request, reader: &mut impl BufRead, mut stream: &S) -> io::Result<bool>
where
    for<'s> &'s S: Read + Write,
{
    let number = |name: &str| -> u64 {
        request
            .query
            .get(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    };
    match request.path.as_str() {
        "/healthz" if std::path::Path::new("unhealthy").exists() => {
            text(stream, "503 Service Unavailable", "not now")?;
        }
        "/headers" => text(stream, "200 OK", &request.head)?,
        "/who" => {
            let name = std::env::var("MAINSTAY_INSTANCE").unwrap_or_default();
            text(stream, "200 OK", &name)?;
        }
        "/env" => {
            let mut names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
            names.sort();
            text(stream, "200 OK", &names.join("\n"))?;
        }
        "/echo" => {
            if request.fields.contains_key("expect") {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body = body(request, reader)?;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body)?;
        }
        "/chunked" => {
            stream.write_all(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n\
                  5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\nX-End: yes\r\n\r\n",
            )?;
        }
        "/hints" => {
            stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")?;
            text(stream, "200 OK", "after hints")?;
        }
        "/until-close" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end")?;
            return Ok(false);
        }
        "/cut" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")?;
            return Ok(false);
        }
        "/garbage" => {
            stream.write_all(b"this is no HTTP\r\n\r\n")?;
            return Ok(false);
        }
        "/big" => {
            let size = number("bytes");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            stream.write_all(head.as_bytes())?;
            io::copy(&mut io::repeat(b'x').take(size), &mut stream)?;
        }
        "/early" => {
            text(stream, "403 Forbidden", "not read")?;
            return Ok(false);
        }
        "/slow" => {
            std::thread::sleep(Duration::from_millis(number("ms")));
            text(stream, "200 OK", "slow")?;
        }
        "/ws" => {
            stream.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                  Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhi ",
            )?;
            io::copy(reader, &mut stream)?;
            return Ok(false);
        }
        "/crash" => std::process::abort(),
        _ => text(
            stream,
            "200 OK",
            if request.method == "HEAD" {
                ""
            } else {
                "hello"
            },
        )?,
    }
    Ok(request
        .fields
        .get("connection")
        .is_none_or(|value| value != "close"))
}

fn body(request: &Request, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = request.fields.get("content-length") {
        reader
            .take(length.parse().unwrap_or(0))
            .read_to_end(&mut body)?;
        return Ok(body);
    }
    if request.fields.contains_key("transfer-encoding") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim().split(';').next().unwrap_or("0"), 16);
            let size = size.map_err(io::Error::other)?;
            reader.take(size).read_to_end(&mut body)?;
            reader.read_line(&mut line)?;
            if size == 0 {
                break;
            }
        }
    }
    Ok(body)
}

fn text(mut stream: impl Write, status: &str, text: &str) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes())
}
