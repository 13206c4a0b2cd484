//! Runs a scenario from its beginning to its end, or to the first law that is broken; makes one that
//! failed smaller, and tells its story.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokend::daemon::{Until, run};
use tokend::keeper::Keeper;

use super::moment::{Ms, SECOND, shown};
use super::oracle::Violation;
use super::scenario::Scenario;
use super::world::{Ending, Simulated, Tally};

/// What came of a run.
pub struct Verdict {
    pub tally: Tally,
    pub outages: (u64, Ms),
    pub violation: Option<Violation>,
    pub told: Vec<String>,
}

/// What a run in which all laws hold comes to: how much happened, requests in outages, and how long
/// those were for all slots together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    pub tally: Tally,
    pub outages: (u64, Ms),
}

/// Runs `scenario`, which needs no runtime: the simulated World never waits; tells what happens, if it should.
pub fn play(scenario: &Scenario, tells: bool) -> Verdict {
    let mut world = Simulated::new(Arc::new(scenario.clone()), tells);
    loop {
        let (config, stored, lost) = world.begin();
        let mut keeper = Keeper::new(config, stored, tokend::daemon::World::now(&world));
        if lost {
            keeper.note_lost_state("lost".into(), tokend::daemon::World::now(&world));
        }
        let ended = {
            let life = pin!(run(&mut keeper, &mut world, Until::Stopped));
            life.poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        if world.end(ended) == Ending::Over {
            break;
        }
    }
    let told = world.told.take().unwrap_or_default();
    Verdict { tally: world.tally, outages: world.judge.outages, violation: world.judge.violation.take(), told }
}

/// A smaller scenario that breaks the same law.
fn shrink(scenario: &Scenario, violation: &Violation) -> Scenario {
    let mut smallest = Scenario { end: violation.at + 1, ..scenario.clone() };
    let breaks = |scenario: &Scenario| play(scenario, false).violation.filter(|v| v.law == violation.law);
    let mut runs = 0;
    let mut again = true;
    while again && runs < 500 {
        again = false;
        for cut in cuts_of(&smallest) {
            let Some(smaller) = cut_out(&smallest, cut) else { continue };
            runs += 1;
            if let Some(violation) = breaks(&smaller) {
                smallest = Scenario { end: violation.at + 1, ..smaller };
                again = true;
                break;
            }
        }
    }
    smallest
}

/// What can be left out of a scenario.
#[derive(Clone, Copy)]
enum Cut {
    Tokens(usize, usize),
    Troubles(usize, usize),
    Acts(usize, usize),
    /// The last sink of a token.
    Sink(usize),
    /// The second half of a trouble.
    Half(usize),
}

/// All that can be left out, large pieces first.
fn cuts_of(scenario: &Scenario) -> Vec<Cut> {
    let pieces = |count: usize| {
        let sizes = std::iter::successors(Some(count.div_ceil(2)), |size| (*size > 1).then_some(size.div_ceil(2)));
        let of_size =
            move |size: usize| (0..count).step_by(size.max(1)).map(move |from| (from, (from + size).min(count)));
        sizes.filter(|size| *size > 0).flat_map(of_size).collect::<Vec<_>>()
    };
    let (tokens, troubles) = (scenario.spec.tokens.len(), scenario.troubles.len());
    let mut cuts: Vec<Cut> = pieces(tokens).into_iter().map(|(from, to)| Cut::Tokens(from, to)).collect();
    cuts.extend(pieces(troubles).into_iter().map(|(from, to)| Cut::Troubles(from, to)));
    cuts.extend(pieces(scenario.acts.len()).into_iter().map(|(from, to)| Cut::Acts(from, to)));
    cuts.extend((0..tokens).map(Cut::Sink));
    cuts.extend((0..troubles).map(Cut::Half));
    cuts
}

fn cut_out(scenario: &Scenario, cut: Cut) -> Option<Scenario> {
    let mut smaller = scenario.clone();
    match cut {
        Cut::Tokens(from, to) => drop(smaller.spec.tokens.drain(from..to)),
        Cut::Troubles(from, to) => drop(smaller.troubles.drain(from..to)),
        Cut::Acts(from, to) => drop(smaller.acts.drain(from..to)),
        Cut::Sink(token) => {
            smaller.spec.tokens[token].sinks.pop_last()?;
        }
        Cut::Half(trouble) => {
            let trouble = &mut smaller.troubles[trouble];
            trouble.to = trouble.from + (trouble.to - trouble.from) / 2;
            if trouble.to - trouble.from < SECOND {
                return None;
            }
        }
    }
    (!smaller.spec.tokens.is_empty()).then_some(smaller)
}

/// Runs `scenario` and says nothing if all laws hold; else tells the story of the smallest run that
/// breaks the same one. `again` is the command that repeats it.
pub fn prove(scenario: &Scenario, again: &str) -> Result<Proof, String> {
    let Verdict { tally, outages, violation, .. } = play(scenario, false);
    let Some(violation) = violation else { return Ok(Proof { tally, outages }) };
    println!(
        "seed {}: {} is broken: {}; looking for a small run that shows it",
        scenario.seed, violation.law, violation.words
    );
    let small = shrink(scenario, &violation);
    let verdict = play(&small, true);
    let broken = verdict.violation.unwrap_or(violation);
    let from = verdict.told.len().saturating_sub(120);
    let mut story = vec![format!("seed {}: {}\n", scenario.seed, broken.law)];
    story.push(small.spec.toml());
    story.extend(small.troubles.iter().map(|t| format!("{} to {}: {:?}", shown(t.from), shown(t.to), t.what)));
    story.push(String::new());
    story.extend(verdict.told[from..].iter().cloned());
    story.push(format!("{}  {} is broken: {}", shown(broken.at), broken.law, broken.words));
    story.push(format!("\nrepeat with: {again}"));
    Err(story.join("\n"))
}
