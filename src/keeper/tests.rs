//! What can only be seen from inside: that nothing is overlooked, and what races leave behind.

use crate::access_token::Generation;
use crate::failure::{Failure, Refusal};
use crate::fixtures::*;
use crate::job::Delivered;
use crate::keeper::*;
use crate::ledger::Receipt;
use crate::settings::{FileKind, SinkSettings};
use crate::task::{Publication, Release};

mod again;
mod clock;
mod schedule;

impl Keeper {
    /// The agenda names no slot later than planning everything anew would.
    ///
    /// # Panics
    ///
    /// If it does.
    pub fn assert_nothing_is_overlooked(&self, now: Timestamp) {
        assert_eq!(self.overlooked(now), [""; 0], "at {now}");
    }
}

fn new(config: &Arc<Config>) -> Keeper {
    Keeper::new(Arc::clone(config), vec![], at(0))
}

/// One turn at `now` whose rows could be saved.
fn turn(keeper: &mut Keeper, now: Timestamp) -> Vec<Task> {
    if !keeper.turn(now).is_empty() {
        keeper.saved();
    }
    keeper.release(now).tasks
}

/// Answers the request in `tasks` with an access token for an hour.
fn issue(keeper: &mut Keeper, tasks: &[Task], now: Timestamp) {
    let [Task::Issue(slot, ask)] = tasks else { panic!("{tasks:?}") };
    let answer = Ok(issued(&format!("issued {}", now.as_millis()), now, secs(3600)));
    let result = JobResult::Issued { ask: ask.clone(), asked_at: now, answer };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, now);
}

/// Says that the sink took what the only delivery in `tasks` brought.
fn take_home(keeper: &mut Keeper, tasks: &[Task], now: Timestamp) {
    let [delivery] = tasks else { panic!("{tasks:?}") };
    come_home(keeper, delivery, Ok(Delivered { written: true, fingerprint: [1; 16] }), now);
}

/// A keeper with one delivery under way for each of `slots`.
fn delivering(slots: &[Slot]) -> (Keeper, Vec<Task>) {
    let mut keeper = new(&config(slots));
    let asking = turn(&mut keeper, at(0));
    for task in asking {
        issue(&mut keeper, &[task], at(0));
    }
    let tasks = turn(&mut keeper, at(0));
    assert!(!tasks.is_empty() && tasks.iter().all(|task| matches!(task, Task::Deliver(_))), "{tasks:?}");
    (keeper, tasks)
}

/// Says what came of `delivery`.
fn come_home(keeper: &mut Keeper, delivery: &Task, result: Result<Delivered, String>, now: Timestamp) {
    let Task::Deliver(delivery) = delivery else { panic!("{delivery:?}") };
    let (sink, token) = (delivery.sink().id.clone(), &delivery.access_token);
    let result = JobResult::Delivered { sink, generation: token.generation, expires_at: token.expires_at, result };
    keeper.handle(Outcome { identity: delivery.slot.identity.clone(), result }, now);
}

fn receipt(keeper: &Keeper, slot: &Slot) -> Option<Receipt> {
    keeper
        .case(slot)
        .and_then(|case| case.entry.receipts.get(&slot.tokens[0].sinks[0].id).map(|receipt| (**receipt).clone()))
}

#[test]
fn what_comes_home_from_one_of_several_sinks_is_planned_as_if_all_were_looked_at() {
    let mut slot = hooked(plain_slot());
    for name in ["b", "c"] {
        let other = SinkSettings { id: sink_of(name), ..slot.tokens[0].sinks[0].clone() };
        slot.tokens[0].sinks.push(other);
    }
    let (mut keeper, tasks) = delivering(std::slice::from_ref(&slot));
    let taken = || Ok(Delivered { written: true, fingerprint: [1; 16] });
    for (task, result) in tasks.iter().zip([taken(), Err("full".into()), taken()]) {
        come_home(&mut keeper, task, result, at(1));
        assert_eq!(turn(&mut keeper, at(1)).len(), 0);
        keeper.assert_nothing_is_overlooked(at(1));
        assert!(!keeper.is_ready());
    }
    let again = turn(&mut keeper, at(2));
    take_home(&mut keeper, &again, at(3));
    assert!(matches!(turn(&mut keeper, at(3)).as_slice(), [Task::Notify(_)]), "all hold it");
    keeper.assert_nothing_is_overlooked(at(3));
    assert!(keeper.is_ready());
}

// ---- races of a reload with what is under way

