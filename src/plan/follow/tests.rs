//! Moment → look: when a place that is followed is looked at.

use std::collections::BTreeSet;

use crate::access_token::Generation;
use crate::fixtures::*;
use crate::ledger::Entry;
use crate::plan::follow::*;
use crate::plan::{next_issue, plan};

const HOUR: Duration = Duration::from_hours(1);

fn taken(slot: &Slot, lifetime: Duration) -> Entry {
    let mut entry = Entry::new(slot.identity.clone());
    look(slot, &mut entry, Ok(found(7, at(0), lifetime)), at(0));
    entry
}

/// Looks in vain as soon as it may from `now` to `until`; the waits between, in seconds.
fn waits(slot: &Slot, entry: &mut Entry, lifetime: Duration, mut now: Timestamp, until: Timestamp) -> Vec<f64> {
    let mut waits = Vec::new();
    while now < until {
        look(slot, entry, Ok(found(7, at(0), lifetime)), now);
        let next = next_look(slot, entry, now);
        waits.push(next.since(now).as_secs_f64());
        now = next;
    }
    waits
}

#[test]
fn a_place_that_was_not_looked_at_since_the_start_is_looked_at_at_once_also_while_a_token_is_held() {
    let slot = following_slot("accounts");
    let empty = Entry::new(slot.identity.clone());
    assert_eq!(printed(&plan(&slot, &empty, &BTreeSet::new(), at(0)).due), ["ask for an access token"]);
    let mut entry = taken(&slot, HOUR);
    entry.looked = None;
    assert_eq!(next_look(&slot, &entry, at(10)), Timestamp::EPOCH);
}

#[test]
fn at_rest_it_is_looked_at_every_five_minutes_and_every_minute_once_a_reader_refused_the_token() {
    let slot = following_slot("accounts");
    let mut entry = taken(&slot, HOUR);
    assert_eq!(next_look(&slot, &entry, at(1)), at(300));
    let invalidated = crate::record::demand::invalidate(&slot, &mut entry, Generation(7), at(100));
    assert_eq!(invalidated, crate::record::demand::Invalidation::Accepted);
    assert_eq!(next_look(&slot, &entry, at(100)), at(1), "at once");
    look(&slot, &mut entry, Ok(found(7, at(0), HOUR)), at(100));
    assert!(!entry.forced, "one look for one word");
    assert_eq!(next_look(&slot, &entry, at(100)), at(160));
}

#[test]
fn towards_the_expiry_looks_come_nearer_and_nearer_and_never_nearer_than_the_shortest() {
    let slot = following_slot("accounts");
    let mut entry = taken(&slot, HOUR);
    let waits = waits(&slot, &mut entry, HOUR, at(3240), at(3560));
    assert!(waits.windows(2).all(|pair| pair[1] <= pair[0] * 1.4), "{waits:?}");
    assert!(waits.iter().all(|wait| (3.0..=30.0).contains(wait)), "{waits:?}");
    assert!(waits.len() < 45, "{}", waits.len());
    let last_minute = next_look(&slot, &entry, at(3560));
    assert!(last_minute <= at(3560) + Duration::from_secs(5));
}

#[test]
fn short_lives_are_looked_at_in_proportion() {
    let slot = following_slot("accounts");
    let mut entry = taken(&slot, Duration::from_secs(20));
    let waits = waits(&slot, &mut entry, Duration::from_secs(20), at(10), at(15));
    assert!(waits.iter().all(|wait| (0.7..=1.0).contains(wait)), "{waits:?}");
}

#[test]
fn an_issuer_that_lets_its_token_expire_is_looked_for_ever_more_rarely_but_every_minute() {
    let slot = following_slot("accounts");
    let mut entry = taken(&slot, HOUR);
    let waits = waits(&slot, &mut entry, HOUR, at(3600), at(7200));
    assert!(waits.iter().all(|wait| (0.5..=60.0).contains(wait)), "{waits:?}");
    assert!(waits.last().unwrap() >= &30.0, "{waits:?}");
    assert!(waits.len() < 130, "{}", waits.len());
}

#[test]
fn it_is_late_when_half_of_the_lead_has_passed_and_the_lead_is_that_of_an_exclusive_slot_unless_given() {
    let mut slot = following_slot("accounts");
    let held = taken(&slot, HOUR).access_token.unwrap();
    let late = |slot: &Slot| crate::plan::hooks::half_of_lead(slot, &held);
    assert_eq!((expected_at(&slot, &held), late(&slot)), (at(3540), at(3570)));
    slot.policy.lead = Some(Duration::ZERO);
    assert_eq!((expected_at(&slot, &held), late(&slot)), (at(3600), at(3600)));
    slot.policy.lead = Some(Duration::from_mins(20));
    assert_eq!(expected_at(&slot, &held), at(2400));
    assert_eq!(window(&slot, &held), Duration::from_mins(20), "and from then on it is looked for");
}

#[test]
fn nothing_is_looked_at_while_it_is_paused_and_no_sink_is_asked_for_a_generation() {
    let mut slot = following_slot("accounts");
    file_of(&mut slot).content = crate::settings::FileContent::Format(crate::settings::FileFormat::Json);
    let mut entry = Entry::new(slot.identity.clone());
    assert_eq!(printed(&plan(&slot, &entry, &BTreeSet::new(), at(0)).due), ["ask for an access token"]);
    entry.paused = Some(at(0));
    assert_eq!(next_issue(&slot, &entry, at(5)).0, Timestamp::NEVER);
}
