//! What is known before, what came about, what is known after: the specification of `record`.

use std::collections::BTreeSet;

use crate::access_token::{Generation, Issued};
use crate::fixtures::*;
use crate::plan::next_issue;
use crate::record::again::*;
use crate::record::*;
use crate::settings::{Persist, Provider};

const AN_HOUR: Duration = Duration::from_hours(1);

/// When the next request leaves.
fn next(slot: &Slot, entry: &Entry, now: Timestamp) -> Timestamp {
    next_issue(slot, entry, now).0.max(now)
}

/// Fails as soon as it may, `count` times from `now` on; how long each wait was, in seconds.
fn waits(slot: &Slot, entry: &mut Entry, failure: &Failure, count: usize, mut now: Timestamp) -> Vec<f64> {
    let mut waits = Vec::new();
    for _ in 0..count {
        answer(slot, entry, Err(failure.clone()), now);
        let then = next(slot, entry, now);
        waits.push(then.since(now).as_secs_f64());
        now = then;
    }
    waits
}

fn nothing_known(slot: &Slot) -> Entry {
    Entry::new(slot.identity.clone())
}

// ---- when it fails (L11)

#[test]
fn unreachable_is_tried_again_after_a_second_doubling_to_a_minute_shortened_by_up_to_half() {
    let slot = plain_slot();
    for failure in [unreachable(), busy(503, None), busy(429, None), Failure::NotReady("no secret".into())] {
        let waits = waits(&slot, &mut nothing_known(&slot), &failure, 9, at(0));
        for (wait, whole) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
            assert!((whole / 2.0..=whole).contains(wait), "{wait} of {whole}");
        }
        assert!(waits.iter().zip([1.0, 2.0, 4.0, 8.0]).any(|(wait, whole)| *wait < whole * 0.95), "{waits:?}");
    }
}

#[test]
fn refused_is_tried_again_after_five_seconds_twenty_and_a_minute_doubling_to_an_hour() {
    let slot = plain_slot();
    let waits = waits(&slot, &mut nothing_known(&slot), &refused("unauthorized_client"), 11, at(0));
    assert_eq!(waits, [5.0, 20.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0]);
}

#[test]
fn nothing_is_asked_before_retry_after_which_is_believed_up_to_an_hour() {
    let slot = plain_slot();
    for (said, waited) in [(30, 30.0), (3600, 3600.0), (86_400, 3600.0)] {
        let mut entry = delivered(&slot, at(0), AN_HOUR);
        answer(&slot, &mut entry, Err(busy(503, Some(said))), at(3540));
        assert_eq!(next(&slot, &entry, at(3540)).since(at(3540)).as_secs_f64(), waited);
    }
    let mut entry = nothing_known(&slot);
    let short = waits(&slot, &mut entry, &busy(503, Some(1)), 6, at(0));
    assert!(short[5] > 15.0, "our own rhythm stays: {short:?}");
}

#[test]
fn a_refusal_with_retry_after_is_not_asked_again_before_it_whatever_happens_meanwhile() {
    let patient = |code: &str| {
        let Failure::Refused(refusal) = refused(code) else { panic!("a refusal") };
        Failure::Refused(Refusal { retry_after: Some(secs(300)), ..refusal })
    };
    let mut slot = plain_slot();
    slot.provider = Arc::new(provider_with_secrets("bank", 2));
    for code in ["unauthorized_client", "invalid_client"] {
        let mut entry = nothing_known(&slot);
        answer(&slot, &mut entry, Err(patient(code)), at(0));
        assert_eq!(next(&slot, &entry, at(0)), at(300), "{code}, also for the next secret");
        try_refused_again(&mut entry, at(10));
        assert_eq!(next(&slot, &entry, at(10)), at(300), "{code}, also when the configuration changed");
    }
    let mut entry = nothing_known(&slot);
    waits(&slot, &mut entry, &patient("access_denied"), 5, at(0));
    assert_eq!(waits(&slot, &mut entry, &patient("access_denied"), 1, at(9999)), [480.0], "our own rhythm stays");
}

