//! Over any View: what is never decided, and that carrying the decisions out leads to rest.

use std::collections::BTreeSet;

use super::*;

fn any_state() -> impl Strategy<Value = Obeyed> {
    (prop::sample::select(vec![ME, OTHER, "db-9"]), 1..4u64).prop_map(|(p, g)| state(p, g))
}

fn any_sync_set() -> impl Strategy<Value = SyncSet> {
    let members = prop::collection::btree_set(prop::sample::select(vec![ME, OTHER]), 0..3);
    prop_oneof![
        1 => Just(SyncSet::Async),
        4 => members.prop_map(|all| SyncSet::Members(all.into_iter().map(name).collect())),
    ]
}

fn any_record() -> impl Strategy<Value = StateRecord> {
    let who = prop::sample::select(vec![ME, OTHER, "db-9"]);
    let begun = prop::sample::select(vec!["", "0-101-5", "0-102-9"]);
    (any_state(), who, any_sync_set(), any::<[bool; 3]>(), begun).prop_map(
        |(obeyed, writer, sync_set, [held, open, forced], position)| {
            let mut state = record(obeyed.primary.as_str(), obeyed.generation.0);
            if !open {
                state.writer = name(writer);
            }
            if !held {
                state.lease = Lease::Released;
            }
            StateRecord {
                sync_set,
                forced,
                position: position.to_owned(),
                ..state
            }
        },
    )
}

fn any_store() -> impl Strategy<Value = Store> {
    prop_oneof![
        1 => Just(Store::Unusable("unusable".to_owned())),
        1 => Just(Store::Empty),
        6 => any_record().prop_map(|state| Store::Names(Box::new(state))),
    ]
}

fn any_position() -> impl Strategy<Value = Position> {
    prop::sample::select(vec!["", "0-101-5", "0-102-5", "0-102-9"]).prop_map(position)
}

fn any_replication() -> impl Strategy<Value = Replication> {
    let codes = vec![0u16, 1032, 1062, 1205, 1236, 1594, 2003];
    (
        1..3u8,
        prop::sample::select(vec![Io::Running, Io::Connecting, Io::Stopped]),
        prop::sample::select(codes.clone()),
        any::<bool>(),
        prop::sample::select(codes),
    )
        .prop_map(|(last, io, io_code, sql_running, sql_code)| Replication {
            io,
            io_error: error(io_code).filter(|e| e.code != 0),
            sql_running,
            sql_error: error(sql_code).filter(|e| e.code != 0),
            ..following(last)
        })
}

fn any_others() -> impl Strategy<Value = BTreeSet<MemberName>> {
    any::<bool>().prop_map(|there| there.then(|| name(OTHER)).into_iter().collect())
}

fn any_status() -> impl Strategy<Value = Status> {
    (
        any::<[bool; 3]>(),
        any_position(),
        any_position(),
        prop::option::of(any_replication()),
        prop::option::of(0..20u64),
        prop::sample::select(vec!["", "0-101-5", "0-101-99"]),
        (any_others(), any_others()),
    )
        .prop_map(
            |(
                [read_only, start_from, semi_sync],
                binlog_pos,
                slave_pos,
                replication,
                lag,
                own,
                who,
            )| {
                Status {
                    version: String::new(),
                    read_only,
                    binlog_pos,
                    own: own.parse().into_iter().collect(),
                    slave_pos,
                    replication,
                    start_from,
                    lag: lag.map(Duration::from_secs),
                    semi_sync,
                    connected: who.0,
                    locked: who.1,
                }
            },
        )
}

fn any_engine() -> impl Strategy<Value = Engine> {
    prop_oneof![
        1 => (0..2000u64, any::<bool>()).prop_map(|(s, needs_you)| Engine::Down {
            why: String::new(),
            start_at: at(s),
            needs_you,
        }),
        1 => Just(Engine::Silent { why: String::new(), since: at(1) }),
        6 => any_status().prop_map(|status| Engine::Answers(Box::new(status))),
    ]
}

fn any_peer() -> impl Strategy<Value = Peer> {
    let revisions = prop::option::of(prop::sample::select(vec![10u64, 20, 30]));
    (
        prop::option::of(any_state()),
        revisions,
        any_position(),
        any_position(),
        any::<[bool; 4]>(),
    )
        .prop_map(
            |(obeyed, stopped_for, received, applied, [whole, errant, broken, receives])| Peer {
                obeyed,
                seen: 30,
                stopped_for,
                received,
                applied,
                whole,
                errant,
                broken,
                receives,
                linked: receives,
            },
        )
}