#[test]
fn a_file_that_a_kill_left_is_withdrawn_when_its_token_has_left_meanwhile() {
    let slot = plain_slot();
    let (keeper, _) = delivering(std::slice::from_ref(&slot));
    let saved = keeper.case(&slot).unwrap().entry.clone();
    let mut keeper = Keeper::new(config(&[own_slot("x")]), vec![saved], at(10));
    let withdrawing = |tasks: Vec<Task>| {
        tasks.into_iter().find_map(|task| match task {
            Task::Withdraw { sink, written, .. } => Some((sink, written)),
            _ => None,
        })
    };
    assert!(withdrawing(turn(&mut keeper, at(12))).is_none(), "the edit may be taken back");
    let (sink, written) = withdrawing(turn(&mut keeper, at(13))).unwrap();
    assert_eq!((sink, written.fingerprint), (sink_of("accounts"), None));
    assert!(written.access_token.is_some(), "by which it is known again");
}

#[test]
fn a_sink_that_is_new_to_a_held_access_token_is_named_by_a_row_before_it_gets_it() {
    let (slot, mut bare) = (plain_slot(), plain_slot());
    bare.tokens[0].sinks.clear();
    let mut keeper = Keeper::new(config(&[bare.clone()]), vec![granted(&bare, at(0), secs(3600))], at(1));
    let _ = turn(&mut keeper, at(1));
    keeper.adopt(config(std::slice::from_ref(&slot)), at(10));
    let rows = keeper.turn(at(10));
    let named = |row: &Row| matches!(row, Row::Put(entry, _) if entry.receipts[&sink_of("accounts")].coming);
    assert!(rows.iter().any(named), "{rows:?}");
}

#[test]
fn what_another_slot_of_the_same_name_left_in_a_sink_is_no_reason_to_leave_it_alone() {
    let (first, mut second) = (plain_slot(), plain_slot());
    second.identity = Identity::new(&["another client", "corporate"]);
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&first));
    take_home(&mut keeper, &delivery, at(1));
    keeper.adopt(config(std::slice::from_ref(&second)), at(10));
    let asking = turn(&mut keeper, at(10));
    issue(&mut keeper, &asking, at(10));
    let delivery = turn(&mut keeper, at(10));
    take_home(&mut keeper, &delivery, at(11));
    keeper.adopt(config(std::slice::from_ref(&first)), at(20));
    let [Task::Deliver(_)] = turn(&mut keeper, at(20)).as_slice() else { panic!("the first one's again") };
    let result = JobResult::Overtaken { sink: sink_of("accounts"), generation: Generation(2), expires_at: at(3600) };
    keeper.handle(Outcome { identity: first.identity.clone(), result }, at(21));
    let tasks = turn(&mut keeper, at(21));
    let [Task::Deliver(delivery)] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!(delivery.access_token.generation, Generation(3), "numbered above it at once");
}

#[test]
fn what_is_delivered_to_a_sink_that_has_left_is_withdrawn() {
    let (slot, mut bare) = (plain_slot(), plain_slot());
    bare.tokens[0].sinks.clear();
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    keeper.adopt(config(&[bare]), at(1));
    assert_eq!(turn(&mut keeper, at(1)).len(), 0);
    take_home(&mut keeper, &delivery, at(2));
    assert_eq!(turn(&mut keeper, at(2)).len(), 0);
    let tasks = turn(&mut keeper, at(5));
    assert!(matches!(tasks.as_slice(), [Task::Withdraw { .. }]), "{tasks:?}");
}

#[test]
fn a_delivery_under_way_does_not_hide_that_its_sink_was_changed() {
    let (slot, mut other_mode) = (plain_slot(), plain_slot());
    file_of(&mut other_mode).mode = 0o640;
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    keeper.adopt(config(&[other_mode]), at(1));
    take_home(&mut keeper, &delivery, at(2));
    let again = turn(&mut keeper, at(2));
    let [Task::Deliver(delivery)] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(delivery.sink().file().unwrap().mode, 0o640);
    take_home(&mut keeper, &again, at(3));
    assert!(receipt(&keeper, &slot).unwrap().verified);
    assert_eq!(turn(&mut keeper, at(3)).len(), 0);
}

