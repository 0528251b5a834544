//! Clients that lie, stall, flood and leave: nothing is held for long, nobody else notices, nothing panics.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mysql::command::Command;
use mysql_async::prelude::Queryable as _;
use sql_router::router::Patience;

use crate::bed::{Bed, PATIENCE, Wish, whereabouts};
use crate::raw::Raw;

/// Panics in threads of the router: a task's would not be noticed otherwise.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// More rows than anybody takes, each of 1 MB.
const ENDLESS: &str = "WITH RECURSIVE c AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM c WHERE a < 900) \
     SELECT REPEAT('x', 1000000) FROM c x, c y";

/// One thread and one connection to each server: whoever holds one is in everybody's way.
async fn narrow() -> Bed {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        if thread
            .name()
            .is_some_and(|name| name.starts_with("sql-router"))
        {
            PANICS.fetch_add(1, Ordering::Relaxed);
        }
        usual(info);
    }));
    let bed = Bed::with(Wish {
        threads: 1,
        patience: Patience {
            stalled: Duration::from_secs(1),
            unread: Duration::from_secs(1),
        },
        ..Wish::default()
    })
    .await;
    bed.change(|snapshot| {
        snapshot.target.connections = 1;
        snapshot.target.causal_wait = Duration::from_millis(100);
        snapshot.target.hold = PATIENCE;
    });
    bed
}

