//! Hooks in virtual time: when they run, how often, and what a restart makes of it.

use super::*;
use crate::settings::HookEvent::{Changed, Expired, Failing};
use crate::settings::{Hook, HookEvent};
use crate::status::HookState;

const LIFETIME: i64 = 3600;

fn slot() -> Slot {
    hooked(plain_slot())
}

/// When which hook was run for which generation: whole seconds after the start.
fn runs(world: &Virtual) -> Vec<(u64, HookEvent, u64)> {
    world
        .hooks
        .iter()
        .map(|(moment, _, event, generation)| (moment.since(START).as_secs(), *event, generation.0))
        .collect()
}

#[test]
fn on_change_is_run_once_for_every_generation_also_over_restarts() {
    let slots = config(&[slot()]);
    let mut world = Virtual::new(0, hourly(&[]));
    for start in 1..=30 {
        world.end = at(360 * start);
        world.run(&slots);
    }
    assert_eq!(runs(&world), [(0, Changed, 1), (3540, Changed, 2), (7080, Changed, 3), (10_620, Changed, 4)]);
}

#[test]
fn killed_at_any_step_on_change_is_run_at_least_once_and_again_only_if_it_was_under_way() {
    let slots = config(&[slot()]);
    let mut undisturbed = Virtual::new(2 * HOURS, hourly(&[]));
    undisturbed.run(&slots);
    let expected: Vec<u64> = runs(&undisturbed).iter().map(|run| run.2).collect();
    for step in 0..undisturbed.steps {
        let mut world = Virtual::new(2 * HOURS, hourly(&[]));
        world.kill_at = Some(step);
        world.run(&slots);
        world.kill_at = None;
        world.run(&slots);
        let mut told: Vec<u64> = runs(&world).iter().map(|run| run.2).collect();
        let newest = told.iter().max().copied();
        assert_eq!(newest, Some(world.disk[&plain_slot().identity].generation.0), "killed at step {step}");
        let count = told.len();
        told.dedup();
        assert!(count - told.len() <= 1, "killed at step {step}: {:?}", runs(&world));
        assert!(told.len() >= expected.len(), "killed at step {step}: {told:?}");
    }
}

#[test]
fn on_change_waits_for_every_sink_of_its_token_and_for_no_other() {
    let mut both = hooked(shared_slot("bank", &[("accounts", &["a"]), ("payments", &["b"])]));
    both.tokens[0].sinks.push(token("second", &[]).sinks.remove(0));
    let mut world = Virtual::new(HOURS / 2, hourly(&[]));
    world.sink_works = Box::new(|sink, now| *sink != sink_of("second") || now >= at(600));
    world.run(&config(&[both]));
    let told: Vec<(&str, bool)> = world.hooks.iter().map(|run| (run.1.as_str(), run.0 >= at(600))).collect();
    assert_eq!(told, [("payments", false), ("accounts", true)]);
}

