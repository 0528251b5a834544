//! What happens to the replicas meanwhile, and what the router is told of them.

use std::time::{Duration, Instant};

use mysql::client::Connection;
use tokio::time::sleep;

use crate::MAX_LAG;
use crate::bed::{Bed, Server};
use crate::history::{Event, Time, Told};
use crate::seeded::Seeded;
use crate::sessions::since;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Appliers stop, start and wait; the router is told that they are not behind.
    Unseen,
    /// The same, and the router is told how far they are behind.
    Watched,
    /// Nothing is applied; the router is told that they are not behind.
    Stopped,
}

/// Between two looks at the replicas.
const LOOK: Duration = Duration::from_millis(20);

fn both(bed: &Bed) -> [&Server; 2] {
    [&bed.replica, bed.second.as_ref().unwrap()]
}

/// Runs `work` to its end, and `trouble`, which has none of its own, as long.
pub(crate) async fn beside(
    work: impl Future<Output = Vec<Event>>,
    trouble: impl AsyncFnOnce(&mut Vec<Told>),
) -> (Vec<Event>, Vec<Told>) {
    let mut told = Vec::new();
    let events = tokio::select! {
        events = work => events,
        () = trouble(&mut told) => unreachable!("it has no end"),
    };
    (events, told)
}

/// Never ends.
pub(crate) fn disturb(
    bed: &Bed,
    begun: Instant,
    seeded: Seeded,
    nature: Nature,
) -> impl AsyncFnOnce(&mut Vec<Told>) {
    async move |told: &mut Vec<Told>| match nature {
        Nature::Unseen => stop_and_start(bed, seeded).await,
        Nature::Watched => {
            tokio::join!(stop_and_start(bed, seeded), watch(bed, begun, told));
        }
        Nature::Stopped => {
            for replica in both(bed) {
                replica.sql(&["STOP SLAVE SQL_THREAD"]).await;
            }
            std::future::pending().await
        }
    }
}

async fn stop_and_start(bed: &Bed, mut seeded: Seeded) {
    loop {
        sleep(Duration::from_millis(1 + seeded.below(40) as u64)).await;
        let replica = both(bed)[seeded.below(2)];
        match seeded.below(4) {
            0 => drop(replica.sql(&["STOP SLAVE SQL_THREAD"]).await),
            1 => drop(replica.sql(&delay(1)).await),
            2 => drop(replica.sql(&delay(0)).await),
            _ => drop(replica.sql(&["START SLAVE SQL_THREAD"]).await),
        }
    }
}

fn delay(seconds: u8) -> [&'static str; 3] {
    let change = match seconds {
        0 => "CHANGE MASTER TO MASTER_DELAY = 0",
        _ => "CHANGE MASTER TO MASTER_DELAY = 1",
    };
    ["STOP SLAVE", change, "START SLAVE"]
}

/// Everything runs again, nothing waits, and the router is told so.
pub(crate) async fn calm(bed: &Bed) {
    for replica in both(bed) {
        replica.sql(&delay(0)).await;
    }
    bed.caught_up().await;
    bed.change(|snapshot| {
        for replica in &mut snapshot.servers.replicas {
            replica.lag_ms = Some(0);
        }
    });
}

/// As an agent does: a heartbeat is written to the primary, and what a replica has of it says how far it
/// is behind.
async fn watch(bed: &Bed, begun: Instant, told: &mut Vec<Told>) {
    let mut primary = bed.primary.connect().await.unwrap();
    let mut replicas = Vec::new();
    for replica in both(bed) {
        replicas.push(replica.connect().await.unwrap());
    }
    loop {
        let beat = format!("UPDATE app.heartbeat SET at = {}", since(begun));
        primary.query(&beat).await.unwrap();
        let mut ats: Vec<Time> = Vec::new();
        let now = since(begun);
        for replica in &mut replicas {
            ats.push(heartbeat(replica).await);
        }
        told.push(tell(bed, begun, now, &ats));
        sleep(LOOK).await;
    }
}

async fn heartbeat(replica: &mut Connection) -> Time {
    let rows = replica.query("SELECT at FROM app.heartbeat").await.unwrap();
    rows.single().unwrap().parse().unwrap()
}

fn tell(bed: &Bed, begun: Instant, now: Time, ats: &[Time]) -> Told {
    let lag = |at: &Time| now.saturating_sub(*at) / 1_000;
    let usable = |at: &&Time| u128::from(lag(at)) <= MAX_LAG.as_millis();
    // The primary lacks nothing.
    let floor = ats.iter().filter(usable).copied().min().unwrap_or(now);
    let from = since(begun);
    bed.change(|snapshot| {
        for (replica, at) in snapshot.servers.replicas.iter_mut().zip(ats) {
            replica.lag_ms = Some(lag(at));
        }
    });
    Told {
        from,
        at: since(begun),
        floor,
    }
}
