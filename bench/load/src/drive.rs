//! Requests, as many as possible or at a fixed rate. Connections that are kept are opened before the time
//! begins.
//!
//! At a fixed rate each connection has its own times. A request is timed from when it was due if its
//! connection was still busy then (what a queue of visitors would feel), else from when it was sent: the
//! runtime's timer comes up to a millisecond late, which is not the proxy's doing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::latency::Latency;
use crate::plan::{Kind, Plan};
use crate::tls;

pub async fn run(plan: Plan) -> Result<(), String> {
    let connector = plan.tls.then(tls::connector).transpose()?;
    let requests = Rc::new(plan.requests());
    let connector = Rc::new(connector);
    let latency = Rc::new(RefCell::new(Latency::default()));
    let next = Rc::new(Cell::new(0));
    let plan = Rc::new(plan);
    let mut opened = Vec::new();
    for _ in 0..plan.connections {
        let client = match plan.kind {
            Kind::Fresh => None,
            _ => Client::connect(&plan, connector.as_ref().as_ref())
                .await
                .ok(),
        };
        opened.push(client);
    }
    let start = Instant::now();
    let mut tasks = Vec::new();
    for (index, mut client) in opened.into_iter().enumerate() {
        let (plan, requests, latency) = (plan.clone(), requests.clone(), latency.clone());
        let (connector, next) = (connector.clone(), next.clone());
        let one = async move {
            let end = start + plan.time;
            let mut clock = Clock::new(&plan, index, start);
            while Instant::now() < end {
                let Some(since) = clock.next(end).await else {
                    return;
                };
                let turn = next.get();
                next.set(turn + 1);
                let request = &requests[turn % requests.len()];
                let asked = async {
                    let mut open = match client.take() {
                        Some(open) => open,
                        None => Client::connect(&plan, connector.as_ref().as_ref()).await?,
                    };
                    open.ask(request).await?;
                    Ok::<_, std::io::Error>(open)
                };
                match asked.await {
                    Ok(open) => {
                        client = (plan.kind != Kind::Fresh).then_some(open);
                        latency.borrow_mut().add(since.elapsed());
                    }
                    Err(e) => {
                        latency.borrow_mut().error(e.to_string());
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            }
        };
        tasks.push(tokio::task::spawn_local(one));
    }
    for task in tasks {
        task.await.map_err(|e| e.to_string())?;
    }
    latency.borrow_mut().print(start);
    Ok(())
}

struct Clock {
    /// Between two requests of one connection; zero: at once.
    step: Duration,
    due: Instant,
}

impl Clock {
    fn new(plan: &Plan, index: usize, start: Instant) -> Self {
        let step = match plan.rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs_f64(plan.connections as f64 / rate as f64),
        };
        let share = index as f64 / plan.connections as f64;
        Self {
            step,
            due: start + step.mul_f64(share),
        }
    }

    /// From when the next request is timed, at the time to send it; `None`: not in this run.
    async fn next(&mut self, end: Instant) -> Option<Instant> {
        if self.step.is_zero() {
            return Some(Instant::now());
        }
        let due = self.due;
        self.due += self.step;
        if due >= end {
            return None;
        }
        if due <= Instant::now() {
            return Some(due);
        }
        tokio::time::sleep_until(due.into()).await;
        Some(Instant::now())
    }
}
