//! A World in virtual time: hours run in milliseconds, and every law that can be seen from
//! outside is checked at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::access_token::{Generation, Issued};
use crate::config::Config;
use crate::daemon::{Event, Happening, Seen, Until, World, run};
use crate::failure::Failure;
use crate::fixtures::*;
use crate::job::{Ask, Delivered, JobResult, Outcome};
use crate::keeper::Keeper;
use crate::ledger::{Entry, IssueKind};
use crate::name::{Identity, SinkId};
use crate::plan::renewal_of;
use crate::record::clock::follow_clock;
use crate::settings::HookEvent;
use crate::slot::Slot;
use crate::status::Status;
use crate::task::{AskerId, Delivery, Notification, Publication, RefreshAnswer, Row, Task};
use crate::time::{Step, Timestamp};

/// What the provider answers to whom, when it is asked at which moment; and after how long.
pub type Provider = Box<dyn FnMut(&Slot, &Ask, Timestamp) -> (Duration, Reply)>;
/// Whether a sink can be written at a moment.
pub type Disk = Box<dyn Fn(&SinkId, Timestamp) -> bool>;

/// What the provider does.
pub enum Reply {
    /// Issues an access token that lives so long.
    Issue(Duration),
    /// Issues one whose answer is lost on the way.
    Lose(Duration),
    /// Answers with the access token issued last.
    Same,
    /// Issues one with these scopes only.
    Grant(Duration, Vec<String>),
    /// Fails.
    Fail(Failure),
}

/// A request to the provider.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: Timestamp,
    pub identity: Identity,
    pub issued: bool,
}

/// What a sink holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub generation: Generation,
    pub expires_at: Timestamp,
}

/// `now` and all that stands here is true time, which nobody can set; the daemon is shown wall time.
pub struct Virtual {
    pub now: Timestamp,
    /// By how much the wall clock is set when.
    pub clock_steps: BTreeMap<Timestamp, Step>,
    /// How far the wall clock is from true time.
    pub offset: Step,
    pub end: Timestamp,
    pub provider: Provider,
    pub sink_works: Disk,
    /// Whether a hook ends well at a moment, and how long it takes.
    pub hook: Box<dyn Fn(Timestamp) -> (Duration, bool)>,
    /// When the state cannot be written.
    pub unwritable: Vec<(Timestamp, Timestamp)>,
    pub events: BTreeMap<Timestamp, Vec<Event>>,
    /// Killed at this step, counting saves, tasks and waits.
    pub kill_at: Option<usize>,
    pub steps: usize,
    // what came of it
    pub disk: BTreeMap<Identity, Entry>,
    pub saves: usize,
    pub requests: Vec<Request>,
    /// When an access token reached the daemon, and when it expires.
    pub arrived: Vec<(Timestamp, Timestamp)>,
    pub files: BTreeMap<SinkId, Content>,
    pub deliveries: Vec<(Timestamp, SinkId, Generation)>,
    pub withdrawals: Vec<(Timestamp, SinkId)>,
    /// The hooks that were run, whether in vain or not: when, whose, what for, which generation.
    pub hooks: Vec<(Timestamp, String, HookEvent, Generation)>,
    pub published: BTreeMap<String, Option<Generation>>,
    pub answers: Vec<(Timestamp, AskerId, String)>,
    pub statuses: Vec<Status>,
    /// The last access token that the provider issued to whom.
    pub newest: BTreeMap<Identity, Issued>,
    // inside
    dead: bool,
    coming: BTreeMap<(Timestamp, usize), Outcome>,
    asking: BTreeSet<Identity>,
    told_to_stop: bool,
    failing_since: Option<Timestamp>,
    sent: usize,
    idle: usize,
}

/// A provider that issues access tokens for an hour, except while `down` it cannot be reached.
pub fn hourly(down: &[(i64, i64)]) -> Provider {
    let down: Vec<_> = down.iter().map(|&(from, to)| (at(from), at(to))).collect();
    Box::new(move |_, _, now| {
        let is_down = down.iter().any(|(from, to)| (*from..*to).contains(&now));
        let latency = Duration::from_millis(200);
        if is_down { (Duration::ZERO, Reply::Fail(unreachable())) } else { (latency, Reply::Issue(secs(3600))) }
    })
}

