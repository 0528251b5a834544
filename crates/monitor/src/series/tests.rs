//! What the history makes of counters.

use proptest::prelude::*;

use super::*;
use crate::status::State;

fn status(traffic: Traffic) -> SiteStatus {
    SiteStatus {
        site: "foobar".into(),
        at_ms: 0,
        state: State::Serving,
        problems: Vec::new(),
        urls: Vec::new(),
        dashboard: None,
        release: String::new(),
        servers: Vec::new(),
        endpoints: Vec::new(),
        members: Vec::new(),
        generation: 1,
        paused: false,
        backup: None,
        traffic,
    }
}

fn requests(requests: u64) -> SiteStatus {
    status(Traffic {
        requests,
        ..Traffic::default()
    })
}

/// The rates of a counter read once a second.
fn rates(counts: &[u64]) -> Vec<f64> {
    let mut history = History::default();
    for (second, count) in counts.iter().enumerate() {
        history.record(Duration::from_secs(second as u64), &requests(*count));
    }
    history.points().map(|point| point.requests).collect()
}

#[test]
fn rates_are_per_second() {
    assert_eq!(rates(&[100, 110, 110, 140]), [10.0, 0.0, 30.0]);
    let mut history = History::default();
    history.record(Duration::from_secs(0), &requests(0));
    history.record(Duration::from_secs(4), &requests(10));
    assert_eq!(history.latest().unwrap().requests, 2.5);
}

#[test]
fn a_process_that_starts_anew_makes_no_spike() {
    // 1000 of two processes; one starts anew from nothing, then both go on.
    assert_eq!(rates(&[1000, 510, 520, 530]), [0.0, 10.0, 10.0]);
}

#[test]
fn a_process_that_is_out_of_sight_makes_no_spike() {
    assert_eq!(
        rates(&[1000, 510, 520, 1040, 1050]),
        [0.0, 10.0, 40.0, 10.0]
    );
}

#[test]
fn a_status_that_comes_too_soon_makes_no_point() {
    let mut history = History::default();
    let made: Vec<bool> = [0, 100, 950, 1000, 1900]
        .into_iter()
        .map(|ms| history.record(Duration::from_millis(ms), &requests(ms)))
        .collect();
    assert_eq!(made, [false, false, true, false, true]);
}

#[test]
fn percentiles_are_of_the_latest_ten_seconds() {
    let mut history = History::default();
    let traffic = |fast: u64, slow: u64| {
        let mut latency = vec![fast; LATENCY_SECONDS.len()];
        *latency.last_mut().unwrap() += slow;
        status(Traffic {
            requests: fast + slow,
            latency,
            ..Traffic::default()
        })
    };
    history.record(Duration::ZERO, &traffic(500, 500));
    assert!(history.latest().is_none());
    history.record(Duration::from_secs(1), &traffic(500, 510));
    assert!(history.latest().unwrap().p50.unwrap() > 2500.0);
    for second in 2..12 {
        history.record(Duration::from_secs(second), &traffic(500 + second, 510));
    }
    assert!(history.latest().unwrap().p99.unwrap() <= 0.25);
    for second in 12..22 {
        history.record(Duration::from_secs(second), &traffic(511, 510));
    }
    assert_eq!(history.latest().unwrap().p50, None);
}

proptest! {
    #[test]
    fn whatever_the_counters_do_rates_are_sane(
        steps in prop::collection::vec((0_u64..5_000, any::<u32>(), prop::collection::vec(any::<u32>(), 0..14)), 0..2000)
    ) {
        let mut history = History::default();
        let mut now = 0;
        for (ms, requests, latency) in steps {
            now += ms;
            history.record(Duration::from_millis(now), &status(Traffic {
                requests: u64::from(requests),
                latency: latency.into_iter().map(u64::from).collect(),
                ..Traffic::default()
            }));
        }
        prop_assert!(history.points().len() <= POINTS);
        prop_assert!(history.latest_buckets.len() <= PERCENTILE_POINTS);
        for point in history.points() {
            prop_assert!(point.requests.is_finite() && point.requests >= 0.0);
            prop_assert!(point.p50.is_none_or(|p| (0.0..=10_000.0).contains(&p)));
            prop_assert!(point.p50 <= point.p99);
        }
    }

    /// Of one process that never restarts, no request is lost or counted twice.
    #[test]
    fn rates_add_up(steps in prop::collection::vec(0_u64..1000, 1..POINTS)) {
        let counts: Vec<u64> = std::iter::once(0)
            .chain(steps.iter().scan(0, |sum, n| { *sum += n; Some(*sum) }))
            .collect();
        prop_assert_eq!(rates(&counts).iter().sum::<f64>() as u64, steps.iter().sum::<u64>());
    }
}