#[test]
fn a_token_without_sinks_has_its_hook_run_once_it_is_saved_and_published() {
    let mut bare = slot();
    bare.tokens[0].sinks.clear();
    let mut world = Virtual::new(HOURS, hourly(&[]));
    world.unwritable = vec![(at(0), at(3))];
    world.run(&config(&[bare]));
    assert!(world.hooks[0].0 >= at(3), "{:?}", world.hooks);
    assert_eq!(runs(&world).iter().map(|run| run.2).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_hook_that_fails_is_run_again_as_a_sink_is_and_never_for_what_was_superseded() {
    let mut world = Virtual::new(2 * HOURS, hourly(&[]));
    world.hook = Box::new(|now| (secs(0), (at(300)..at(3400)).contains(&now) || now > at(3700)));
    world.when(299, Event::Status(1));
    world.when(1000, Event::Status(2));
    world.run(&config(&[slot()]));
    let moments: Vec<u64> = runs(&world).iter().map(|run| run.0).collect();
    let first = moments.iter().filter(|moment| **moment <= 360).count();
    assert!((8..=14).contains(&first), "1 s, doubling to 60 s: {moments:?}");
    let mut generations: Vec<u64> = runs(&world).iter().map(|run| run.2).collect();
    assert!(generations.is_sorted(), "{generations:?}");
    generations.dedup();
    assert_eq!(generations, [1, 2, 3]);
    let hooks: Vec<_> = world.statuses.iter().map(|status| &status.slots[0].tokens[0].hooks[0]).collect();
    assert_eq!(hooks[0].state, HookState::Failing);
    assert_eq!(
        hooks[0].failing_since.as_deref(),
        Some(at(0).to_string().as_str()).map(|_| hooks[0].failing_since.as_deref().unwrap())
    );
    assert!(hooks[0].error.as_deref() == Some("it failed (exit status: 1)") && hooks[0].next_attempt.is_some());
    assert_eq!((hooks[1].state, hooks[1].last_event.as_deref()), (HookState::Idle, Some("changed")));
    assert!(hooks[1].error.is_none() && hooks[1].last_run.is_some());
}

#[test]
fn on_failure_is_run_once_when_half_of_the_lead_has_passed_and_once_at_expiry() {
    let mut world = Virtual::new(0, hourly(&[(3000, 8000)]));
    // Started anew every ten minutes.
    for start in 1..=15 {
        world.end = at(600 * start);
        world.run(&config(&[slot()]));
    }
    let of_failure: Vec<_> = runs(&world).into_iter().filter(|run| run.1 != Changed).collect();
    assert_eq!(of_failure, [(3570, Failing, 1), (3600, Expired, 1)]);
    assert_eq!(runs(&world).last().map(|run| (run.1, run.2)), Some((Changed, 2)));
}

#[test]
fn an_outage_that_ends_before_half_of_the_lead_runs_nothing() {
    let mut world = Virtual::new(2 * HOURS, hourly(&[(3500, 3560)]));
    world.run(&config(&[slot()]));
    assert!(runs(&world).iter().all(|run| run.1 == Changed), "{:?}", runs(&world));
}

#[test]
fn a_start_after_expiry_runs_on_failure_only_if_the_request_fails() {
    for (down, expected) in [(0, None), (9000, Some(Expired))] {
        let mut world = Virtual::new(100, hourly(&[]));
        world.run(&config(&[slot()]));
        world.now = at(2 * LIFETIME);
        world.end = at(2 * LIFETIME + 60);
        world.provider = hourly(&[(7000, down)]);
        world.run(&config(&[slot()]));
        let told = runs(&world).iter().map(|run| run.1).find(|event| *event != Changed);
        assert_eq!(told, expected);
    }
}

#[test]
fn a_first_access_token_that_does_not_come_is_told_once_after_a_minute() {
    let mut world = Virtual::new(HOURS, hourly(&[(0, 2000)]));
    world.run(&config(&[slot()]));
    assert_eq!(runs(&world)[0], (60, Failing, 0));
    assert_eq!(runs(&world)[1..].iter().map(|run| (run.1, run.2)).collect::<Vec<_>>(), [(Changed, 1)]);
}

#[test]
fn who_waits_because_another_was_asked_for_patience_is_told_as_well() {
    let provider: Provider = Box::new(|slot, _, now| match slot.tokens[0].name.as_str() {
        "first" if now > at(1000) => (secs(0), Reply::Fail(busy(503, Some(3600)))),
        "first" => (secs(0), Reply::Issue(secs(1200))),
        _ => (secs(0), Reply::Issue(secs(3600))),
    });
    let mut world = Virtual::new(LIFETIME, provider);
    world.run(&config(&[own_slot("first"), hooked(own_slot("second"))]));
    let events: Vec<HookEvent> = runs(&world).iter().map(|run| run.1).collect();
    assert_eq!(events[..2], [Changed, Failing]);
    assert_eq!(world.requests.iter().filter(|request| request.identity == own_slot("second").identity).count(), 1);
}

#[test]
fn a_paused_token_is_told_when_half_of_its_lead_has_passed() {
    let mut world = Virtual::new(2 * HOURS, hourly(&[]));
    world.when(100, Event::Pause(named("accounts"), 1));
    world.run(&config(&[slot()]));
    assert_eq!(runs(&world)[1..], [(3570, Failing, 1), (3600, Expired, 1)]);
}

#[test]
fn a_hook_that_is_new_is_run_for_the_next_access_token() {
    let mut world = Virtual::new(2 * HOURS, hourly(&[]));
    world.when(100, Event::Reload(config(&[slot()])));
    world.run(&config(&[plain_slot()]));
    assert_eq!(runs(&world), [(3540, Changed, 2), (7080, Changed, 3)]);

    // Also when it came while the daemon was down; but a sink that is new as well is a first delivery.
    let mut world = Virtual::new(100, hourly(&[]));
    world.run(&config(&[plain_slot()]));
    world.end = at(200);
    world.run(&config(&[slot()]));
    assert_eq!(runs(&world), []);
    let mut moved = slot();
    moved.tokens[0].on_change = None;
    world.end = at(300);
    world.run(&config(&[moved.clone()]));
    moved.tokens[0].sinks = token("elsewhere", &[]).sinks;
    moved.tokens[0].on_change.clone_from(&slot().tokens[0].on_change);
    world.end = at(400);
    world.run(&config(&[moved]));
    assert_eq!(runs(&world), [], "it was known for this generation already");
}

#[test]
fn a_hook_that_was_changed_is_tried_at_once_and_one_that_ran_is_not_run_again() {
    let mut other = slot();
    other.tokens[0].on_change = Some(Hook::Command(words(&["/usr/bin/other"])));
    let mut world = Virtual::new(HOURS / 2, hourly(&[]));
    world.hook = Box::new(|now| (secs(0), now >= at(601)));
    world.when(601, Event::Reload(config(&[other])));
    world.when(900, Event::Reload(config(&[slot()])));
    world.run(&config(&[slot()]));
    let last = runs(&world).pop();
    assert_eq!(last, Some((601, Changed, 1)));
}

#[test]
fn a_token_that_leaves_runs_no_hook_and_one_that_comes_back_not_twice() {
    let mut world = Virtual::new(LIFETIME / 2, hourly(&[]));
    world.when(100, Event::Reload(config(&[own_slot("other")])));
    world.when(200, Event::Reload(config(&[slot(), own_slot("other")])));
    world.run(&config(&[slot()]));
    assert_eq!(runs(&world), [(0, Changed, 1)]);
}

#[test]
fn the_same_access_token_again_runs_nothing() {
    let provider: Provider =
        Box::new(|_, _, now| (secs(0), if now < at(100) { Reply::Issue(secs(3600)) } else { Reply::Same }));
    let mut world = Virtual::new(3590, provider);
    world.run(&config(&[slot()]));
    assert!(world.requests.len() > 1);
    assert_eq!(runs(&world), [(0, Changed, 1)]);
}
