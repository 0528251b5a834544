//! Told to stop in the middle of something, and servers that hang.

use std::time::{Duration, Instant};

use database::{MemberReport, MemberState, Role};
use nix::sys::signal::Signal;

use crate::bed::{Bed, run, signal, until};

#[tokio::test]
async fn stopped_while_it_makes_its_data_directory_it_leaves_nothing() {
    let bed = Bed::new();
    for wait in [0, 50, 200, 400] {
        let keeper = database::start(bed.parts("db-1"));
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let began = Instant::now();
        bed.stop([keeper]).await;
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        let data = bed.dir.path().join("data");
        for entry in std::fs::read_dir(data).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(["db-1", "db-1.tmp"].contains(&name.as_str()), "{name}");
        }
    }
    // And the next start is a whole one.
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    bed.stop([replica, primary]).await;
}

#[tokio::test]
async fn what_a_crash_left_half_made_is_made_anew() {
    let bed = Bed::new();
    let half = bed.data_dir("db-1.new");
    std::fs::create_dir_all(half.join("mysql")).unwrap();
    std::fs::write(half.join("ibdata1"), "half").unwrap();
    let keeper = database::start(bed.parts("db-1"));
    let other = database::start(bed.parts("db-1.2"));
    until(&keeper, "it serves", MemberReport::serves).await;
    assert!(!half.exists());
    bed.stop([other, keeper]).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_told_and_so_is_its_return() {
    let mut bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    let pid = replica.report().borrow().pid.unwrap();
    signal(pid, Signal::SIGSTOP);
    let down = until(&replica, "it is down", |report| {
        matches!(
            report.state,
            MemberState::Down {
                needs_you: false,
                ..
            }
        )
    })
    .await;
    assert_eq!((down.role, down.lag_ms), (Role::Unknown, None));
    let began = Instant::now();
    while bed.said("member-down").is_none() {
        assert!(began.elapsed() < Duration::from_secs(8));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The primary goes on, and the site with it.
    run(&mut bed.app("db-1").await, "INSERT INTO t VALUES (2, 2)").await;
    signal(pid, Signal::SIGCONT);
    let back = until(&replica, "it is back", MemberReport::serves).await;
    assert_eq!(back.restarts, 0);
    bed.arrives("SELECT v FROM t WHERE id = 2", "2").await;
    bed.stop([replica, primary]).await;
}

#[tokio::test]
async fn replicas_come_and_go_in_either_order() {
    let bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    // The primary away: the replica goes on serving what it has, and does not take its place.
    primary.stop().await;
    let alone = until(&replica, "it is alone", |report| report.lag_ms.is_none()).await;
    assert_eq!((alone.role, alone.read_only), (Role::Replica, Some(true)));
    bed.arrives("SELECT v FROM t WHERE id = 1", "1").await;
    let primary = database::start(bed.parts("db-1"));
    until(&primary, "it serves again", MemberReport::serves).await;
    run(&mut bed.app("db-1").await, "INSERT INTO t VALUES (2, 2)").await;
    bed.arrives("SELECT v FROM t WHERE id = 2", "2").await;
    until(&replica, "it follows again", MemberReport::serves).await;
    bed.stop([primary, replica]).await;
}
