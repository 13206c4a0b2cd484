//! The simulated World: virtual clocks, providers, sinks and a state that outlives the daemon. It
//! makes happen what the scenario says, shows everything to the judge, and decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokend::config::Config;
use tokend::daemon::{Happening, Seen, World};
use tokend::job::Lane;
use tokend::keeper::Keeper;
use tokend::name::Identity;
use tokend::shelf::{Item, Shelf};
use tokend::status::Status;
use tokend::task::{AskerId, Publication, RefreshAnswer, Row, Task};
use tokend::time::Timestamp;

use super::moment::{Ms, shown};
use super::oracle::Judge;
use super::oracle::admins::Told;
use super::oracle::deliveries::Handed;
use super::provider::Desk;
use super::rng::Rng;
use super::scenario::Scenario;
use super::sky::Sky;
use super::spec::Spec;
use acts::Asker;
use clocks::Clocks;
use outside::Coming;
use state::{Hanging, Rows};

mod acts;
mod clocks;
mod hooks;
mod lives;
mod nap;
mod outside;
mod state;

/// How the daemon's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The scenario is over, or a law was broken.
    Over,
    /// Killed, and back after so long; whether the machine is booted, into a wall clock that is so far off.
    Killed { down: Ms, loses_state: bool, reboots: Option<Ms> },
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub requests: u64,
    pub issued: u64,
    pub deliveries: u64,
    pub saves: u64,
    pub starts: u64,
    /// A digest of everything that happened, in order.
    pub digest: u64,
}

pub struct Simulated {
    scenario: Arc<Scenario>,
    pub judge: Judge,
    pub tally: Tally,
    /// What happened, for people; empty unless it is told.
    pub told: Option<Vec<String>>,
    now: Ms,
    sky: Sky,
    acts: usize,
    spec: Spec,
    before_edit: Option<Spec>,
    /// What `spec` was parsed to, until it is edited.
    config: Option<Arc<Config>>,
    desks: HashMap<usize, Desk>,
    disk: Rows,
    hanging: Option<Hanging>,
    clocks: Clocks,
    shelf: Shelf,
    slots: HashMap<Identity, usize>,
    coming: BTreeMap<(Ms, u64), Coming>,
    sent: u64,
    lanes: BTreeSet<(usize, Lane)>,
    askers: BTreeMap<AskerId, Asker>,
    kill_in: Option<usize>,
    killed: Option<Ending>,
    pending_kill: Ending,
    stopping: Option<(Ms, Ms)>,
    idle: usize,
    /// When the present turn began.
    turn_at: Ms,
    down_since: Ms,
    /// The machine was booted before the present life.
    booted: bool,
}

impl Simulated {
    pub fn new(scenario: Arc<Scenario>, tells: bool) -> Self {
        let slack = (scenario.spec.tokens.len() as Ms / 8) * 500;
        Self {
            judge: Judge::new(scenario.spec.clone(), slack),
            tally: Tally::default(),
            told: tells.then(Vec::new),
            now: 0,
            sky: Sky::new(&scenario.troubles),
            acts: 0,
            spec: scenario.spec.clone(),
            before_edit: None,
            config: None,
            desks: HashMap::new(),
            disk: Rows::new(),
            hanging: None,
            clocks: Clocks::new(),
            shelf: Shelf::default(),
            slots: HashMap::new(),
            coming: BTreeMap::new(),
            sent: 0,
            lanes: BTreeSet::new(),
            askers: BTreeMap::new(),
            kill_in: None,
            killed: None,
            pending_kill: Ending::Over,
            stopping: None,
            idle: 0,
            turn_at: 0,
            down_since: 0,
            booted: false,
            scenario,
        }
    }

    fn is_dead(&self) -> bool {
        self.killed.is_some() || self.judge.violation.is_some()
    }

    /// One step: here the daemon may be killed.
    fn step(&mut self) -> bool {
        match &mut self.kill_in {
            Some(0) => {
                self.kill_in = None;
                self.killed.get_or_insert(self.pending_kill);
            }
            Some(steps) => *steps -= 1,
            None => {}
        }
        self.is_dead()
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(told) = &mut self.told {
            told.push(format!("{}  {}", shown(now), line()));
        }
    }

    fn digest(&mut self, parts: &[u64]) {
        let hash = parts.iter().fold(self.tally.digest ^ self.now as u64, |hash, part| Rng::of(hash, &[*part]).next());
        self.tally.digest = hash;
    }

