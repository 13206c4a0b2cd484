//! moment → jobs, wake: the specification of `plan`.

use std::collections::BTreeSet;

use crate::access_token::{Generation, Issued};
use crate::fixtures::*;
use crate::job::{Ask, JobResult, Lane};
use crate::ledger::{Entry, Issue, IssueKind};
use crate::plan::*;
use crate::record::{adopt_stored, begin, record};
use crate::settings::{FileContent, FileFormat, OnExpired};

const HOUR: Duration = Duration::from_hours(1);
const DAY: i64 = 86_400;
const ASK_A: &str = "ask for an access token with scope a";
const ASK_AB: &str = "ask for an access token with scope a b";

/// At `moment` seconds after the start `jobs` are due, and the next look is at `wake`.
#[track_caller]
fn check(slot: &Slot, entry: &Entry, moment: i64, jobs: &[&str], wake: Option<i64>) {
    let plan = plan(slot, entry, &BTreeSet::new(), at(moment));
    assert_eq!(printed(&plan.due), jobs, "due at {moment}");
    assert_eq!(plan.wake, wake.map_or(Timestamp::NEVER, at), "wake planned at {moment}");
}

fn is_asking(slot: &Slot, entry: &Entry, now: Timestamp) -> bool {
    plan(slot, entry, &BTreeSet::new(), now).due.iter().any(|job| matches!(job, Job::Issue(_)))
}

fn wide_slot() -> Slot {
    shared_slot("bank", &[("accounts", &["a"]), ("payments", &["b"])])
}

// ---- when (L2, L7)

#[test]
fn without_an_access_token_one_is_asked_for_at_once() {
    let slot = plain_slot();
    check(&slot, &Entry::new(slot.identity.clone()), 0, &[ASK_A], None);
}

#[test]
fn nothing_is_asked_while_more_than_the_lead_remains() {
    let slot = plain_slot();
    check(&slot, &granted(&slot, at(0), HOUR), 0, &["deliver to /accounts"], Some(3540));
    let entry = delivered(&slot, at(0), HOUR);
    check(&slot, &entry, 1, &[], Some(3540));
    check(&slot, &entry, 3539, &[], Some(3540));
    check(&slot, &entry, 3540, &[ASK_A], Some(3600));
    check(&slot, &entry, 3600, &[ASK_A], None);
}

#[test]
fn a_lane_that_is_busy_is_left_alone() {
    let slot = plain_slot();
    let busy = BTreeSet::from([Lane::Issuing, Lane::Sink(sink_of("accounts"))]);
    let empty = Entry::new(slot.identity.clone());
    assert_eq!(plan(&slot, &empty, &busy, at(0)), Plan { due: vec![], wake: Timestamp::NEVER });
    let entry = granted(&slot, at(0), HOUR);
    assert_eq!(plan(&slot, &entry, &busy, at(0)), Plan { due: vec![], wake: at(3600) });
}

#[test]
fn the_lead_is_a_tenth_within_bounds_and_at_most_half() {
    let shared = plain_slot().policy;
    let own = own_slot("x").policy;
    let set = |seconds| Policy { lead: Some(secs(seconds)), ..shared };
    let capped = Policy { max_lead: Some(secs(45)), ..shared };
    let table = [
        ("shared, an hour", shared, 3600, 60),
        ("shared, five minutes", shared, 300, 30),
        ("shared, a minute", shared, 60, 6),
        ("own, a day", own, 86_400, 600),
        ("own, an hour", own, 3600, 360),
        ("own, five minutes", own, 300, 60),
        ("own, 100 s: at most half", own, 100, 50),
        ("as configured", set(5), 3600, 5),
        ("configured, at most half", set(600), 300, 150),
        ("configured as none", set(0), 3600, 0),
        ("capped by the preset", capped, 3600, 45),
        ("capped beyond what is configured", Policy { max_lead: Some(secs(45)), ..set(90) }, 3600, 45),
    ];
    for (what, policy, lifetime, expected) in table {
        assert_eq!(lead(&policy, secs(lifetime)), secs(expected), "{what}");
    }
}

