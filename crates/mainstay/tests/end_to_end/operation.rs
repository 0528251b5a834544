//! What an operator changes while the site serves: nobody notices but whom it is about.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::client::Client;
use crate::harness::{Prepared, Site, wait_for};

/// A server that says its name, and echoes after a wish to upgrade. It lives as long as the test.
fn endpoint(name: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || serve(stream, name));
        }
    });
    address
}

/// Until the connection ends.
fn serve(mut stream: TcpStream, name: &str) {
    let mut buffer = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        while let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = buffer.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            if head.contains("upgrade: websocket") {
                let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                    Upgrade: websocket\r\n\r\n";
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    if stream.write_all(&bytes[..count]).is_err() {
                        return;
                    }
                }
                return;
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
                name.len()
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
        match stream.read(&mut bytes) {
            Ok(count @ 1..) => buffer.extend_from_slice(&bytes[..count]),
            _ => return,
        }
    }
}

fn site_file(endpoints: &[&str], more: &str) -> String {
    let list: Vec<String> = endpoints
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    format!(
        "[backends.app]\nendpoints = [{}]\nhealth = {{ interval = \"100ms\", timeout = \"100ms\" }}\n{more}",
        list.join(", ")
    )
}

fn alone(endpoints: &[&str], more: &str) -> Site {
    Prepared::new(&site_file(endpoints, more)).up()
}

/// Clients that ask as fast as they can, each over a connection that it keeps, until they are stopped.
struct Visitors {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Visitors {
    fn of(address: &str, count: usize) -> Self {
        let (stop, answered) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let threads = (0..count).map(|_| {
            let (stop, answered, address) =
                (Arc::clone(&stop), Arc::clone(&answered), address.to_owned());
            std::thread::spawn(move || {
                let mut wrong = Vec::new();
                let mut client = Client::connect(&address);
                while !stop.load(Ordering::Relaxed) {
                    let asked = client.try_get("/");
                    match asked {
                        Ok(response) if response.status == 200 => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            // As a browser does: what is to be closed is not used again.
                            if response.field("connection").as_deref() == Some("close") {
                                client = Client::connect(&address);
                            }
                        }
                        Ok(response) => wrong.push(response.head),
                        Err(e) => {
                            wrong.push(e.to_string());
                            client = Client::connect(&address);
                        }
                    }
                }
                wrong
            })
        });
        Self {
            threads: threads.collect(),
            stop,
            answered,
        }
    }

    /// Returns when so many more have been answered.
    fn go_on(&self, more: u64) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        wait_for("answers", || self.answered.load(Ordering::Relaxed) >= until);
    }

    /// All that went wrong.
    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    }
}

/// A WebSocket through the balancer.
fn websocket(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let ask = "GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    stream
}

fn echoes(stream: &mut TcpStream) {
    let mut back = [0; 5];
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

#[test]
fn a_changed_file_takes_effect_without_a_lost_request() {
    let (one, two) = (endpoint("one"), endpoint("two"));
    let site = alone(&[&one], "");
    let mut live = websocket(&site.http());
    let visitors = Visitors::of(&site.http(), 4);
    visitors.go_on(200);
    for more in [
        "[balancer]\nreason-header = true\n",
        "[[routes]]\npath-prefix = \"/\"\nbackend = \"app\"\n",
        "",
    ] {
        site.write_site_file(&site_file(&[&one, &two], more));
        site.ok(&["reload"]);
        visitors.go_on(200);
    }
    assert_eq!(visitors.end(), [""; 0]);
    // What was open before is the same connection still.
    echoes(&mut live);
    let names: Vec<String> = (0..4)
        .map(|_| Client::connect(&site.http()).get("/").text())
        .collect();
    assert!(names.contains(&"two".to_owned()), "{names:?}");
}

#[test]
fn a_file_that_cannot_be_taken_changes_nothing() {
    let one = endpoint("one");
    let site = alone(&[&one], "");
    site.write_site_file("[backends.app]\nendpoints = []\n");
    let (status, text) = site.fails(&["reload"]);
    assert_eq!(status, 2, "{text}");
    site.write_site_file(&site_file(
        &[&one],
        "[backends.app.tls]\nauthority = \"nothing.pem\"\n",
    ));
    let (status, text) = site.fails(&["reload"]);
    assert_eq!(status, 1, "{text}");
    assert!(
        text.contains("nothing.pem") && text.contains("stays in force"),
        "{text}"
    );
    assert_eq!(Client::connect(&site.http()).get("/").text(), "one");
}

#[test]
fn another_process_takes_the_sockets_and_the_old_one_finishes() {
    let one = endpoint("one");
    let site = alone(&[&one], "");
    let pid = |site: &Site| site.status()["servers"][0]["processes"][0]["pid"].clone();
    let before = pid(&site);
    let mut live = websocket(&site.http());
    let visitors = Visitors::of(&site.http(), 4);
    visitors.go_on(200);
    site.ok(&["upgrade"]);
    visitors.go_on(200);
    assert_ne!(pid(&site), before);
    // A listener more is a new process too.
    let socket = site.path().join("second.sock");
    let more = format!(
        "[balancer.listeners.second]\nbind = \"unix:{}\"\n",
        socket.display()
    );
    site.write_site_file(&site_file(&[&one], &more));
    site.ok(&["reload"]);
    visitors.go_on(200);
    assert_eq!(visitors.end(), [""; 0]);
    echoes(&mut live);
    let mut second = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    second.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("one"), "{answer}");
}