#[test]
fn a_sink_that_another_slot_took_over_is_looked_at_again_when_the_first_is_done_with_it() {
    let first = plain_slot();
    let mut second = own_slot("second");
    second.tokens[0].sinks.clone_from(&first.tokens[0].sinks);
    let (mut keeper, late) = delivering(std::slice::from_ref(&first));
    let mut without = first.clone();
    without.tokens[0].sinks.clear();
    keeper.adopt(config(&[without, second.clone()]), at(1));
    let asking = turn(&mut keeper, at(1));
    issue(&mut keeper, &asking, at(1));
    let delivery = turn(&mut keeper, at(1));
    take_home(&mut keeper, &delivery, at(2));
    assert!(receipt(&keeper, &second).unwrap().verified);
    take_home(&mut keeper, &late, at(3));
    assert!(!receipt(&keeper, &second).unwrap().verified, "the first may have written last");
    assert_eq!(turn(&mut keeper, at(3)).len(), 1);
    assert!(keeper.case(&first).unwrap().entry.receipts.is_empty(), "and it withdraws nothing there");
}

#[test]
fn a_renamed_table_issues_nothing_and_corrects_what_the_files_say() {
    let slot = plain_slot();
    let renamed = Slot {
        id: crate::name::SlotId::new(&crate::name::Name::parse("renamed").unwrap(), "corporate"),
        ..slot.clone()
    };
    let (mut keeper, delivery) = delivering(&[slot]);
    take_home(&mut keeper, &delivery, at(1));
    keeper.adopt(config(&[renamed]), at(2));
    let tasks = turn(&mut keeper, at(2));
    assert!(matches!(tasks.as_slice(), [Task::Deliver(_)]), "{tasks:?}");
}

#[test]
fn an_unchanged_configuration_does_nothing_at_all() {
    let slot = plain_slot();
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    take_home(&mut keeper, &delivery, at(1));
    assert_eq!(turn(&mut keeper, at(10)).len(), 0);
    keeper.adopt(config(&[slot]), at(11));
    assert!(keeper.turn(at(11)).is_empty());
    assert_eq!(keeper.release(at(11)).tasks.len(), 0);
    assert_eq!(keeper.wake(at(11)), at(3540));
}

#[test]
fn one_changed_token_among_a_thousand_touches_one_slot() {
    let slots: Vec<Slot> = (0..1000).map(|n| own_slot(&format!("t{n}"))).collect();
    let mut keeper = new(&config(&slots));
    loop {
        let tasks = turn(&mut keeper, at(1));
        for task in &tasks {
            match task {
                Task::Issue(..) => issue(&mut keeper, std::slice::from_ref(task), at(1)),
                _ => take_home(&mut keeper, std::slice::from_ref(task), at(1)),
            }
        }
        if tasks.is_empty() {
            break;
        }
    }
    assert!(keeper.is_ready());
    assert_eq!(turn(&mut keeper, at(10)).len(), 0);
    let mut edited = slots.clone();
    file_of(&mut edited[500]).mode = 0o640;
    keeper.adopt(config(&edited), at(20));
    assert_eq!(keeper.changed.len(), 1);
    assert!(keeper.turn(at(20)).is_empty(), "nothing is to be saved");
    let release = keeper.release(at(20));
    assert_eq!((release.publications.len(), release.tasks.len()), (1, 1));
}

#[test]
fn a_refusal_that_comes_home_after_the_edit_is_no_reason_to_wait() {
    let refuse = |keeper: &mut Keeper, tasks: &[Task], now| {
        let [Task::Issue(slot, ask)] = tasks else { panic!("{tasks:?}") };
        let result = JobResult::Issued { ask: ask.clone(), asked_at: now, answer: Err(refused("invalid_client")) };
        keeper.handle(Outcome { identity: slot.identity.clone(), result }, now);
    };
    let slot = plain_slot();
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    let asking = turn(&mut keeper, at(0));
    keeper.try_again(&[slot.provider.name.clone()].into(), FileKind::Secret, at(1));
    assert_eq!(turn(&mut keeper, at(1)).len(), 0, "one request at a time");
    refuse(&mut keeper, &asking, at(2));
    let again = turn(&mut keeper, at(2));
    refuse(&mut keeper, &again, at(3));
    assert_eq!(turn(&mut keeper, at(3)).len(), 0, "but only once");
    let other = crate::name::Name::parse("other").unwrap();
    keeper.try_again(&[other].into(), FileKind::Secret, at(4));
    assert_eq!(turn(&mut keeper, at(4)).len(), 0, "what others changed is no reason");
    keeper.try_again(&[slot.provider.name.clone()].into(), FileKind::Secret, at(4));
    assert_eq!(turn(&mut keeper, at(4)).len(), 1);
}

