//! The loop on a scripted World in virtual time, with exact numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use crate::access_token::Generation;
use crate::daemon::tests::world::{Provider, Reply, Virtual, hourly};
use crate::daemon::{Event, Until};
use crate::fixtures::*;
use crate::name::Name;
use crate::settings::{HookEvent, OnExpired, Rate};
use crate::slot::Slot;
use crate::time::{Step, Timestamp};

mod hooks;
mod world;

const HOURS: i64 = 3600;

fn strict_slot() -> Slot {
    let mut slot = plain_slot();
    slot.policy.budget = Some(budget(3, 3600));
    slot
}

fn named(name: &str) -> Name {
    Name::parse(name).unwrap()
}

// ---- exact numbers

#[test]
fn ten_hours_bring_one_access_token_every_fifty_nine_minutes_and_nothing_else() {
    let mut world = Virtual::new(10 * HOURS, hourly(&[]));
    world.run(&config(&[strict_slot()]));
    let expected: Vec<f64> = (0..11).map(|n| f64::from(n * 3540)).collect();
    assert_eq!(world.moments(), expected);
    assert_eq!((world.issued(), world.failed(), world.deliveries.len()), (11, 0, 11));
    assert_eq!(world.gap(), secs(0));
    assert_eq!(world.files[&sink_of("accounts")].generation, Generation(11));
    assert_eq!(world.published["accounts"], Some(Generation(11)));
}

#[test]
fn a_wall_clock_that_is_set_again_and_again_asks_for_nothing_more() {
    let mut world = Virtual::new(10 * HOURS, hourly(&[]));
    for (moment, seconds) in [(100, 3600), (3540, -3600), (3541, -86_400), (7000, 86_400), (20_000, 200_000_000)] {
        world.clock_steps.insert(at(moment), Step::between(at(0), at(seconds)));
    }
    // In the middle of a request.
    world.clock_steps.insert(at(7080) + std::time::Duration::from_millis(100), Step::between(at(0), at(-7200)));
    world.run(&config(&[strict_slot()]));
    let expected: Vec<f64> = (0..11).map(|n| f64::from(n * 3540)).collect();
    assert_eq!(world.moments(), expected);
    assert_eq!(world.gap(), secs(0));
    let told = world.files[&sink_of("accounts")].expires_at.moved(-world.offset);
    assert_eq!(told, at(35_400 + 3600), "the file says the present clock's time");
}

#[test]
fn a_restart_after_the_clock_was_set_asks_for_nothing() {
    for seconds in [3600, -3600, 86_400, -86_400] {
        let mut world = Virtual::new(1000, hourly(&[]));
        world.run(&config(&[strict_slot()]));
        world.offset = Step::between(at(0), at(seconds));
        world.end = at(3000);
        world.run(&config(&[strict_slot()]));
        assert_eq!((world.issued(), world.failed()), (1, 0));
    }
}

#[test]
fn an_outage_of_half_an_hour_costs_its_attempts_and_no_access_token() {
    let mut world = Virtual::new(10 * HOURS, hourly(&[(10_600, 12_400)]));
    world.run(&config(&[strict_slot()]));
    assert_eq!((world.issued(), world.failed(), world.deliveries.len()), (10, 45, 10));
    assert!(world.failed() <= 12 + 1800 / 30);
    let back = world.requests.iter().find(|request| request.issued && request.at >= at(12_400)).unwrap();
    assert!(back.at <= at(12_460), "within 60 s of its end");
    assert!(world.gap() >= secs(12_400 - 10_680), "{:?}", world.gap());
}

#[test]
fn a_lost_answer_is_asked_again_and_counted() {
    let provider: Provider = Box::new(|_, _, now| {
        let lost = (at(3540)..at(3545)).contains(&now);
        (secs(10), if lost { Reply::Lose(secs(3600)) } else { Reply::Issue(secs(3600)) })
    });
    let mut world = Virtual::new(2 * HOURS, provider);
    world.run(&config(&[strict_slot()]));
    let moments = world.moments();
    assert_eq!(moments.len(), 4, "{moments:?}");
    assert_eq!(moments[..2], [0.0, 3540.0]);
    assert!((3550.5..=3551.0).contains(&moments[2]), "after a second at most: {moments:?}");
    assert_eq!(world.gap(), secs(0));
}

