//! Choosing: shares, tiers, what happens when endpoints go, full ones, tried ones.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use site::target::balancer::{
    Ask as HealthAsk, Bind, EndpointTarget, HashKey, HealthCheck, Protocol, Queue, Retries,
};

use super::*;
use crate::health::judge::State;
use crate::standing::{Admin, standing};

pub(crate) fn backend(algorithm: Algorithm, weights: &[u16]) -> BackendTarget {
    let second = Duration::from_secs(1);
    BackendTarget {
        name: "web".to_owned(),
        protocol: Protocol::Http1,
        endpoints: weights
            .iter()
            .enumerate()
            .map(|(n, weight)| EndpointTarget {
                name: format!("app-{n}"),
                address: Bind::Tcp(([127, 0, 0, 1], 80).into()),
                weight: *weight,
                backup: false,
            })
            .collect(),
        algorithm,
        hash_by: HashKey::Source,
        hash_balance: 0,
        sticky: None,
        slow_start: Duration::ZERO,
        health: HealthCheck {
            ask: HealthAsk::Nothing,
            tls: false,
            port: None,
            interval: second,
            interval_in_doubt: second,
            timeout: second,
            rise: 2,
            fall: 3,
        },
        ejection: None,
        panic_percent: 0,
        max_requests: 0,
        queue: Queue {
            size: 0,
            timeout: second,
        },
        retries: Retries {
            attempts: 3,
            budget_percent: 20,
            body: 0,
            hedge_after: None,
        },
        breaker: 0,
        tls: None,
        proxy_protocol: None,
        own: false,
    }
}

fn conditions(up: &[bool]) -> Vec<Condition> {
    up.iter().map(|up| condition(Admin::Ready, *up)).collect()
}

fn condition(admin: Admin, up: bool) -> Condition {
    let health = if up { State::Up } else { State::Down };
    Condition {
        standing: standing((admin, 1), (health, 1), None),
        share: slow_start::FULL,
    }
}

fn loads(count: usize) -> Vec<Arc<Load>> {
    (0..count).map(|_| Arc::default()).collect()
}

const ASK: Ask<'_> = Ask {
    turn: 0,
    random: 0,
    key: 0,
    now_ms: 1,
    open: 0,
    tried: &[],
    bound: None,
};

const ALL: [Algorithm; 5] = [
    Algorithm::RoundRobin,
    Algorithm::LeastRequests,
    Algorithm::PowerOfTwo,
    Algorithm::Hash,
    Algorithm::First,
];

fn endpoint(choice: Choice) -> usize {
    match choice {
        Choice::Endpoint(index) => index,
        other => panic!("{other:?}"),
    }
}

fn counts(pool: &Pool, loads: &[Arc<Load>], turns: std::ops::Range<u64>) -> Vec<u64> {
    let mut counts = vec![0; loads.len()];
    for turn in turns {
        let ask = Ask {
            turn,
            random: crate::hash::mix(7, turn),
            key: crate::hash::mix(9, turn),
            ..ASK
        };
        counts[endpoint(pool.choose(&ask, loads))] += 1;
    }
    counts
}

#[test]
fn backups_come_when_nobody_else_is_up_or_left() {
    let mut backend = backend(Algorithm::RoundRobin, &[1, 1, 1]);
    backend.endpoints[2].backup = true;
    let loads = loads(3);
    let choose = |up: &[bool], tried: &[usize]| {
        let pool = Pool::new(&backend, &conditions(up));
        (pool.mode(), pool.choose(&Ask { tried, ..ASK }, &loads))
    };
    let some = Choice::Endpoint;
    assert_eq!(choose(&[true, true, true], &[]), (Mode::Primaries, some(0)));
    assert_eq!(
        choose(&[false, true, true], &[]),
        (Mode::Primaries, some(1))
    );
    assert_eq!(choose(&[false, false, true], &[]), (Mode::Backups, some(2)));
    assert_eq!(
        choose(&[false, true, true], &[1]),
        (Mode::Primaries, some(2))
    );
    assert_eq!(
        choose(&[false, false, false], &[]),
        (Mode::Nobody, Choice::Nobody)
    );
    assert_eq!(
        choose(&[true; 3], &[0, 1, 2]),
        (Mode::Primaries, Choice::Nobody)
    );
}