#[test]
fn a_binary_that_cannot_serve_changes_nothing() {
    let one = endpoint("one");
    let site = alone(&[&one], "");
    let pid = |site: &Site| site.status()["servers"][0]["processes"][0]["pid"].clone();
    let before = pid(&site);
    let runtime = agent::state_dir::runtime_of(&site.path().join(".mainstay"));
    let mut admin =
        std::os::unix::net::UnixStream::connect(runtime.join(agent::admin::SOCKET)).unwrap();
    let body = r#"{"program":"/bin/false"}"#;
    let head =
        "POST /upgrade HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json";
    write!(
        admin,
        "{head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    admin.read_to_string(&mut answer).unwrap();
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert!(answer.contains("exited with status 1"), "{answer}");
    assert_eq!(pid(&site), before);
    assert_eq!(Client::connect(&site.http()).get("/").text(), "one");
}

#[test]
fn a_listener_that_is_gone_can_come_back() {
    let one = endpoint("one");
    let site = alone(&[&one], "");
    let socket = site.path().join("second.sock");
    let more = format!(
        "[balancer.listeners.second]\nbind = \"unix:{}\"\n",
        socket.display()
    );
    let mut live = websocket(&site.http());
    for _ in 0..2 {
        site.write_site_file(&site_file(&[&one], &more));
        site.ok(&["reload"]);
        let mut second = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        second.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        second.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("one"), "{answer}");
        site.write_site_file(&site_file(&[&one], ""));
        site.ok(&["reload"]);
        // Nobody listens, though a process with an open connection had it.
        wait_for("the socket is gone", || {
            std::os::unix::net::UnixStream::connect(&socket).is_err()
        });
    }
    echoes(&mut live);
}

#[test]
fn an_endpoint_is_drained_and_comes_back() {
    let (one, two) = (endpoint("one"), endpoint("two"));
    let site = alone(&[&one, &two], "");
    let answers = |site: &Site| -> Vec<String> {
        let mut client = Client::connect(&site.http());
        let mut names: Vec<String> = (0..6).map(|_| client.get("/").text()).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(answers(&site), ["one", "two"]);
    site.ok(&["endpoint", "drain", &format!("app/{two}")]);
    assert_eq!(answers(&site), ["one"]);
    let list: Vec<Value> = serde_json::from_str(&site.ok(&["endpoint", "list", "--json"])).unwrap();
    assert!(
        list[1]["standing"]
            .as_str()
            .unwrap()
            .starts_with("draining"),
        "{list:?}"
    );
    // It is not down: nobody is alarmed.
    assert_eq!(site.status()["state"], "serving");
    site.ok(&["endpoint", "maintenance", &one]);
    assert_eq!(
        Client::connect(&site.http()).get("/").status,
        503,
        "nobody is left"
    );
    site.ok(&["endpoint", "ready", &one]);
    site.ok(&["endpoint", "ready", &two]);
    site.ok(&["endpoint", "weight", &two, "2"]);
    let mut client = Client::connect(&site.http());
    let twos = (0..6).filter(|_| client.get("/").text() == "two").count();
    assert_eq!(twos, 4);
    let (status, text) = site.fails(&["endpoint", "drain", "nobody"]);
    assert_eq!(status, 1);
    assert!(text.contains("endpoint list"), "{text}");
}

#[test]
fn it_says_what_a_request_would_get() {
    let one = endpoint("one");
    let site = alone(
        &[&one],
        "[[routes]]\nname = \"beta\"\npath-prefix = \"/\"\nheader = { X-Beta = \"1\" }\nrespond = \"beta\"\n\
         [[routes]]\nname = \"all\"\npath-prefix = \"/\"\nbackend = \"app\"\n",
    );
    let text = site.ok(&["explain", "http://www.foobar.com/x?y"]);
    assert!(text.contains("route     all"), "{text}");
    assert!(text.contains("not beta"), "{text}");
    assert!(text.contains(&format!("{one} is next")), "{text}");
    let text = site.ok(&["explain", "http://x/", "--header", "X-Beta: 1"]);
    assert!(text.contains("route     beta"), "{text}");
}
