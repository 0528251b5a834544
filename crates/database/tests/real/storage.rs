//! S3-compatible storage: moto of PyPI, a server that is not ours. `make storage` installs it and runs what
//! needs it. It takes any signature; those of `rusty_s3` are checked by its own tests.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use database::backup::destination::{Bucket, Destination, PlaceError, S3};
use telemetry::Secret;

struct Storage {
    server: Child,
    port: u16,
}

impl Storage {
    /// With the bucket `backups`.
    fn start() -> Self {
        let program = installed().join("bin/moto_server");
        assert!(program.exists(), "`make storage` installs moto");
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let server = Command::new(program)
            .args(["-H", "127.0.0.1", "-p"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let storage = Self { server, port };
        let began = Instant::now();
        while !storage.make_bucket() {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "it never answers"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        storage
    }

    fn make_bucket(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let request = "PUT /backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\
                       Connection: close\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.contains(" 200 ")
    }

    fn bucket(&self, name: &str) -> Destination {
        bucket(self.port, name)
    }
}

fn bucket(port: u16, name: &str) -> Destination {
    let of = Bucket {
        endpoint: format!("http://127.0.0.1:{port}"),
        region: "us-east-1".to_owned(),
        name: name.to_owned(),
        prefix: "foobar".to_owned(),
        access_key: Secret::new("access"),
        secret_key: Secret::new("hunter2"),
    };
    Destination::S3(S3::new(&of).unwrap())
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

/// Where `make storage` puts it.
pub(crate) fn installed() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let target = here.ancestors().nth(3).unwrap();
    target.join("tmp/moto")
}

#[test]
#[ignore = "needs moto: make storage"]
fn an_object_in_a_bucket_is_there_whole_or_not_at_all() {
    let storage = Storage::start();
    let place = storage.bucket("backups");
    place.put("logs/a.json", b"small").unwrap();
    place.put("logs/a.json", b"anew").unwrap();
    assert_eq!(place.get("logs/a.json").unwrap(), b"anew");
    // Three parts, the last one smaller.
    let large: Vec<u8> = (0..40_u32 << 20)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut upload = place.create("backups/b/data").unwrap();
    upload.write_all(&large).unwrap();
    assert_eq!(
        place.list("").unwrap(),
        ["logs/a.json"],
        "not before it is complete"
    );
    upload.finish().unwrap();
    let mut back = Vec::new();
    place
        .open("backups/b/data")
        .unwrap()
        .read_to_end(&mut back)
        .unwrap();
    assert!(back == large);
    let mut given_up = place.create("backups/c/data").unwrap();
    given_up.write_all(&large).unwrap();
    drop(given_up);
    assert_eq!(place.list("backups/").unwrap(), ["backups/b/data"]);
    place.remove("backups/b/data").unwrap();
    place.remove("backups/b/data").unwrap();
    assert!(matches!(
        place.get("backups/b/data"),
        Err(PlaceError::Missing(_))
    ));
    // More than one page.
    for number in 0..1005 {
        place.put(&format!("many/{number:04}"), b"").unwrap();
    }
    assert_eq!(place.list("many/").unwrap().len(), 1005);
}

#[test]
#[ignore = "needs moto: make storage"]
fn a_bucket_that_is_not_there_is_said() {
    let storage = Storage::start();
    let error = storage.bucket("nowhere").list("").unwrap_err().to_string();
    assert!(error.contains("there is no such bucket"), "{error}");
}

#[test]
fn what_the_storage_refuses_is_said_without_key_and_signature() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).unwrap() > 0);
        let body = "<Error><Code>SignatureDoesNotMatch</Code></Error>";
        let head = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
    });
    let place = bucket(port, "backups");
    let error = place.get("logs/a.json").unwrap_err().to_string();
    server.join().unwrap();
    assert!(error.contains("s3://backups/foobar/logs/a.json"), "{error}");
    assert!(error.contains("SignatureDoesNotMatch"), "{error}");
    for secret in ["hunter2", "Signature="] {
        assert!(!error.contains(secret), "{error}");
    }
    assert!(!format!("{place:?}").contains("hunter2"));
}
