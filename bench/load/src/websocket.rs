//! A WebSocket on each connection: one small frame out, the same back, and again.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use crate::client::Client;
use crate::latency::Latency;
use crate::plan::Plan;
use crate::tls;

/// A masked text frame of 32 bytes (RFC 6455 section 5.2); the origin sends it back as it is.
fn frame() -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 32, 0, 0, 0, 0];
    frame.extend_from_slice(&[b'x'; 32]);
    frame
}

pub async fn run(plan: Plan) -> Result<(), String> {
    let connector = plan.tls.then(tls::connector).transpose()?;
    let upgrade = format!(
        "GET {} HTTP/1.1\r\nHost: www.bench.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        plan.path
    );
    let latency = Rc::new(RefCell::new(Latency::default()));
    let mut clients = Vec::new();
    for _ in 0..plan.connections {
        let opened = async {
            let mut client = Client::connect(&plan, connector.as_ref()).await?;
            client.ask(upgrade.as_bytes()).await?;
            Ok::<_, std::io::Error>(client)
        };
        clients.push(opened.await.map_err(|e| e.to_string())?);
    }
    let start = Instant::now();
    let end = start + plan.time;
    let mut tasks = Vec::new();
    for mut client in clients {
        let latency = latency.clone();
        tasks.push(tokio::task::spawn_local(async move {
            let frame = frame();
            loop {
                let since = Instant::now();
                if since >= end {
                    return;
                }
                let echo = async {
                    client.send(&frame).await?;
                    client.take(frame.len()).await
                };
                if let Err(e) = echo.await {
                    latency.borrow_mut().error(e.to_string());
                    return;
                }
                latency.borrow_mut().add(since.elapsed());
            }
        }));
    }
    for task in tasks {
        task.await.map_err(|e| e.to_string())?;
    }
    latency.borrow_mut().print(start);
    Ok(())
}