impl Virtual {
    pub fn new(end: i64, provider: Provider) -> Self {
        Self {
            now: START,
            clock_steps: BTreeMap::new(),
            offset: Step::NONE,
            end: at(end),
            provider,
            sink_works: Box::new(|_, _| true),
            hook: Box::new(|_| (secs(1), true)),
            unwritable: Vec::new(),
            events: BTreeMap::new(),
            kill_at: None,
            steps: 0,
            disk: BTreeMap::new(),
            saves: 0,
            requests: Vec::new(),
            arrived: Vec::new(),
            files: BTreeMap::new(),
            deliveries: Vec::new(),
            withdrawals: Vec::new(),
            hooks: Vec::new(),
            published: BTreeMap::new(),
            answers: Vec::new(),
            statuses: Vec::new(),
            newest: BTreeMap::new(),
            dead: false,
            coming: BTreeMap::new(),
            asking: BTreeSet::new(),
            told_to_stop: false,
            failing_since: None,
            sent: 0,
            idle: 0,
        }
    }

    /// Runs the daemon until its end, or until it is killed.
    pub fn run(&mut self, config: &Arc<Config>) -> Keeper {
        self.run_until(config, Until::Stopped)
    }

    pub fn run_until(&mut self, config: &Arc<Config>, until: Until) -> Keeper {
        self.dead = false;
        self.told_to_stop = false;
        self.coming.clear();
        self.asking.clear();
        let mut stored: Vec<Entry> = self.disk.values().cloned().collect();
        for entry in &mut stored {
            follow_clock(entry, self.offset, self.now);
        }
        let mut keeper = Keeper::new(Arc::clone(config), stored, self.wall());
        let ended = pin!(run(&mut keeper, self, until)).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(ended || self.dead, "every wait of this World ends");
        keeper
    }

    /// Lets `event` happen so many seconds after the start.
    pub fn when(&mut self, moment: i64, event: Event) {
        self.events.entry(at(moment)).or_default().push(event);
    }

    pub fn issued(&self) -> usize {
        self.requests.iter().filter(|request| request.issued).count()
    }

    pub fn failed(&self) -> usize {
        self.requests.len() - self.issued()
    }

    /// The moments of all requests, in seconds after the start.
    pub fn moments(&self) -> Vec<f64> {
        self.requests.iter().map(|request| request.at.since(START).as_secs_f64()).collect()
    }

    /// How long no valid access token was held, after the first had arrived.
    pub fn gap(&self) -> Duration {
        let ends = self.arrived.iter().skip(1).map(|(arrived, _)| *arrived).chain([self.end]);
        self.arrived.iter().zip(ends).map(|((_, expires_at), next)| expires_at.until(next)).sum()
    }

    /// Of how many slots the state does not know the access token issued last.
    pub fn lost(&self) -> usize {
        let is_lost = |(identity, newest): &(&Identity, &Issued)| {
            let known = self.disk.get(*identity).and_then(|entry| entry.access_token.as_ref());
            known.is_none_or(|known| !known.secret.same_as(&newest.secret))
        };
        self.newest.iter().filter(is_lost).count()
    }

    fn wall(&self) -> Timestamp {
        self.now.moved(self.offset)
    }

    fn step(&mut self) {
        self.dead |= self.kill_at == Some(self.steps);
        self.steps += 1;
    }

    fn later(&mut self, after: Duration, identity: Identity, result: JobResult) {
        self.sent += 1;
        self.coming.insert((self.now + after, self.sent), Outcome { identity, result });
    }

    fn memory_comes_first(&self) -> bool {
        self.failing_since.is_some_and(|since| self.now >= since + secs(5))
    }

    /// L2, L4, L5: what may be asked follows from what is on disk.
    fn check_request(&self, slot: &Slot, ask: &Ask) {
        let Some(entry) = self.disk.get(&slot.identity) else {
            assert!(!slot.counts_issues() || self.memory_comes_first(), "the intention is on disk first");
            return;
        };
        if slot.counts_issues() && !self.memory_comes_first() {
            assert_eq!(entry.intention.as_ref().map(|intention| &intention.ask), Some(ask), "on disk first");
        }
        if let Some(held) = entry.live(self.now) {
            assert!(ask.forced || self.now >= renewal_of(slot, held), "asked before its lead at {}", self.now);
        }
        let Some(budget) = slot.policy.budget else { return };
        let counts =
            |issue: &&crate::ledger::Issue| issue.kind == IssueKind::Issued && issue.at + budget.per > self.now;
        let issued = entry.issues.iter().filter(counts).count();
        let places = budget.issues as usize - usize::from(ask.forced && entry.live(self.now).is_some());
        assert!(issued < places || self.memory_comes_first(), "the budget is used up at {}", self.now);
    }