fn any_request() -> impl Strategy<Value = RequestRecord> {
    let wanted = || {
        prop::option::weighted(
            0.2,
            (
                1..4u64,
                prop::option::of(prop::sample::select(vec![ME, OTHER])),
            ),
        )
    };
    (prop::bool::weighted(0.2), wanted(), wanted()).prop_map(|(paused, switchover, force)| {
        let wanted = |wanted: Option<(u64, Option<&str>)>| {
            wanted.map(|(generation, to)| Wanted {
                generation: Generation(generation),
                to: to.map(name),
            })
        };
        RequestRecord {
            paused,
            switchover: wanted(switchover),
            force: wanted(force),
            restart: None,
        }
    })
}

fn any_held() -> impl Strategy<Value = Option<Held>> {
    let held = (1..4u64, 990..1000u64, any::<bool>());
    prop::option::of(held.prop_map(|(generation, sent, settled)| Held {
        revision: generation * 10,
        sent: at(sent),
        settled,
    }))
}

fn any_view() -> impl Strategy<Value = View> {
    let seen = (
        any_store(),
        prop::option::of(any_state()),
        prop::option::of(any_peer()),
        any_engine(),
        any_request(),
        any_held(),
        990..1000u64,
    );
    let remembered = (
        any::<[bool; 4]>(),
        prop::option::weighted(0.2, prop::sample::select(vec![Long::Start, Long::Rebuild])),
        prop::option::of((1..4u64).prop_map(Generation)),
        prop::option::of((0..1000u64).prop_map(at)),
        0..5usize,
        prop::collection::vec((0..1500u64).prop_map(at), 0..4),
        prop::option::of(prop::sample::select(vec![10u64, 20, 30])),
        prop::option::of(any_position()),
        prop::option::of((990..1000u64).prop_map(at)),
    );
    (seen, remembered).prop_map(|(seen, remembered)| {
        let (store, obeyed, peer, engine, request, held, seen_at) = seen;
        let (
            flags,
            in_flight,
            accounts_for,
            last_beat,
            starts,
            mut rebuilds,
            promised,
            barrier,
            since,
        ) = remembered;
        let [first_primary, acknowledged, announced, whole] = flags;
        rebuilds.sort();
        View {
            first_primary,
            acknowledged,
            announced,
            whole,
            promised,
            barrier,
            held,
            request,
            seen_at: at(seen_at),
            unfit_since: since,
            switching_since: since,
            away: since
                .map(|since| (name(OTHER), since))
                .into_iter()
                .collect(),
            peers: peer.map(|peer| (name(OTHER), peer)).into_iter().collect(),
            engine,
            in_flight: in_flight.map(|what| InFlight { what, since: at(1) }),
            accounts_for,
            last_beat,
            replication_starts: (0..starts).fold(Attempts::default(), |a, _| a.tried(at(900))),
            rebuilds,
            ..view(store, obeyed, status())
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    #[test]
    fn nothing_is_decided_that_the_rules_forbid(view in any_view()) {
        let now = at(1000);
        let decision = decided(&view);
        prop_assert_eq!(&decision, &decided(&view), "the same view, the same decision");
        let stored = match &view.store {
            Store::Names(state) => Some(state.as_ref()),
            Store::Unusable(_) | Store::Empty => None,
        };
        let puts = decision.actions.iter().filter(|a| matches!(a, Action::PutState(..)));
        prop_assert!(puts.count() <= 1, "one write of the state at a time");
        for action in &decision.actions {
            match action {
                Action::SetWritable(generation) => {
                    let state = stored.unwrap();
                    prop_assert_eq!(&state.primary, &name(ME));
                    prop_assert_eq!(&state.writer, &name(ME));
                    prop_assert_eq!(state.generation, *generation);
                    prop_assert_eq!(view.obeyed.as_ref(), Some(&state.obeyed()));
                    prop_assert!(lease::is_mine(&view, state, now));
                    let status = view.status().unwrap();
                    if state.sync_set.members().is_some() {
                        prop_assert!(status.semi_sync);
                    }
                }
                Action::PutState(why, next) => may_write(&view, stored, *why, next)?,
                Action::SemiSync(generation, false) => {
                    let state = stored.unwrap();
                    prop_assert_eq!(state.generation, *generation);
                    let replica = state.primary != name(ME) && view.status().unwrap().read_only;
                    prop_assert!(replica || state.sync_set.members().is_none());
                    prop_assert!(replica || lease::is_mine(&view, state, now));
                }
                Action::LetIn(_, member) => {
                    let state = stored.unwrap();
                    let in_set = state.sync_set.members().is_none_or(|set| set.contains(member));
                    prop_assert!(in_set, "the store first");
                    prop_assert!(lease::is_mine(&view, state, now));
                }
                Action::Follow { source, generation, .. }
                | Action::Rebuild { source, generation, .. } => {
                    let state = stored.unwrap();
                    prop_assert!(state.is_open());
                    prop_assert_eq!((&state.primary, state.generation), (&name(OTHER), *generation));
                    prop_assert_eq!(source, &address(OTHER, 2));
                    if matches!(action, Action::Follow { .. }) {
                        prop_assert!(view.promised != Some(state.revision), "promised to receive nothing");
                    }
                }
                Action::StartReplication(_) => {
                    prop_assert!(view.promised != Some(stored.unwrap().revision));
                }
                Action::Promote(_) => {
                    let state = stored.unwrap();
                    prop_assert_eq!(&state.primary, &name(ME));
                    let status = view.status().unwrap();
                    prop_assert!(status.applied().contains(&status.received()));
                }
                Action::Obey(state) => {
                    let before = view.obeyed.as_ref().map(|o| o.generation);
                    prop_assert!(before.is_none_or(|before| before <= state.generation));
                }
                _ => {}
            }
        }
    }

    /// Whoever is writable without the right to be is read-only or ended after one round.
    #[test]
    fn a_writable_server_without_the_right_is_stopped_at_once(view in any_view()) {
        let Some(status) = view.status() else { return Ok(()) };
        let entitled = matches!(&view.store, Store::Names(state)
            if state.primary == name(ME) && state.is_open() && lease::is_mine(&view, state, at(1000)));
        // Without the store, or with a renewal that is not confirmed, it goes on until the lease ends.
        let lasting = view.held.as_ref().is_some_and(|held| at(1000) < lease::fence_by(held));
        if !status.read_only && !entitled && !lasting {
            let actions = decided(&view).actions;
            prop_assert!(
                actions.contains(&Action::SetReadOnly) || actions.contains(&Action::Fence),
                "{:?}", actions
            );
        }
    }
}

fn may_write(
    view: &View,
    stored: Option<&StateRecord>,
    why: Put,
    next: &StateRecord,
) -> Result<(), TestCaseError> {
    if why == Put::Create {
        prop_assert_eq!(&view.store, &Store::Empty);
        prop_assert!(view.peers.contains_key(&name(OTHER)));
        let known = view
            .peers
            .values()
            .map(|peer| &peer.obeyed)
            .chain([&view.obeyed]);
        for obeyed in known.flatten() {
            prop_assert!(obeyed.generation < next.generation);
        }
        return Ok(());
    }
    let state = stored.unwrap();
    prop_assert_eq!(next.revision, state.revision + 1);
    prop_assert!(
        view.obeyed
            .as_ref()
            .is_none_or(|o| o.generation <= state.generation)
    );
    match why {
        Put::Campaign => {
            prop_assert!(at(1000) >= lease::free_since(view, state));
            prop_assert_eq!(next.generation, state.generation.next());
            prop_assert_eq!(view.promised, Some(state.revision));
            let forced = candidate::is_forced(view, state, &name(ME));
            prop_assert!(forced || !view.request.paused);
            if let (false, SyncSet::Members(set)) = (forced, &state.sync_set)
                && state.writer != name(ME)
            {
                prop_assert!(set.contains(&name(ME)), "an outsider");
                for other in set.iter().filter(|other| **other != name(ME)) {
                    let heard = view.peers[other].clone();
                    prop_assert_eq!(heard.stopped_for, Some(state.revision));
                    prop_assert!(heard.whole);
                    let mine = view.status().unwrap().received();
                    prop_assert!(mine.contains(&heard.received));
                }
            }
        }
        Put::HandOver => {
            prop_assert_eq!(next.generation, state.generation.next());
            prop_assert!(view.status().unwrap().read_only);
            prop_assert!(
                view.peers[&next.primary]
                    .applied
                    .contains(&view.status().unwrap().binlog_pos)
            );
        }
        _ => {
            prop_assert_eq!(&state.primary, &name(ME));
            prop_assert_eq!(next.generation, state.generation);
        }
    }
    Ok(())
}