#[test]
fn with_a_valid_token_no_wait_of_ours_is_longer_than_half_of_what_is_left_or_five_seconds() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), AN_HOUR);
    entry.standing = Standing::Failing(Retry {
        failure: unreachable(),
        attempts: Attempts { unreachable: 50, refused: 50, hurried: 0 },
        since: at(0),
        not_before: at(0),
        asked_until: None,
    });
    let longest = |failure: Failure, left: i64| {
        let mut entry = entry.clone();
        answer(&slot, &mut entry, Err(failure), at(3600 - left));
        next(&slot, &entry, at(3600 - left)).since(at(3600 - left)).as_secs_f64()
    };
    for (left, wait) in [(50, 25.0), (20, 10.0), (10, 5.0), (6, 5.0), (1, 5.0)] {
        assert_eq!(longest(refused("invalid_grant"), left), wait, "{left} s left");
        assert!(longest(unreachable(), left) <= wait, "{left} s left");
    }
    assert_eq!(longest(refused("invalid_grant"), 0), 3600.0, "without a valid token the rhythm goes on");
}

#[test]
fn attempts_that_were_hurried_by_the_end_of_the_token_lengthen_no_wait_after_it() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), AN_HOUR);
    let hurried = waits(&slot, &mut entry, &refused("invalid_client"), 8, at(3540));
    assert_eq!(hurried, [5.0, 20.0, 17.5, 8.75, 5.0, 5.0, 60.0, 120.0]);
}

#[test]
fn a_provider_that_changes_its_mind_gets_no_new_rhythm() {
    let slot = plain_slot();
    let mut entry = nothing_known(&slot);
    waits(&slot, &mut entry, &unreachable(), 6, at(0));
    waits(&slot, &mut entry, &refused("access_denied"), 3, at(100));
    assert!(waits(&slot, &mut entry, &unreachable(), 1, at(1000))[0] >= 30.0);
    assert_eq!(waits(&slot, &mut entry, &refused("access_denied"), 1, at(2000)), [120.0]);
    let Standing::Failing(retry) = &entry.standing else { panic!("it is failing") };
    assert_eq!(retry.since, at(0));
    grant(&slot, &mut entry, at(3000), AN_HOUR);
    assert_eq!(waits(&slot, &mut entry, &refused("access_denied"), 1, at(6540)), [5.0], "success ends it");
}

#[test]
fn another_configuration_wakes_what_was_refused_and_not_what_was_asked_for_patience() {
    let slot = plain_slot();
    let mut entry = nothing_known(&slot);
    waits(&slot, &mut entry, &refused("unauthorized_client"), 5, at(0));
    try_refused_again(&mut entry, at(1000));
    assert_eq!(next(&slot, &entry, at(1000)), at(1000));
    waits(&slot, &mut entry, &Failure::NotReady("the secret's file is missing".into()), 9, at(1000));
    try_refused_again(&mut entry, at(1001));
    assert_eq!(next(&slot, &entry, at(1001)), at(1001));
    answer(&slot, &mut entry, Err(busy(429, Some(300))), at(1001));
    try_refused_again(&mut entry, at(1002));
    assert_eq!(next(&slot, &entry, at(1002)), at(1301));
}

#[test]
fn secrets_that_cannot_be_read_are_passed_over_and_refused_ones_are_not_shown_again_sooner_for_that() {
    let mut slot = plain_slot();
    slot.provider = Arc::new(provider_with_secrets("bank", 3));
    let mut entry = nothing_known(&slot);
    for wait in [5, 20, 60] {
        assert_eq!(next_ask(&slot, &entry, at(0)).secret_choice, 0);
        // The second cannot be read, and the third was used.
        let ask = Ask { secret_choice: 2, refused: 2, ..next_ask(&slot, &entry, at(0)) };
        let result = JobResult::Issued { ask, asked_at: at(0), answer: Err(refused("invalid_client")) };
        record(&slot, &mut entry, result, at(0));
        assert_eq!(entry.secret.refused, 0, "none is left");
        assert!(matches!(&entry.standing, Standing::Failing(retry) if retry.not_before == at(wait)), "{entry:?}");
    }
}

