//! Where HAProxy's log lines go: a datagram socket that is read and forgotten. Less than what syslog
//! does, which is HAProxy's favour only on the other core.

use tokio::net::UnixDatagram;

pub async fn run(path: &str) -> Result<(), String> {
    let socket = UnixDatagram::bind(path).map_err(|e| format!("{path}: {e}"))?;
    println!("ready");
    let mut line = vec![0; 8 << 10];
    loop {
        socket.recv(&mut line).await.map_err(|e| e.to_string())?;
    }
}