#[test]
fn lost_answers_space_the_requests_once_they_reach_the_budget() {
    let provider: Provider = Box::new(|_, _, _| (secs(10), Reply::Lose(secs(3600))));
    let mut world = Virtual::new(HOURS, provider);
    world.run(&config(&[strict_slot()]));
    let moments = world.moments();
    let waits: Vec<f64> = moments.windows(2).map(|pair| ((pair[1] - pair[0]) * 1000.0).round() / 1000.0).collect();
    assert!(waits[0] < 12.0 && waits[1] < 13.0, "the first three go at the rhythm of failures: {waits:?}");
    assert_eq!(waits[2..], [60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 600.0, 600.0]);
}

#[test]
fn the_budget_stops_a_provider_whose_access_tokens_die_early() {
    let provider: Provider = Box::new(|_, _, _| (secs(0), Reply::Issue(secs(100))));
    let mut world = Virtual::new(2 * HOURS + 1, provider);
    world.run(&config(&[strict_slot()]));
    assert_eq!(world.moments(), [0.0, 90.0, 180.0, 3600.0, 3690.0, 3780.0, 7200.0]);
}

#[test]
fn the_same_token_again_costs_few_requests_and_no_delivery() {
    let provider: Provider = Box::new(|_, _, now| {
        let again = (at(1)..at(3595)).contains(&now);
        (secs(0), if again { Reply::Same } else { Reply::Issue(secs(3600)) })
    });
    let mut world = Virtual::new(HOURS, provider);
    world.run(&config(&[strict_slot()]));
    assert_eq!(world.moments(), [0.0, 3540.0, 3570.0, 3585.0, 3595.0]);
    assert_eq!(world.deliveries.len(), 2);
}

