//! Each rule is needed: with it taken away, a write is lost or two servers take writes, in the seed given
//! here; with it, in the same seed, all is well.
//!
//! A change of the decisions or of the simulation moves what a seed does. Then the next ones are tried;
//! `cargo run --release -p simulation --example seeds -- 0 1000000 RULE` finds the first.

use simulation::{Options, Rule, run};

/// Seeds tried from the known one on.
const TRIES: u64 = 3_000;

fn is_needed(rule: Rule, known: u64) {
    let off = Options {
        off: Some(rule),
        ambush: rule.ambush(),
        keep: false,
    };
    let fails = |seed: &u64| run(*seed, off).is_err_and(|failure| failure.is_unsafe);
    let found = (known..known + TRIES).find(fails);
    let seed = found.unwrap_or_else(|| panic!("{rule:?}: no seed from {known} on fails"));
    let outcome = run(seed, Options { off: None, ..off });
    assert!(outcome.is_ok(), "seed {seed} with all rules: {outcome:?}");
}

macro_rules! needed {
    ($($name:ident: $rule:ident, $seed:expr;)*) => {
        $(
            #[test]
            fn $name() {
                is_needed(Rule::$rule, $seed);
            }
        )*

        #[test]
        fn every_rule_is_here() {
            for rule in Rule::ALL {
                assert!([$(Rule::$rule),*].contains(&rule), "{rule:?}");
            }
        }
    };
}

needed! {
    the_fence_in_time: FenceInTime, 4;
    the_time_before_sending: CountFromBeforeSending, 0;
    waiting_the_lease_out: WaitTheLeaseOut, 0;
    hearing_all: HearAll, 1;
    counting_what_was_received: CountWhatWasReceived, 0;
    stopping_before_being_heard: StopBeforeBeingHeard, 484;
    a_promise_for_one_revision: PromiseForOneRevision, 523;
    only_the_sync_set: OnlyTheSyncSet, 2_059;
    adding_in_the_store_first: AddInTheStoreFirst, 108;
    the_barrier: WaitForTheBarrier, 13_567;
    locking_before_removing: LockBeforeRemoving, 2_354;
    going_alone_in_the_store_first: GoAloneInTheStoreFirst, 221;
    never_falling_back: NeverFallBack, 20;
    locking_accounts: LockAccounts, 3_699;
    waiting_before_writable: WaitBeforeWritable, 12;
    draining_before_opening: DrainBeforeOpening, 2;
    only_whole_members: OnlyWholeMembers, 103;
    settling_writes: SettleWrites, 112;
    announcing_before_receiving: AnnounceBeforeReceiving, 422;
    recalling_promises: RecallPromises, 545;
}
