//! Moments of a schedule: each brings one fresh access token, whatever happened to the daemon or the
//! clock meanwhile (L10).

use crate::keeper::tests::*;
use crate::time::Step;

const MORNING: i64 = 7200;
const DAY: i64 = 86_400;

/// A keeper of a slot with an access token for two days, issued an hour before the schedule's moment.
fn scheduled() -> (Slot, Keeper) {
    let slot = scheduled_slot("x");
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    let asking = turn(&mut keeper, at(3600));
    bring(&mut keeper, &asking, at(3600));
    (slot, keeper)
}

/// Answers the request in `tasks` with an access token for two days, and takes it to its sink.
fn bring(keeper: &mut Keeper, tasks: &[Task], now: Timestamp) {
    let [Task::Issue(slot, ask)] = tasks else { panic!("{tasks:?}") };
    let answer = Ok(issued(&format!("issued {}", now.as_millis()), now, secs(2 * 86_400)));
    let result = JobResult::Issued { ask: ask.clone(), asked_at: now, answer };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, now);
    let delivery = turn(keeper, now);
    take_home(keeper, &delivery, now);
    assert_eq!(turn(keeper, now).len(), 0);
}

fn restarted(slot: &Slot, keeper: &Keeper, now: Timestamp) -> Keeper {
    let stored = keeper.case(slot).unwrap().entry.clone();
    Keeper::new(config(std::slice::from_ref(slot)), vec![stored], now)
}

/// The requests of a turn; what is delivered in it comes home.
fn asks(keeper: &mut Keeper, now: Timestamp) -> Vec<Task> {
    let (requests, deliveries): (Vec<Task>, Vec<Task>) =
        turn(keeper, now).into_iter().partition(|task| matches!(task, Task::Issue(..)));
    for delivery in deliveries {
        take_home(keeper, &[delivery], now);
    }
    requests
}

#[test]
fn a_moment_of_the_schedule_asks_once_although_the_access_token_is_good() {
    let (_, mut keeper) = scheduled();
    let _ = turn(&mut keeper, at(4000));
    assert_eq!(keeper.wake(at(4000)), at(MORNING));
    assert_eq!(keeper.status(at(4000)).slots[0].next_refresh, Some(at(MORNING).to_string()));
    assert_eq!(asks(&mut keeper, at(MORNING - 1)).len(), 0);
    let asking = asks(&mut keeper, at(MORNING));
    bring(&mut keeper, &asking, at(MORNING));
    assert_eq!(keeper.wake(at(MORNING)), at(MORNING + DAY));
    assert_eq!(asks(&mut keeper, at(MORNING + DAY - 1)).len(), 0);
    assert_eq!(asks(&mut keeper, at(MORNING + DAY)).len(), 1);
}

#[test]
fn a_moment_missed_while_the_daemon_was_down_is_made_up_once() {
    let (slot, keeper) = scheduled();
    // Two were missed.
    let down = at(MORNING + DAY + 60);
    let mut keeper = restarted(&slot, &keeper, down);
    let asking = asks(&mut keeper, down);
    let [Task::Issue(_, ask)] = asking.as_slice() else { panic!("{asking:?}") };
    let answer = Ok(issued("made up", down, secs(2 * 86_400)));
    let result = JobResult::Issued { ask: ask.clone(), asked_at: down, answer };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, down);
    assert_eq!(asks(&mut keeper, down + secs(60)).len(), 0);
    let mut keeper = restarted(&slot, &keeper, down + secs(120));
    assert_eq!(asks(&mut keeper, down + secs(120)).len(), 0, "once, also over restarts");
}

#[test]
fn a_moment_at_which_the_provider_failed_is_still_to_be_honoured() {
    let (slot, mut keeper) = scheduled();
    let asking = asks(&mut keeper, at(MORNING));
    let [Task::Issue(_, ask)] = asking.as_slice() else { panic!("{asking:?}") };
    let result = JobResult::Issued { ask: ask.clone(), asked_at: at(MORNING), answer: Err(unreachable()) };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, at(MORNING));
    assert_eq!(asks(&mut keeper, at(MORNING)).len(), 0);
    assert_eq!(asks(&mut keeper, at(MORNING + 1)).len(), 1);
}