    fn ask(&mut self, slot: &Arc<Slot>, ask: Ask) {
        assert!(self.asking.insert(slot.identity.clone()), "never two requests for {}", slot.id);
        self.check_request(slot, &ask);
        let (after, reply) = (self.provider)(slot, &ask, self.now);
        let text = format!("{} #{}", slot.id, self.requests.len());
        let new = |lifetime| issued(&text, self.now, lifetime);
        let (new, answer) = match reply {
            Reply::Issue(lifetime) => (Some(new(lifetime)), Ok(new(lifetime))),
            Reply::Lose(lifetime) => (Some(new(lifetime)), Err(lost())),
            Reply::Grant(lifetime, scopes) => {
                let some = Issued { scopes: Some(scopes), ..new(lifetime) };
                (Some(some.clone()), Ok(some))
            }
            Reply::Same => (None, Ok(self.newest[&slot.identity].clone())),
            Reply::Fail(failure) => (None, Err(failure)),
        };
        let issued = new.is_some();
        self.requests.push(Request { at: self.now, identity: slot.identity.clone(), issued });
        self.newest.extend(new.map(|new| (slot.identity.clone(), new)));
        self.later(after, slot.identity.clone(), JobResult::Issued { ask, asked_at: self.now, answer });
    }

    fn notify(&mut self, notification: &Notification) {
        let Notification { slot, notice, .. } = notification;
        let token = slot.token(&notice.token).unwrap();
        if notice.event == HookEvent::Changed {
            let holds = |sink: &SinkId| self.files.get(sink).map(|content| content.generation);
            let mut sinks = token.sinks.iter();
            assert!(
                sinks.all(|sink| holds(&sink.id) >= Some(notice.generation)),
                "a hook before all sinks: {notice:?}"
            );
            assert!(self.published[token.name.as_str()] >= Some(notice.generation), "a hook before the readers");
        }
        self.hooks.push((self.now, notice.token.to_string(), notice.event, notice.generation));
        let (after, works) = (self.hook)(self.now);
        let (token, event, generation) = (notice.token.clone(), notice.event, notice.generation);
        let result = if works { Ok(()) } else { Err("it failed (exit status: 1)".into()) };
        self.later(after, slot.identity.clone(), JobResult::Notified { token, event, generation, result });
    }

    fn deliver(&mut self, delivery: &Delivery) {
        let told = &delivery.access_token;
        let (sink, token) = (delivery.sink().id.clone(), &told.follow_clock(-self.offset, self.wall()));
        let saved = self.disk.get(&delivery.slot.identity).and_then(|entry| entry.access_token.as_ref());
        let is_saved = saved.is_some_and(|saved| saved.generation >= token.generation);
        assert!(is_saved || self.memory_comes_first(), "persist, then publish");
        assert!(self.now < token.expires_at, "an expired access token is delivered");
        let works = (self.sink_works)(&sink, self.now);
        let content = Content { generation: token.generation, expires_at: told.expires_at };
        let mut written = false;
        if works {
            let before = self.files.insert(sink.clone(), content);
            assert!(before.is_none_or(|before| before.generation <= token.generation), "a sink goes back");
            written = before != Some(content);
        }
        if written {
            self.deliveries.push((self.now, sink.clone(), token.generation));
        }
        let mut fingerprint = [0; 16];
        fingerprint[..8].copy_from_slice(&token.generation.0.to_le_bytes());
        let result = if works { Ok(Delivered { written, fingerprint }) } else { Err("read-only file system".into()) };
        let (generation, expires_at) = (token.generation, token.expires_at);
        let result = JobResult::Delivered { sink, generation, expires_at, result };
        self.later(Duration::from_millis(5), delivery.slot.identity.clone(), result);
    }
}

impl World for Virtual {
    fn now(&self) -> Timestamp {
        self.wall()
    }