#[test]
fn a_slot_of_its_own_renews_up_to_half_of_its_lead_later_and_always_at_the_same_moment() {
    let mut moments = BTreeSet::new();
    for n in 0..200 {
        let slot = own_slot(&format!("t{n}"));
        let entry = delivered(&slot, at(0), HOUR);
        let (first, _) = next_issue(&slot, &entry, at(1));
        assert_eq!(next_issue(&slot, &entry.clone(), at(3000)).0, first, "a restart keeps the schedule");
        assert!((at(3240)..=at(3420)).contains(&first), "{first}");
        moments.insert(first);
        let mut renewed = entry.clone();
        grant(&slot, &mut renewed, at(0) + secs(1), HOUR);
        moments.insert(next_issue(&slot, &renewed, at(2)).0 - secs(1));
    }
    assert!(moments.len() > 390, "{} of 400 moments differ", moments.len());
}

#[test]
fn without_a_lead_the_next_one_is_asked_for_at_expiry() {
    let mut slot = plain_slot();
    slot.policy.lead = Some(Duration::ZERO);
    let entry = delivered(&slot, at(0), HOUR);
    check(&slot, &entry, 3599, &[], Some(3600));
    check(&slot, &entry, 3600, &[ASK_A], None);
}

// ---- one slot (L1)

#[test]
fn a_wider_union_asks_at_once_while_the_held_token_serves_what_it_covers() {
    let entry = delivered(&plain_slot(), at(0), HOUR);
    let wide = wide_slot();
    check(&wide, &entry, 10, &[ASK_AB], Some(3600));
    assert!(next_ask(&wide, &entry, at(10)).forced);
    let held =
        entry.live(at(10)).map(|held| (serves(&wide, &wide.tokens[0], held), serves(&wide, &wide.tokens[1], held)));
    assert_eq!(held, Some((true, false)));
}

#[test]
fn a_narrower_union_changes_nothing_before_the_next_renewal() {
    let mut entry = delivered(&wide_slot(), at(0), HOUR);
    entry.receipts.remove(&sink_of("payments"));
    let narrow = plain_slot();
    check(&narrow, &entry, 10, &[], Some(3540));
    check(&narrow, &entry, 3540, &[ASK_A], Some(3600));
}

#[test]
fn a_refused_union_falls_back_to_the_scopes_last_granted_and_is_tried_again_once_a_day() {
    let narrow = plain_slot();
    let long = secs(30 * 86_400);
    let mut entry = delivered(&narrow, at(0), long);
    let wide = wide_slot();
    answer(&wide, &mut entry, Err(refused("invalid_scope")), at(10));
    let renewal = 30 * DAY - 60;
    check(&wide, &entry, 10, &[], Some(10 + DAY));
    check(&wide, &entry, 9 + DAY, &[], Some(10 + DAY));
    check(&wide, &entry, 10 + DAY, &[ASK_AB], Some(30 * DAY));
    answer(&wide, &mut entry, Err(refused("invalid_scope")), at(10 + DAY));
    check(&wide, &entry, 10 + DAY, &[], Some(10 + 2 * DAY));
    entry.denied.as_mut().unwrap().at = at(renewal - 100);
    check(&wide, &entry, renewal, &[ASK_A], Some(30 * DAY));
    grant(&wide, &mut entry, at(renewal), long);
    check(&wide, &entry, renewal, &["deliver to /accounts"], Some(30 * DAY));
    deliver(&wide, &mut entry, "accounts", at(renewal));
    check(&wide, &entry, renewal, &[], Some(renewal - 100 + DAY));
}

#[test]
fn a_refused_union_is_asked_narrower_at_once_when_the_renewal_is_due() {
    let mut entry = delivered(&plain_slot(), at(0), HOUR);
    let wide = wide_slot();
    answer(&wide, &mut entry, Err(refused("invalid_scope")), at(3550));
    check(&wide, &entry, 3550, &[ASK_A], Some(3600));
    answer(&wide, &mut entry, Err(refused("invalid_scope")), at(3551));
    check(&wide, &entry, 3551, &[], Some(3556));
}