#[test]
fn a_changed_configuration_asks_at_once_for_what_was_refused_and_an_unchanged_one_does_not() {
    let slot = plain_slot();
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    for moment in [0, 5, 25] {
        let asking = turn(&mut keeper, at(moment));
        let [Task::Issue(slot, ask)] = asking.as_slice() else { panic!("{asking:?}") };
        let answer = Err(refused("unauthorized_client"));
        let result = JobResult::Issued { ask: ask.clone(), asked_at: at(moment), answer };
        keeper.handle(Outcome { identity: slot.identity.clone(), result }, at(moment));
    }
    keeper.adopt(config(std::slice::from_ref(&slot)), at(30));
    assert_eq!(turn(&mut keeper, at(30)).len(), 0);
    let mut provider = (*slot.provider).clone();
    provider.timeout = secs(9);
    keeper.adopt(config(&[Slot { provider: Arc::new(provider), ..slot }]), at(31));
    assert!(matches!(turn(&mut keeper, at(31)).as_slice(), [Task::Issue(..)]));
}

#[test]
fn a_refresh_asks_although_nothing_is_due_and_is_answered_with_what_it_brought() {
    let slot = plain_slot();
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    take_home(&mut keeper, &delivery, at(1));
    assert_eq!(turn(&mut keeper, at(10)).len(), 0);
    keeper.ask_refresh(&accounts(), 7, at(10));
    let asking = turn(&mut keeper, at(10));
    assert!(matches!(asking.as_slice(), [Task::Issue(_, ask)] if ask.forced), "{asking:?}");
    issue(&mut keeper, &asking, at(11));
    let _ = keeper.turn(at(11));
    keeper.saved();
    let answers = keeper.release(at(11)).answers;
    let [(7, RefreshAnswer::Held(token))] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((token.generation, token.issued_at), (Generation(2), at(11)));
    keeper.ask_refresh(&crate::name::Name::parse("nobody").unwrap(), 8, at(12));
    assert!(matches!(keeper.release(at(12)).answers.as_slice(), [(8, RefreshAnswer::Abandoned)]));
}

#[test]
fn those_who_fail_again_and_again_do_not_go_before_those_who_were_never_tried() {
    let slots: Vec<Slot> = (0..20).map(|n| own_slot(&format!("t{n:02}"))).collect();
    let mut keeper = new(&config(&slots));
    let mut tried = Vec::new();
    for moment in [0, 100, 200] {
        for task in turn(&mut keeper, at(moment)) {
            let Task::Issue(slot, ask) = task else { panic!("{task:?}") };
            let result = JobResult::Issued { ask, asked_at: at(moment), answer: Err(unreachable()) };
            keeper.handle(Outcome { identity: slot.identity.clone(), result }, at(moment));
            tried.push(slot.identity.clone());
        }
    }
    assert_eq!(tried.len(), 24, "eight at a time, and the first of them could take every place again");
    assert_eq!(tried.into_iter().collect::<BTreeSet<_>>().len(), slots.len());
}

#[test]
fn a_new_certificate_hurries_a_failed_handshake_and_a_new_secret_does_not() {
    let slot = plain_slot();
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    let asking = turn(&mut keeper, at(0));
    let [Task::Issue(_, ask)] = asking.as_slice() else { panic!("{asking:?}") };
    let result = JobResult::Issued { ask: ask.clone(), asked_at: at(0), answer: Err(unreachable()) };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, at(0));
    let mine = || [slot.provider.name.clone()].into();
    keeper.try_again(&mine(), FileKind::Secret, at(0));
    assert_eq!(turn(&mut keeper, at(0)).len(), 0);
    keeper.try_again(&mine(), FileKind::Tls, at(0));
    assert_eq!(turn(&mut keeper, at(0)).len(), 1);
}

#[test]
fn a_request_gives_back_its_place_where_it_took_it() {
    let slot = plain_slot();
    let mut moved = slot.clone();
    let mut provider = (*moved.provider).clone();
    provider.endpoint = crate::settings::Endpoint::TokenUrl("https://provider.example/token/".into());
    moved.provider = Arc::new(provider);
    let mut keeper = new(&config(&[slot]));
    let asking = turn(&mut keeper, at(0));
    keeper.adopt(config(&[moved]), at(1));
    issue(&mut keeper, &asking, at(2));
    keeper.stop();
    let delivering = turn(&mut keeper, at(2));
    take_home(&mut keeper, &delivering, at(2));
    let _ = turn(&mut keeper, at(2));
    assert!(keeper.is_finished(at(2)), "the same account, written in another way");
}

// ---- persist, then publish (L16)

