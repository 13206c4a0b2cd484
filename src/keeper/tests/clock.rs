//! The wall clock is set while tokens are held, requests are under way and rows wait to be saved (L9).

use proptest::prelude::*;

use crate::failure::Failure;
use crate::keeper::tests::*;
use crate::plan::{Plan, plan};
use crate::time::{Anchor, Step};

/// How far the clock is set: an hour forward, an hour back, a day, ten years.
const STEPS: [i64; 6] = [3600, -3600, 86_400, -86_400, 315_360_000, -315_360_000];

fn step(seconds: i64) -> Step {
    Step::between(at(0), at(seconds))
}

/// Sets the clock at `moment` by so many seconds; says what it shows then.
fn set(keeper: &mut Keeper, moment: Timestamp, seconds: i64) -> Timestamp {
    let now = moment.moved(step(seconds));
    keeper.clock_set(step(seconds), now);
    now
}

#[test]
fn a_step_of_the_clock_asks_for_nothing_and_moves_the_renewal_along() {
    let slot = plain_slot();
    for seconds in STEPS {
        let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
        take_home(&mut keeper, &delivery, at(1));
        assert_eq!(turn(&mut keeper, at(100)).len(), 0);
        let now = set(&mut keeper, at(100), seconds);
        let tasks = turn(&mut keeper, now);
        assert!(matches!(tasks.as_slice(), [Task::Deliver(_)]), "only the sink is told: {tasks:?}");
        take_home(&mut keeper, &tasks, now);
        assert_eq!(turn(&mut keeper, now).len(), 0);
        let _ = turn(&mut keeper, now + secs(1));
        assert_eq!(keeper.wake(now + secs(1)), at(3540).moved(step(seconds)));
        keeper.assert_nothing_is_overlooked(now + secs(1));
    }
}

#[test]
fn what_sinks_and_readers_are_told_of_times_is_the_present_clocks_and_they_stay_ready() {
    let slot = plain_slot();
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    take_home(&mut keeper, &delivery, at(1));
    let _ = turn(&mut keeper, at(2));
    let now = set(&mut keeper, at(100), -86_400);
    let rows = keeper.turn(now);
    assert!(keeper.is_ready(), "a sink that holds a valid access token is no reason");
    let release = keeper.release(now);
    let expiry = at(3600 - 86_400);
    let told: Vec<Timestamp> =
        release.publications.iter().filter_map(|p| Some(p.access_token.as_ref()?.expires_at)).collect();
    assert_eq!(told, [expiry]);
    let [Task::Deliver(delivery)] = release.tasks.as_slice() else { panic!("{release:?}") };
    assert_eq!((delivery.access_token.expires_at, delivery.access_token.issued_at), (expiry, at(-86_400)));
    assert!(rows.is_empty(), "nothing waits for it");
    assert_eq!(keeper.turn(now + secs(1)).len(), 1, "and it is saved a moment later");
    assert_eq!(keeper.status(now).slots[0].expires_at, Some(expiry.to_string()));
}

#[test]
fn a_delivery_under_way_is_told_anew_when_it_is_home() {
    let slot = plain_slot();
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    let now = set(&mut keeper, at(0), 3600);
    assert_eq!(turn(&mut keeper, now).len(), 0, "its lane is busy");
    take_home(&mut keeper, &delivery, now);
    let again = turn(&mut keeper, now);
    let [Task::Deliver(delivery)] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(delivery.access_token.expires_at, at(7200));
}