#[test]
fn what_cannot_be_read_is_looked_for_and_what_was_refused_is_shown_in_its_own_rhythm() {
    let mut slot = plain_slot();
    slot.provider = Arc::new(provider_with_secrets("bank", 2));
    let no_file = Failure::NotReady("there is no such file".into());
    let (mut entry, mut now) = (nothing_known(&slot), at(0));
    let (mut shown, mut looked) = (Vec::new(), Vec::new());
    while now < at(400) {
        let is_second = next_ask(&slot, &entry, now).secret_choice == 1;
        if is_second {
            looked.push(now);
        } else {
            shown.push(now);
        }
        let failure = if is_second { no_file.clone() } else { refused("invalid_client") };
        answer(&slot, &mut entry, Err(failure), now);
        now = next(&slot, &entry, now);
    }
    let gaps = |moments: &[Timestamp]| moments.windows(2).map(|two| two[1].since(two[0])).collect::<Vec<_>>();
    let waits = gaps(&shown);
    for (wait, least) in waits.iter().zip([5, 20, 60, 120]) {
        assert!(*wait >= secs(least) && *wait <= secs(least + 60), "{waits:?}");
    }
    assert!(waits.len() >= 3 && gaps(&looked).iter().all(|gap| *gap <= secs(60)), "{waits:?} {looked:?}");
    let Standing::Failing(retry) = &entry.standing else { panic!("{entry:?}") };
    assert_eq!(retry.failure.to_string(), "there is no such file; what can be read of its list was refused");
}

#[test]
fn refused_credentials_try_the_next_secret_at_once_and_the_one_that_worked_last_first() {
    let mut slot = plain_slot();
    slot.provider = Arc::new(provider_with_secrets("bank", 3));
    let mut entry = nothing_known(&slot);
    let choice = |entry: &Entry| next_ask(&slot, entry, at(9999)).secret_choice;
    for (expected, wait) in [(0, 0.0), (1, 0.0), (2, 5.0), (0, 0.0), (1, 0.0), (2, 20.0), (0, 0.0)] {
        assert_eq!(choice(&entry), expected);
        assert_eq!(waits(&slot, &mut entry, &refused("invalid_client"), 1, at(0)), [wait], "after secret {expected}");
    }
    assert_eq!(choice(&entry), 1);
    grant(&slot, &mut entry, at(1), AN_HOUR);
    for expected in [1, 2, 0, 1] {
        assert_eq!(choice(&entry), expected);
        answer(&slot, &mut entry, Err(refused("invalid_client")), at(3540));
    }
    try_refused_again(&mut entry, at(3541));
    assert_eq!(choice(&entry), 1, "another configuration begins with the one that worked");
    answer(&slot, &mut entry, Err(refused("invalid_grant")), at(3541));
    assert_eq!(choice(&entry), 1, "what is not about credentials tries no other");
}

#[test]
fn a_forced_refresh_stays_forced_while_its_secrets_are_tried() {
    let mut slot = plain_slot();
    slot.provider = Arc::new(Provider { ..provider_with_secrets("bank", 2) });
    let mut entry = delivered(&slot, at(0), AN_HOUR);
    entry.forced = true;
    answer(&slot, &mut entry, Err(refused("invalid_client")), at(10));
    assert_eq!(next(&slot, &entry, at(10)), at(10));
    answer(&slot, &mut entry, Err(refused("invalid_client")), at(10));
    assert_eq!(next(&slot, &entry, at(10)), at(3540), "in vain: the renewal comes when it is due");
}

#[test]
fn a_failing_refresh_takes_nothing_from_anyone() {
    let slot = plain_slot();
    let before = delivered(&slot, at(0), AN_HOUR);
    for failure in [unreachable(), lost(), busy(500, None), refused("invalid_client"), refused("invalid_scope")] {
        let mut entry = before.clone();
        answer(&slot, &mut entry, Err(failure), at(3550));
        let (held, was) = (entry.live(at(3599)).unwrap(), before.access_token.as_ref().unwrap());
        assert!(held.secret.same_as(&was.secret) && held.expires_at == was.expires_at);
        let receipt = &entry.receipts[&sink_of("accounts")];
        assert!(receipt.verified && receipt.held == before.receipts[&sink_of("accounts")].held);
    }
}

// ---- what was issued (L5)