#[test]
fn nothing_is_released_before_what_it_rests_on_is_saved() {
    let mut keeper = new(&config(&[plain_slot()]));
    let nothing = |release: &Release| release.tasks.is_empty();
    assert_eq!(keeper.turn(at(0)).len(), 1, "the intention");
    keeper.not_saved("full".into(), at(0), at(0));
    assert!(nothing(&keeper.release(at(0))));
    assert_eq!(keeper.wake(at(0)), at(0) + std::time::Duration::from_millis(500), "saving is tried again soon");
    let asking = turn(&mut keeper, at(1));
    issue(&mut keeper, &asking, at(2));
    assert_eq!(keeper.turn(at(2)).len(), 1, "the access token");
    keeper.not_saved("full".into(), at(2), at(2));
    let release = keeper.release(at(2));
    assert!(nothing(&release) && release.publications.is_empty());
    assert!(keeper.turn(at(2)).is_empty(), "not at once again");
    assert!(nothing(&keeper.release(at(2))));
    assert!(keeper.state_is_writable(at(6)) && !keeper.state_is_writable(at(7)));
    assert_eq!(keeper.status(at(6)).state_error, None, "before it costs anything it is no news");
    let error = keeper.status(at(7)).state_error.unwrap();
    assert_eq!((error.reason.as_str(), error.since), ("full", at(2).to_string()));
    let release = keeper.release(at(7));
    let published = |publication: &Publication| publication.access_token.as_ref().map(|token| token.generation);
    assert_eq!(release.publications.iter().map(published).collect::<Vec<_>>(), [Some(Generation(1))]);
    assert_eq!(release.tasks.len(), 1, "after five seconds from memory");
    assert_eq!(keeper.turn(at(20)).len(), 1, "and saved as soon as that works");
}

#[test]
fn a_disk_that_hung_for_five_seconds_is_not_waited_for_again() {
    let mut keeper = new(&config(&[plain_slot()]));
    let asking = turn(&mut keeper, at(0));
    issue(&mut keeper, &asking, at(10));
    assert_eq!(keeper.turn(at(10)).len(), 1);
    keeper.not_saved("full".into(), at(10), at(15));
    assert!(!keeper.state_is_writable(at(15)));
    let release = keeper.release(at(15));
    assert_eq!((release.publications.len(), release.tasks.len()), (1, 1), "from memory");
    assert_eq!(keeper.wake(at(15)), at(20), "and tried again every five seconds");
    assert_eq!(keeper.turn(at(20)).len(), 1);
    keeper.saved();
    assert!(keeper.state_is_writable(at(20)) && keeper.unsaved().is_none());
}

#[test]
fn an_intention_that_cannot_be_saved_holds_back_no_access_token_that_is() {
    let slot = plain_slot();
    let mut keeper =
        Keeper::new(config(std::slice::from_ref(&slot)), vec![granted(&slot, at(0), secs(3600))], at(3550));
    assert_eq!(keeper.turn(at(3550)).len(), 1, "the intention to renew it");
    keeper.not_saved("full".into(), at(3550), at(3550));
    let Release { tasks, publications, .. } = keeper.release(at(3550));
    assert!(matches!(tasks.as_slice(), [Task::Deliver(_)]), "{tasks:?}");
    assert!(publications.iter().any(|publication| publication.access_token.is_some()), "{publications:?}");
}

#[test]
fn only_what_rests_on_the_unsaved_waits() {
    let (saved, unsaved) = (own_slot("saved"), plain_slot());
    let mut keeper = new(&config(&[saved, unsaved]));
    let _ = keeper.turn(at(0));
    keeper.not_saved("full".into(), at(0), at(0));
    let tasks = keeper.release(at(0)).tasks;
    let [Task::Issue(slot, _)] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!(slot.id.as_str(), "cloud/saved", "issues that are not counted rest on nothing");
}

#[test]
fn a_lost_state_counts_a_possible_issue_for_shared_slots_only() {
    let (shared, own) = (plain_slot(), own_slot("x"));
    let mut keeper = new(&config(&[shared.clone(), own.clone()]));
    keeper.note_lost_state("damaged".into(), at(0));
    assert_eq!(keeper.case(&shared).unwrap().entry.issues.len(), 1);
    assert_eq!(keeper.case(&own).unwrap().entry.issues.len(), 0);
}

// ---- words of a provider (L14)