#[test]
fn a_request_under_way_counts_from_when_it_was_sent_by_the_new_clock() {
    let slot = plain_slot();
    for seconds in STEPS {
        let mut keeper = new(&config(std::slice::from_ref(&slot)));
        let asking = turn(&mut keeper, at(0));
        let now = set(&mut keeper, at(2), seconds);
        assert_eq!(turn(&mut keeper, now).len(), 0, "never two requests in flight");
        let [Task::Issue(_, ask)] = asking.as_slice() else { panic!("{asking:?}") };
        let result =
            JobResult::Issued { ask: ask.clone(), asked_at: at(0), answer: Ok(issued("a", at(0), secs(3600))) };
        let mut outcome = Outcome { identity: slot.identity.clone(), result };
        outcome.follow_clock(step(seconds));
        keeper.handle(outcome, now);
        let _ = turn(&mut keeper, now);
        let entry = &keeper.case(&slot).unwrap().entry;
        assert_eq!(entry.access_token.as_ref().unwrap().expires_at, at(3600).moved(step(seconds)));
        assert!(entry.intention.is_none());
    }
}

#[test]
fn an_intention_counts_its_possible_issue_where_the_clock_was_moved_to() {
    let slot = plain_slot();
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    let _ = turn(&mut keeper, at(10));
    let _ = set(&mut keeper, at(10), -3600);
    let entry = keeper.case(&slot).unwrap().entry.clone();
    let started = Keeper::new(config(std::slice::from_ref(&slot)), vec![entry], at(-3580));
    assert_eq!(started.case(&slot).unwrap().entry.issues[0].at, at(-3590));
}

#[test]
fn patience_that_was_asked_for_lasts_as_long_as_before() {
    let mut slot = plain_slot();
    slot.policy.budget = Some(budget(20, 3600));
    for seconds in STEPS {
        let mut keeper = new(&config(std::slice::from_ref(&slot)));
        let asking = turn(&mut keeper, at(0));
        fail(&mut keeper, &asking, busy(429, Some(600)), at(1));
        let _ = turn(&mut keeper, at(2));
        let now = set(&mut keeper, at(100), seconds);
        assert_eq!(turn(&mut keeper, now).len(), 0);
        let until = at(601).moved(step(seconds));
        assert_eq!(keeper.queued_until(&slot), until);
        assert_eq!(turn(&mut keeper, until - secs(1)).len(), 0);
        assert_eq!(turn(&mut keeper, until).len(), 1);
    }
}

#[test]
fn a_token_asked_for_in_the_future_of_a_wrong_clock_is_right_when_that_is_set() {
    let slot = plain_slot();
    let stored = delivered(&slot, at(0), secs(3600));
    let wrong = -315_360_000;
    let mut keeper = Keeper::new(config(std::slice::from_ref(&slot)), vec![stored], at(wrong));
    let _ = turn(&mut keeper, at(wrong));
    let now = set(&mut keeper, at(wrong + 60), 315_360_000 + 60);
    assert_eq!(now, at(120));
    assert!(!turn(&mut keeper, now).iter().any(|task| matches!(task, Task::Issue(..))));
    assert_eq!(keeper.case(&slot).unwrap().entry.access_token.as_ref().unwrap().expires_at, at(3600));
}

/// Answers the request in `tasks` with `failure`.
fn fail(keeper: &mut Keeper, tasks: &[Task], failure: Failure, now: Timestamp) {
    let [Task::Issue(slot, ask)] = tasks else { panic!("{tasks:?}") };
    let result = JobResult::Issued { ask: ask.clone(), asked_at: now, answer: Err(failure) };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, now);
}

/// What may have happened before the clock is set.
#[derive(Clone, Copy, Debug)]
enum Past {
    Granted(u64),
    Refused,
    Scope,
    Lost,
    Patience(u64),
    Waited(u64),
}

fn past() -> impl Strategy<Value = Vec<Past>> {
    let event = prop_oneof![
        (5_u64..200_000).prop_map(Past::Granted),
        Just(Past::Refused),
        Just(Past::Scope),
        Just(Past::Lost),
        (1_u64..4000).prop_map(Past::Patience),
        (1_u64..100_000).prop_map(Past::Waited),
    ];
    prop::collection::vec(event, 0..8)
}

