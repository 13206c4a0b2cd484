//! The simulated World: virtual clocks, providers, sinks and a state that outlives the daemon. It
//! makes happen what the scenario says, shows everything to the judge, and decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokend::access_token::{AccessToken, Generation};
use tokend::config::Config;
use tokend::daemon::{Event, Happening, Seen, World};
use tokend::job::{Ask, Delivered, JobResult, Lane, Outcome};
use tokend::keeper::Keeper;
use tokend::ledger::Entry;
use tokend::name::{Identity, Name, SinkId};
use tokend::settings::{FileFormat, Persist};
use tokend::slot::Slot;
use tokend::status::Status;
use tokend::store::row;
use tokend::task::{AskerId, Delivery, Publication, RefreshAnswer, Row, Task};
use tokend::time::Timestamp;

use super::moment::{BEGINNING, Ms, SECOND, shown};
use super::oracle::deliveries::{Handed, Kept};
use super::oracle::requests::OnDisk;
use super::oracle::watches::TIMEOUT;
use super::oracle::{Content, Judge, Saved};
use super::provider::{Desk, Situation, Verdict, guess, hear, listen};
use super::rng::Rng;
use super::scenario::{Act, Scenario};
use super::sky::Sky;
use super::spec::{Change, Spec, sink_at};

/// How the daemon's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The scenario is over, or a law was broken.
    Over,
    /// Killed, and back after so long.
    Killed { down: Ms, loses_state: bool },
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
    disk: BTreeMap<Identity, (Entry, Persist)>,
    slots: HashMap<Identity, usize>,
    coming: BTreeMap<(Ms, u64), Coming>,
    sent: u64,
    lanes: BTreeSet<(usize, Lane)>,
    askers: BTreeMap<AskerId, usize>,
    kill_in: Option<usize>,
    killed: Option<Ending>,
    pending_kill: (Ms, bool),
    stopping: Option<(Ms, Ms)>,
    idle: usize,
    /// When the present turn began.
    turn_at: Ms,
    down_since: Ms,
}

