//! The loop: asks the keeper what to do, does it through a `World`, and tells the keeper what came
//! of it. All of the program's life is on this page; no decision is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::access_token::Generation;
use crate::config::Config;
use crate::job::Outcome;
use crate::keeper::Keeper;
use crate::name::{Identity, Name};
use crate::settings::FileKind;
use crate::status::Status;
use crate::task::{AskerId, Publication, RefreshAnswer, Row, Task};
use crate::time::{Step, Timestamp};

/// Everything outside: the one seam between the loop and reality.
pub trait World {
    /// The present moment, as wall time: it runs on evenly, and when the wall clock is set it leaps
    /// together with a `Happening::ClockSet`, never without.
    fn now(&self) -> Timestamp;

    /// Writes `rows` durably, in one transaction; it never takes longer than a few seconds. Errors:
    /// what is wrong, in words.
    fn save(&mut self, rows: Vec<Row>) -> impl Future<Output = Result<(), String>>;

    /// Starts `task`, once and without trying again; its outcome comes back through `next`.
    fn carry_out(&mut self, task: Task);

    /// Shows the readers of a token what they may have from now on.
    fn publish(&mut self, publication: Publication);

    /// Answers somebody who asked for a refresh.
    fn answer(&mut self, asker: AskerId, answer: RefreshAnswer);

    /// Answers somebody who asked for the status.
    fn answer_status(&mut self, asker: AskerId, status: Status);

