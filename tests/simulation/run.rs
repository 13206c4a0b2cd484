//! Runs a scenario from its beginning to its end, or to the first law that is broken; makes one that
//! failed smaller, and tells its story.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokend::daemon::{Until, run};
use tokend::keeper::Keeper;

use super::moment::{MINUTE, shown};
use super::oracle::Violation;
use super::scenario::Scenario;
use super::world::{Ending, Simulated, Tally};

/// What came of a run.
pub struct Verdict {
    pub tally: Tally,
    pub violation: Option<Violation>,
    pub told: Vec<String>,
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
    Verdict { tally: world.tally, violation: world.judge.violation.take(), told }
}

/// A smaller scenario that breaks the same law.
fn shrink(scenario: &Scenario, law: &str) -> Scenario {
    let mut smallest = scenario.clone();
    let mut runs = 0;
    let mut again = true;
    while again && runs < 2000 {
        again = false;
        for smaller in smaller_than(&smallest) {
            runs += 1;
            if play(&smaller, false).violation.is_some_and(|violation| violation.law == law) {
                smallest = smaller;
                again = true;
                break;
            }
        }
    }
    smallest
}

fn smaller_than(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    if let Some(violation) = play(scenario, false).violation.filter(|violation| violation.at + 1 < scenario.end) {
        all.push(Scenario { end: violation.at + 1, ..scenario.clone() });
    }
    for index in 0..scenario.troubles.len() {
        let mut smaller = scenario.clone();
        smaller.troubles.remove(index);
        all.push(smaller);
    }
    for index in 0..scenario.acts.len() {
        let mut smaller = scenario.clone();
        smaller.acts.remove(index);
        all.push(smaller);
    }
    for index in 0..scenario.spec.tokens.len() {
        let mut smaller = scenario.clone();
        smaller.spec.tokens.remove(index);
        all.extend((!smaller.spec.tokens.is_empty()).then_some(smaller));
    }
    for index in 0..scenario.spec.tokens.len() {
        let mut smaller = scenario.clone();
        if smaller.spec.tokens[index].sinks.pop_last().is_some() {
            all.push(smaller);
        }
    }
    for index in 0..scenario.troubles.len() {
        let mut smaller = scenario.clone();
        let trouble = &mut smaller.troubles[index];
        trouble.to = trouble.from + (trouble.to - trouble.from) / 2;
        all.extend((trouble.to - trouble.from > MINUTE / 60).then_some(smaller));
    }
    all
}

/// Runs `scenario` and says nothing if all laws hold; else tells the story of the smallest run that
/// breaks the same one. `again` is the command that repeats it.
pub fn prove(scenario: &Scenario, again: &str) -> Result<Tally, String> {
    let Verdict { tally, violation, .. } = play(scenario, false);
    let Some(violation) = violation else { return Ok(tally) };
    let small = shrink(scenario, violation.law);
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