#[test]
fn a_partial_grant_is_not_asked_again_before_the_renewal_which_asks_for_all() {
    let wide = wide_slot();
    let mut entry = Entry::new(wide.identity.clone());
    let partial = Issued { scopes: Some(words(&["a", "corporate"])), ..issued("x", at(0), HOUR) };
    answer(&wide, &mut entry, Ok(partial), at(0));
    check(&wide, &entry, 0, &["deliver to /accounts"], Some(3540));
    deliver(&wide, &mut entry, "accounts", at(0));
    check(&wide, &entry, 3540, &[ASK_AB], Some(3600));
    answer(&wide, &mut entry, Err(refused("invalid_scope")), at(3540));
    check(&wide, &entry, 3540, &[ASK_A], Some(3600));
}

#[test]
fn where_tokens_do_not_share_a_slot_what_was_asked_counts_and_nothing_narrower_is_asked() {
    let mut slot = own_slot("x");
    slot.scopes = words(&["api/.default"]);
    let mut entry = Entry::new(slot.identity.clone());
    let named_otherwise = Issued { scopes: Some(words(&["read", "write"])), ..issued("x", at(0), HOUR) };
    answer(&slot, &mut entry, Ok(named_otherwise), at(0));
    deliver(&slot, &mut entry, "x", at(0));
    assert!(!is_asking(&slot, &entry, at(1)));
    slot.scopes = words(&["api/.default", "more"]);
    assert!(is_asking(&slot, &entry, at(1)), "wider");
    answer(&slot, &mut entry, Err(refused("invalid_scope")), at(1));
    assert_eq!(next_ask(&slot, &entry, at(3599)).scopes, slot.scopes);
}

// ---- the budget (L5)

fn with_budget() -> Slot {
    let mut slot = wide_slot();
    slot.policy.budget = Some(budget(3, 3600));
    slot
}

fn with_issues(slot: &Slot, issues: &[(i64, IssueKind)]) -> Entry {
    let mut entry = Entry::new(slot.identity.clone());
    entry.recalled = true;
    entry.issues = issues.iter().map(|&(moment, kind)| Issue { at: at(moment), kind }).collect();
    entry
}

/// What it shows, what was issued when, and when the next request leaves.
type Row = (&'static str, &'static [(i64, IssueKind)], i64);

#[test]
fn issued_access_tokens_stop_the_slot_and_possibly_issued_ones_space_its_requests() {
    use IssueKind::{Issued as I, Possibly as P};
    let slot = with_budget();
    let table: &[Row] = &[
        ("two issued leave a place", &[(0, I), (10, I)], 20),
        ("three issued: until the first is an hour old", &[(0, I), (10, I), (20, I)], 3600),
        ("four issued (the budget was lowered): until the second is", &[(0, I), (5, I), (10, I), (20, I)], 3605),
        ("two issued and one lost reach it: 1 min after the last", &[(0, I), (10, I), (20, P)], 80),
        ("one lost more: 2 min", &[(0, I), (10, I), (20, P), (80, P)], 200),
        ("doubling", &[(0, P), (1, P), (2, P), (3, P), (4, P)], 244),
        ("to 10 min", &[(0, P), (1, P), (2, P), (3, P), (4, P), (5, P), (6, P), (7, P), (8, P)], 608),
        ("lost ones never stop it", &[(0, P), (1, P), (2, P)], 62),
        ("two lost ones leave it alone", &[(0, P), (1, P)], 20),
        ("older ones are not counted", &[(-3600, I), (0, I), (1, I)], 20),
    ];
    for (what, issues, expected) in table {
        let entry = with_issues(&slot, issues);
        let hold = next_issue(&slot, &entry, at(20)).0.max(at(20));
        assert_eq!(hold, at(*expected), "{what}");
        assert_eq!(waits_for_budget(&slot, &entry, at(20)).is_some(), *expected > 20, "{what}");
        assert!(!is_asking(&slot, &entry, hold - Duration::from_millis(1)) || *expected == 20, "{what}");
        assert!(is_asking(&slot, &entry, hold), "{what}");
    }
}

