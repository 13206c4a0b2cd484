//! What came of a hook, or of an edit → its receipt, and how soon that must be saved.

use crate::fixtures::*;
use crate::job::JobResult;
use crate::record::record;
use crate::settings::Hook;

use super::*;

const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

fn name() -> Name {
    Name::parse("accounts").unwrap()
}

/// Notes that a hook ended so.
fn ran(
    slot: &Slot,
    entry: &mut Entry,
    (event, generation): (HookEvent, u64),
    result: Result<(), &str>,
    now: Timestamp,
) -> Durability {
    let (generation, result) = (Generation(generation), result.map_err(str::to_owned));
    record(slot, entry, JobResult::Notified { token: name(), event, generation, result }, now)
}

fn change(entry: &Entry) -> Option<(u64, Option<Timestamp>)> {
    entry.hooks.get(&name())?.change.ran.map(|ran| (ran.generation.0, ran.at))
}

#[test]
fn a_hook_that_ran_is_noted_before_anything_else_happens() {
    let slot = hooked(plain_slot());
    let mut entry = delivered(&slot, at(0), HOUR);
    assert_eq!(ran(&slot, &mut entry, (HookEvent::Changed, 1), Ok(()), at(5)), Durability::Now);
    assert_eq!(change(&entry), Some((1, Some(at(5)))));
    assert_eq!(entry.hooks[&name()].failure, HookReceipt::default(), "the other hook is no matter");
}

#[test]
fn what_was_superseded_meanwhile_takes_nothing_back() {
    let slot = hooked(plain_slot());
    let mut entry = delivered(&slot, at(0), HOUR);
    let _ = ran(&slot, &mut entry, (HookEvent::Changed, 2), Ok(()), at(5));
    let _ = ran(&slot, &mut entry, (HookEvent::Changed, 1), Ok(()), at(6));
    assert_eq!(change(&entry), Some((2, Some(at(5)))));
    let _ = ran(&slot, &mut entry, (HookEvent::Expired, 2), Ok(()), at(7));
    let _ = ran(&slot, &mut entry, (HookEvent::Failing, 2), Ok(()), at(8));
    let failure = entry.hooks[&name()].failure.ran.unwrap();
    assert_eq!((failure.event, failure.at), (HookEvent::Expired, Some(at(7))), "expired covers failing");
}

#[test]
fn a_hook_that_fails_is_tried_again_as_a_sink_is_and_success_ends_it() {
    let slot = hooked(plain_slot());
    let mut entry = delivered(&slot, at(0), HOUR);
    let mut now = at(0);
    for (attempts, whole) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 16.0), (6, 32.0), (7, 60.0), (8, 60.0)] {
        assert_eq!(ran(&slot, &mut entry, (HookEvent::Changed, 1), Err("exit status 1"), now), Durability::None);
        let retry = entry.hooks[&name()].change.retry.clone().unwrap();
        assert_eq!((retry.attempts, retry.since, retry.reason.as_str()), (attempts, at(0), "exit status 1"));
        let wait = retry.not_before.since(now).as_secs_f64();
        assert!((whole / 2.0..=whole).contains(&wait), "{wait} of {whole}");
        now = retry.not_before;
    }
    let _ = ran(&slot, &mut entry, (HookEvent::Changed, 1), Ok(()), now);
    assert_eq!(entry.hooks[&name()].change.retry, None);
}

#[test]
fn what_comes_of_a_hook_that_left_the_configuration_is_forgotten() {
    let mut slot = hooked(plain_slot());
    slot.tokens[0].on_change = None;
    let mut entry = delivered(&slot, at(0), HOUR);
    assert_eq!(ran(&slot, &mut entry, (HookEvent::Changed, 1), Ok(()), at(5)), Durability::None);
    assert!(entry.hooks.is_empty());
}

#[test]
fn a_hook_that_is_new_is_not_run_for_what_every_sink_had_already() {
    let slot = hooked(plain_slot());
    let mut had = delivered(&slot, at(0), HOUR);
    assert!(adopt_hooks(&slot, &mut had));
    assert_eq!(change(&had), Some((1, None)));
    assert!(!adopt_hooks(&slot, &mut had), "nothing changes twice");
    let mut lacks = granted(&slot, at(0), HOUR);
    assert!(adopt_hooks(&slot, &mut lacks));
    assert_eq!(change(&lacks), Some((0, None)), "it is run for what is still on its way");
}

#[test]
fn what_a_hook_ran_for_is_kept_while_it_could_run_again_for_the_same() {
    let (with, without) = (hooked(plain_slot()), plain_slot());
    let mut entry = delivered(&with, at(0), HOUR);
    let _ = ran(&with, &mut entry, (HookEvent::Changed, 1), Ok(()), at(1));
    let _ = ran(&with, &mut entry, (HookEvent::Changed, 1), Err("late"), at(1));
    assert!(adopt_hooks(&without, &mut entry));
    assert_eq!((change(&entry), &entry.hooks[&name()].change.retry), (Some((1, Some(at(1)))), &None));
    assert!(!adopt_hooks(&with, &mut entry), "the edit is taken back: it does not run twice");
    grant(&with, &mut entry, at(3540), HOUR);
    assert!(adopt_hooks(&without, &mut entry));
    assert!(entry.hooks.is_empty(), "of what was superseded nothing is kept");
}

#[test]
fn only_a_hook_that_says_something_else_is_tried_again_at_once() {
    let before = hooked(plain_slot());
    let mut failing = delivered(&before, at(0), HOUR);
    let _ = ran(&before, &mut failing, (HookEvent::Changed, 1), Err("exit status 1"), at(1));
    let retries = |after: &Slot| {
        let mut entry = failing.clone();
        try_hooks_again(after, &before, &mut entry);
        entry.hooks[&name()].change.retry.is_some()
    };
    let mut mended = before.clone();
    mended.tokens[0].on_change = Some(Hook::ReloadUnit("other.service".into()));
    let mut elsewhere = before.clone();
    elsewhere.tokens[0].on_failure = None;
    assert_eq!([retries(&before), retries(&elsewhere), retries(&mended)], [true, true, false]);
}
