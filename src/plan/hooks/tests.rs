//! What is known, and the moment → which hook is due, and when to look again.

use crate::fixtures::*;
use crate::job::JobResult;
use crate::ledger::Entry;
use crate::plan::plan;
use crate::record::record;
use crate::settings::{HookEvent, OnExpired};

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const CHANGED: &str = "run on_change of accounts: changed";
const FAILING: &str = "run on_failure of accounts: failing";
const EXPIRED: &str = "run on_failure of accounts: expired";

fn slot() -> Slot {
    hooked(plain_slot())
}

/// The hooks due at `moment` seconds after the start.
fn due(slot: &Slot, entry: &Entry, moment: i64) -> Vec<String> {
    let all = printed(&plan(slot, entry, &BTreeSet::new(), at(moment)).due);
    all.into_iter().filter(|job| job.starts_with("run ")).collect()
}

/// Notes that the hook of accounts for `event` ended so.
fn ran(slot: &Slot, entry: &mut Entry, event: HookEvent, result: Result<(), &str>, moment: i64) {
    let (token, generation) = (slot.tokens[0].name.clone(), entry.held_generation());
    let result = result.map_err(str::to_owned);
    record(slot, entry, JobResult::Notified { token, event, generation, result }, at(moment));
}

#[test]
fn on_change_is_due_when_every_sink_of_its_token_was_seen_to_hold_the_new_one() {
    let mut slot = hooked(shared_slot("bank", &[("accounts", &["a"]), ("payments", &["b"])]));
    slot.tokens[1].on_change = None;
    let mut entry = granted(&slot, at(0), HOUR);
    assert_eq!(due(&slot, &entry, 0), [""; 0]);
    deliver(&slot, &mut entry, "payments", at(0));
    assert_eq!(due(&slot, &entry, 0), [""; 0], "that of another token is no matter");
    deliver(&slot, &mut entry, "accounts", at(0));
    assert_eq!(due(&slot, &entry, 0), [CHANGED]);
    entry.receipts.get_mut(&sink_of("accounts")).unwrap().verified = false;
    assert_eq!(due(&slot, &entry, 0), [""; 0], "not seen since the start");
}

#[test]
fn on_change_is_due_once_for_every_generation() {
    let slot = slot();
    let mut entry = delivered(&slot, at(0), HOUR);
    ran(&slot, &mut entry, HookEvent::Changed, Ok(()), 1);
    assert_eq!(due(&slot, &entry, 1), [""; 0]);
    grant(&slot, &mut entry, at(3540), HOUR);
    assert_eq!(due(&slot, &entry, 3540), [""; 0]);
    deliver(&slot, &mut entry, "accounts", at(3541));
    assert_eq!(due(&slot, &entry, 3541), [CHANGED]);
}

#[test]
fn on_change_is_not_due_for_what_has_expired_or_does_not_serve_its_token() {
    let slot = slot();
    let entry = delivered(&slot, at(0), HOUR);
    assert_eq!(due(&slot, &entry, 3600), [""; 0]);
    let wide = hooked(shared_slot("bank", &[("accounts", &["a", "b"])]));
    assert_eq!(due(&wide, &entry, 1), [""; 0]);
}

#[test]
fn on_failure_is_due_at_half_of_the_lead_and_at_expiry_each_once() {
    let slot = slot();
    let mut entry = delivered(&slot, at(0), HOUR);
    ran(&slot, &mut entry, HookEvent::Changed, Ok(()), 1);
    answer(&slot, &mut entry, Err(unreachable()), at(3540));
    assert_eq!([due(&slot, &entry, 3569), due(&slot, &entry, 3570)], [vec![], vec![FAILING.to_owned()]]);
    let plan = plan(&slot, &entry, &BTreeSet::from([Lane::Issuing]), at(3569));
    assert_eq!(plan.wake, at(3570), "and looked at then");
    ran(&slot, &mut entry, HookEvent::Failing, Ok(()), 3570);
    assert_eq!(due(&slot, &entry, 3599), [""; 0]);
    assert_eq!(due(&slot, &entry, 3600), [EXPIRED]);
    ran(&slot, &mut entry, HookEvent::Expired, Ok(()), 3600);
    assert_eq!(due(&slot, &entry, 9999), [""; 0]);
}

#[test]
fn a_token_that_expired_unseen_is_told_to_have_expired_and_nothing_before_it() {
    let slot = slot();
    let mut entry = delivered(&slot, at(0), HOUR);
    answer(&slot, &mut entry, Err(unreachable()), at(3605));
    assert_eq!(due(&slot, &entry, 3605), [EXPIRED]);
    ran(&slot, &mut entry, HookEvent::Expired, Ok(()), 3606);
    assert_eq!(due(&slot, &entry, 3606), [""; 0]);
}

