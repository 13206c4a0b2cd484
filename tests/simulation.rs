//! The laws of refreshing, proved by simulation: the real loop and its decisions on a World with
//! virtual clocks, providers, sinks and state, where everything goes wrong that can. After every
//! event a judge who knows only the laws looks at what a bystander would see.
//!
//! A seed gives the same run on every machine. Environment: `TOKEND_SIM_SEED` repeats one run,
//! `TOKEND_SIM_SEEDS` is how many short runs there are, `TOKEND_SIM_DAYS` and `TOKEND_SIM_SLOTS` how
//! long and large the fleet is. A long night:
//! `TOKEND_SIM_SEEDS=100000 TOKEND_SIM_DAYS=3650 cargo test --test simulation -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
#![allow(clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "numbers of the simulation are small")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "reads how long to run, and how fast it was")]

use std::time::Instant;

use simulation::moment::{DAY, HOUR};
use simulation::run::{Proof, play, prove};
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

#[test]
fn every_law_holds_under_every_fault() {
    let (count, started) = (setting("TOKEND_SIM_SEEDS", 2000), Instant::now());
    let mut requests = 0;
    let mut failed = Vec::new();
    for seed in 0..count {
        let verdict = play(&Scenario::short(seed), false);
        requests += verdict.tally.requests;
        failed.extend(verdict.violation.map(|violation| (seed, violation)));
    }
    println!("{count} short runs, {requests} requests in {:.1} s", started.elapsed().as_secs_f64());
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
        let Tally { requests, issued, saves, .. } = play(&scenario, false).tally;
        let again: u64 = scenario.spec.accounts.iter().map(|account| u64::from(account.same_until.is_some())).sum();
        assert!(again > 0 || requests == issued, "seed {seed}: a request for each access token, and no other");
        assert!(saves <= 6 * requests, "seed {seed}: {saves} saves for {requests} requests");
        let story = prove(&scenario, "a_healthy_world").err();
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
    let (days, slots) = (setting("TOKEND_SIM_DAYS", 365), setting("TOKEND_SIM_SLOTS", 1000));
    let started = Instant::now();
    let scenario = Scenario::fleet(7, slots as usize, days as i64 * DAY);
    match prove(&scenario, "cargo test --test simulation -- a_fleet") {
        Ok(Proof { tally, outages: (tries, lasted) }) => {
            let (took, years) = (started.elapsed().as_secs_f64(), slots as f64 * days as f64 / 365.0);
            println!("{years} slot-years in {took:.1} s: {:.0} a second; {tally:?}", years / took);
            println!(
                "{:.1} attempts an hour of a slot that asks in an outage",
                tries as f64 / (lasted as f64 / HOUR as f64)
            );
        }
        Err(story) => panic!("{story}"),
    }
}