#[test]
fn no_failure_shows_the_access_token_held_whole_or_in_part() {
    let slot = plain_slot();
    let mut held = granted(&slot, at(0), secs(3600));
    let text = "an-opaque-access-token-0123456789";
    answer(&slot, &mut held, Ok(issued(text, at(1), secs(3600))), at(1));
    let mut keeper = Keeper::new(config(std::slice::from_ref(&slot)), vec![held], at(3550));
    keeper.ask_refresh(&accounts(), 1, at(3550));
    let asking = turn(&mut keeper, at(3550));
    let Some(Task::Issue(_, ask)) = asking.iter().find(|task| matches!(task, Task::Issue(..))) else { panic!() };
    let Failure::Refused(refusal) = refused("access_denied") else { panic!("a refusal") };
    let description = Some(format!("{text} is still valid, not {}", &text[..20]));
    let failure = Failure::Refused(Refusal { description, ..refusal });
    let result = JobResult::Issued { ask: ask.clone(), asked_at: at(3550), answer: Err(failure) };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, at(3551));
    let shown = format!("{:?} {:?}", keeper.status(at(3551)).slots[0].last_error, answers(&mut keeper, at(3551)));
    assert!(shown.contains("is still valid, not") && !shown.contains("an-opaque-access"), "{shown}");
}

// ---- readiness

/// The reasons that status names, after checking that it says the same as readiness.
fn reasons(keeper: &mut Keeper, now: Timestamp) -> Vec<String> {
    let _ = turn(keeper, now);
    let status = keeper.status(now);
    assert_eq!(status.ready, keeper.is_ready(), "at {now}");
    assert_eq!(status.ready, status.reasons.is_empty(), "at {now}");
    status.reasons
}

#[test]
fn it_is_ready_exactly_when_there_is_no_reason_against_it() {
    let slot = plain_slot();
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    assert_eq!(reasons(&mut keeper, at(0)), ["accounts (bank/corporate): it has no access token yet"]);

    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    assert_eq!(reasons(&mut keeper, at(0)), ["accounts (bank/corporate): /accounts: not delivered yet"]);
    take_home(&mut keeper, &delivery, at(1));
    assert_eq!(reasons(&mut keeper, at(1)), [""; 0]);

    let stored = keeper.case(&slot).unwrap().entry.clone();
    let mut started = Keeper::new(config(std::slice::from_ref(&slot)), vec![stored], at(100));
    assert_eq!(reasons(&mut started, at(100)), ["accounts (bank/corporate): /accounts: not delivered yet"]);

    assert_eq!(reasons(&mut keeper, at(3600)), ["accounts (bank/corporate): its access token has expired"]);
}

#[test]
fn a_required_sink_with_a_valid_older_generation_counts_until_that_expires() {
    let slot = plain_slot();
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    take_home(&mut keeper, &delivery, at(1));
    let asking = turn(&mut keeper, at(3540));
    issue(&mut keeper, &asking, at(3540));
    let fails = |keeper: &mut Keeper, now: Timestamp| {
        let tasks = turn(keeper, now);
        for task in tasks {
            let Task::Deliver(delivery) = task else { panic!("{task:?}") };
            let (generation, expires_at) = (delivery.access_token.generation, delivery.access_token.expires_at);
            let (sink, result) = (delivery.sink().id.clone(), Err("read-only".to_owned()));
            let result = JobResult::Delivered { sink, generation, expires_at, result };
            keeper.handle(Outcome { identity: slot.identity.clone(), result }, now);
        }
    };
    for moment in 3540..3600 {
        fails(&mut keeper, at(moment));
        assert_eq!(reasons(&mut keeper, at(moment)), [""; 0], "at {moment}");
    }
    assert!(keeper.wake(at(3599)) <= at(3600), "it is looked at when the older one expires");
    assert_eq!(reasons(&mut keeper, at(3600)), ["accounts (bank/corporate): /accounts: read-only"]);
}

#[test]
fn status_says_that_a_slot_waits_for_its_budget() {
    let mut slot = plain_slot();
    slot.policy.budget = Some(budget(1, 7200));
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    take_home(&mut keeper, &delivery, at(1));
    let _ = turn(&mut keeper, at(3550));
    let standing = |keeper: &Keeper, now| format!("{:?}", keeper.status(now).slots[0].standing);
    assert_eq!([standing(&keeper, at(3539)), standing(&keeper, at(3550))], ["Good", "WaitingForBudget"]);
    let reason =
        "accounts (bank/corporate): its access token has expired: the budget of access tokens is used up until ";
    assert_eq!(reasons(&mut keeper, at(3600)), [format!("{reason}{}", at(7200))]);
}