#[test]
fn in_a_panic_all_get_first_tries_and_those_up_the_second() {
    let mut backend = backend(Algorithm::RoundRobin, &[1; 4]);
    backend.panic_percent = 50;
    let loads = loads(4);
    let up = [true, false, false, false];
    let pool = Pool::new(&backend, &conditions(&up));
    assert_eq!(pool.mode(), Mode::Panic);
    assert_eq!(counts(&pool, &loads, 0..8), [2, 2, 2, 2]);
    let again = |tried: &[usize]| {
        pool.choose(
            &Ask {
                turn: 2,
                tried,
                ..ASK
            },
            &loads,
        )
    };
    assert_eq!(again(&[2]), Choice::Endpoint(0));
    assert_eq!(again(&[2, 0]), Choice::Endpoint(3));
    assert_eq!(again(&[0, 1, 2, 3]), Choice::Nobody);
    // Two of four are not too few.
    let pool = Pool::new(&backend, &conditions(&[true, true, false, false]));
    assert_eq!(pool.mode(), Mode::Primaries);
    // None at all: all are asked.
    let pool = Pool::new(&backend, &conditions(&[false; 4]));
    assert_eq!(pool.mode(), Mode::Panic);
    assert_eq!(counts(&pool, &loads, 0..8), [2, 2, 2, 2]);
}

#[test]
fn what_a_person_takes_out_is_no_reason_to_panic() {
    let mut backend = backend(Algorithm::RoundRobin, &[1; 4]);
    backend.panic_percent = 50;
    let mut now = conditions(&[true; 4]);
    for condition_of in &mut now[1..] {
        *condition_of = condition(Admin::Maintenance, true);
    }
    let pool = Pool::new(&backend, &now);
    assert_eq!(pool.mode(), Mode::Primaries);
    assert_eq!(counts(&pool, &loads(4), 0..8), [8, 0, 0, 0]);
}

#[test]
fn a_bound_visitor_stays_while_his_endpoint_drains() {
    let mut backend = backend(Algorithm::RoundRobin, &[1, 1, 0]);
    backend.max_requests = 1;
    let loads = loads(3);
    let now = [
        condition(Admin::Drain, true),
        condition(Admin::Ready, true),
        condition(Admin::Ready, true),
    ];
    let pool = Pool::new(&backend, &now);
    let bound = |bound, tried: &[usize]| {
        pool.choose(
            &Ask {
                bound,
                tried,
                ..ASK
            },
            &loads,
        )
    };
    assert_eq!(bound(Some(0), &[]), Choice::Endpoint(0));
    assert_eq!(bound(Some(2), &[]), Choice::Endpoint(2));
    assert_eq!(bound(Some(0), &[0]), Choice::Endpoint(1));
    assert_eq!(bound(Some(9), &[]), Choice::Endpoint(1));
    assert_eq!(bound(None, &[]), Choice::Endpoint(1));
    assert!(loads[0].open.enter(0));
    assert_eq!(bound(Some(0), &[]), Choice::Full);
    let dead = [condition(Admin::Ready, false), now[1], now[2]];
    let pool = Pool::new(&backend, &dead);
    assert_eq!(
        pool.choose(
            &Ask {
                bound: Some(0),
                ..ASK
            },
            &loads
        ),
        Choice::Endpoint(1)
    );
}

#[test]
fn full_ones_are_passed_over_and_all_full_is_said() {
    for algorithm in ALL {
        let mut backend = backend(algorithm, &[1, 1, 1]);
        backend.max_requests = 2;
        let loads = loads(3);
        let pool = Pool::new(&backend, &conditions(&[true; 3]));
        for turn in 0..6 {
            let ask = Ask {
                turn,
                key: turn << 60,
                random: turn << 60,
                ..ASK
            };
            let index = endpoint(pool.choose(&ask, &loads));
            assert!(loads[index].open.enter(2), "{algorithm:?}");
        }
        assert_eq!(pool.choose(&ASK, &loads), Choice::Full, "{algorithm:?}");
        let tried = Ask {
            tried: &[0, 1, 2],
            ..ASK
        };
        assert_eq!(pool.choose(&tried, &loads), Choice::Nobody, "{algorithm:?}");
    }
}

#[test]
fn a_thousand_heavy_endpoints_need_no_enormous_rotation() {
    let weights: Vec<u16> = (0..1000).map(|n| 256 - n % 7).collect();
    let pool = Pool::new(
        &backend(Algorithm::RoundRobin, &weights),
        &conditions(&[true; 1000]),
    );
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let counts = counts(&pool, &loads(1000), 3..3 + total);
    assert!(
        counts
            .iter()
            .zip(&weights)
            .all(|(count, weight)| *count == u64::from(*weight))
    );
}

