//! The laws of refreshing, proved by simulation: the real loop and its decisions on a World with
//! virtual clocks, providers, sinks and state, where everything goes wrong that can. After every
//! event a judge who knows only the laws looks at what a bystander would see.
//!
//! A seed gives the same run on every machine. Environment: `TOKEND_SIM_SEED` repeats one run,
//! `TOKEND_SIM_SEEDS` is how many short runs there are, `TOKEND_SIM_FLEETS` how many fleets,
//! `TOKEND_SIM_DAYS` and `TOKEND_SIM_SLOTS` how long and large each is. A long night:
//! `TOKEND_SIM_SEEDS=100000 TOKEND_SIM_FLEETS=10 cargo test --test simulation -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
#![allow(clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "numbers of the simulation are small")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "reads how long to run, and how fast it was")]

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use simulation::moment::{DAY, HOUR};
use simulation::oracle::Violation;
use simulation::run::{Proof, Verdict, play, prove};
use simulation::scenario::Scenario;
use simulation::world::Tally;

mod simulation {
    pub mod moment;
    pub mod oracle;
    pub mod provider;
    pub mod rng;
    pub mod run;
    pub mod scenario;
    pub mod sky;
    pub mod spec;
    pub mod world;
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn command(seed: u64) -> String {
    format!("TOKEND_SIM_SEED={seed} cargo test --test simulation -- one_seed --nocapture")
}

#[test]
fn one_seed() {
    let seed = setting("TOKEND_SIM_SEED", 1);
    if let Err(story) = prove(&Scenario::short(seed), &command(seed)) {
        panic!("{story}");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 0..50 {
        let scenario = Scenario::short(seed);
        assert_eq!(play(&scenario, false).tally, play(&scenario, true).tally, "seed {seed}");
    }
}

/// What comes of `work` for each number below `count`, in order; all processors but one do their share.
fn on_processors<T: Send>(count: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let share = || {
        let mut done = Vec::new();
        while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count) {
            done.push((number, work(number)));
        }
        done
    };
    // A fleet is one thread for as long as all the short runs take: one processor is left to it.
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get).saturating_sub(1).max(1);
    let mut done: Vec<(u64, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(share)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, what)| what).collect()
}

#[test]
fn every_law_holds_under_every_fault() {
    let (count, started) = (setting("TOKEND_SIM_SEEDS", 2000), Instant::now());
    let runs = on_processors(count, |seed| {
        let verdict = play(&Scenario::short(seed), false);
        (verdict.tally.requests, verdict.violation.map(|violation| (seed, violation)))
    });
    let requests: u64 = runs.iter().map(|(requests, _)| requests).sum();
    let failed: Vec<(u64, Violation)> = runs.into_iter().filter_map(|(_, broken)| broken).collect();
    let took = started.elapsed().as_secs_f64();
    println!("{count} short runs, {requests} requests in {took:.1} s: {:.0} runs a second", count as f64 / took);
    for (seed, violation) in &failed {
        println!("seed {seed}: {} {}", violation.law, violation.words);
    }
    if let Some((seed, _)) = failed.first() {
        let story = prove(&Scenario::short(*seed), &command(*seed)).err().unwrap_or_default();
        panic!("{} of {count} seeds fail; the first:\n{story}", failed.len());
    }
}

#[test]
fn a_healthy_world_reaches_quiet_and_stays_there() {
    for seed in 0..100 {
        let scenario = Scenario::healthy(seed);
        let Verdict { tally: Tally { requests, issued, saves, .. }, violation, .. } = play(&scenario, false);
        let again: u64 = scenario.spec.accounts.iter().map(|account| u64::from(account.same_until.is_some())).sum();
        assert!(again > 0 || requests == issued, "seed {seed}: a request for each access token, and no other");
        assert!(saves <= 6 * requests, "seed {seed}: {saves} saves for {requests} requests");
        let story = violation.and_then(|_| prove(&scenario, "cargo test --test simulation -- a_healthy").err());
        assert_eq!(story, None, "seed {seed}");
    }
}

#[test]
fn a_thousand_slots_that_are_due_at_once_queue_in_the_order_of_their_expiry() {
    let story = prove(&Scenario::crowd(1, 1000), "cargo test --test simulation -- a_thousand").err();
    assert_eq!(story, None);
}

#[test]
fn a_fleet_lives_through_a_year() {
    let (days, slots, fleets) =
        (setting("TOKEND_SIM_DAYS", 365), setting("TOKEND_SIM_SLOTS", 1000), setting("TOKEND_SIM_FLEETS", 1));
    let started = Instant::now();
    let proofs = on_processors(fleets, |number| {
        let scenario = Scenario::fleet(7 + number, slots as usize, days as i64 * DAY);
        prove(&scenario, "cargo test --test simulation -- a_fleet, with the same environment")
    });
    let (took, years) = (started.elapsed().as_secs_f64(), (slots * fleets) as f64 * days as f64 / 365.0);
    println!("{years} slot-years in {took:.1} s: {:.1} a second", years / took);
    for proof in proofs {
        let Proof { tally, outages: (tries, lasted) } = proof.unwrap_or_else(|story| panic!("{story}"));
        let pace = tries as f64 / (lasted as f64 / HOUR as f64);
        println!("{tally:?}; {pace:.1} attempts an hour of a slot that asks in an outage");
    }
}