#[test]
fn the_same_token_again_honours_the_moment_as_well() {
    let (slot, mut keeper) = scheduled();
    let asking = asks(&mut keeper, at(MORNING));
    let [Task::Issue(_, ask)] = asking.as_slice() else { panic!("{asking:?}") };
    let same = issued(&format!("issued {}", at(3600).as_millis()), at(3600), secs(2 * 86_400));
    let result = JobResult::Issued { ask: ask.clone(), asked_at: at(MORNING), answer: Ok(same) };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, at(MORNING));
    assert_eq!(asks(&mut keeper, at(MORNING + 3600)).len(), 0);
    assert_eq!(keeper.case(&slot).unwrap().entry.generation, Generation(1));
}

#[test]
fn a_schedule_that_is_new_has_missed_nothing() {
    let slot = own_slot("x");
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    let asking = turn(&mut keeper, at(3600));
    bring(&mut keeper, &asking, at(3600));
    let later = at(MORNING + 600);
    keeper.adopt(config(&[scheduled_slot("x")]), later);
    assert_eq!(asks(&mut keeper, later).len(), 0);
    let mut keeper = restarted(&scheduled_slot("x"), &keeper, later);
    assert_eq!(asks(&mut keeper, later).len(), 0);
    assert_eq!(keeper.wake(later + secs(2)).max(at(MORNING + DAY)), at(MORNING + DAY));
    assert_eq!(asks(&mut keeper, at(MORNING + DAY)).len(), 1);
}

#[test]
fn a_clock_set_forward_over_a_moment_makes_it_up_and_one_set_back_repeats_none() {
    let (_, mut keeper) = scheduled();
    let hour = Step::between(at(0), at(3600));
    keeper.clock_set(hour, at(MORNING + 60));
    let asking = asks(&mut keeper, at(MORNING + 60));
    bring(&mut keeper, &asking, at(MORNING + 60));
    keeper.clock_set(-hour, at(MORNING - 3000));
    assert_eq!(asks(&mut keeper, at(MORNING - 3000)).len(), 0);
    assert_eq!(asks(&mut keeper, at(MORNING)).len(), 0, "it was honoured");
    assert_eq!(asks(&mut keeper, at(MORNING + DAY)).len(), 1);
}

#[test]
fn a_clock_that_was_far_ahead_does_not_silence_the_schedule() {
    let (_, mut keeper) = scheduled();
    let year = Step::between(at(0), at(365 * DAY));
    keeper.clock_set(year, at(365 * DAY + 4000));
    let now = at(365 * DAY + 4000);
    let asking = asks(&mut keeper, now);
    bring(&mut keeper, &asking, now);
    keeper.clock_set(-year, at(4100));
    assert_eq!(asks(&mut keeper, at(4100)).len(), 0);
    assert_eq!(asks(&mut keeper, at(MORNING)).len(), 1);
}

#[test]
fn whoever_watches_a_schedule_has_its_slots_looked_at() {
    let (slot, mut keeper) = scheduled();
    let _ = turn(&mut keeper, at(4000));
    assert!(keeper.is_quiet(at(4000)));
    keeper.look_at_schedule("0 0 6 * * * UTC");
    assert!(keeper.is_quiet(at(4000)), "another one");
    keeper.look_at_schedule(slot.schedule.as_ref().unwrap().as_str());
    assert!(!keeper.is_quiet(at(4000)));
    assert_eq!(turn(&mut keeper, at(4000)).len(), 0, "and nothing is done that is not due");
}

#[test]
fn a_reload_that_changes_only_the_schedule_is_taken() {
    let (slot, mut keeper) = scheduled();
    let schedule = |hour: &str| {
        let zone = crate::schedule::zone("UTC").unwrap();
        Some(Arc::new(crate::schedule::Schedule::parse(&format!("0 0 {hour} * * *"), zone).unwrap()))
    };
    keeper.adopt(config(&[Slot { schedule: schedule("11"), ..slot.clone() }]), at(4000));
    let _ = asks(&mut keeper, at(4000));
    assert_eq!(keeper.wake(at(4000)), at(MORNING + 3600));
    assert_eq!(asks(&mut keeper, at(MORNING)).len(), 0, "the old one is gone");
    keeper.adopt(config(&[Slot { schedule: None, ..slot }]), at(MORNING + 1));
    assert_eq!(asks(&mut keeper, at(MORNING + 3600)).len(), 0);
}