/// Others read and write, and in the end only they have sessions.
async fn all_is_well(bed: &Bed, what: &str) {
    let mut client = bed.client().await;
    let write = client.query_drop("INSERT INTO t (v) VALUES ('well')");
    let written = tokio::time::timeout(PATIENCE, write).await;
    written
        .unwrap_or_else(|_| panic!("{what}: nobody else can write"))
        .unwrap();
    let until = Instant::now() + PATIENCE;
    while whereabouts(&mut client).await != "db-2" {
        assert!(
            Instant::now() < until,
            "{what}: the replica is not used again"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.disconnect().await.unwrap();
    while bed.router.status().sessions > 0 {
        assert!(Instant::now() < until, "{what}: a session does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "{what}");
}

#[tokio::test]
async fn who_stalls_in_the_middle_of_something_holds_nothing() {
    let bed = narrow().await;
    // Of a command that was to be of 1,000 bytes: the primary's only connection is this session's.
    let mut raw = Raw::login(&bed).await;
    raw.query("SELECT 1 FOR UPDATE").await;
    raw.say(b"\xe8\x03\0\0\x03SELECT").await;
    all_is_well(&bed, "in a command").await;
    raw.is_closed().await;

    // Of one larger than a frame, which streams by.
    let mut raw = Raw::login(&bed).await;
    raw.say(b"\xff\xff\xff\0\x03SELECT").await;
    all_is_well(&bed, "in a long command").await;
    raw.is_closed().await;

    // Of a file that the server waits for.
    let mut raw = Raw::login(&bed).await;
    raw.command(
        Command::Query,
        b"LOAD DATA LOCAL INFILE 'f' INTO TABLE t (v)",
    )
    .await;
    assert_eq!(raw.answer().await.unwrap(), b"\xfbf");
    raw.say(b"\x08\0\0\x02line").await;
    all_is_well(&bed, "in a file").await;
    raw.is_closed().await;

    // Of a transaction, in the middle of its next command.
    let mut raw = Raw::login(&bed).await;
    raw.query("BEGIN").await;
    raw.say(b"\x08\0\0\0\x03COM").await;
    all_is_well(&bed, "in a transaction").await;
    raw.is_closed().await;
}

#[tokio::test]
async fn who_lies_is_told_so() {
    let bed = narrow().await;
    let mut raw = Raw::login(&bed).await;
    // An empty packet, an unknown command, and commands that end before their fields do.
    raw.say(&[0, 0, 0, 0]).await;
    assert_eq!(raw.error().await, Some(1047));
    raw.command(Command::Other(0x7f), b"x").await;
    assert_eq!(raw.error().await, Some(1047));
    raw.command(Command::StmtExecute, b"").await;
    assert!(raw.error().await.is_some());
    raw.command(Command::StmtPrepare, b"SELECT ?, ?").await;
    let head = raw.answer().await.unwrap();
    for _ in 0..4 {
        raw.answer().await.unwrap();
    }
    raw.command(Command::StmtExecute, &[&head[1..5], &[0, 1]].concat())
        .await;
    assert_eq!(raw.error().await, Some(1835));
    // Types, and no values: the server has the word.
    let untold = [&head[1..5], &[0, 1, 0, 0, 0, 0, 1, 8, 0, 8, 0]].concat();
    raw.command(Command::StmtExecute, &untold).await;
    assert_eq!(raw.error().await, Some(1210));
    raw.command(Command::StmtFetch, b"\x01").await;
    assert!(raw.error().await.is_some());
    raw.command(Command::ChangeUser, b"app\0\xffshort").await;
    assert_eq!(raw.error().await, Some(1835));
    drop(raw);
    all_is_well(&bed, "lies about lengths").await;

    // A number that is not the next one.
    let mut raw = Raw::login(&bed).await;
    raw.say(b"\x09\0\0\x07\x03SELECT 1").await;
    assert_eq!(raw.error().await, Some(1156));
    raw.is_closed().await;
    // The second frame of a command out of order: the server gives up.
    let mut raw = Raw::login(&bed).await;
    let mut frames = vec![0xff, 0xff, 0xff, 0];
    frames.resize(4 + 0xff_ffff, b' ');
    frames[4] = 3;
    frames.extend_from_slice(&[0, 0, 0, 9]);
    raw.say(&frames).await;
    raw.answer().await.unwrap_or_default();
    drop(raw);
    all_is_well(&bed, "packets out of order").await;
}

#[tokio::test]
async fn who_does_not_log_in_is_gone_soon() {
    let bed = narrow().await;
    let mut all = Vec::new();
    let lies: [&[u8]; 6] = [
        b"",
        b"\x20\0\0\x01\x05\x82",
        // Of another protocol.
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\0\0\xa1\x03\x03",
        // An answer longer than its packet, and a packet longer than any login.
        b"\x26\0\0\x01\x05\x82\x28\0\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0app\0\xff\xff",
        b"\xff\xff\xff\x01\x05\x82\x08\0",
    ];
    for lie in lies {
        let mut raw = Raw::connect(&bed).await;
        raw.answer().await.unwrap();
        raw.say(lie).await;
        all.push(raw);
    }
    // They are there still, or not; others come in.
    bed.client().await.query_drop("SELECT 1").await.unwrap();
    for raw in &mut all {
        let closed = tokio::time::timeout(PATIENCE, raw.is_closed()).await;
        closed.expect("a login that is none has no end");
    }
    all_is_well(&bed, "half logins").await;
}

/// Resident memory of this process, the router in it.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn who_takes_no_answer_or_leaves_in_its_middle_is_let_go() {
    let bed = narrow().await;
    let before = resident();
    let mut raw = Raw::login(&bed).await;
    raw.command(Command::Query, ENDLESS.as_bytes()).await;
    // It begins, and then takes nothing.
    raw.answer().await.unwrap();
    all_is_well(&bed, "takes no answer").await;
    let grown = resident().saturating_sub(before);
    assert!(
        grown < 48 << 20,
        "{grown} bytes for an answer that nobody reads"
    );
    drop(raw);

    for _ in 0..5 {
        let mut raw = Raw::login(&bed).await;
        raw.command(Command::Query, ENDLESS.as_bytes()).await;
        for _ in 0..4 {
            raw.answer().await.unwrap();
        }
    }
    all_is_well(&bed, "leaves in the middle of a result").await;
}

#[tokio::test]
async fn a_command_without_end_has_one() {
    let bed = narrow().await;
    let before = resident();
    let mut raw = Raw::login(&bed).await;
    let mut frame = vec![0xff, 0xff, 0xff, 0];
    frame.resize(4 + 0xff_ffff, b'x');
    frame[4] = 3;
    let mut count = 0u32;
    while raw.try_say(&frame).await {
        count += 1;
        frame[3] = frame[3].wrapping_add(1);
        assert!(count < 100, "16 MiB after 16 MiB, and no end");
    }
    let grown = resident().saturating_sub(before);
    assert!(
        grown < 96 << 20,
        "{grown} bytes for a command that nobody takes"
    );
    all_is_well(&bed, "a command without end").await;
}