#[test]
fn without_trouble_on_failure_is_never_due() {
    let slot = slot();
    let mut entry = delivered(&slot, at(0), HOUR);
    ran(&slot, &mut entry, HookEvent::Changed, Ok(()), 1);
    for moment in [1, 3539, 3570, 3599, 3600, 7200] {
        assert_eq!(due(&slot, &entry, moment), [""; 0], "a request that is about to leave is none: {moment}");
    }
}

#[test]
fn each_kind_of_trouble_is_told_by_its_name_and_begins_when_it_began() {
    let slot = slot();
    let of = |change: &dyn Fn(&mut Entry), slot: &Slot| {
        let mut entry = delivered(slot, at(0), HOUR);
        change(&mut entry);
        trouble(slot, &entry, at(3570)).map(|(since, trouble)| (since, trouble.class, trouble.code))
    };
    assert_eq!(of(&|_| {}, &slot), None);
    let told = |since, class: &str, code: Option<&str>| Some((at(since), class.to_owned(), code.map(str::to_owned)));
    assert_eq!(of(&|entry| entry.paused = Some(at(7)), &slot), told(7, "paused", None));
    assert_eq!(of(&|entry| entry.waiting_since = Some(at(3541)), &slot), None, "not yet");
    assert_eq!(of(&|entry| entry.waiting_since = Some(at(3540)), &slot), told(3540, "waiting", None));
    let failing = |failure: Failure| of(&|entry| answer(&slot, entry, Err(failure.clone()), at(3550)), &slot);
    assert_eq!(failing(unreachable()), told(3550, "unreachable or busy", None));
    assert_eq!(failing(refused("invalid_grant")), told(3550, "refused", Some("invalid_grant")));
    let mut spent = slot.clone();
    spent.policy.budget = Some(budget(1, 7200));
    assert_eq!(of(&|_| {}, &spent), told(0, "budget", None));
}

#[test]
fn the_first_access_token_may_fail_to_come_for_a_minute() {
    let slot = slot();
    let mut entry = Entry::new(slot.identity.clone());
    answer(&slot, &mut entry, Err(unreachable()), at(0));
    assert_eq!([due(&slot, &entry, 59), due(&slot, &entry, 60)], [vec![], vec![FAILING.to_owned()]]);
    ran(&slot, &mut entry, HookEvent::Failing, Ok(()), 60);
    assert_eq!(due(&slot, &entry, 9999), [""; 0], "told once");
}

#[test]
fn a_hook_that_fails_waits_in_its_own_rhythm_and_holds_up_no_other() {
    let slot = slot();
    let mut entry = delivered(&slot, at(0), HOUR);
    ran(&slot, &mut entry, HookEvent::Changed, Err("exit status 1"), 0);
    assert_eq!([due(&slot, &entry, 0), due(&slot, &entry, 1)], [vec![], vec![CHANGED.to_owned()]]);
    answer(&slot, &mut entry, Err(unreachable()), at(3540));
    ran(&slot, &mut entry, HookEvent::Changed, Err("exit status 1"), 3570);
    assert_eq!(due(&slot, &entry, 3570), [FAILING], "one hook's wait is not the other's");
}

#[test]
fn hooks_of_one_token_run_one_after_the_other() {
    let slot = slot();
    let mut entry = delivered(&slot, at(0), HOUR);
    answer(&slot, &mut entry, Err(unreachable()), at(3540));
    assert_eq!(due(&slot, &entry, 3570), [CHANGED], "the other when it has come home");
    let busy = BTreeSet::from([Lane::Hooks(slot.tokens[0].name.clone()), Lane::Issuing]);
    assert_eq!(plan(&slot, &entry, &busy, at(3570)).due, []);
    ran(&slot, &mut entry, HookEvent::Changed, Ok(()), 3570);
    assert_eq!(due(&slot, &entry, 3570), [FAILING]);
}

#[test]
fn a_generation_that_only_sinks_tell_of_runs_no_hook_again() {
    let mut slot = slot();
    slot.tokens[0].on_expired = OnExpired::Keep;
    let mut entry = delivered(&slot, at(0), HOUR);
    answer(&slot, &mut entry, Err(unreachable()), at(3540));
    ran(&slot, &mut entry, HookEvent::Changed, Ok(()), 3541);
    ran(&slot, &mut entry, HookEvent::Failing, Ok(()), 3570);
    record(&slot, &mut entry, JobResult::Recalled(crate::access_token::Generation(9)), at(3571));
    assert_eq!(due(&slot, &entry, 3571), [""; 0]);
}