    /// Looks at how things stand after a turn: logs it, tells the service manager.
    fn observe(&mut self, keeper: &Keeper, seen: Seen<'_>);

    /// Waits until something happens, at most until `wake`; says what did, in order.
    fn next(&mut self, wake: Timestamp) -> impl Future<Output = Vec<Happening>>;
}

/// Something happened outside.
#[derive(Debug)]
pub enum Happening {
    /// A task came to its end.
    Outcome(Outcome),
    /// Somebody wants something.
    Event(Event),
    /// The wall clock was set by so much; `World::now` already follows it. First of what is handed
    /// over together. Outcomes that come home later are moved by the World.
    ClockSet(Step),
}

/// What somebody wants of the loop.
#[derive(Debug)]
pub enum Event {
    /// A fresh access token, before it is due.
    Refresh(Name, AskerId),
    /// No requests for the slot of a token, until they are wanted again.
    Pause(Name, AskerId),
    /// Requests for the slot of a token again.
    Resume(Name, AskerId),
    /// An access token for this name that lives at least so long.
    WantLonger(Name, Duration, AskerId),
    /// A reader of this name says that its API refused this generation.
    Invalidate(Name, Generation, AskerId),
    /// How things stand.
    Status(AskerId),
    /// How things stand with the slot of one token.
    StatusOf(Name, AskerId),
    /// How things stand, in numbers.
    Readings(AskerId),
    /// Another configuration, already checked.
    Reload(Arc<Config>),
    /// A file that these provider tables, or tokens, name was written.
    FilesChanged(BTreeSet<Name>, FileKind),
    /// A moment of this schedule has come.
    Moment(String),
    /// A person asks that every sink be looked at again.
    LookAgain,
    /// A Vault server that let nobody in has let us in.
    LoggedIn(Name),
    /// How things stand, in the log.
    LogStatus,
    /// The end.
    Stop,
}

/// What `World::observe` is shown.
#[derive(Debug)]
pub enum Seen<'a> {
    /// This outcome is about to be recorded.
    Arriving(&'a Outcome),
    /// An outcome of this slot was recorded.
    Recorded(&'a Identity),
    /// The rows of a turn could not be saved, and why.
    NotSaved(&'a str),
    /// The wall clock was set.
    ClockSet(Step),
    /// An admin wants no requests for the slot of this token.
    Paused(&'a Name),
    /// An admin wants requests for it again.
    Resumed(&'a Name),
    /// Another configuration was taken, also the first one.
    Reloaded,
    /// A person asks that everything be tried again.
    LookAgain,
    /// Somebody wants the status in the log.
    StatusWanted,
    /// Somebody wants the status in numbers.
    ReadingsWanted(AskerId),
    /// A turn is over.
    Turned,
}

/// How long the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it is told to stop.
    Stopped,
    /// Until every slot and sink was brought up to date, or tried.
    Quiet,
}

/// Runs until the end that `until` names, and everything under way has come home.
pub async fn run(keeper: &mut Keeper, world: &mut impl World, until: Until) {
    // Who asks while the first rows are being saved finds what is held.
    release(keeper, world);
    world.observe(keeper, Seen::Reloaded);
    loop {
        let rows = keeper.turn(world.now());
        // What does not rest on these rows is under way while they are saved.
        release(keeper, world);
        if !rows.is_empty() {
            let since = world.now();
            match world.save(rows).await {
                Ok(()) => keeper.saved(),
                Err(reason) => {
                    world.observe(keeper, Seen::NotSaved(&reason));
                    keeper.not_saved(reason, since, world.now());
                }
            }
            release(keeper, world);
        }
        world.observe(keeper, Seen::Turned);
        let now = world.now();
        if keeper.is_finished(now) {
            return;
        }
        if until == Until::Quiet && keeper.is_quiet(now) {
            keeper.stop();
            continue;
        }
        for happening in world.next(keeper.wake(now)).await {
            handle(keeper, world, happening);
        }
    }
}

fn release(keeper: &mut Keeper, world: &mut impl World) {
    let release = keeper.release(world.now());
    for publication in release.publications {
        world.publish(publication);
    }
    for (asker, answer) in release.answers {
        world.answer(asker, answer);
    }
    for task in release.tasks {
        world.carry_out(task);
    }
}

fn handle(keeper: &mut Keeper, world: &mut impl World, happening: Happening) {
    let now = world.now();
    match happening {
        Happening::Outcome(outcome) => {
            world.observe(keeper, Seen::Arriving(&outcome));
            let identity = outcome.identity.clone();
            keeper.handle(outcome, now);
            world.observe(keeper, Seen::Recorded(&identity));
        }
        Happening::ClockSet(step) => {
            keeper.clock_set(step, now);
            world.observe(keeper, Seen::ClockSet(step));
        }
        Happening::Event(Event::Refresh(name, asker)) => keeper.ask_refresh(&name, asker, now),
        Happening::Event(Event::WantLonger(name, span, asker)) => keeper.want_longer(&name, span, asker, now),
        Happening::Event(Event::Invalidate(name, generation, asker)) => {
            keeper.invalidate(&name, generation, asker, now);
        }
        Happening::Event(Event::Pause(name, asker)) => {
            keeper.pause(&name, asker, now);
            world.observe(keeper, Seen::Paused(&name));
        }
        Happening::Event(Event::Resume(name, asker)) => {
            keeper.resume(&name, asker, now);
            world.observe(keeper, Seen::Resumed(&name));
        }
        Happening::Event(Event::Status(asker)) => {
            let status = keeper.status(now);
            world.answer_status(asker, status);
        }
        Happening::Event(Event::StatusOf(name, asker)) => {
            let status = keeper.status_of(&name, now);
            world.answer_status(asker, status);
        }
        Happening::Event(Event::Reload(config)) => {
            keeper.adopt(config, now);
            world.observe(keeper, Seen::Reloaded);
            release(keeper, world);
        }
        Happening::Event(Event::FilesChanged(tokens, FileKind::Template)) => keeper.fill_again(&tokens),
        Happening::Event(Event::FilesChanged(tokens, FileKind::Followed)) => keeper.look_there(&tokens, now),
        Happening::Event(Event::FilesChanged(providers, file)) => keeper.try_again(&providers, file, now),
        Happening::Event(Event::Moment(schedule)) => keeper.look_at_schedule(&schedule),
        Happening::Event(Event::Readings(asker)) => world.observe(keeper, Seen::ReadingsWanted(asker)),
        Happening::Event(Event::LookAgain) => {
            keeper.look_again(now);
            world.observe(keeper, Seen::LookAgain);
        }
        Happening::Event(Event::LoggedIn(server)) => keeper.logged_in(&server, now),
        Happening::Event(Event::LogStatus) => world.observe(keeper, Seen::StatusWanted),
        Happening::Event(Event::Stop) => keeper.stop(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