// ---- numbers that follow

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_gap_when_the_provider_answers_during_the_last_twenty_seconds(
        down in 0..3_540_000_i64, timeout in prop::sample::select(vec![0_u64, 500, 5_000, 10_000]), account in "[a-z]{1,8}",
    ) {
        let (from, to) = (at(0) + std::time::Duration::from_millis(down.unsigned_abs() + 500), at(3580));
        let provider: Provider = Box::new(move |_, _, now| {
            if (from..to).contains(&now) {
                return (std::time::Duration::from_millis(timeout), Reply::Fail(unreachable()));
            }
            (std::time::Duration::from_millis(200), Reply::Issue(secs(3600)))
        });
        let mut world = Virtual::new(2 * HOURS, provider);
        world.run(&config(&[shared_slot(&account, &[("accounts", &["a"])])]));
        prop_assert_eq!(world.gap(), secs(0));
    }

    #[test]
    fn no_gap_when_the_provider_answers_during_seventy_seconds_of_the_lead(
        up in 3420..3530_i64, timeout in 0..=10_u64, name in "[a-z]{1,8}",
    ) {
        let provider: Provider = Box::new(move |_, _, now| {
            let is_up = now < at(3000) || (at(up)..at(up + 70)).contains(&now);
            if is_up { (secs(0), Reply::Issue(secs(3600))) } else { (secs(timeout), Reply::Fail(unreachable())) }
        });
        let mut world = Virtual::new(3700, provider);
        world.run(&config(&[own_slot(&name)]));
        prop_assert_eq!(world.gap(), secs(0));
    }

    #[test]
    fn attempts_in_an_outage_and_the_wait_after_it_are_bounded(
        from in 0..3600_i64, length in 1..20_000_i64, timeout in 0..=10_u64, account in "[a-z]{1,8}",
    ) {
        let provider: Provider = Box::new(move |_, _, now| {
            let down = (at(from)..at(from + length)).contains(&now);
            if down { (secs(timeout), Reply::Fail(busy(503, None))) } else { (secs(0), Reply::Issue(secs(3600))) }
        });
        let mut world = Virtual::new(from + length + 4 * HOURS, provider);
        world.run(&config(&[shared_slot(&account, &[("accounts", &["a"])])]));
        prop_assert!(world.failed() <= 12 + usize::try_from(length).unwrap() / 30, "{} in {} s", world.failed(), length);
        let back = world.requests.iter().find(|request| request.issued && request.at >= at(from + length)).unwrap();
        let due = world.arrived.iter().rev().find(|(arrived, _)| *arrived < at(from + length));
        let due = due.map_or(START, |(_, expires_at)| *expires_at - secs(60));
        prop_assert!(back.at <= at(from + length).max(due) + secs(60 + timeout));
    }

    #[test]
    fn whatever_fails_the_laws_hold(faults in prop::collection::vec((0..7_u8, 1..2000_i64), 1..30), tokens in 1..4_usize) {
        let mut end = 0;
        let spans: Vec<(i64, u8)> = faults.iter().map(|&(kind, length)| { end += length; (end, kind) }).collect();
        let unwritable = spans.iter().filter(|(_, kind)| *kind == 6).map(|(to, _)| (at(to - 30), at(*to))).collect();
        let kind_at = move |now: Timestamp| spans.iter().find(|(to, _)| now < at(*to)).map_or(0, |(_, kind)| *kind);
        let fault_of_sink = kind_at.clone();
        let provider: Provider = Box::new(move |slot, _, now| match kind_at(now) {
            1 => (secs(0), Reply::Fail(unreachable())),
            2 => (secs(10), Reply::Lose(secs(600))),
            3 => (secs(1), Reply::Fail(refused("invalid_client"))),
            4 if slot.policy.exclusive => (secs(1), Reply::Fail(refused("invalid_scope"))),
            4 => (secs(1), Reply::Fail(busy(429, Some(100)))),
            _ => (secs(1), Reply::Issue(secs(600))),
        });
        let mut world = Virtual::new(end + HOURS, provider);
        world.sink_works = Box::new(move |_, now| fault_of_sink(now) != 5);
        world.unwritable = unwritable;
        let mut strict = strict_slot();
        strict.policy.budget = Some(budget(20, 3600));
        strict.tokens[0].on_expired = OnExpired::Remove;
        let mut slots: Vec<Slot> = (0..tokens).map(|n| own_slot(&format!("t{n}"))).collect();
        slots.push(strict);
        let slots: Vec<Slot> = slots.into_iter().map(hooked).collect();
        let keeper = world.run(&config(&slots));
        prop_assert!(keeper.is_ready());
        for slot in &slots {
            let generation = world.disk[&slot.identity].generation;
            prop_assert_eq!(world.files[&slot.tokens[0].sinks[0].id].generation, generation);
            let token = slot.tokens[0].name.as_str();
            let mut told: Vec<_> = world.hooks.iter().filter(|(_, name, ..)| name == token).map(|run| (run.3, run.2)).collect();
            // What came home after the end began is for the next start.
            let newest = told.iter().filter(|run| run.1 == HookEvent::Changed).map(|run| run.0.0).max();
            prop_assert!(newest >= Some(generation.0 - 1), "{:?}", told);
            let runs = told.len();
            told.sort_unstable();
            told.dedup();
            prop_assert_eq!(told.len(), runs, "once for each");
        }
    }
}

// ---- a restart asks for nothing (L4)

#[test]
fn killed_at_any_step_it_asks_for_nothing_that_it_holds() {
    let slots = config(&[strict_slot(), own_slot("nightly")]);
    let scenario = || {
        let mut world = Virtual::new(3 * HOURS, hourly(&[(3500, 3570)]));
        world.when(1800, Event::Refresh(named("accounts"), 1));
        world
    };
    let mut undisturbed = scenario();
    undisturbed.run(&slots);
    assert!(undisturbed.steps > 60);
    for step in 0..undisturbed.steps {
        let mut world = scenario();
        world.kill_at = Some(step);
        world.run(&slots);
        let lost = world.lost();
        world.kill_at = None;
        let keeper = world.run(&slots);
        let extra = world.issued().saturating_sub(undisturbed.issued());
        assert!(extra <= lost, "killed at step {step}: {extra} issued beyond, {lost} lost");
        assert!(keeper.is_ready(), "killed at step {step}");
    }
}

