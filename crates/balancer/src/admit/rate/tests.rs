//! Rates of all sizes, threads, attacks; no window has more than its due.

use super::*;
use proptest::prelude::*;

fn limit(requests: u32, per: Duration, burst: u32) -> RateLimit {
    RateLimit {
        requests,
        per,
        burst,
        key: ClientKey::Address {
            v4_bits: 32,
            v6_bits: 64,
        },
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_burst_and_then_the_rate() {
    let table = Table::new(&limit(10, SECOND, 3));
    let at = |ms| table.admit(7 << 48, Duration::from_millis(ms));
    assert!(at(1000).is_ok() && at(1000).is_ok() && at(1000).is_ok());
    let wait = at(1000).unwrap_err();
    assert!((99..=101).contains(&wait.as_millis()), "{wait:?}");
    assert!(at(1050).is_err());
    assert!(at(1101).is_ok());
    assert!(at(1102).is_err());
    // Another one has his own.
    assert!(table.admit(8 << 48, Duration::from_millis(1102)).is_ok());
}

#[test]
fn threads_together_get_what_one_gets() {
    let table = Table::new(&limit(100, Duration::from_secs(3600), 500));
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    if table.admit(5 << 48 | 3, SECOND).is_ok() {
                        admitted.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 500);
}

#[test]
fn a_thread_that_comes_late_frees_nobody() {
    let table = Table::new(&limit(1_000_000, SECOND, 10));
    let at = |micros| table.admit(9, Duration::from_micros(micros));
    while at(5_000_000).is_ok() {}
    // It has read the clock 5 ms before the others.
    assert!(at(4_995_000).is_err());
    assert!(at(5_000_000).is_err());
}

#[test]
fn an_attack_of_many_keys_frees_nobody_who_asks_a_lot() {
    let table = Table::with_words(&limit(1, SECOND, 4), WAYS);
    let heavy = 1 << 48;
    while table.admit(heavy, SECOND).is_ok() {}
    for key in 2..1000_u64 {
        // New keys get in; memory stays what it is.
        assert!(table.admit(key << 48, SECOND).is_ok());
    }
    assert!(table.admit(heavy, SECOND).is_err());
    assert!(table.displaced() > 900);
}

#[test]
fn rates_of_all_sizes_are_kept() {
    for (requests, per) in [
        (1_000_000, SECOND),
        (1, Duration::from_secs(86_400)),
        (5, Duration::from_secs(60)),
        (u32::MAX, Duration::from_millis(1)),
    ] {
        let table = Table::new(&limit(requests, per, 1));
        let interval = per / requests;
        let start = Duration::from_secs(500_000_000);
        assert!(table.admit(9, start).is_ok());
        assert!(table.admit(9, start).is_err(), "{requests} in {per:?}");
        let after = start + interval + interval / 100 + Duration::from_nanos(2);
        assert!(table.admit(9, after).is_ok(), "{requests} in {per:?}");
    }
}

proptest! {
    #[test]
    fn no_window_has_more_than_the_burst_and_the_rate(
        requests in 1_u32..50,
        per_ms in 1_u64..5000,
        burst in 1_u32..10,
        pauses in proptest::collection::vec(prop_oneof![Just(0_u64), 0..50_u64, 0..3000_u64], 1..120),
        start in any::<u32>(),
    ) {
        let per = Duration::from_millis(per_ms);
        let table = Table::new(&limit(requests, per, burst));
        let mut now = Duration::from_millis(u64::from(start));
        let mut admitted = Vec::new();
        for pause in pauses {
            now += Duration::from_millis(pause);
            match table.admit(3, now) {
                Ok(()) => admitted.push(now),
                Err(wait) => {
                    // The wait that is told is neither too short nor much too long.
                    prop_assert!(wait <= per / requests + Duration::from_millis(1));
                }
            }
        }
        for (i, from) in admitted.iter().enumerate() {
            for (j, to) in admitted.iter().enumerate().skip(i) {
                let window = (*to - *from).as_secs_f64();
                let rate = f64::from(requests) / per.as_secs_f64();
                let most = f64::from(burst) + window * rate;
                prop_assert!((j - i + 1) as f64 <= most + 0.001, "{} {most}", j - i + 1);
            }
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_refused(
        requests in 1_u32..5000, per_ms in 1_u64..60_000, start in any::<u32>(),
    ) {
        let per = Duration::from_millis(per_ms);
        let table = Table::new(&limit(requests, per, 1));
        let mut now = Duration::from_millis(u64::from(start));
        for _ in 0..50 {
            prop_assert!(table.admit(3, now).is_ok());
            // Units are rounded up: a little slower than the rate.
            now += per / requests + per / requests / 1000 + Duration::from_nanos(2);
        }
    }
}

/// `cargo test --release -p balancer -- --ignored --nocapture figures`
#[test]
#[ignore = "prints figures; of use in release mode only"]
fn figures_of_admit() {
    let table = Table::new(&limit(10, SECOND, 20));
    for clients in [1, 10_000, 1_000_000_u64] {
        let rounds = 1_000_000_u32;
        let begin = std::time::Instant::now();
        for n in 0..u64::from(rounds) {
            let key = crate::hash::mix(3, n % clients);
            let admitted = table.admit(key, Duration::from_micros(n)).is_ok();
            std::hint::black_box(admitted);
        }
        println!(
            "rate, {clients} clients: {} ns",
            (begin.elapsed() / rounds).as_nanos()
        );
    }
}