#[test]
fn a_forced_issue_never_takes_the_last_place_while_a_valid_token_is_held() {
    let slot = with_budget();
    let mut entry = delivered(&slot, at(0), HOUR);
    entry.forced = true;
    assert!(is_asking(&slot, &entry, at(10)), "one of three is taken");
    grant(&slot, &mut entry, at(10), HOUR);
    entry.forced = true;
    assert!(!is_asking(&slot, &entry, at(20)), "two of three: the last is kept for the renewal");
    assert_eq!(next_issue(&slot, &entry, at(20)).0, at(3550), "which takes it");
    assert!(!next_ask(&slot, &entry, at(20)).forced);
    assert!(is_asking(&slot, &entry, at(3610)), "and without a valid token it is taken at once");
}

#[test]
fn a_wider_union_waits_for_the_budget() {
    let mut narrow = plain_slot();
    narrow.policy.budget = Some(budget(1, 3600));
    let entry = delivered(&narrow, at(0), HOUR);
    let mut wide = wide_slot();
    wide.policy.budget = Some(budget(1, 3600));
    check(&wide, &entry, 10, &[], Some(3600));
}

// ---- sinks (L3, L13, L15)

#[test]
fn every_sink_that_takes_it_gets_the_newest_generation_and_a_failing_one_delays_no_other() {
    let slot = wide_slot();
    let mut entry = granted(&slot, at(0), HOUR);
    check(&slot, &entry, 0, &["deliver to /accounts", "deliver to /payments"], Some(3540));
    deliver(&slot, &mut entry, "accounts", at(0));
    fail_delivery(&slot, &mut entry, "payments", at(0));
    let again = entry.receipts[&sink_of("payments")].retry.as_ref().unwrap().not_before;
    assert!(at(0) < again && again <= at(1));
    assert_eq!(plan(&slot, &entry, &BTreeSet::new(), at(0)), Plan { due: vec![], wake: again });
    check(&slot, &entry, 1, &["deliver to /payments"], Some(3540));
    grant(&slot, &mut entry, at(3540), HOUR);
    check(&slot, &entry, 3540, &["deliver to /accounts", "deliver to /payments"], Some(3600));
}

#[test]
fn a_sink_that_was_not_looked_at_since_the_start_is_delivered_to() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), HOUR);
    crate::record::adopt_stored(&mut entry);
    check(&slot, &entry, 10, &["deliver to /accounts"], Some(3540));
}

#[test]
fn an_expired_access_token_is_never_delivered() {
    let slot = plain_slot();
    let entry = granted(&slot, at(0), HOUR);
    check(&slot, &entry, 3599, &[ASK_A, "deliver to /accounts"], Some(3600));
    check(&slot, &entry, 3600, &[ASK_A], None);
}

#[test]
fn an_expired_file_stays_or_goes_as_the_token_says() {
    let mut slot = plain_slot();
    let entry = delivered(&slot, at(0), HOUR);
    check(&slot, &entry, 3600, &[ASK_A], None);
    slot.tokens[0].on_expired = OnExpired::Remove;
    check(&slot, &entry, 10, &[], Some(3540));
    check(&slot, &entry, 3600, &[ASK_A, "withdraw from /accounts"], None);
}

#[test]
fn what_could_not_be_taken_away_does_not_hold_up_what_is_brought_next() {
    let mut slot = plain_slot();
    slot.tokens[0].on_expired = OnExpired::Remove;
    let mut entry = delivered(&slot, at(0), HOUR);
    for moment in [3600, 3601, 3603, 3607] {
        let failed = JobResult::Withdrawn { sink: sink_of("accounts"), result: Err("somebody changed it".into()) };
        record(&slot, &mut entry, failed, at(moment));
    }
    let retry = entry.receipts[&sink_of("accounts")].retry.as_ref().unwrap();
    assert!(retry.not_before > at(3608), "the withdrawal waits");
    grant(&slot, &mut entry, at(3608), HOUR);
    check(&slot, &entry, 3608, &["deliver to /accounts"], Some(7148));
}

#[test]
fn an_expired_file_goes_also_when_the_new_access_token_may_not_serve_it() {
    let mut slot = wide_slot();
    slot.tokens[1].on_expired = OnExpired::Remove;
    let mut entry = delivered(&slot, at(0), HOUR);
    let partial = Issued { scopes: Some(words(&["a"])), ..issued("x", at(3540), HOUR) };
    answer(&slot, &mut entry, Ok(partial), at(3540));
    deliver(&slot, &mut entry, "accounts", at(3540));
    check(&slot, &entry, 3541, &[], Some(3600));
    check(&slot, &entry, 3600, &["withdraw from /payments"], Some(7080));
}