#[test]
fn what_counts_as_issued_as_possibly_issued_and_as_neither() {
    let slot = plain_slot();
    let after = |result: Result<Issued, Failure>| {
        let mut entry = nothing_known(&slot);
        answer(&slot, &mut entry, result, at(0));
        entry.issues.iter().map(|issue| issue.kind).collect::<Vec<_>>()
    };
    assert_eq!(after(Ok(issued("x", at(0), AN_HOUR))), [IssueKind::Issued]);
    assert_eq!(after(Ok(issued("x", at(-10), secs(10)))), [IssueKind::Issued], "dead on arrival");
    assert_eq!(after(Err(lost())), [IssueKind::Possibly]);
    assert_eq!(after(Err(Failure::Malformed("not JSON".into()))), [IssueKind::Possibly]);
    for failure in [unreachable(), busy(302, None), busy(503, None), refused("invalid_client")] {
        assert_eq!(after(Err(failure)), []);
    }
    assert_eq!(after(Err(Failure::NotReady("no secret".into()))), []);
}

#[test]
fn an_issue_counts_from_when_it_arrived_so_that_the_provider_never_counts_more() {
    let mut slot = plain_slot();
    slot.policy.budget = Some(budget(1, 3600));
    let mut entry = nothing_known(&slot);
    let ask = next_ask(&slot, &entry, at(0));
    let answer = Ok(issued("x", at(0), secs(60)));
    record(&slot, &mut entry, JobResult::Issued { ask, asked_at: at(0), answer }, at(8));
    assert_eq!(next(&slot, &entry, at(60)), at(3608));
}

#[test]
fn issues_are_forgotten_when_no_budget_counts_them() {
    let mut slot = plain_slot();
    slot.policy.budget = Some(budget(3, 7200));
    let mut entry = nothing_known(&slot);
    for hour in 0..10 {
        grant(&slot, &mut entry, at(3600 * hour), AN_HOUR);
    }
    assert_eq!(entry.issues.len(), 2);
}

#[test]
fn a_request_is_noted_before_it_leaves_and_the_note_ends_with_its_answer() {
    let slot = plain_slot();
    for result in [Ok(issued("x", at(0), AN_HOUR)), Err(unreachable()), Err(lost())] {
        let mut entry = nothing_known(&slot);
        let ask = next_ask(&slot, &entry, at(0));
        assert_eq!(begin(&mut entry, &ask, at(0)), Durability::Now);
        assert_eq!(entry.intention, Some(Intention { at: at(0), ask: ask.clone() }));
        let durability = if result.is_ok() { Durability::Token } else { Durability::Now };
        let result = JobResult::Issued { ask, asked_at: at(0), answer: result };
        assert_eq!(record(&slot, &mut entry, result, at(1)), durability);
        assert_eq!(entry.intention, None);
    }
}

#[test]
fn a_start_forgets_an_admins_wish_and_asks_every_sink() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), AN_HOUR);
    fail_delivery(&slot, &mut entry, "accounts", at(1));
    entry.forced = true;
    adopt_stored(&mut entry);
    let receipt = &entry.receipts[&sink_of("accounts")];
    assert!(!entry.forced && !receipt.verified && receipt.retry.is_none());
    assert_eq!(receipt.held.map(|held| held.generation), Some(Generation(1)), "our own file is known again");
    assert!(!entry.recalled, "and what they hold is counted on from");
}

// ---- the same token again (L8)

#[test]
fn the_same_token_again_is_asked_for_when_half_of_what_is_left_has_passed() {
    let table: &[(u64, &[i64])] = &[
        (3600, &[3240, 3420, 3510, 3555, 3577, 3588, 3598, 3600]),
        (300, &[240, 270, 285, 295, 300]),
        (60, &[30, 45, 55, 60]),
        (12, &[6, 12]),
    ];
    let mut slot = own_slot("x");
    for (lifetime, moments) in table {
        slot.policy.lead = Some(secs(lifetime / 10).max(secs(60)));
        let expires_at = at(0) + secs(*lifetime);
        let mut entry = delivered(&slot, at(0), secs(*lifetime));
        let share = next(&slot, &entry, at(1)).since(at(0));
        let mut asked = vec![];
        let mut now = at(moments[0]);
        assert!(share >= secs(u64::try_from(moments[0]).unwrap()));
        while now < expires_at && asked.len() < 50 {
            asked.push(now.since(at(0)).as_secs());
            let same = Issued { expires_at, ..issued("x", now, secs(1)) };
            let secret = entry.access_token.as_ref().unwrap().secret.clone();
            answer(&slot, &mut entry, Ok(Issued { secret, ..same }), now);
            now = next(&slot, &entry, now).min(expires_at);
        }
        asked.push(now.since(at(0)).as_secs());
        let moments: Vec<u64> = moments.iter().map(|moment| u64::try_from(*moment).unwrap()).collect();
        assert_eq!(asked, moments, "a lifetime of {lifetime} s");
        assert_eq!(entry.generation, Generation(1));
        assert_eq!(entry.issues.len(), 1, "nothing was issued again");
        assert_eq!(next(&slot, &entry, expires_at), expires_at, "expired: at once");
    }
}

