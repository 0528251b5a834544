//! Alerts begin once and end once.

use proptest::prelude::*;

use super::*;

fn now(seconds: u64) -> Now {
    Now {
        since_start: Duration::from_secs(seconds),
        at_ms: 1_000_000 + seconds * 1000,
    }
}

fn down(name: &str) -> Condition {
    Condition {
        kind: Kind::EndpointDown,
        subject: format!("endpoint {name}"),
        what: format!("endpoint {name} is down"),
    }
}

/// Plays one look a second; `x`: app-1 is down. The seconds at which people are told, and what.
fn play(looks: &str) -> Vec<(u64, Phase)> {
    let mut alerts = Alerts::default();
    let mut told = Vec::new();
    for (second, look) in looks.bytes().enumerate() {
        let conditions = match look {
            b'x' => vec![down("app-1")],
            _ => Vec::new(),
        };
        for alert in alerts.take(conditions, now(second as u64), &Holds::default()) {
            told.push((second as u64, alert.state));
        }
    }
    told
}

#[test]
fn it_fires_after_five_seconds_and_is_over_after_fifteen() {
    assert_eq!(play("xxxxx...................."), []);
    assert_eq!(play("xxxxxx"), [(5, Phase::Firing)]);
    assert_eq!(
        play("xxxxxxxx................"),
        [(5, Phase::Firing), (23, Phase::Resolved)]
    );
}

#[test]
fn what_flaps_is_told_once() {
    let flapping = "xxx...".repeat(20);
    let told = play(&format!("{flapping}{}", ".".repeat(20)));
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0].1, Phase::Firing);
    assert_eq!(told[1].1, Phase::Resolved);
}

#[test]
fn it_is_over_since_it_went_away() {
    let mut alerts = Alerts::default();
    let holds = Holds::default();
    for second in 0..=10 {
        alerts.take(vec![down("app-1")], now(second), &holds);
    }
    let mut told = Vec::new();
    for second in 11..=26 {
        told.extend(alerts.take(Vec::new(), now(second), &holds));
    }
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].since_ms, now(0).at_ms);
    assert_eq!(told[0].until_ms, Some(now(11).at_ms));
    assert!(!told[0].stopped);
    assert!(alerts.firing().is_empty());
    assert_eq!(alerts.all(), told);
}

#[test]
fn stopping_ends_what_fires_and_says_so() {
    let mut alerts = Alerts::default();
    let holds = Holds::default();
    for second in 0..=5 {
        alerts.take(vec![down("app-1")], now(second), &holds);
    }
    alerts.take(vec![down("app-1"), down("app-2")], now(6), &holds);
    let told = alerts.stop(now(7));
    assert_eq!(told.len(), 1, "app-2 was only pending");
    assert!(told[0].stopped);
    assert_eq!(alerts.stop(now(8)), []);
}

proptest! {
    /// For every alert: firing, resolved, firing, … each at its time, whatever comes and goes.
    #[test]
    fn firing_and_resolved_alternate(
        looks in prop::collection::vec((0_u64..20, any::<[bool; 3]>()), 0..300)
    ) {
        let mut alerts = Alerts::default();
        let mut clock = 0;
        let mut state: BTreeMap<String, Alert> = BTreeMap::new();
        for (pause, holding) in looks {
            clock += pause;
            let conditions = ["a", "b", "c"].into_iter().zip(holding)
                .filter(|(_, holds)| *holds).map(|(name, _)| down(name)).collect();
            for alert in alerts.take(conditions, now(clock), &Holds::default()) {
                let former = state.insert(alert.id.clone(), alert.clone()).map(|a| a.state);
                match alert.state {
                    Phase::Firing => prop_assert_ne!(former, Some(Phase::Firing)),
                    Phase::Resolved => {
                        prop_assert_eq!(former, Some(Phase::Firing));
                        prop_assert!(alert.until_ms >= Some(alert.since_ms + 5_000));
                    }
                    Phase::Pending => prop_assert!(false, "nobody is told of what is pending"),
                }
            }
            prop_assert!(alerts.resolved.len() <= RESOLVED);
        }
        let firing: Vec<&String> = state.iter().filter(|(_, a)| a.state == Phase::Firing)
            .map(|(id, _)| id).collect();
        let ours = alerts.firing();
        prop_assert_eq!(ours.keys().collect::<Vec<_>>(), firing);
    }
}
