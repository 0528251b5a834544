//! Connections that have had one request each and wait, until a line comes on standard input.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::plan::Plan;
use crate::tls;

/// Opened at once.
const AT_ONCE: usize = 32;

pub async fn run(plan: Plan) -> Result<(), String> {
    let connector = Rc::new(plan.tls.then(tls::connector).transpose()?);
    let requests = Rc::new(plan.requests());
    let plan = Rc::new(plan);
    let slots = Rc::new(Semaphore::new(AT_ONCE));
    let open = Rc::new(RefCell::new(Vec::new()));
    let mut tasks = Vec::new();
    for _ in 0..plan.connections {
        let (plan, requests, open) = (plan.clone(), requests.clone(), open.clone());
        let (connector, slots) = (connector.clone(), slots.clone());
        tasks.push(tokio::task::spawn_local(async move {
            let _slot = slots.acquire().await.map_err(|e| e.to_string())?;
            let opened = async {
                let mut client = Client::connect(&plan, connector.as_ref().as_ref()).await?;
                client.ask(&requests[0]).await?;
                client.rest();
                Ok::<_, std::io::Error>(client)
            };
            let opened = opened.await.map_err(|e| e.to_string())?;
            open.borrow_mut().push(opened);
            Ok::<_, String>(())
        }));
    }
    for task in tasks {
        task.await.map_err(|e| e.to_string())??;
    }
    println!("{}", serde_json::json!({"open": open.borrow().len()}));
    let mut line = String::new();
    let mut input = BufReader::new(tokio::io::stdin());
    input
        .read_line(&mut line)
        .await
        .map_err(|e| e.to_string())?;
    Ok(())
}