fn same_again(entry: &Entry, now: Timestamp) -> Issued {
    let held = entry.access_token.as_ref().unwrap();
    Issued { secret: held.secret.clone(), expires_at: held.expires_at, ..issued("x", now, AN_HOUR) }
}

#[test]
fn the_same_token_after_a_forced_refresh_brings_no_request_before_the_lead() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), AN_HOUR);
    entry.forced = true;
    let same = same_again(&entry, at(10));
    answer(&slot, &mut entry, Ok(same), at(10));
    assert_eq!(next(&slot, &entry, at(10)), at(3540));
}

#[test]
fn the_same_token_for_a_wider_union_is_never_a_loop() {
    let mut entry = delivered(&plain_slot(), at(0), AN_HOUR);
    let wide = shared_slot("bank", &[("accounts", &["a"]), ("payments", &["b"])]);
    let same = Issued { scopes: Some(words(&["a"])), ..same_again(&entry, at(10)) };
    let mut silent = entry.clone();
    answer(&wide, &mut entry, Ok(same), at(10));
    assert_eq!(next(&wide, &entry, at(10)), at(3540), "the provider says that it did not become wider");
    let same = same_again(&silent, at(10));
    answer(&wide, &mut silent, Ok(same), at(10));
    assert_eq!(next(&wide, &silent, at(10)), at(3540));
    assert!(silent.live(at(10)).unwrap().covers(&wide.scopes), "silence says: as asked");
}

#[test]
fn the_same_token_with_an_earlier_end_ends_earlier_and_a_later_end_is_not_believed() {
    let slot = plain_slot();
    for (end, expected) in [(3580, 3580), (9999, 3600)] {
        let mut entry = delivered(&slot, at(0), AN_HOUR);
        let same = Issued { expires_at: at(end), ..same_again(&entry, at(3540)) };
        answer(&slot, &mut entry, Ok(same), at(3540));
        assert_eq!(entry.access_token.unwrap().expires_at, at(expected));
    }
}

#[test]
fn the_same_token_after_its_end_lives_on_and_is_no_new_one() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), AN_HOUR);
    let generation = entry.generation;
    let same = Issued { expires_at: at(7200), ..same_again(&entry, at(3600)) };
    answer(&slot, &mut entry, Ok(same), at(3600));
    let live = entry.live(at(3600)).unwrap();
    assert_eq!((live.generation, live.expires_at, entry.issues.len()), (generation, at(7200), 0));
    assert!(entry.receipts.values().all(|receipt| receipt.restate), "files that say when it ends say it anew");
    assert_eq!(next(&slot, &entry, at(3600)), at(7140), "and the lead is that of a new one");
}

#[test]
fn the_same_token_after_its_end_for_seconds_is_a_new_one_so_that_it_is_no_loop() {
    let slot = plain_slot();
    for (life, issues) in [(20, 0), (19, 1)] {
        let mut entry = delivered(&slot, at(0), AN_HOUR);
        let same = Issued { expires_at: at(3600 + life), ..same_again(&entry, at(3600)) };
        answer(&slot, &mut entry, Ok(same), at(3600));
        assert_eq!(entry.issues.len(), issues, "{life}");
    }
}

#[test]
fn the_same_token_said_to_be_expired_is_a_failure_and_stays_held() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), AN_HOUR);
    let same = Issued { expires_at: at(3500), ..same_again(&entry, at(3540)) };
    answer(&slot, &mut entry, Ok(same), at(3540));
    assert!(matches!(entry.standing, Standing::Failing(_)));
    assert!(entry.live(at(3599)).is_some());
    assert_eq!(entry.issues.len(), 1);
}

// ---- sinks (L15)