#[test]
fn a_required_sink_with_a_higher_generation_that_is_left_alone_counts_while_that_lives() {
    let slot = plain_slot();
    let stored = delivered(&slot, at(0), secs(3600));
    let mut keeper = Keeper::new(config(std::slice::from_ref(&slot)), vec![stored], at(1));
    let _ = turn(&mut keeper, at(1));
    let result = JobResult::Overtaken { sink: sink_of("accounts"), generation: Generation(6), expires_at: at(60) };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, at(1));
    assert_eq!(reasons(&mut keeper, at(1)), [""; 0]);
    let status = keeper.status(at(2));
    assert_eq!(status.slots[0].generation, Generation(1), "of the access token held");
    let error = status.slots[0].tokens[0].sinks[0].error.clone().unwrap();
    assert!(error.contains("it holds generation 6 until"), "{error}");
    assert_eq!(turn(&mut keeper, at(60)).len(), 1, "looked at again when it expires");
    assert_eq!(reasons(&mut keeper, at(60)).len(), 1);
}

// ---- the end

#[test]
fn a_request_is_waited_for_at_the_end_and_a_sink_that_hangs_for_five_seconds() {
    let slot = plain_slot();
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    let asking = turn(&mut keeper, at(0));
    keeper.stop();
    let _ = turn(&mut keeper, at(1));
    assert!(!keeper.is_finished(at(60)), "a request has its own time-out");
    assert_eq!(keeper.wake(at(59)), Timestamp::NEVER, "and it alone wakes the loop");
    issue(&mut keeper, &asking, at(60));
    let delivering = turn(&mut keeper, at(60));
    assert!(!keeper.is_finished(at(60)), "what came home is brought to its readers");
    take_home(&mut keeper, &delivering, at(61));
    assert_eq!(turn(&mut keeper, at(3600 + 59)).len(), 0, "nothing else is begun any more");
    assert!(keeper.is_finished(at(61)));

    let mut keeper = new(&config(&[slot]));
    let asking = turn(&mut keeper, at(0));
    issue(&mut keeper, &asking, at(0));
    let [Task::Deliver(_)] = turn(&mut keeper, at(0)).as_slice() else { panic!("a delivery") };
    keeper.stop();
    let _ = turn(&mut keeper, at(10));
    assert!(!keeper.is_finished(at(14)));
    assert_eq!(keeper.wake(at(10)), at(15));
    assert!(keeper.is_finished(at(15)));
}

// ---- pause and resume

fn accounts() -> crate::name::Name {
    crate::name::Name::parse("accounts").unwrap()
}

/// The answers released at `now`.
fn answers(keeper: &mut Keeper, now: Timestamp) -> Vec<(AskerId, String)> {
    let _ = keeper.turn(now);
    keeper.saved();
    keeper.release(now).answers.into_iter().map(|(asker, answer)| (asker, format!("{answer:?}"))).collect()
}

#[test]
fn a_paused_slot_makes_no_request_until_it_is_resumed_also_over_restarts() {
    let slot = plain_slot();
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    take_home(&mut keeper, &delivery, at(1));
    for (asker, moment) in [(1, at(10)), (2, at(20))] {
        keeper.pause(&accounts(), asker, moment);
        assert_eq!(answers(&mut keeper, moment), [(asker, format!("Paused({:?})", at(10)))], "it is idempotent");
    }
    assert_eq!(turn(&mut keeper, at(5000)).len(), 0);
    let status = keeper.status(at(5000));
    assert_eq!(format!("{:?}", status.slots[0].standing), "Paused");
    assert_eq!((&status.slots[0].paused_since, &status.slots[0].next_refresh), (&Some(at(10).to_string()), &None));
    assert!(status.reasons[0].ends_with(&format!("its access token has expired: it is paused since {}", at(10))));

    let stored = keeper.case(&slot).unwrap().entry.clone();
    let mut keeper = Keeper::new(config(std::slice::from_ref(&slot)), vec![stored], at(6000));
    assert_eq!(turn(&mut keeper, at(6000)).len(), 0);
    keeper.ask_refresh(&accounts(), 3, at(6001));
    assert_eq!(answers(&mut keeper, at(6001)), [(3, format!("Paused({:?})", at(10)))], "nobody forces it");
    for asker in [4, 5] {
        keeper.resume(&accounts(), asker, at(6002));
    }
    let rows = keeper.turn(at(6002));
    assert!(!rows.is_empty());
    keeper.saved();
    let release = keeper.release(at(6002));
    assert!(matches!(release.tasks.as_slice(), [Task::Issue(..)]), "{release:?}");
    assert_eq!(release.answers.len(), 2);
}

