//! What is tried again because somebody said so.

use super::*;
use crate::name::Name;
use crate::settings::{Followed, SecretSource, SinkPlace, VaultPlace, VaultSettings};

fn server(name: &str) -> Name {
    Name::parse(name).unwrap()
}

fn place(name: &str) -> VaultPlace {
    VaultPlace { server: server(name), mount: "secret".into(), path: "psd2".into() }
}

#[test]
fn who_waits_for_a_vault_server_is_tried_at_once_when_it_lets_us_in_and_others_are_not() {
    let mut slot = own_slot("t");
    let sinks = ["main", "other"].map(|name| {
        let vault = VaultSettings { place: place(name), fields: [].into() };
        SinkSettings { id: sink_of(name), required: true, place: SinkPlace::Vault(vault) }
    });
    slot.tokens[0].sinks = sinks.to_vec();
    let mut keeper = new(&config(std::slice::from_ref(&slot)));
    // What is there is looked at before the first request.
    let recalling = turn(&mut keeper, at(0));
    let [Task::Recall(recalled)] = recalling.as_slice() else { panic!("{recalling:?}") };
    let result = JobResult::Recalled(Generation(0));
    keeper.handle(Outcome { identity: recalled.identity.clone(), result }, at(0));
    let asking = turn(&mut keeper, at(0));
    issue(&mut keeper, &asking, at(0));
    let deliveries = turn(&mut keeper, at(0));
    assert_eq!(deliveries.len(), 2);
    for delivery in &deliveries {
        come_home(&mut keeper, delivery, Err("the login failed".into()), at(0));
    }
    assert_eq!(turn(&mut keeper, at(0)).len(), 0, "both wait");
    keeper.logged_in(&server("main"), at(0));
    let again = turn(&mut keeper, at(0));
    let [Task::Deliver(delivery)] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(delivery.sink().id, sink_of("main"));
    keeper.assert_nothing_is_overlooked(at(0));
    take_home(&mut keeper, &again, at(0));
    keeper.logged_in(&server("main"), at(0));
    assert_eq!(turn(&mut keeper, at(0)).len(), 0, "nothing waits there any more");
}

/// Answers whatever is due that there is nothing there, or with `refusal`; says how much it was.
fn fail_all(keeper: &mut Keeper, refusal: &Failure) -> usize {
    let tasks = turn(keeper, at(0));
    for task in &tasks {
        let Task::Issue(slot, ask) = task else { panic!("{task:?}") };
        let (ask, now) = (ask.clone(), at(0));
        let result = match slot.follows() {
            Some(_) => JobResult::Looked { ask, looked_at: now, found: Err(unreachable()) },
            None => JobResult::Issued { ask, asked_at: now, answer: Err(refusal.clone()) },
        };
        keeper.handle(Outcome { identity: slot.identity.clone(), result }, now);
    }
    tasks.len()
}

#[test]
fn what_is_followed_there_and_what_has_its_secret_there_is_asked_at_once() {
    let mut follower = following_slot("f");
    follower.provider = Arc::new(Provider::followed(Followed::vault(place("main")), follower.policy.persist));
    let mut asker = own_slot("a");
    let secret = SecretSource::Vault(place("main"), "client_secret".into());
    let secrets = [("client_secret".to_owned(), vec![secret])].into();
    asker.provider = Arc::new(Provider { secrets, ..provider("cloud") });
    let mut keeper = new(&config(&[follower, asker]));
    let no_login = Failure::NotReady("the login failed".into());
    assert_eq!(fail_all(&mut keeper, &no_login), 2);
    assert_eq!(fail_all(&mut keeper, &no_login), 0, "both wait");
    keeper.logged_in(&server("other"), at(0));
    assert_eq!(fail_all(&mut keeper, &no_login), 0, "that is another server");
    keeper.logged_in(&server("main"), at(0));
    assert_eq!(fail_all(&mut keeper, &refused("invalid_client")), 2);
    keeper.logged_in(&server("main"), at(0));
    assert_eq!(fail_all(&mut keeper, &no_login), 1, "what the provider refused waits for the provider");
}

#[test]
fn a_refresh_of_a_token_whose_scopes_were_refused_asks_for_them_again_and_of_another_does_not() {
    let one = shared_slot("bank", &[("one", &["a"])]);
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&one));
    take_home(&mut keeper, &delivery, at(1));
    let both = shared_slot("bank", &[("one", &["a"]), ("two", &["b"])]);
    keeper.adopt(config(std::slice::from_ref(&both)), at(2));
    let asked = |keeper: &mut Keeper, now| {
        let tasks = turn(keeper, now);
        let [Task::Issue(_, ask)] = tasks.as_slice() else { panic!("{tasks:?}") };
        let result = JobResult::Issued { ask: ask.clone(), asked_at: now, answer: Err(refused("invalid_scope")) };
        let scopes = ask.scopes.clone();
        keeper.handle(Outcome { identity: both.identity.clone(), result }, now);
        scopes
    };
    assert_eq!(asked(&mut keeper, at(2)), ["a", "b"]);
    assert_eq!(turn(&mut keeper, at(60)).len(), 0);
    keeper.ask_refresh(&server("one"), 1, at(60));
    assert_eq!(asked(&mut keeper, at(60)), ["a"], "two would not be helped, and one wants no more");
    keeper.ask_refresh(&server("two"), 2, at(600));
    assert_eq!(asked(&mut keeper, at(600)), ["a", "b"]);
    let _ = keeper.turn(at(600));
    keeper.saved();
    let answers = keeper.release(at(600)).answers;
    assert!(
        answers.iter().any(|(asker, answer)| *asker == 2 && matches!(answer, RefreshAnswer::Failed(_))),
        "{answers:?}"
    );
}

#[test]
fn an_expiry_is_noted_once_where_nobody_is_asked_for_another() {
    let slot = plain_slot();
    let (mut keeper, delivery) = delivering(std::slice::from_ref(&slot));
    take_home(&mut keeper, &delivery, at(1));
    keeper.pause(&slot.tokens[0].name, 1, at(10));
    let mut noted = Vec::new();
    for moment in [10, 3599, 3600, 3601, 4000] {
        turn(&mut keeper, at(moment));
        noted.extend(keeper.expired().iter().map(|_| moment));
    }
    assert_eq!(noted, [3600]);
}