/// What is known of `slot` after `past`, and when that is.
fn entry_after(slot: &Slot, past: &[Past]) -> (Entry, Timestamp) {
    let (mut entry, mut now) = (Entry::new(slot.identity.clone()), at(0));
    for event in past {
        now = now + secs(1);
        match event {
            Past::Granted(lifetime) => {
                grant(slot, &mut entry, now, secs(*lifetime));
                deliver(slot, &mut entry, slot.tokens[0].name.as_str(), now);
            }
            Past::Refused => answer(slot, &mut entry, Err(refused("invalid_client")), now),
            Past::Scope => answer(slot, &mut entry, Err(refused("invalid_scope")), now),
            Past::Lost => answer(slot, &mut entry, Err(lost()), now),
            Past::Patience(seconds) => answer(slot, &mut entry, Err(busy(503, Some(*seconds))), now),
            Past::Waited(seconds) => now = now + secs(*seconds),
        }
    }
    (entry, now)
}

proptest! {
    /// L9: the plan after a step is the plan before, moved by the step; all but that sinks which
    /// hold something are told its times anew.
    #[test]
    fn a_step_of_any_size_at_any_moment_changes_no_decision(
        past in past(), seconds in -400_000_000_i64..400_000_000, own in any::<bool>(), counted in any::<bool>(),
    ) {
        let mut slot = if own { own_slot("accounts") } else { plain_slot() };
        slot.policy.budget = counted.then(|| budget(3, 3600));
        let (entry, now) = entry_after(&slot, &past);
        let before = plan(&slot, &entry, &BTreeSet::new(), now);
        let mut moved = entry.clone();
        crate::record::clock::follow_clock(&mut moved, step(seconds), now);
        prop_assert!(moved.receipts.values().all(|receipt| receipt.restate || receipt.held.is_none()));
        moved.receipts.values_mut().for_each(|receipt| receipt.restate = false);
        let after = plan(&slot, &moved, &BTreeSet::new(), now.moved(step(seconds)));
        prop_assert_eq!(after, Plan { wake: before.wake.moved(step(seconds)), ..before });
    }
}

#[test]
fn what_was_measured_by_another_boot_is_saved_anew_so_that_a_clock_that_is_set_cannot_mislead_the_next_start() {
    let slot = plain_slot();
    let rows = |anchor| {
        let stored = Entry { anchor, ..delivered(&slot, at(0), secs(3600)) };
        let mut keeper = Keeper::new(config(std::slice::from_ref(&slot)), vec![stored], at(10));
        assert!(keeper.turn(at(10)).is_empty(), "nothing waits for it");
        keeper.turn(at(11)).len()
    };
    assert_eq!([rows(None), rows(Some(Anchor { boot: "another".into(), booted_at: at(-100) }))], [0, 1]);
}

#[test]
fn a_token_from_before_a_reboot_goes_by_the_wall_clock_also_by_a_wrong_one_that_is_set_right() {
    let slot = plain_slot();
    let anchor = Some(Anchor { boot: "another".into(), booted_at: at(-100) });
    let stored = Entry { anchor, ..delivered(&slot, at(0), secs(3600)) };
    let expiry = |keeper: &Keeper| keeper.case(&slot).unwrap().entry.access_token.as_ref().unwrap().expires_at;
    for wrong in [-600, -60, 60, 600] {
        let moment = at(1000 + wrong);
        let mut keeper = Keeper::new(config(std::slice::from_ref(&slot)), vec![stored.clone()], moment);
        let _ = turn(&mut keeper, moment);
        let now = set(&mut keeper, moment + secs(30), -wrong);
        assert_eq!((now, expiry(&keeper)), (at(1030), at(3600)), "{wrong} s wrong");
        // A restart in the same boot finds that in the state.
        let rows = keeper.turn(now + secs(2));
        let [Row::Put(saved, _)] = &rows[..] else { panic!("{rows:?}") };
        let mut keeper = Keeper::new(config(std::slice::from_ref(&slot)), vec![(**saved).clone()], now + secs(3));
        set(&mut keeper, now + secs(10), 60);
        assert_eq!(expiry(&keeper), at(3600));
    }
}