#[test]
fn a_request_that_waits_to_leave_does_not_leave_a_slot_that_is_paused_meanwhile() {
    let slot = plain_slot();
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    keeper.ask_refresh(&accounts(), 1, at(0));
    let _ = keeper.turn(at(0));
    keeper.not_saved("full".into(), at(0), at(0));
    keeper.pause(&accounts(), 2, at(0));
    let _ = keeper.turn(at(1));
    keeper.saved();
    let release = keeper.release(at(1));
    assert_eq!(release.tasks.len(), 0, "{release:?}");
    assert_eq!(release.answers.iter().map(|(asker, _)| *asker).collect::<Vec<_>>(), [1, 2]);
    assert!(keeper.case(&slot).unwrap().entry.intention.is_none());
    assert_eq!(keeper.in_flight(), 0);
}

#[test]
fn a_request_under_way_comes_home_to_a_paused_slot() {
    let slot = plain_slot();
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    let asking = turn(&mut keeper, at(0));
    keeper.pause(&accounts(), 1, at(1));
    issue(&mut keeper, &asking, at(2));
    assert!(matches!(turn(&mut keeper, at(2)).as_slice(), [Task::Deliver(_)]));
}

#[test]
fn who_asked_for_patience_gets_it_also_from_the_daemon_that_is_started_next() {
    let (slow, other) = (plain_slot(), own_slot("other"));
    let stored = |slot: &Slot, failure| {
        let mut entry = Entry::new(slot.identity.clone());
        answer(slot, &mut entry, Err(failure), at(0));
        entry.standing = crate::ledger::Standing::Good;
        entry.issues.clear();
        entry
    };
    let both = config(&[slow.clone(), other.clone()]);
    let asks = |stored: Entry, now| turn(&mut Keeper::new(Arc::clone(&both), vec![stored], now), now).len();
    assert_eq!(
        [asks(stored(&slow, busy(429, Some(30))), at(29)), asks(stored(&slow, busy(429, Some(30))), at(30))],
        [1, 2]
    );
    assert_eq!(asks(stored(&slow, busy(503, Some(30))), at(29)), 0, "the whole endpoint, where that was meant");
    assert_eq!(asks(stored(&slow, busy(500, None)), at(0)), 2, "who asks for nothing is not held back");
    assert_eq!(asks(stored(&slow, busy(429, Some(30))), at(-4000)), 2, "nor longer than anybody is believed");
}

// ---- what waits for a save

/// A keeper whose save fails: the request of `waiting` waits for it, the other one is under way.
fn waiting_for_a_save(waiting: &Slot, other: &Slot) -> (Keeper, Vec<Task>) {
    let mut keeper = new(&config(&[waiting.clone(), other.clone()]));
    assert!(!keeper.turn(at(0)).is_empty(), "the intention is to be saved");
    keeper.not_saved("full".into(), at(0), at(0));
    let tasks = keeper.release(at(0)).tasks;
    assert!(matches!(tasks.as_slice(), [Task::Issue(slot, _)] if slot.id == other.id), "{tasks:?}");
    (keeper, tasks)
}

#[test]
fn a_request_that_waited_for_a_save_does_not_leave_when_patience_was_asked_for_meanwhile() {
    let (waiting, other) = (plain_slot(), own_slot("other"));
    let (mut keeper, tasks) = waiting_for_a_save(&waiting, &other);
    let [Task::Issue(slot, ask)] = tasks.as_slice() else { panic!("{tasks:?}") };
    let result = JobResult::Issued { ask: ask.clone(), asked_at: at(0), answer: Err(busy(503, Some(30))) };
    keeper.handle(Outcome { identity: slot.identity.clone(), result }, at(1));
    for moment in [5, 6, 29] {
        assert!(turn(&mut keeper, at(moment)).is_empty(), "at {moment}");
    }
    let tasks = turn(&mut keeper, at(31));
    assert!(tasks.iter().any(|task| matches!(task, Task::Issue(slot, _) if slot.id == waiting.id)), "{tasks:?}");
}

#[test]
fn a_request_that_waited_for_a_save_does_not_leave_when_its_slot_left_the_configuration() {
    let (waiting, other) = (plain_slot(), own_slot("other"));
    let (mut keeper, _) = waiting_for_a_save(&waiting, &other);
    keeper.ask_refresh(&waiting.tokens[0].name, 7, at(1));
    keeper.adopt(config(&[other]), at(1));
    let _ = keeper.turn(at(6));
    let Release { tasks, answers, .. } = keeper.release(at(6));
    assert!(tasks.is_empty(), "{tasks:?}");
    let _ = keeper.turn(at(7));
    let answers: Vec<_> = answers.into_iter().chain(keeper.release(at(7)).answers).collect();
    assert!(matches!(answers.as_slice(), [(7, RefreshAnswer::Abandoned)]), "{answers:?}");
}
