//! The corpus, through the balancer to two servers behind it: nginx, and our own web server. Nobody ever
//! sees the hidden request, and the next visitor gets his own answer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::corpus::corpus;
use crate::running::{Balancer, Prepared, wait};

/// Sends the bytes and what a client sends behind them; everything that came back.
fn exchange(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // It may be closed before all of it is sent.
    let _refused = stream
        .write_all(bytes)
        .and_then(|()| {
            stream.write_all(b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        })
        .and_then(|()| stream.shutdown(Shutdown::Write));
    let mut came = Vec::new();
    // A reset is an end too.
    let _end = stream.read_to_end(&mut came);
    String::from_utf8_lossy(&came).into_owned()
}

/// What is wrong, of the whole corpus.
fn attack(address: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, bytes) in corpus() {
        let came = exchange(address, &bytes);
        if came.contains("SMUGGLED") {
            wrong.push(format!("{name}: {came}"));
        }
        // Who comes next over the same connections to the server behind gets his own page.
        let next = exchange(address, b"");
        if !next.starts_with("HTTP/1.1 200") || !next.contains("the page") {
            wrong.push(format!("{name}, the next visitor: {next}"));
        }
    }
    wrong
}

/// nginx, as long as this value.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn nginx(dir: &Path) -> (Nginx, String) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let dir = dir.display();
    let config = format!(
        "daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;\n\
         events {{}}\n\
         http {{\n\
           log_format uri '$request_uri'; access_log {dir}/access.log uri;\n\
           client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
           fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
           server {{ listen {address}; keepalive_requests 100000;\n\
             location / {{ return 200 'the page'; }}\n\
             location = /smuggled {{ return 200 'SMUGGLED'; }} }}\n\
         }}\n"
    );
    std::fs::write(format!("{dir}/nginx.conf"), config).unwrap();
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
    let child = Command::new("nginx")
        .env("PATH", path)
        .args(["-c", &format!("{dir}/nginx.conf"), "-p", &dir.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx, of Debian's package nginx-light");
    let nginx = Nginx(child);
    wait("nginx listens", || TcpStream::connect(&address).ok());
    (nginx, address)
}

#[test]
fn nothing_is_smuggled_to_nginx() {
    let dir = tempfile::tempdir().unwrap();
    let (_nginx, address) = nginx(dir.path());
    let balancer = Balancer::up(&format!(
        "[balancer.limits]\nrequest-head = \"2s\"\nidle-body = \"2s\"\n\
         [backends.app]\nendpoints = [\"{address}\"]\nhealth = {{ kind = \"none\" }}\n"
    ));
    let wrong = attack(&balancer.http);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let log = std::fs::read_to_string(dir.path().join("access.log")).unwrap();
    assert!(log.contains("/page") && !log.contains("smuggled"), "{log}");
}

#[test]
fn nothing_is_smuggled_to_our_web_server() {
    let site = Prepared::new();
    site.write("static/page", "the page")
        .write("static/smuggled", "SMUGGLED");
    let balancer = site.up("[site]\nname = \"test\"\ndomains = [\"x\"]\n\
         [servers.one]\naddress = \"10.0.0.1\"\nroles = [\"balancer\", \"web\"]\n\
         [balancer.limits]\nrequest-head = \"2s\"\nidle-body = \"2s\"\n");
    let wrong = attack(&balancer.http);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