#[test]
fn started_ten_times_an_hour_it_asks_for_nothing_more() {
    let slots = config(&[strict_slot()]);
    let mut world = Virtual::new(0, hourly(&[]));
    for start in 1..=100 {
        world.end = at(360 * start);
        world.run(&slots);
    }
    assert_eq!(world.issued(), 11);
    assert_eq!(world.deliveries.len(), 11, "files are compared, not written again");
}

// ---- persist, then publish (L16)

#[test]
fn while_the_state_cannot_be_written_tokens_come_first_after_five_seconds() {
    let slots = config(&[strict_slot()]);
    for (length, delivered_at) in [(3, 3), (60, 5)] {
        let mut world = Virtual::new(HOURS, hourly(&[]));
        world.unwritable = vec![(at(0), at(length))];
        world.when(7, Event::Status(1));
        world.run(&slots);
        let (first, ..) = world.deliveries[0];
        assert!(at(delivered_at - 1) < first + secs(1) && first <= at(delivered_at + 1), "{first}");
        assert_eq!(world.statuses[0].state_writable, length == 3);
        assert!(world.lost() == 0, "everything is saved as soon as that works");
        assert_eq!(world.issued(), 2);
    }
}

#[test]
fn what_is_held_is_served_before_anything_new_is_saved() {
    let mut world = Virtual::new(100, hourly(&[]));
    world.run(&config(&[strict_slot()]));
    world.published.clear();
    world.unwritable = vec![(world.now, at(HOURS))];
    world.kill_at = Some(world.steps);
    world.run(&config(&[two_tokens()]));
    assert_eq!(world.published["accounts"], Some(Generation(1)), "although a wider union waits for its intention");
}

#[test]
fn an_answer_to_an_admin_waits_for_the_save() {
    let mut world = Virtual::new(HOURS, hourly(&[]));
    world.unwritable = vec![(Timestamp::from_millis(at(100).as_millis() + 100), at(103))];
    world.when(100, Event::Refresh(named("accounts"), 7));
    world.run(&config(&[strict_slot()]));
    let (moment, asker, text) = &world.answers[0];
    assert_eq!((*asker, text.as_str()), (7, "held 2"));
    assert!((at(103)..at(104)).contains(moment), "{moment}");
}

#[test]
fn stopped_while_the_state_cannot_be_written_it_asks_for_nothing_more() {
    let mut world = Virtual::new(HOURS, hourly(&[]));
    world.unwritable = vec![(at(0), at(60))];
    world.when(2, Event::Stop);
    world.run(&config(&[strict_slot()]));
    assert_eq!(world.requests.len(), 0);
    assert!(world.now <= at(8), "and does not wait for the state for ever");
}

// ---- admins

#[test]
fn a_refresh_is_answered_when_it_is_decided() {
    let mut world = Virtual::new(HOURS, hourly(&[(300, 310)]));
    world.when(100, Event::Refresh(named("accounts"), 1));
    world.when(100, Event::Refresh(named("accounts"), 2));
    world.when(200, Event::Refresh(named("accounts"), 3));
    world.when(300, Event::Refresh(named("nightly"), 4));
    world.when(400, Event::Refresh(named("nobody"), 5));
    world.run(&config(&[strict_slot(), own_slot("nightly")]));
    let texts: Vec<(u64, &str)> = world.answers.iter().map(|(_, asker, text)| (*asker, text.as_str())).collect();
    let expected =
        [(1, "held 2"), (2, "held 2"), (3, "not before 3600"), (4, "failed: connection refused"), (5, "abandoned")];
    assert_eq!(texts, expected);
}

#[test]
fn a_refresh_that_brings_a_dead_access_token_is_answered_as_a_failure() {
    let provider: Provider =
        Box::new(|_, _, now| (secs(1), Reply::Issue(if now < at(50) { secs(3600) } else { secs(1) })));
    let mut world = Virtual::new(60, provider);
    world.when(50, Event::Refresh(named("accounts"), 1));
    world.run(&config(&[plain_slot()]));
    assert_eq!(world.answers[0].2, "failed: the access token had expired before it arrived");
}