/// What comes home, and when; `effect` is what happens outside just before.
struct Coming {
    outcome: Outcome,
    slot: usize,
    verdict: Option<Verdict>,
    write: Option<(SinkId, Content)>,
    remove: Option<(SinkId, [u8; 16])>,
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
            disk: BTreeMap::new(),
            slots: HashMap::new(),
            coming: BTreeMap::new(),
            sent: 0,
            lanes: BTreeSet::new(),
            askers: BTreeMap::new(),
            kill_in: None,
            killed: None,
            pending_kill: (0, false),
            stopping: None,
            idle: 0,
            turn_at: 0,
            down_since: 0,
            scenario,
        }
    }

    /// Begins a life: the configuration to start with, and what the state holds.
    pub fn begin(&mut self) -> (Arc<Config>, Vec<Entry>, bool) {
        let ending = self.killed.take();
        let mut lost = false;
        if let Some(Ending::Killed { down, loses_state }) = ending {
            self.move_on(self.now + down);
            while let Some((_, act)) = self.scenario.acts.get(self.acts).filter(|(at, _)| *at <= self.now).cloned() {
                self.acts += 1;
                if let Act::Edit(change) = act {
                    self.edit(&change);
                }
            }
            lost = loses_state;
        }
        if lost {
            self.disk.clear();
        }
        self.coming.clear();
        self.lanes.clear();
        self.askers.clear();
        (self.kill_in, self.stopping, self.idle, self.turn_at) = (None, None, 0, self.now);
        self.tally.starts += 1;
        let config = self.config();
        self.judge.spec = self.spec.clone();
        let saved = self.saved(lost);
        self.judge.start(self.down_since, &saved);
        self.tell(|| format!("--- the daemon starts{}", if lost { ", its state is lost" } else { "" }));
        let entries = self.disk.values().map(|(entry, persist)| outlived(entry, *persist)).collect();
        (config, entries, lost)
    }

    fn saved(&self, is_lost: bool) -> Saved {
        let mut saved = Saved { is_lost, ..Saved::default() };
        for (entry, _) in self.disk.values() {
            saved.intentions.extend(entry.intention.iter().map(|intention| {
                let scopes = intention.ask.scopes.iter().cloned().collect();
                (self.slots[&entry.identity], Self::true_time(intention.at), scopes)
            }));
            let held = entry.receipts.iter().filter_map(|(sink, receipt)| Some((sink, receipt.held?)));
            saved.sinks.extend(held.map(|(sink, held)| (sink_at(sink.as_str()), held.fingerprint)));
        }
        saved
    }

    /// How the life ended.
    pub fn end(&mut self, ran_to_its_end: bool) -> Ending {
        if ran_to_its_end && let Some((since, down)) = self.stopping {
            if self.now - since > TIMEOUT + 15 * SECOND {
                self.judge.accuse("L16", format!("stopping took {} s", (self.now - since) / SECOND));
            }
            self.killed = Some(Ending::Killed { down, loses_state: false });
        }
        self.down_since = self.now;
        self.judge.is_away = true;
        match self.killed {
            Some(ending) if self.judge.violation.is_none() => {
                self.tell(|| "--- the daemon is gone".to_owned());
                ending
            }
            _ => Ending::Over,
        }
    }

    fn is_dead(&self) -> bool {
        self.killed.is_some() || self.judge.violation.is_some()
    }

    /// One step: here the daemon may be killed.
    fn step(&mut self) -> bool {
        match &mut self.kill_in {
            Some(0) => {
                let (down, loses_state) = self.pending_kill;
                self.kill_in = None;
                self.killed.get_or_insert(Ending::Killed { down, loses_state });
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

    fn config(&mut self) -> Arc<Config> {
        if let Some(config) = &self.config {
            return Arc::clone(config);
        }
        let config = self.spec.config();
        self.learn(&config);
        self.config = Some(Arc::clone(&config));
        config
    }

    fn learn(&mut self, config: &Config) {
        for slot in &config.slots {
            let key = key_of(slot);
            let account = slot.provider.client_id().trim_start_matches("client").parse().unwrap();
            let index = self.judge.slot(&key, account);
            self.slots.insert(slot.identity.clone(), index);
        }
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

    fn timestamp(at: Ms) -> Timestamp {
        Timestamp::from_millis(BEGINNING + at)
    }

    fn true_time(at: Timestamp) -> Ms {
        at.as_millis().saturating_sub(BEGINNING)
    }

    fn rng(&mut self, salt: u64) -> Rng {
        self.sent += 1;
        Rng::of(self.scenario.seed, &[salt, self.now as u64, self.sent])
    }

    fn edit(&mut self, change: &Change) {
        let before = self.spec.clone();
        if let (Change::TakeBack, Some(spec)) = (change, self.before_edit.take()) {
            self.spec = spec;
        } else {
            self.spec.change(change);
        }
        self.before_edit = Some(before);
        self.config = None;
        self.tell(|| format!("    edit: {change:?}"));
    }

    fn act(&mut self, act: Act) -> Option<Happening> {
        match act {
            Act::Edit(change) => {
                self.edit(&change);
                let config = self.config();
                Some(Happening::Event(Event::Reload(config)))
            }
            Act::Refresh(name) => {
                let asker = self.sent;
                self.sent += 1;
                let slot = self.judge.refresh_asked(&name);
                self.tell(|| format!("    an admin asks for a refresh of {name}"));
                self.askers.insert(asker, slot.unwrap_or(usize::MAX));
                Some(Happening::Event(Event::Refresh(Name::parse(&name).unwrap(), asker)))
            }
            Act::Kill { steps, down, loses_state } => {
                self.kill_in = Some(steps);
                self.pending_kill = (down, loses_state);
                None
            }
            Act::Stop { down } => {
                self.stopping = Some((self.now, down));
                self.tell(|| "    it is told to stop".to_owned());
                Some(Happening::Event(Event::Stop))
            }
            Act::Suspend(length) => {
                let from = self.now;
                self.judge.is_away = true;
                self.move_on(from + length);
                self.judge.slept(from, self.now);
                self.tell(|| format!("    the host slept for {} s", length / SECOND));
                None
            }
        }
    }

    fn later(&mut self, after: Ms, coming: Coming) {
        self.sent += 1;
        self.coming.insert((self.now + after.max(1), self.sent), coming);
    }

    fn ask(&mut self, slot: &Arc<Slot>, ask: Ask) {
        let index = self.slots[&slot.identity];
        let wire = listen(slot, &ask, self.scenario.speaks);
        let on_disk = self.disk.get(&slot.identity);
        let has_intention = on_disk.is_some_and(|(entry, _)| entry.intention.is_some());
        self.judge.request(index, &wire, OnDisk { has_intention });
        self.tally.requests += 1;
        let number: usize = slot.provider.client_id().trim_start_matches("client").parse().unwrap();
        let account = &self.spec.accounts[number];
        let mood = self.sky.mood(account.endpoint, number, self.now);
        let situation = Situation { account, mood, now: self.now, timeout: TIMEOUT };
        let mut rng = Rng::of(self.scenario.seed, &[1, self.now as u64, index as u64]);
        let key = self.judge.key(index).to_owned();
        let reply = self.desks.entry(index).or_default().answer(&key, &wire, situation, &mut rng);
        let silent = account.silent;
        self.judge.issued(index, &reply);
        self.tally.issued += u64::from(reply.issued.is_some());
        self.digest(&[1, index as u64, reply.after as u64]);
        self.tell(|| format!("request for {key}, {:?}; in {} ms: {:?}", wire.scopes, reply.after, reply.verdict));
        let (asked_at, answered_at) = (Self::timestamp(self.now), Self::timestamp(self.now + reply.after));
        let answer = if self.scenario.speaks {
            hear(slot, &ask, &reply.verdict, silent, (asked_at, answered_at))
        } else {
            guess(&reply.verdict, silent, asked_at)
        };
        let result = JobResult::Issued { ask, asked_at, answer };
        let outcome = Outcome { identity: slot.identity.clone(), result };
        self.later(
            reply.after,
            Coming { outcome, slot: index, verdict: Some(reply.verdict), write: None, remove: None },
        );
    }

    fn deliver(&mut self, delivery: &Delivery) {
        let index = self.slots[&delivery.slot.identity];
        let (sink, token) = (delivery.sink().id.clone(), &delivery.access_token);
        let expires_at = Self::true_time(token.expires_at);
        let handed = Handed { text: token.secret.expose(), generation: token.generation.0, expires_at };
        self.judge.delivering(index, delivery.token().name.as_str(), sink.as_str(), handed);
        self.tally.deliveries += 1;
        self.digest(&[2, index as u64, token.generation.0]);
        self.tell(|| format!("deliver generation {} to {sink}", token.generation));
        let content = content_of(delivery, index, expires_at);
        let result = |result| JobResult::Delivered {
            sink: sink.clone(),
            generation: token.generation,
            expires_at: token.expires_at,
            result,
        };
        let outcome = |result| Outcome { identity: delivery.slot.identity.clone(), result };
        let mut rng = self.rng(2);
        let done = Ok(Delivered { written: true, fingerprint: content.fingerprint });
        let broken = || Err("no space left on device".to_owned());
        let (after, done, write) = match self.sky.sink(sink_at(sink.as_str()), self.now) {
            Some((_, false)) => (5, broken(), None),
            Some((until, true)) if rng.chance(50) => (until - self.now, broken(), None),
            Some((until, true)) => (until - self.now, done, Some(content)),
            None if rng.chance(50) => {
                self.judge.written(sink.as_str(), content);
                (rng.between(1, 50), done, None)
            }
            None => (rng.between(1, 50), done, Some(content)),
        };
        let write = write.map(|content| (sink.clone(), content));
        self.later(after, Coming { outcome: outcome(result(done)), slot: index, verdict: None, write, remove: None });
    }

    fn withdraw(&mut self, identity: Identity, sink: SinkId, fingerprint: [u8; 16]) {
        let index = self.slots[&identity];
        self.judge.withdrawing(sink.as_str());
        self.digest(&[3, index as u64]);
        self.tell(|| format!("withdraw {sink}"));
        let (after, result) = match self.sky.sink(sink_at(sink.as_str()), self.now) {
            Some((until, hangs)) => (if hangs { until - self.now } else { 5 }, Err("read-only file system".to_owned())),
            None => (self.rng(3).between(1, 50), Ok(())),
        };
        let remove = result.is_ok().then(|| (sink.clone(), fingerprint));
        let outcome = Outcome { identity, result: JobResult::Withdrawn { sink, result } };
        self.later(after, Coming { outcome, slot: index, verdict: None, write: None, remove });
    }

    fn recall(&mut self, slot: &Slot) {
        let index = self.slots[&slot.identity];
        let json = |sink: &SinkId| self.judge.contents.get(&sink_at(sink.as_str())).filter(|content| content.json);
        let highest = slot.sinks().filter_map(|(_, sink)| json(&sink.id)).map(|content| content.generation).max();
        let result = JobResult::Recalled(Generation(highest.unwrap_or(0)));
        self.tell(|| format!("recall {}: {highest:?}", slot.id));
        let outcome = Outcome { identity: slot.identity.clone(), result };
        self.later(3, Coming { outcome, slot: index, verdict: None, write: None, remove: None });
    }

    /// What comes home now takes its effect outside, and is seen by the judge.
    fn arrive(&mut self, coming: Coming) -> Happening {
        let Coming { outcome, slot, verdict, write, remove } = coming;
        self.lanes.remove(&(slot, outcome.result.lane()));
        if let Some((sink, content)) = write {
            self.judge.written(sink.as_str(), content);
        }
        if let Some((sink, fingerprint)) = remove {
            self.judge.withdrawn(sink.as_str(), fingerprint);
        }
        if let Some(verdict) = verdict {
            self.judge.answer(slot, &verdict);
        }
        if let JobResult::Delivered { sink, generation, result: Ok(_), .. } = &outcome.result {
            self.judge.reported(slot, sink.as_str(), generation.0);
        }
        if let JobResult::Delivered { sink, result: Err(_), .. } = &outcome.result {
            self.judge.failed(sink.as_str());
        }
        Happening::Outcome(outcome)
    }
}

impl World for Simulated {
    fn now(&self) -> Timestamp {
        Self::timestamp(self.now)
    }

    async fn save(&mut self, rows: Vec<Row>) -> Result<(), String> {
        if self.step() {
            std::future::pending::<()>().await;
        }
        self.tally.saves += 1;
        if !self.sky.state_works(self.now) {
            self.judge.not_saved();
            return Err("no space left on device".into());
        }
        self.judge.all_saved();
        for row in rows {
            match row {
                Row::Put(entry, persist) => {
                    let slot = self.slots[&entry.identity];
                    let token = entry.access_token.as_ref().filter(|_| persist == Persist::Encrypted);
                    let text = token.map(|token| token.secret.expose());
                    self.judge.saved(slot, Kept { text, generation: entry.generation.0 });
                    self.disk.insert(entry.identity.clone(), (*entry, persist));
                }
                Row::Remove(identity) => {
                    if self.disk.remove(&identity).is_some() {
                        self.judge.forgotten(self.slots[&identity]);
                    }
                }
            }
        }
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
            Task::Withdraw { identity, sink, fingerprint } => self.withdraw(identity, sink, fingerprint),
            Task::Recall(slot) => self.recall(&slot),
            Task::Notify(_) => unreachable!("no scenario has a hook"),
        }
        self.step();
    }

    fn publish(&mut self, publication: Publication) {
        if self.step() {
            return;
        }
        let Publication { name, slot, access_token } = publication;
        let index = self.slots[&slot.identity];
        let handed = |token: &'_ Arc<AccessToken>| (Self::true_time(token.expires_at), token.generation.0);
        let (expires_at, generation) = access_token.as_ref().map_or((0, 0), handed);
        let handed = access_token.as_ref().map(|token| Handed { text: token.secret.expose(), generation, expires_at });
        self.judge.published(index, name.as_str(), handed);
    }

    fn answer(&mut self, asker: AskerId, answer: RefreshAnswer) {
        if self.is_dead() {
            return;
        }
        self.tell(|| format!("    the admin is answered: {answer:?}"));
        match self.askers.remove(&asker) {
            Some(slot) if slot < usize::MAX => self.judge.refresh_answered(slot),
            Some(_) => {}
            None => self.judge.accuse("contract", "an admin is answered twice".to_owned()),
        }
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
        let coming = self.coming.first_key_value().map_or(Ms::MAX, |((at, _), _)| *at);
        let act = self.scenario.acts.get(self.acts).map_or(Ms::MAX, |(at, _)| *at);
        let act = if self.stopping.is_some() { Ms::MAX } else { act };
        let then = Self::true_time(wake).min(coming).min(act).max(self.now);
        if then >= self.scenario.end && self.stopping.is_none() {
            self.move_on(self.scenario.end);
            self.killed.get_or_insert(Ending::Over);
            std::future::pending::<()>().await;
        }
        self.idle = if then > self.now || coming <= then || act <= then { 0 } else { self.idle + 1 };
        if self.idle > 3 {
            self.judge.accuse("L9", "the loop turns and turns, and nothing happens".to_owned());
            std::future::pending::<()>().await;
        }
        self.move_on(then);
        let mut happenings = Vec::new();
        if act <= then {
            let act = self.scenario.acts[self.acts].1.clone();
            self.acts += 1;
            happenings.extend(self.act(act));
        }
        while let Some(entry) = self.coming.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let coming = entry.remove();
            let happening = self.arrive(coming);
            happenings.push(happening);
        }
        self.turn_at = self.now;
        happenings
    }
}

impl Simulated {
    /// The agenda equals planning everything anew, and no plan holds a job whose lane is busy.
    fn check_agenda(&mut self, keeper: &Keeper) {
        let overlooked = keeper.overlooked(Self::timestamp(self.turn_at));
        if let Some(words) = overlooked.first() {
            self.judge.accuse("agenda", words.clone());
        }
    }
}

/// The key of a slot, from what its requests would show.
fn key_of(slot: &Slot) -> String {
    let client = slot.provider.client_id();
    match (slot.policy.exclusive, &slot.context) {
        (true, context) => format!("{client}/{}", context.as_deref().unwrap_or_default()),
        (false, _) => format!("{client}/{}", slot.tokens[0].name),
    }
}

/// What the real row keeps of an entry.
fn outlived(entry: &Entry, persist: Persist) -> Entry {
    let row = row::encode(entry, persist).unwrap();
    row::decode(entry.identity.clone(), &row).unwrap()
}

fn content_of(delivery: &Delivery, slot: usize, expires_at: Ms) -> Content {
    let json = delivery.sink().file.format == FileFormat::Json;
    let token = &delivery.access_token;
    let mut hash = Rng::of(u64::from(json), &[token.generation.0, expires_at as u64, slot as u64]);
    let mut fingerprint = [0; 16];
    token
        .secret
        .expose()
        .bytes()
        .enumerate()
        .for_each(|(n, byte)| fingerprint[8 + n % 8] ^= byte.rotate_left(n as u32 / 8));
    fingerprint[..8].copy_from_slice(&hash.next().to_le_bytes());
    let text = token.secret.expose().to_owned();
    Content { slot, text, generation: token.generation.0, expires_at, json, fingerprint }
}