#[test]
fn it_looks_again_when_what_a_sink_holds_expires() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), HOUR);
    grant(&slot, &mut entry, at(3590), HOUR);
    for moment in 3590..3597 {
        fail_delivery(&slot, &mut entry, "accounts", at(moment));
    }
    check(&slot, &entry, 3597, &[], Some(3600));
}

// ---- history and departure (L4, L17)

/// The slot of `plain_slot` with a file that names its generation, as it is found at a start.
fn started() -> (Slot, Entry) {
    let mut slot = plain_slot();
    file_of(&mut slot).content = FileContent::Format(FileFormat::Json);
    let mut entry = delivered(&slot, at(0), HOUR);
    adopt_stored(&mut entry);
    (slot, entry)
}

#[test]
fn after_every_start_the_sinks_are_asked_for_their_generation_before_the_first_request() {
    let (slot, mut entry) = started();
    check(&slot, &entry, 0, &["deliver to /accounts"], Some(3540));
    check(&slot, &entry, 3540, &["deliver to /accounts", "recall the generation"], Some(3600));
    check(&slot, &entry, 3600, &["recall the generation"], None);
    record(&slot, &mut entry, JobResult::Recalled(Generation(6)), at(3600));
    check(&slot, &entry, 3600, &[ASK_A], None);
    grant(&slot, &mut entry, at(3600), HOUR);
    assert_eq!(entry.generation, Generation(7), "no number is used twice");
}

#[test]
fn a_sink_that_was_looked_at_or_fails_or_hangs_is_not_asked_again() {
    let (slot, entry) = started();
    let asks = |entry: &Entry, busy: &[Lane]| {
        let plan = plan(&slot, entry, &busy.iter().cloned().collect(), at(3540));
        plan.due.iter().any(|job| matches!(job, Job::Issue(_)))
    };
    assert!(!asks(&entry, &[]));
    assert!(asks(&entry, &[Lane::Sink(sink_of("accounts"))]), "it hangs");
    let mut failing = entry.clone();
    fail_delivery(&slot, &mut failing, "accounts", at(1));
    assert!(asks(&failing, &[]), "it fails");
    let mut seen = entry;
    deliver(&slot, &mut seen, "accounts", at(1));
    assert!(asks(&seen, &[]), "it holds ours");
}

#[test]
fn a_newer_access_token_replaces_at_once_what_was_left_alone() {
    let (slot, mut entry) = started();
    let overtaken = JobResult::Overtaken { sink: sink_of("accounts"), generation: Generation(6), expires_at: at(7200) };
    record(&slot, &mut entry, overtaken, at(3530));
    check(&slot, &entry, 3530, &[], Some(3540));
    grant(&slot, &mut entry, at(3540), HOUR);
    assert_eq!(entry.generation, Generation(7));
    check(&slot, &entry, 3540, &["deliver to /accounts"], Some(3600));
}

#[test]
fn what_a_kill_may_have_left_is_removed_at_expiry_where_nothing_is_to_stay() {
    let mut slot = plain_slot();
    slot.tokens[0].on_expired = OnExpired::Remove;
    let mut entry = granted(&slot, at(0), HOUR);
    assert!(entry.receipts[&sink_of("accounts")].coming);
    adopt_stored(&mut entry);
    check(&slot, &entry, 3600, &[ASK_A, "withdraw from /accounts"], None);
    record(&slot, &mut entry, JobResult::Withdrawn { sink: sink_of("accounts"), result: Ok(()) }, at(3600));
    check(&slot, &entry, 3600, &[ASK_A], None);
}

#[test]
fn a_slot_without_history_first_reads_the_generation_that_its_sinks_hold() {
    let mut slot = plain_slot();
    file_of(&mut slot).content = FileContent::Format(FileFormat::Json);
    let mut entry = Entry::new(slot.identity.clone());
    check(&slot, &entry, 0, &["recall the generation"], None);
    record(&slot, &mut entry, JobResult::Recalled(Generation(41)), at(0));
    check(&slot, &entry, 0, &[ASK_A], None);
    grant(&slot, &mut entry, at(0), HOUR);
    assert_eq!(entry.generation, Generation(42));
    let slot = plain_slot();
    check(&slot, &Entry::new(slot.identity.clone()), 0, &[ASK_A], None);
}