#[test]
fn with_a_budget_of_one_a_refresh_is_told_when_the_renewal_comes() {
    let mut slot = plain_slot();
    slot.policy.budget = Some(budget(1, 3600));
    let mut world = Virtual::new(HOURS, hourly(&[]));
    world.when(100, Event::Refresh(named("accounts"), 1));
    world.run(&config(&[slot]));
    assert_eq!(world.answers[0].2, "not before 3600");
}

// ---- readers

#[test]
fn what_an_api_refused_is_asked_for_until_it_comes() {
    let mut world = Virtual::new(600, hourly(&[(300, 400)]));
    world.when(350, Event::Invalidate(named("nightly"), Generation(1), 1));
    world.when(355, Event::Invalidate(named("nightly"), Generation(1), 2));
    world.when(380, Event::Invalidate(named("nightly"), Generation(9), 3));
    world.when(500, Event::Invalidate(named("nobody"), Generation(1), 4));
    world.run(&config(&[own_slot("nightly")]));
    let texts: Vec<(u64, &str)> = world.answers.iter().map(|(_, asker, text)| (*asker, text.as_str())).collect();
    assert_eq!(texts, [(1, "accepted"), (2, "accepted"), (3, "not held, but 1"), (4, "abandoned")]);
    assert_eq!(world.published["nightly"], Some(Generation(2)));
}

#[test]
fn a_longer_life_brings_one_request_and_none_where_the_slot_is_exclusive() {
    let mut world = Virtual::new(2100, hourly(&[]));
    for (asker, name) in [(0, "nightly"), (1, "accounts"), (2, "nightly"), (3, "accounts")] {
        world.when(1990, Event::WantLonger(named(name), secs(1800), asker));
    }
    world.run(&config(&[strict_slot(), own_slot("nightly")]));
    assert_eq!(world.published["nightly"], Some(Generation(2)));
    assert_eq!(world.published["accounts"], Some(Generation(1)));
    assert_eq!(world.answers[1].2, "not before 3540", "an exclusive one waits for its renewal");
}

// ---- another configuration (L1, L17)

fn two_tokens() -> Slot {
    let mut slot = shared_slot("bank", &[("accounts", &["a"]), ("payments", &["b"])]);
    slot.policy.budget = Some(budget(3, 3600));
    slot
}

#[test]
fn a_wider_union_is_asked_for_once_and_then_all_sinks_hold_one_generation() {
    let mut world = Virtual::new(2 * HOURS, hourly(&[]));
    world.when(1000, Event::Reload(config(&[two_tokens()])));
    world.run(&config(&[strict_slot()]));
    assert_eq!(world.moments(), [0.0, 1000.0, 4540.0]);
    assert_eq!(world.files[&sink_of("accounts")], world.files[&sink_of("payments")]);
}

#[test]
fn a_narrower_union_issues_nothing_and_withdraws_three_seconds_later() {
    let mut world = Virtual::new(HOURS - 100, hourly(&[]));
    world.when(1000, Event::Reload(config(&[strict_slot()])));
    world.run(&config(&[two_tokens()]));
    assert_eq!(world.issued(), 1);
    assert_eq!(world.withdrawals, [(at(1003), sink_of("payments"))]);
}

#[test]
fn an_edit_taken_back_in_time_withdraws_and_issues_nothing() {
    let (both, none) = (config(&[two_tokens(), own_slot("x")]), config(&[own_slot("x")]));
    let mut world = Virtual::new(3000, hourly(&[]));
    world.when(1000, Event::Reload(Arc::clone(&none)));
    world.when(1002, Event::Reload(Arc::clone(&both)));
    world.when(2000, Event::Reload(none));
    world.when(2600, Event::Reload(Arc::clone(&both)));
    world.run(&both);
    assert_eq!(world.issued(), 2, "one for each slot");
    let expected = BTreeSet::from(["accounts", "payments"].map(|name| (at(2003), sink_of(name))));
    assert_eq!(world.withdrawals.len(), 2, "each once");
    let withdrawn: BTreeSet<_> = world.withdrawals.iter().cloned().collect();
    assert_eq!(withdrawn, expected, "only what was still gone after three seconds");
    assert_eq!(world.deliveries.len(), 5, "and brought back with what is held");
}