#[test]
fn slow_start_is_a_smaller_weight() {
    let mut now = conditions(&[true; 2]);
    now[1].share = 64;
    let pool = Pool::new(&backend(Algorithm::RoundRobin, &[10, 10]), &now);
    assert_eq!(counts(&pool, &loads(2), 0..50), [40, 10]);
}

#[test]
fn the_one_with_the_fewest_requests_for_its_weight() {
    let pool = Pool::new(
        &backend(Algorithm::LeastRequests, &[1, 2, 1]),
        &conditions(&[true; 3]),
    );
    let loads = loads(3);
    assert_eq!(counts(&pool, &loads, 0..8), [2, 4, 2]);
    for turn in 0..8 {
        let index = endpoint(pool.choose(&Ask { turn, ..ASK }, &loads));
        assert!(loads[index].open.enter(0));
    }
    let open: Vec<u32> = loads.iter().map(|load| load.open.count()).collect();
    assert_eq!(open, [2, 4, 2]);
    loads[2].open.leave();
    assert_eq!(pool.choose(&ASK, &loads), Choice::Endpoint(2));
}

#[test]
fn of_two_the_faster_and_less_busy() {
    let pool = Pool::new(
        &backend(Algorithm::PowerOfTwo, &[1, 1]),
        &conditions(&[true; 2]),
    );
    let loads = loads(2);
    loads[0].answered(1000, 1);
    loads[1].answered(5000, 1);
    assert_eq!(counts(&pool, &loads, 0..20), [20, 0]);
    for _ in 0..5 {
        assert!(loads[0].open.enter(0));
    }
    assert_eq!(counts(&pool, &loads, 0..20), [0, 20]);
}