    fn move_on(&mut self, to: Ms) {
        let mut at = self.now;
        while at < to {
            let next = self.sky.next_change(at).clamp(at + 1, to);
            self.judge.advance(next, &self.sky);
            for trouble in self.sky.advance(at, next) {
                self.judge.ended(&trouble);
                self.now = next;
                self.tell(|| format!("    over: {:?}", trouble.what));
            }
            at = next;
        }
        self.now = to;
    }

    fn rng(&mut self, salt: u64) -> Rng {
        self.sent += 1;
        Rng::of(self.scenario.seed, &[salt, self.now as u64, self.sent])
    }
}

impl World for Simulated {
    fn now(&self) -> Timestamp {
        self.clocks.now(self.now)
    }

    async fn save(&mut self, rows: Vec<Row>) -> Result<(), String> {
        if self.step() {
            std::future::pending::<()>().await;
        }
        self.tally.saves += 1;
        self.try_save(rows)?;
        let took = self.rng(4).between(0, 3);
        self.move_on(self.now + took);
        if self.step() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn carry_out(&mut self, task: Task) {
        if self.step() {
            return;
        }
        let lane = (self.slots[task.identity()], task.lane());
        if self.lanes.contains(&lane) {
            self.judge.accuse("L2", format!("two tasks at once for {} at {:?}", self.judge.key(lane.0), lane.1));
        }
        self.lanes.insert(lane);
        match task {
            Task::Issue(slot, ask) => self.ask(&slot, ask),
            Task::Deliver(delivery) => self.deliver(&delivery),
            Task::Withdraw { identity, sink, written } => self.withdraw(identity, sink, &written),
            Task::Recall(slot) => self.recall(&slot),
            Task::Notify(notification) => self.notify(notification),
        }
        self.step();
    }

    fn publish(&mut self, publication: Publication) {
        if self.step() {
            return;
        }
        let Publication { name, slot, access_token } = publication;
        let index = self.slots[&slot.identity];
        let handed = access_token.as_ref().map(|token| Handed {
            text: token.secret.expose(),
            generation: token.generation.0,
            expires_at: self.clocks.true_time(token.expires_at),
        });
        self.judge.published(index, name.as_str(), handed);
        self.shelf.put(name, Item::new(slot, access_token));
    }

    fn answer(&mut self, asker: AskerId, answer: RefreshAnswer) {
        if self.is_dead() {
            return;
        }
        self.tell(|| format!("    the admin is answered: {answer:?}"));
        let Some(Asker { slot, wish, at }) = self.askers.remove(&asker) else {
            return self.judge.accuse("contract", "an admin is answered twice, or never asked".to_owned());
        };
        let told = match &answer {
            RefreshAnswer::Held(token) => Told::Held(token.secret.expose()),
            RefreshAnswer::NotBefore(until, _) => Told::NotBefore(self.clocks.true_time(*until)),
            RefreshAnswer::Failed(_) => Told::Failed,
            RefreshAnswer::Paused(_) => Told::Paused,
            RefreshAnswer::Resumed => Told::Resumed,
            RefreshAnswer::Accepted | RefreshAnswer::NotHeld(_) => unreachable!("no reader invalidates"),
            RefreshAnswer::Abandoned => Told::Abandoned { stopping: self.stopping.is_some() },
        };
        self.judge.answered(slot, wish, at, told);
    }

    fn answer_status(&mut self, _asker: AskerId, _status: Status) {}

    fn observe(&mut self, keeper: &Keeper, seen: Seen<'_>) {
        if self.is_dead() {
            return;
        }
        match seen {
            Seen::Turned => {
                self.judge.turned();
                if self.scenario.speaks {
                    self.check_agenda(keeper);
                }
            }
            Seen::Reloaded => {
                self.shelf.retain(|name| keeper.config().tokens.contains_key(name));
                self.judge.spec = self.spec.clone();
                self.judge.adopt();
            }
            _ => {}
        }
    }

    async fn next(&mut self, wake: Timestamp) -> Vec<Happening> {
        if self.step() {
            std::future::pending::<()>().await;
        }
        let happening = self.doze(wake);
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        self.come_home();
        let mut happenings: Vec<Happening> = self.notice_the_clock().map(Happening::ClockSet).into_iter().collect();
        happenings.extend(happening);
        while let Some(entry) = self.coming.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let coming = entry.remove();
            let happening = self.arrive(coming);
            happenings.push(happening);
        }
        self.read_the_shelf();
        self.turn_at = self.now;
        happenings
    }
}

impl Simulated {
    /// The agenda equals planning everything anew, and no plan holds a job whose lane is busy.
    fn check_agenda(&mut self, keeper: &Keeper) {
        let overlooked = keeper.overlooked(self.clocks.now(self.turn_at));
        if let Some(words) = overlooked.first() {
            self.judge.accuse("agenda", words.clone());
        }
    }
}
