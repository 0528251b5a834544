//! Who is put out, for how long, and who is not.

use proptest::prelude::*;

use super::*;

const RULES: Ejection = Ejection {
    consecutive: 3,
    success_rate_deviations: 19,
    success_rate_requests: 10,
    interval: Duration::from_secs(10),
    time: Duration::from_secs(30),
    max_percent: 50,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn watch(count: usize) -> Watch {
    Watch::new(&vec![None; count], &Watch::default())
}

fn sweep(watch: &mut Watch, outcomes: &[(u32, u32)], now: Duration) -> Vec<Change> {
    let tallies: Vec<Tally> = outcomes
        .iter()
        .map(|(good, bad)| Tally {
            successes: (*good).into(),
            failures: (*bad).into(),
            in_a_row: 0.into(),
        })
        .collect();
    let tallies: Vec<&Tally> = tallies.iter().collect();
    watch.sweep(&RULES, &vec![true; outcomes.len()], &tallies, now)
}

#[test]
fn failures_in_a_row_are_told() {
    let tally = Tally::default();
    assert!(!tally.failed(3) && !tally.failed(3));
    tally.succeeded();
    assert!(!tally.failed(3) && !tally.failed(3) && tally.failed(3));
    assert!(!tally.failed(3) && !tally.failed(3) && tally.failed(3));
    assert!(!Tally::default().failed(0));
}

#[test]
fn out_longer_each_time_and_back() {
    let mut watch = watch(4);
    let quiet = [(0, 0); 4];
    let out = |watch: &mut Watch, now| match watch.failing(1, &RULES, &[true; 4], now) {
        Ok(Change::Ejected { time, .. }) => time,
        other => panic!("{other:?}"),
    };
    assert_eq!(out(&mut watch, seconds(0)), seconds(30));
    assert_eq!(sweep(&mut watch, &quiet, seconds(29)), []);
    assert!(watch.is_out(1));
    assert_eq!(
        sweep(&mut watch, &quiet, seconds(30)),
        [Change::Returned { endpoint: 1 }]
    );
    assert_eq!(out(&mut watch, seconds(31)), seconds(60));
    assert_eq!(sweep(&mut watch, &quiet, seconds(91)).len(), 1);
    // A quiet interval takes one off.
    assert_eq!(sweep(&mut watch, &quiet, seconds(101)), []);
    assert_eq!(out(&mut watch, seconds(102)), seconds(60));
}

#[test]
fn never_the_last_and_never_too_many() {
    let mut watch = watch(4);
    let takes = [true, true, true, true];
    assert!(watch.failing(0, &RULES, &takes, seconds(0)).is_ok());
    assert_eq!(
        watch.failing(0, &RULES, &takes, seconds(0)),
        Err(Spared::AlreadyOut)
    );
    assert!(watch.failing(1, &RULES, &takes, seconds(0)).is_ok());
    assert_eq!(
        watch.failing(2, &RULES, &takes, seconds(0)),
        Err(Spared::TooManyOut)
    );
    let mut watch = self::watch(2);
    assert_eq!(
        watch.failing(0, &RULES, &[true, false], seconds(0)),
        Err(Spared::Last)
    );
    let rules = Ejection {
        max_percent: 0,
        ..RULES
    };
    assert!(watch.failing(0, &rules, &[true, true], seconds(0)).is_ok());
    assert_eq!(
        watch.failing(1, &rules, &[true, true], seconds(0)),
        Err(Spared::Last)
    );
}

#[test]
fn a_low_share_of_successes_is_an_outlier() {
    let mut watch = watch(6);
    let outcomes = [(100, 0), (100, 1), (99, 1), (100, 0), (100, 0), (50, 50)];
    let changes = sweep(&mut watch, &outcomes, seconds(0));
    let [
        Change::Ejected {
            endpoint: 5, why, ..
        },
    ] = changes[..]
    else {
        panic!("{changes:?}")
    };
    assert_eq!(
        why.to_string(),
        "50.0 % of its requests succeeded; the mean is 91.3 %, 56.2 % is the least for one like \
         the others"
    );
    // All alike: nobody.
    for good in 0..100 {
        let alike = [(good, 100 - good); 6];
        assert_eq!(sweep(&mut self::watch(6), &alike, seconds(0)), []);
    }
    // Too few to compare, or too few requests.
    assert_eq!(sweep(&mut self::watch(4), &outcomes[2..], seconds(0)), []);
    let few = [(100, 0), (100, 0), (100, 0), (100, 0), (100, 0), (1, 5)];
    assert_eq!(sweep(&mut self::watch(6), &few, seconds(0)), []);
}

#[test]
fn a_new_list_keeps_what_is_known() {
    let mut watch = watch(3);
    assert!(watch.failing(2, &RULES, &[true; 3], seconds(0)).is_ok());
    let watch = Watch::new(&[Some(2), None, Some(0)], &watch);
    assert!(watch.is_out(0) && !watch.is_out(1) && !watch.is_out(2));
}

proptest! {
    #[test]
    fn somebody_is_always_left_and_the_bound_is_kept(
        steps in proptest::collection::vec((0_usize..6, 0_u64..40, any::<bool>()), 0..60),
        takes in proptest::collection::vec(any::<bool>(), 6),
        max_percent in 0_u8..=100,
    ) {
        let rules = Ejection { max_percent, ..RULES };
        let mut watch = watch(6);
        let mut now = 0;
        for (endpoint, pause, swept) in steps {
            now += pause;
            if swept {
                let tallies: Vec<Tally> = (0..6).map(|_| Tally::default()).collect();
                watch.sweep(&rules, &takes, &tallies.iter().collect::<Vec<_>>(), seconds(now));
            } else {
                let put_out = watch.failing(endpoint, &rules, &takes, seconds(now)).is_ok();
                let left = (0..6).filter(|n| takes[*n] && !watch.is_out(*n)).count();
                prop_assert!(!put_out || left >= 1);
            }
            let out = (0..6).filter(|n| watch.is_out(*n)).count();
            prop_assert!(out <= (6 * usize::from(max_percent) / 100).max(1));
        }
    }
}