#[test]
fn chance_is_fair_among_equals() {
    let pool = Pool::new(
        &backend(Algorithm::PowerOfTwo, &[1; 5]),
        &conditions(&[true; 5]),
    );
    let counts = counts(&pool, &loads(5), 0..10_000);
    assert!(
        counts.iter().all(|count| (1800..2200).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn keys_are_shared_by_weight() {
    let pool = Pool::new(
        &backend(Algorithm::Hash, &[100, 100, 200]),
        &conditions(&[true; 3]),
    );
    let counts = counts(&pool, &loads(3), 0..40_000);
    assert!((7500..12_500).contains(&counts[0]), "{counts:?}");
    assert!((17_000..23_000).contains(&counts[2]), "{counts:?}");
}

#[test]
fn nobody_has_much_more_than_his_share_of_a_popular_key() {
    let mut backend = backend(Algorithm::Hash, &[1; 10]);
    backend.hash_balance = 150;
    let pool = Pool::new(&backend, &conditions(&[true; 10]));
    let loads = loads(10);
    let mut used = BTreeSet::new();
    for open in 0..1000 {
        // All want the same one.
        let index = endpoint(pool.choose(
            &Ask {
                key: 5,
                open,
                ..ASK
            },
            &loads,
        ));
        assert!(loads[index].open.enter(0));
        let most = ((open + 1) * 15).div_ceil(100);
        assert!(loads[index].open.count() <= most, "{open}");
        used.insert(index);
    }
    assert!(used.len() >= 7, "{used:?}");
}

#[test]
fn the_first_gets_everything() {
    let pool = Pool::new(
        &backend(Algorithm::First, &[1; 3]),
        &conditions(&[false, true, true]),
    );
    assert_eq!(counts(&pool, &loads(3), 0..9), [0, 9, 0]);
}

proptest! {
    #[test]
    fn shares_are_exact_after_an_endpoint_has_gone(
        weights in proptest::collection::vec(1_u16..=256, 2..12),
        gone in any::<prop::sample::Index>(),
        from in any::<u32>(),
    ) {
        let gone = gone.index(weights.len());
        let mut up = vec![true; weights.len()];
        up[gone] = false;
        let pool = Pool::new(&backend(Algorithm::RoundRobin, &weights), &conditions(&up));
        let left: Vec<u64> = (0..weights.len())
            .map(|n| if n == gone { 0 } else { u64::from(weights[n]) })
            .collect();
        let total: u64 = left.iter().sum();
        let from = u64::from(from);
        let counts = counts(&pool, &loads(weights.len()), from..from + total);
        prop_assert_eq!(counts, left);
    }

    #[test]
    fn who_is_chosen_is_up_untried_and_there_whenever_anybody_is(
        endpoints in proptest::collection::vec(
            (0_u16..4, prop::bool::weighted(0.2), any::<bool>(), 0_u32..3), 1..9),
        algorithm in proptest::sample::select(ALL.to_vec()),
        panic_percent in prop_oneof![Just(0_u8), Just(50)],
        max_requests in 0_u32..3,
        hash_balance in prop_oneof![Just(0_u16), Just(120)],
        tried in proptest::collection::vec(0_usize..9, 0..4),
        random in any::<u64>(),
    ) {
        let weights: Vec<u16> = endpoints.iter().map(|(weight, ..)| *weight).collect();
        let mut backend = backend(algorithm, &weights);
        for (target, (_, backup, ..)) in backend.endpoints.iter_mut().zip(&endpoints) {
            target.backup = *backup;
        }
        backend.panic_percent = panic_percent;
        backend.max_requests = max_requests;
        backend.hash_balance = hash_balance;
        let up: Vec<bool> = endpoints.iter().map(|(_, _, up, _)| *up).collect();
        let loads = loads(endpoints.len());
        let mut open = 0;
        for (load, (.., count)) in loads.iter().zip(&endpoints) {
            for _ in 0..*count {
                assert!(load.open.enter(0));
                open += 1;
            }
        }
        let pool = Pool::new(&backend, &conditions(&up));
        let ask = Ask { turn: random, random, key: random, open, tried: &tried, ..ASK };
        let untried = |n: &usize| weights[*n] > 0 && !tried.contains(n);
        let has_room = |n: usize| max_requests == 0 || endpoints[n].3 < max_requests;
        match pool.choose(&ask, &loads) {
            Choice::Endpoint(n) => {
                prop_assert!(untried(&n) && has_room(n));
                prop_assert!(up[n] || pool.mode() == Mode::Panic);
            }
            Choice::Full => prop_assert!((0..weights.len()).any(|n| untried(&n) && !has_room(n))),
            Choice::Nobody => {
                prop_assert!((0..weights.len()).filter(untried).all(|n| !up[n]));
            }
        }
    }

    #[test]
    fn only_the_keys_of_who_goes_move(
        weights in proptest::collection::vec(1_u16..=256, 2..20),
        gone in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let gone = gone.index(weights.len());
        let backend = backend(Algorithm::Hash, &weights);
        let loads = loads(weights.len());
        let mut up = vec![true; weights.len()];
        let before = Pool::new(&backend, &conditions(&up));
        up[gone] = false;
        let after = Pool::new(&backend, &conditions(&up));
        for n in 0..300 {
            let ask = Ask { key: crate::hash::mix(seed, n), ..ASK };
            let (was, is) = (before.choose(&ask, &loads), after.choose(&ask, &loads));
            prop_assert!(was == is || was == Choice::Endpoint(gone));
            prop_assert!(is != Choice::Endpoint(gone));
        }
    }
}

/// `cargo test --release -p balancer -- --ignored --nocapture figures`
#[test]
#[ignore = "prints figures; of use in release mode only"]
fn figures_of_choose() {
    for algorithm in ALL {
        for count in [2, 1000] {
            let weights: Vec<u16> = (0..count).map(|n| 100 + n % 50).collect();
            let mut backend = backend(algorithm, &weights);
            backend.hash_balance = 150;
            let begin = Instant::now();
            let pool = Pool::new(&backend, &conditions(&vec![true; weights.len()]));
            let made = begin.elapsed();
            let loads = loads(weights.len());
            loads.iter().for_each(|load| load.answered(1000, 1));
            let rounds = 1_000_000_u32;
            let begin = Instant::now();
            for turn in 0..u64::from(rounds) {
                let random = crate::hash::mix(1, turn);
                let ask = Ask {
                    turn,
                    random,
                    key: random,
                    now_ms: 3000,
                    ..ASK
                };
                let choice = pool.choose(std::hint::black_box(&ask), &loads);
                assert!(std::hint::black_box(choice) != Choice::Nobody);
            }
            let took = begin.elapsed() / rounds;
            println!(
                "{algorithm:?}, {count} endpoints: {} ns; made in {} µs",
                took.as_nanos(),
                made.as_micros()
            );
        }
    }
}
