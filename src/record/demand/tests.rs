//! The rules of what readers may bring about, as tables.

use std::sync::Arc;

use super::*;
use crate::access_token::{AccessToken, Clock};
use crate::fixtures::{own_slot, plain_slot};
use crate::secret::Secret;
use crate::settings::Budget;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + seconds)
}

/// Access tokens of an hour, the newest issued at 0 s.
fn entry(slot: &Slot, generation: u64) -> Entry {
    let mut entry = Entry::new(slot.identity.clone());
    hold(&mut entry, generation, 0);
    entry
}

fn hold(entry: &mut Entry, generation: u64, issued: i64) {
    entry.forced = false;
    entry.generation = Generation(generation);
    entry.granted = Some(vec!["a".into()]);
    entry.access_token = Some(Arc::new(AccessToken {
        secret: Secret::new("secret".into()),
        token_type: "Bearer".into(),
        scopes: vec!["a".into()],
        issued_at: at(issued),
        expires_at: at(issued + 3600),
        generation: Generation(generation),
        extra: std::collections::BTreeMap::default(),
        clock: Clock::Boot,
    }));
}

#[test]
fn a_longer_life_is_asked_for_at_most_once_a_minute_and_never_of_an_exclusive_slot() {
    let (own, shared) = (own_slot("x"), plain_slot());
    let wants = |slot: &Slot, entry: &mut Entry, minutes: u64, seconds: i64| {
        let before = std::mem::take(&mut entry.forced);
        let next = want_longer(slot, entry, Duration::from_mins(minutes), at(seconds));
        let forced = std::mem::replace(&mut entry.forced, before);
        (forced, (next.as_secs() - at(0).as_secs()).min(9999))
    };
    let mut entry_of_own = entry(&own, 1);
    let renewal = next_issue(&own, &entry_of_own, at(0)).0.as_secs() - at(0).as_secs();
    for (minutes, seconds, expected) in [
        (30, 1799, (false, renewal)), // it lives long enough
        (30, 1801, (true, 1801)),
        (30, 1860, (false, 1861)), // once a minute
        (10, 1860, (false, renewal)),
        (30, 1861, (true, 1861)),
    ] {
        assert_eq!(wants(&own, &mut entry_of_own, minutes, seconds), expected, "{minutes} min at {seconds} s");
    }
    hold(&mut entry_of_own, 2, 1862);
    assert!(!wants(&own, &mut entry_of_own, 60, 1900).0, "the new one came less than a minute ago");

    let mut entry_of_shared = entry(&shared, 1);
    assert_eq!(wants(&shared, &mut entry_of_shared, 30, 1801), (false, 3540), "it waits for its renewal");
    entry_of_own.paused = Some(at(0));
    assert_eq!(wants(&own, &mut entry_of_own, 60, 3000), (false, 9999), "nobody asks for what is paused");
}

#[test]
fn what_an_api_refused_is_asked_for_anew_and_less_often_while_the_new_ones_are_refused_as_well() {
    use Invalidation::{Accepted, NotHeld, TooSoon};
    let slot = own_slot("x");
    let mut entry = entry(&slot, 7);
    assert_eq!(invalidate(&slot, &mut entry, Generation(6), at(0)), NotHeld(Some(Generation(7))));
    assert!(!entry.forced);
    assert_eq!(invalidate(&slot, &mut entry, Generation(7), at(10)), Accepted);
    assert!(entry.forced && is_invalidated(&entry));
    assert_eq!(invalidate(&slot, &mut entry, Generation(7), at(11)), Accepted, "another reader says the same");
    let mut now = 10;
    for (generation, pace) in [(8, 60), (9, 120), (10, 240), (11, 480), (12, 960), (13, 1920), (14, 3600), (15, 3600)] {
        hold(&mut entry, generation, now + 1);
        if pace < 3540 {
            let early = invalidate(&slot, &mut entry, Generation(generation), at(now + pace - 1));
            assert_eq!(early, TooSoon(at(now + pace)), "generation {generation}");
        }
        assert!(!entry.forced);
        now += pace;
        hold(&mut entry, generation, now - 1);
        assert_eq!(invalidate(&slot, &mut entry, Generation(generation), at(now)), Accepted);
    }
    // One that was renewed in its time ends the row.
    hold(&mut entry, 17, now + 30);
    assert_eq!(invalidate(&slot, &mut entry, Generation(17), at(now + 59)), TooSoon(at(now + 60)));
    assert_eq!(invalidate(&slot, &mut entry, Generation(17), at(now + 60)), Accepted);
    assert_eq!(entry.invalidated.unwrap().in_a_row, 1);
}

#[test]
fn an_invalidation_keeps_to_the_budget_and_to_a_pause() {
    let mut slot = plain_slot();
    slot.policy.budget = Some(Budget { issues: 1, per: Duration::from_hours(1) });
    let mut held = entry(&slot, 7);
    assert_eq!(
        invalidate(&slot, &mut held, Generation(7), at(0)),
        Invalidation::Budget(at(3540)),
        "the renewal's place"
    );
    assert!(!held.forced && held.invalidated.is_none());
    held.paused = Some(at(5));
    assert_eq!(invalidate(&slot, &mut held, Generation(7), at(9)), Invalidation::Paused(at(5)));
    let mut expired = entry(&slot, 7);
    assert_eq!(invalidate(&slot, &mut expired, Generation(7), at(3600)), Invalidation::Accepted, "it is due anyway");
    assert!(!expired.forced);
    let mut nothing = Entry::new(slot.identity.clone());
    assert_eq!(invalidate(&slot, &mut nothing, Generation(1), at(0)), Invalidation::NotHeld(None));
}