#[test]
fn a_sink_that_fails_is_tried_again_in_its_own_rhythm_and_success_ends_it() {
    let slot = shared_slot("bank", &[("accounts", &["a"]), ("payments", &["b"])]);
    let mut entry = granted(&slot, at(0), AN_HOUR);
    let mut now = at(0);
    for whole in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        fail_delivery(&slot, &mut entry, "accounts", now);
        fail_delivery(&slot, &mut entry, "payments", now);
        let until = |name| entry.receipts[&sink_of(name)].retry.as_ref().unwrap().not_before;
        let wait = until("accounts").since(now).as_secs_f64();
        assert!((whole / 2.0..=whole).contains(&wait), "{wait} of {whole}");
        assert_ne!(until("accounts"), until("payments"), "not all at one moment");
        now = until("accounts").max(until("payments"));
    }
    deliver(&slot, &mut entry, "accounts", now);
    assert_eq!(entry.receipts[&sink_of("accounts")].retry, None);
    assert!(entry.receipts[&sink_of("payments")].retry.is_some());
}

#[test]
fn a_receipt_is_worth_a_save_only_when_the_content_changed() {
    let slot = plain_slot();
    let mut entry = granted(&slot, at(0), AN_HOUR);
    let mut deliver = |fingerprint: u8| {
        let result = Ok(crate::job::Delivered { written: true, fingerprint: [fingerprint; 16] });
        let (generation, expires_at) = (Generation(1), at(3600));
        record(
            &slot,
            &mut entry,
            JobResult::Delivered { sink: sink_of("accounts"), generation, expires_at, result },
            at(0),
        )
    };
    assert_eq!([deliver(1), deliver(1), deliver(2)], [Durability::Lazy, Durability::None, Durability::Lazy]);
}

#[test]
fn what_a_sink_was_seen_to_hold_is_not_brought_again() {
    let slot = plain_slot();
    for written in [true, false] {
        let mut entry = granted(&slot, at(0), AN_HOUR);
        let (generation, expires_at) = (Generation(1), at(3600));
        let result = Ok(crate::job::Delivered { written, fingerprint: [1; 16] });
        let delivered = JobResult::Delivered { sink: sink_of("accounts"), generation, expires_at, result };
        record(&slot, &mut entry, delivered, at(0));
        for moment in [0, 1, 1800, 3539] {
            let plan = crate::plan::plan(&slot, &entry, &BTreeSet::new(), at(moment));
            assert_eq!(printed(&plan.due), [""; 0], "written: {written}, at {moment}");
        }
    }
}

#[test]
fn what_was_withdrawn_while_the_edit_was_taken_back_is_delivered_again() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), AN_HOUR);
    record(&slot, &mut entry, JobResult::Withdrawn { sink: sink_of("accounts"), result: Ok(()) }, at(10));
    let receipt = &entry.receipts[&sink_of("accounts")];
    assert!(receipt.held.is_none() && !receipt.verified);
}

#[test]
fn a_lost_state_counts_one_possible_issue() {
    let slot = plain_slot();
    let mut entry = nothing_known(&slot);
    note_lost_state(&mut entry, at(0));
    assert_eq!(entry.issues, [Issue { at: at(0), kind: IssueKind::Possibly }]);
}

#[test]
fn a_429_and_whoever_says_when_to_come_again_ask_for_patience() {
    let slot = plain_slot();
    let plea = |failure: Failure| {
        let mut entry = Entry::new(slot.identity.clone());
        answer(&slot, &mut entry, Err(failure), at(0));
        entry.plea.map(|plea| (plea.until >= at(0), plea.of_endpoint))
    };
    for failure in [busy(503, None), busy(500, None), unreachable(), refused("invalid_client")] {
        assert_eq!(plea(failure.clone()), None, "{failure:?}");
    }
    assert_eq!([plea(busy(429, None)), plea(busy(500, Some(9)))], [Some((true, false)); 2]);
    assert_eq!(plea(busy(503, Some(9))), Some((true, true)));
}