#[test]
fn a_departed_slot_is_forgotten_when_token_and_budget_have_run_out() {
    let mut world = Virtual::new(32 * 24 * HOURS, hourly(&[]));
    world.when(100, Event::Reload(config(&[own_slot("x")])));
    let departed = strict_slot();
    world.run(&config(&[departed.clone(), own_slot("x")]));
    assert!(!world.disk.contains_key(&departed.identity));
    assert_eq!(world.requests.iter().filter(|request| request.identity == departed.identity).count(), 1);
}

#[test]
fn a_union_refused_once_is_tried_again_by_every_edit_of_its_slot_and_serves_what_it_has() {
    let provider: Provider = Box::new(|_, ask, _| {
        let refuse = ask.scopes.len() > 1;
        (secs(0), if refuse { Reply::Fail(refused("invalid_scope")) } else { Reply::Issue(secs(3600)) })
    });
    let mut world = Virtual::new(2 * HOURS, provider);
    world.when(1000, Event::Reload(config(&[two_tokens()])));
    let mut edited = two_tokens();
    edited.tokens[0].on_expired = OnExpired::Remove;
    world.when(1500, Event::Reload(config(std::slice::from_ref(&edited))));
    world.when(1501, Event::Status(1));
    world.when(1600, Event::Reload(config(&[edited])));
    world.run(&config(&[strict_slot()]));
    assert_eq!(world.moments(), [0.0, 1000.0, 1500.0, 3540.0, 7080.0]);
    assert_eq!(world.published["payments"], None);
    assert_eq!(world.published["accounts"], Some(Generation(3)));
    assert_eq!(
        world.statuses[0].reasons,
        [
            "payments (bank/corporate): the access token held does not have b: the provider refused it (invalid_scope); `tokend refresh payments` asks again"
        ]
    );
}

#[test]
fn a_partial_grant_is_not_asked_for_again_by_a_reload() {
    let provider: Provider = Box::new(|_, _, _| (secs(0), Reply::Grant(secs(3600), words(&["a"]))));
    let mut world = Virtual::new(2 * HOURS, provider);
    world.when(1000, Event::Reload(config(&[two_tokens()])));
    world.run(&config(&[two_tokens()]));
    assert_eq!(world.moments(), [0.0, 3540.0, 7080.0]);
    assert!(!world.files.contains_key(&sink_of("payments")));
}

#[test]
fn a_slot_that_leaves_answers_its_askers_and_forgets_their_wish() {
    let slow: Provider = Box::new(|slot, _, _| {
        let after = if slot.tokens[0].name.as_str() == "accounts" { secs(0) } else { secs(30) };
        (after, Reply::Issue(secs(3600)))
    });
    let crowd: Vec<Slot> = (0..8).map(|n| own_slot(&format!("t{n}"))).collect();
    let mut all = crowd.clone();
    all.push(plain_slot());
    let mut world = Virtual::new(HOURS / 2, slow);
    world.when(100, Event::Reload(config(&[vec![plain_slot()], crowd.clone()].concat())));
    for n in 0..8 {
        world.when(200, Event::Refresh(named(&format!("t{n}")), n));
    }
    world.when(201, Event::Refresh(named("accounts"), 100));
    world.when(202, Event::Reload(config(&crowd)));
    world.when(300, Event::Reload(config(&all)));
    world.run(&config(&all));
    assert!(world.answers.contains(&(at(202), 100, "abandoned".into())), "{:?}", world.answers);
    let asked = world.requests.iter().filter(|request| request.identity == plain_slot().identity).count();
    assert_eq!(asked, 1, "taking the edit back issues nothing");
}

// ---- many at a time (L12)

