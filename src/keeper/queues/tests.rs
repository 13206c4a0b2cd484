//! Who may ask when.

use std::sync::Arc;

use crate::fixtures::*;
use crate::keeper::queues::*;

/// The higher the number, the earlier the name.
fn identity(n: i64) -> Identity {
    Identity::new(&[&(900 - n).to_string()])
}

fn at_rate(requests: u32, per: u64) -> Provider {
    Provider { rate: Some(Rate { requests, per: secs(per) }), ..provider("bank") }
}

fn plea(moment: i64, until: i64) -> Plea {
    Plea { at: at(moment), until: at(until), of_endpoint: false }
}

#[test]
fn eight_go_at_a_time_and_the_nearest_expiry_first() {
    let (bank, mut queues) = (provider("bank"), Queues::default());
    for n in (0..10).rev() {
        assert!(!queues.enter(&bank, &identity(n), at(n)), "nobody goes unadmitted");
    }
    let admitted = queues.admit(at(0));
    assert_eq!(admitted, (0..8).map(identity).collect::<Vec<_>>());
    for identity in &admitted {
        assert!(queues.enter(&bank, identity, at(0)));
    }
    assert_eq!(queues.admit(at(0)), []);
    queues.leave(&bank);
    assert_eq!(queues.admit(at(0)), [identity(8)]);
}

#[test]
fn a_place_that_is_not_taken_goes_to_the_next() {
    let (bank, mut queues) = (provider("bank"), Queues::default());
    for n in 0..9 {
        queues.enter(&bank, &identity(n), at(n));
    }
    assert_eq!(queues.admit(at(0)).len(), 8);
    assert_eq!(queues.admit(at(0)), [identity(8)], "none of the eight wanted it any more");
    assert!(!queues.enter(&bank, &identity(0), at(0)), "and their admission is over");
}

#[test]
fn the_lowest_rate_given_for_an_endpoint_holds() {
    let mut queues = Queues::default();
    let slow = at_rate(2, 10);
    queues.adopt([at_rate(10, 1), slow.clone(), at_rate(3, 10)].iter());
    for n in 0..5 {
        queues.enter(&slow, &identity(n), at(n));
    }
    let go = |queues: &mut Queues, now| {
        let admitted = queues.admit(now);
        assert!(admitted.iter().all(|identity| queues.enter(&slow, identity, at(0))));
        for _ in &admitted {
            queues.depart(&slow, now);
            queues.leave(&slow);
        }
        admitted.len()
    };
    assert_eq!([go(&mut queues, at(0)), go(&mut queues, at(9)), go(&mut queues, at(10))], [2, 0, 2]);
    assert_eq!(queues.wake(at(10)), at(20));
    queues.adopt([provider("bank")].iter());
    assert_eq!(go(&mut queues, at(10)), 1, "a reload lifts it");
}

#[test]
fn three_accounts_held_back_within_a_minute_hold_back_their_endpoint() {
    let other = Arc::new(provider("d"));
    let mut queues = Queues::default();
    for (name, moment) in [("a", 0), ("b", 61), ("c", 100)] {
        queues.heed(&provider(name), plea(moment, moment + 500));
        assert_eq!(queues.held_until(&provider(name)), at(moment + 500));
    }
    assert_eq!(queues.held_until(&other), Timestamp::EPOCH, "only two of them within a minute");
    queues.heed(&provider("a"), plea(101, 110));
    assert_eq!(queues.held_until(&other), at(110));
    assert_eq!(queues.held_until(&provider("a")), at(500), "a shorter plea takes nothing back");
}

#[test]
fn an_endpoint_that_asks_for_patience_gets_it_from_all_its_accounts() {
    let (bank, mut queues) = (provider("bank"), Queues::default());
    queues.heed(&bank, Plea { of_endpoint: true, ..plea(0, 9) });
    assert_eq!(queues.held_until(&provider("another")), at(9));
}

#[test]
fn the_rate_counts_departures_and_who_never_leaves_takes_nobodys_place() {
    let (slow, mut queues) = (at_rate(1, 10), Queues::default());
    queues.adopt([slow.clone()].iter());
    for n in 0..2 {
        queues.enter(&slow, &identity(n), at(n));
    }
    assert_eq!(queues.admit(at(0)), [identity(0)]);
    assert!(queues.enter(&slow, &identity(0), at(0)));
    assert_eq!(queues.admit(at(20)), [], "it still waits for a save");
    queues.depart(&slow, at(20));
    assert_eq!(queues.admit(at(29)), [], "and left only then");
    assert_eq!(queues.admit(at(30)), [identity(1)]);
    assert!(queues.enter(&slow, &identity(1), at(0)));
    queues.give_up(&slow);
    queues.enter(&slow, &identity(2), at(0));
    assert_eq!(queues.admit(at(31)), [identity(2)]);
}