    async fn save(&mut self, rows: Vec<Row>) -> Result<(), String> {
        self.step();
        if self.dead {
            std::future::pending::<()>().await;
        }
        if self.unwritable.iter().any(|(from, to)| (*from..*to).contains(&self.now)) {
            self.failing_since.get_or_insert(self.now);
            return Err("no space left on device".into());
        }
        self.failing_since = None;
        self.saves += 1;
        for row in rows {
            match row {
                Row::Put(mut entry, _) => {
                    follow_clock(&mut entry, -self.offset, self.wall());
                    self.disk.insert(entry.identity.clone(), *entry);
                }
                Row::Remove(identity) => drop(self.disk.remove(&identity)),
            }
        }
        self.step();
        if self.dead {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn carry_out(&mut self, task: Task) {
        self.step();
        if self.dead {
            return;
        }
        match task {
            Task::Recall(slot) => self.later(Duration::ZERO, slot.identity.clone(), JobResult::Recalled(Generation(0))),
            Task::Issue(slot, ask) => self.ask(&slot, ask),
            Task::Deliver(delivery) => self.deliver(&delivery),
            Task::Withdraw { identity, sink, .. } => {
                self.files.remove(&sink);
                self.withdrawals.push((self.now, sink.clone()));
                self.later(Duration::ZERO, identity, JobResult::Withdrawn { sink, result: Ok(()) });
            }
            Task::Notify(notification) => self.notify(&notification),
        }
    }

    fn publish(&mut self, publication: Publication) {
        let generation = publication.access_token.map(|token| token.generation);
        let saved = self.disk.get(&publication.slot.identity).map(|entry| entry.generation);
        assert!(generation <= saved || self.memory_comes_first(), "persist, then publish");
        self.published.insert(publication.name.to_string(), generation);
    }

    fn answer(&mut self, asker: AskerId, answer: RefreshAnswer) {
        let text = match answer {
            RefreshAnswer::Held(token) => format!("held {}", token.generation),
            RefreshAnswer::NotBefore(until, _) => format!("not before {}", until.since(START).as_secs()),
            RefreshAnswer::Failed(failure) => format!("failed: {failure}"),
            RefreshAnswer::Paused(since) => format!("paused since {}", since.since(START).as_secs()),
            RefreshAnswer::Resumed => "resumed".into(),
            RefreshAnswer::Accepted => "accepted".into(),
            RefreshAnswer::NotHeld(held) => format!("not held, but {}", held.unwrap_or(Generation::NONE)),
            RefreshAnswer::Abandoned => "abandoned".into(),
        };
        self.answers.push((self.now, asker, text));
    }

    fn answer_status(&mut self, _asker: AskerId, status: Status) {
        self.statuses.push(status);
    }

    fn observe(&mut self, keeper: &Keeper, seen: Seen<'_>) {
        if matches!(seen, Seen::Turned) {
            keeper.assert_nothing_is_overlooked(self.wall());
        }
    }

    async fn next(&mut self, wake: Timestamp) -> Vec<Happening> {
        self.step();
        if self.dead {
            std::future::pending::<()>().await;
        }
        let wake = wake.moved(-self.offset);
        let step = self.clock_steps.first_key_value().map_or(Timestamp::NEVER, |(at, _)| *at);
        let coming = self.coming.first_key_value().map_or(Timestamp::NEVER, |((at, _), _)| *at);
        let event = self.events.first_key_value().map_or(Timestamp::NEVER, |(at, _)| *at);
        // After the end only what is under way comes home.
        let end = if self.now < self.end { self.end } else { Timestamp::NEVER };
        let stops = end == Timestamp::NEVER && !std::mem::replace(&mut self.told_to_stop, end == Timestamp::NEVER);
        let then = if stops { self.now } else { wake.min(coming).min(event).min(step).min(end).max(self.now) };
        self.idle = if then > self.now || stops || coming <= then || event <= then { 0 } else { self.idle + 1 };
        assert!(self.idle < 3, "it spins at {}", self.now);
        self.now = then;
        if stops {
            return vec![Happening::Event(Event::Stop)];
        }
        if let Some(step) = self.clock_steps.remove(&then) {
            self.offset = self.offset.and(step);
            return vec![Happening::ClockSet(step)];
        }
        if let Some(events) = self.events.remove(&then) {
            return events.into_iter().map(Happening::Event).collect();
        }
        if coming <= then {
            let Some((_, mut outcome)) = self.coming.pop_first() else { return vec![] };
            if let Outcome { identity, result: JobResult::Issued { answer, .. } } = &outcome {
                self.asking.remove(identity);
                self.arrived.extend(answer.as_ref().ok().map(|issued| (then, issued.expires_at)));
            }
            outcome.follow_clock(self.offset);
            return vec![Happening::Outcome(outcome)];
        }
        vec![]
    }
}