#[test]
fn eight_at_a_time_and_the_nearest_expiry_first() {
    let provider: Provider = Box::new(|slot, _, _| {
        let number: u64 = slot.tokens[0].name.as_str()[1..].parse().unwrap();
        (secs(1), Reply::Issue(secs(86_400 - number)))
    });
    let slots: Vec<Slot> = (0..40).map(|n| own_slot(&format!("t{n}"))).collect();
    let mut world = Virtual::new(100, provider);
    world.run(&config(&slots));
    for second in 0..5 {
        assert_eq!(world.requests.iter().filter(|request| request.at == at(second)).count(), 8, "at {second} s");
    }
    // All are due by now, or have expired: they go in the order in which they expire.
    for resumed in [86_300, 2 * 86_400] {
        world.requests.clear();
        world.now = at(resumed);
        world.end = at(resumed + 20);
        let expiry: std::collections::BTreeMap<_, _> =
            world.disk.values().map(|e| (e.identity.clone(), e.access_token.as_ref().unwrap().expires_at)).collect();
        world.run(&config(&slots));
        let mut order: Vec<_> = world.requests.iter().map(|request| (request.at, expiry[&request.identity])).collect();
        order.sort(); // Those who leave at one moment leave together.
        assert_eq!(order.len(), 40);
        assert!(order.iter().map(|(_, expiry)| expiry).is_sorted(), "{order:?}");
    }
}

#[test]
fn a_rate_bounds_the_endpoint_and_once_waits_for_it() {
    let provider: Provider = Box::new(|_, _, _| (secs(0), Reply::Issue(secs(86_400))));
    let slots: Vec<Slot> = (0..30)
        .map(|n| {
            let mut slot = own_slot(&format!("t{n}"));
            Arc::make_mut(&mut slot.provider).rate = Some(Rate { requests: 3, per: secs(1) });
            slot
        })
        .collect();
    let mut world = Virtual::new(100, provider);
    world.run_until(&config(&slots), Until::Quiet);
    let moments = world.moments();
    assert_eq!(moments.len(), 30);
    assert!(moments.windows(4).all(|four| four[3] - four[0] >= 1.0), "{moments:?}");
    assert_eq!(world.now.since(START).as_secs(), 9);
}

#[test]
fn too_many_requests_holds_back_the_account_and_a_busy_endpoint_everyone() {
    for (failure, held) in [(busy(429, Some(50)), vec!["x"]), (busy(503, Some(50)), vec!["x", "other"])] {
        let provider: Provider = Box::new(move |slot, _, now| {
            let fails = now == START && slot.tokens[0].name.as_str() == "first";
            (secs(1), if fails { Reply::Fail(failure.clone()) } else { Reply::Issue(secs(3600)) })
        });
        let mut world = Virtual::new(100, provider);
        let first = config(&[own_slot("first")]);
        let other = shared_slot("otherbank", &[("other", &[])]);
        world.when(10, Event::Reload(config(&[own_slot("first"), own_slot("x"), other])));
        world.when(20, Event::Refresh(named("x"), 1));
        world.run(&first);
        for name in ["x", "other"] {
            let first_delivery = world.deliveries.iter().find(|(_, sink, _)| *sink == sink_of(name)).unwrap().0;
            let expected = if held.contains(&name) { at(52) } else { at(11) };
            assert_eq!(first_delivery, expected, "{name}");
        }
        assert_eq!(world.answers[0].2, "not before 51");
    }
}

// ---- once

#[test]
fn once_tries_everything_and_ends() {
    let mut world = Virtual::new(HOURS, hourly(&[]));
    let keeper = world.run_until(&config(&[strict_slot(), own_slot("x")]), Until::Quiet);
    assert!(keeper.is_ready());
    assert_eq!((world.issued(), world.deliveries.len()), (2, 2));
    assert!(world.now < at(5) && world.lost() == 0);
    let mut world = Virtual::new(HOURS, hourly(&[(0, HOURS)]));
    let keeper = world.run_until(&config(&[strict_slot()]), Until::Quiet);
    assert!(!keeper.is_ready());
    assert_eq!(world.requests.len(), 1);
}