#[test]
fn what_left_the_configuration_is_withdrawn_three_seconds_later() {
    let slot = plain_slot();
    let mut entry = delivered(&slot, at(0), HOUR);
    entry.receipts.get_mut(&sink_of("accounts")).unwrap().gone_since = Some(at(10));
    let planned = |entry: &Entry, moment| {
        let plan = plan_departed(entry, &BTreeSet::new(), at(moment));
        (printed(&plan.due), plan.wake)
    };
    assert_eq!(planned(&entry, 10), (vec![], at(13)));
    assert_eq!(planned(&entry, 13), (vec!["withdraw from /accounts".into()], Timestamp::NEVER));
    record(&slot, &mut entry, JobResult::Withdrawn { sink: sink_of("accounts"), result: Err("busy".into()) }, at(13));
    let (due, wake) = planned(&entry, 13);
    assert!(due.is_empty() && at(13) < wake && wake <= at(14), "it is tried again");
    record(&slot, &mut entry, JobResult::Withdrawn { sink: sink_of("accounts"), result: Ok(()) }, at(14));
    assert_eq!(planned(&entry, 14), (vec![], at(31 * DAY)));
}

#[test]
fn a_departed_slot_is_remembered_until_token_and_budget_have_run_out() {
    let slot = plain_slot();
    let entry = granted(&slot, at(0), secs(40 * 86_400));
    assert_eq!(forget_at(&entry), at(40 * DAY));
    let entry = granted(&slot, at(0), HOUR);
    assert_eq!(forget_at(&entry), at(31 * DAY));
    assert_eq!(forget_at(&Entry::new(slot.identity.clone())), Timestamp::EPOCH);
    let busy = BTreeSet::from([Lane::Issuing]);
    let nothing_while_busy = plan_departed(&Entry::new(slot.identity.clone()), &busy, at(0));
    assert_eq!(nothing_while_busy.wake, Timestamp::NEVER, "its outcome is waited for, not spun for");
}

#[test]
fn an_intention_found_at_start_counts_as_possibly_issued_and_is_repeated_only_when_due() {
    let ask = |slot: &Slot, forced| Ask { scopes: slot.scopes.clone(), secret_choice: 0, refused: 0, forced };
    for (what, slot, killed_at, forced, repeated_at) in [
        ("a renewal is due", plain_slot(), 3540, false, 3541),
        ("an admin's refresh is not", plain_slot(), 10, true, 3540),
        ("nor is a wider union", wide_slot(), 10, true, 3540),
    ] {
        let mut entry = delivered(&plain_slot(), at(0), HOUR);
        entry.forced = forced;
        begin(&mut entry, &ask(&slot, forced), at(killed_at));
        crate::record::adopt_stored(&mut entry);
        assert_eq!(entry.issues.last().map(|issue| (issue.at, issue.kind)), Some((at(killed_at), IssueKind::Possibly)));
        assert_eq!(entry.intention, None);
        assert_eq!(next_issue(&slot, &entry, at(killed_at + 1)).0.max(at(killed_at + 1)), at(repeated_at), "{what}");
        assert_eq!(next_ask(&slot, &entry, at(repeated_at)).scopes, slot.scopes, "{what}");
    }
}

#[test]
fn access_tokens_of_a_moment_are_not_asked_for_twice_in_a_second() {
    let entry = granted(&own_slot("x"), at(0), Duration::from_millis(50));
    assert_eq!(next_issue(&own_slot("x"), &entry, at(0)).0, at(1));
    assert_eq!(next_issue(&own_slot("x"), &entry, at(2)).0, at(1), "then at once");
}

#[test]
fn what_was_issued_in_the_future_of_a_wrong_clock_holds_no_request_back() {
    let slot = plain_slot();
    let mut entry = Entry::new(slot.identity.clone());
    entry.issues = vec![Issue { at: at(2 * DAY), kind: IssueKind::Issued }];
    assert!(is_asking(&slot, &entry, at(0)));
    assert!(!is_asking(&slot, &entry, at(2 * DAY)));
}