#[test]
fn a_refusal_may_ask_for_patience_as_well() {
    let slot = plain_slot();
    let mut entry = nothing_known(&slot);
    let Failure::Refused(refusal) = refused("access_denied") else { panic!("a refusal") };
    let patient = Failure::Refused(Refusal { retry_after: Some(Duration::from_secs(7)), ..refusal });
    answer(&slot, &mut entry, Err(patient), at(0));
    let plea = entry.plea.unwrap();
    assert_eq!((plea.until, plea.of_endpoint), (at(7), false));
    answer(&slot, &mut entry, Err(refused("access_denied")), at(20));
    assert!(entry.plea.is_none());
}

// ---- another tokend (contract §4)

#[test]
fn a_higher_generation_elsewhere_is_left_alone_while_it_lives_and_then_gone_above() {
    let slot = plain_slot();
    let mut entry = nothing_known(&slot);
    answer(&slot, &mut entry, Ok(issued("ours", at(0), AN_HOUR)), at(0));
    let sink = slot.tokens[0].sinks[0].id.clone();
    let overtaken = |until| JobResult::Overtaken { sink: sink.clone(), generation: Generation(9), expires_at: until };
    assert_eq!(record(&slot, &mut entry, overtaken(at(100)), at(1)), Durability::None);
    let retry = entry.receipts[&sink].retry.clone().unwrap();
    assert_eq!((retry.not_before, entry.generation), (at(100), Generation(1)));
    assert!(
        retry.reason.contains("another tokend writes there") && retry.reason.contains("it holds generation 9 until"),
        "{retry:?}"
    );
    assert_eq!(record(&slot, &mut entry, overtaken(at(100)), at(100)), Durability::Token);
    let held = entry.access_token.as_ref().unwrap();
    assert_eq!((held.generation, entry.generation, held.secret.expose()), (Generation(10), Generation(10), "ours"));
    assert!(entry.receipts[&sink].retry.is_none());
}

#[test]
fn a_higher_generation_that_a_start_finds_is_counted_on_from_at_once() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), AN_HOUR);
    adopt_stored(&mut entry);
    let sink = sink_of("accounts");
    let overtaken = || JobResult::Overtaken { sink: sink.clone(), generation: Generation(6), expires_at: at(100) };
    assert_eq!(record(&slot, &mut entry, overtaken(), at(1)), Durability::Lazy);
    let held = entry.access_token.as_ref().unwrap().generation;
    assert_eq!((held, entry.generation, entry.held_generation()), (Generation(1), Generation(6), Generation(1)));
    assert_eq!(record(&slot, &mut entry, overtaken(), at(2)), Durability::None, "said once");
}

#[test]
fn ours_goes_above_whatever_was_found_whichever_sink_told_first() {
    let slot = shared_slot("bank", &[("accounts", &["a"]), ("payments", &["b"])]);
    for order in [["accounts", "payments"], ["payments", "accounts"]] {
        let mut entry = delivered(&slot, at(0), AN_HOUR);
        adopt_stored(&mut entry);
        for name in order {
            let (generation, expires_at) = if name == "accounts" { (12, at(100)) } else { (9, at(0)) };
            let generation = Generation(generation);
            record(&slot, &mut entry, JobResult::Overtaken { sink: sink_of(name), generation, expires_at }, at(1));
        }
        let held = entry.access_token.as_ref().unwrap().generation;
        assert!(held > Generation(9), "{order:?}: {held}");
        assert!(entry.generation >= Generation(12) || order[0] == "payments", "{order:?}: {}", entry.generation);
        assert!(entry.receipts[&sink_of("payments")].retry.is_none());
    }
}

// ---- what a kill leaves behind (L17)

#[test]
fn the_row_that_saves_an_access_token_names_the_files_that_are_about_to_get_it() {
    let mut slot = plain_slot();
    let coming = |entry: &Entry| entry.receipts.get(&sink_of("accounts")).is_some_and(|receipt| receipt.coming);
    let mut entry = granted(&slot, at(0), AN_HOUR);
    assert!(coming(&entry));
    fail_delivery(&slot, &mut entry, "accounts", at(1));
    assert!(coming(&entry), "it may be there although it was not seen to be");
    deliver(&slot, &mut entry, "accounts", at(1));
    assert!(!coming(&entry), "its receipt says it from now on");
    grant(&slot, &mut entry, at(3540), AN_HOUR);
    assert!(!coming(&entry), "as does that of the one before");
    slot.policy.persist = Persist::Off;
    assert!(!coming(&granted(&slot, at(0), AN_HOUR)), "what is not saved could not be known again");
}
