//! Everything that is wanted, known and under way, kept together as one plain value: the loop
//! without its effects. It is fed what happened and answers what to save and what to carry out.
//!
//! plan → act → record → save → plan: nothing leaves before what it rests on is saved. A turn costs
//! what changed, not what there is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::agenda::Agenda;
use crate::config::Config;
use crate::job::{Job, JobResult, Lane, Outcome};
use crate::keeper::queues::Queues;
use crate::keeper::savings::Savings;
use crate::ledger::Entry;
use crate::name::Identity;
use crate::plan::{Plan, forget_at, plan, plan_departed};
use crate::record::{Durability, adopt_stored, begin, note_lost_state, record, record_withdrawal};
use crate::slot::Slot;
use crate::task::{AskerId, Publication, RefreshAnswer, Release, Task, Turn};
use crate::time::Timestamp;

mod queues;
mod readiness;
mod refresh;
mod reload;
mod savings;

/// What is wanted and known of one slot, and what is under way for it.
#[derive(Debug)]
pub struct Case {
    /// What is asked of the provider. `None` for a slot that had left the configuration before the
    /// daemon started; a slot that leaves later keeps its last form here.
    pub slot: Option<Arc<Slot>>,
    /// Whether it is in the configuration.
    pub wanted: bool,
    /// What is known.
    pub entry: Entry,
    busy: BTreeSet<Lane>,
}

impl Case {
    /// Whether a request to the provider is under way.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.busy.contains(&Lane::Issuing)
    }

    fn wanted_slot(&self) -> Option<&Arc<Slot>> {
        self.slot.as_ref().filter(|_| self.wanted)
    }
}

/// Everything that is wanted, known and under way.
#[derive(Debug)]
pub struct Keeper {
    config: Arc<Config>,
    cases: HashMap<Identity, Case>,
    agenda: Agenda,
    changed: BTreeSet<Identity>,
    savings: Savings,
    queues: Queues,
    held_back: Vec<Task>,
    to_publish: BTreeSet<Identity>,
    askers: BTreeMap<Identity, Vec<AskerId>>,
    answers: Vec<(AskerId, RefreshAnswer)>,
    unready: HashSet<Identity>,
    in_flight: usize,
    stopping: bool,
    state_notice: Option<String>,
}

impl Keeper {
    /// Starts from what the state held. Asks for nothing that is already held (L4).
    #[must_use]
    pub fn new(config: Arc<Config>, stored: Vec<Entry>, now: Timestamp) -> Self {
        let mut keeper = Self {
            config: Arc::clone(&config),
            cases: HashMap::new(),
            agenda: Agenda::default(),
            changed: BTreeSet::new(),
            savings: Savings::default(),
            queues: Queues::default(),
            held_back: Vec::new(),
            to_publish: BTreeSet::new(),
            askers: BTreeMap::new(),
            answers: Vec::new(),
            unready: HashSet::new(),
            in_flight: 0,
            stopping: false,
            state_notice: None,
        };
        for mut entry in stored {
            adopt_stored(&mut entry);
            let case = Case { slot: None, wanted: false, entry, busy: BTreeSet::new() };
            keeper.cases.insert(case.entry.identity.clone(), case);
        }
        keeper.adopt(config, now);
        keeper
    }

    /// Counts one possible issue for every exclusive slot: the state was lost, and with it the
    /// knowledge of what was issued (L16).
    pub fn note_lost_state(&mut self, reason: String, now: Timestamp) {
        self.state_notice = Some(reason);
        for case in self.cases.values_mut() {
            if case.slot.as_ref().is_some_and(|slot| slot.policy.exclusive) {
                note_lost_state(&mut case.entry, now);
                self.savings.note(&case.entry.identity, Durability::Lazy, now);
            }
        }
    }

    /// What the operator wants.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// What is known of `slot`.
    #[must_use]
    pub fn case(&self, slot: &Slot) -> Option<&Case> {
        self.cases.get(&slot.identity)
    }

    /// What is known of the slot called `identity`, also of one that left the configuration.
    #[must_use]
    pub fn case_of(&self, identity: &Identity) -> Option<&Case> {
        self.cases.get(identity)
    }

    /// What happened to the state, if a person should know.
    #[must_use]
    pub fn state_notice(&self) -> Option<&str> {
        self.state_notice.as_deref()
    }

    /// How many tasks are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Notes what came of a task.
    pub fn handle(&mut self, outcome: Outcome, now: Timestamp) {
        let Outcome { identity, result } = outcome;
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(case) = self.cases.get_mut(&identity) else { return };
        case.busy.remove(&result.lane());
        let issued = matches!(result, JobResult::Issued { .. });
        let failure = match &result {
            JobResult::Issued { answer: Err(failure), .. } => Some(failure.clone()),
            _ => None,
        };
        let durability = match (&case.slot, result) {
            (Some(slot), result) => record(slot, &mut case.entry, result, now),
            (None, JobResult::Withdrawn { sink, result }) => record_withdrawal(&mut case.entry, &sink, result, now),
            (None, _) => Durability::None,
        };
        if let (true, Some(slot)) = (issued, &case.slot) {
            self.queues.leave(slot.endpoint());
        }
        if issued {
            self.to_publish.insert(identity.clone());
            self.answer_askers(&identity, failure, now);
        }
        self.savings.note(&identity, durability, now);
        self.changed.insert(identity);
    }

    /// Decides everything that is to be decided at `now`.
    #[must_use]
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        self.changed.extend(self.agenda.take_due(now));
        loop {
            while let Some(identity) = self.changed.pop_first() {
                self.plan_one(&identity, now);
            }
            let admitted = self.queues.admit();
            if admitted.is_empty() || self.stopping {
                break;
            }
            self.changed.extend(admitted);
        }
        let rows = self.savings.rows(&self.cases, now, self.stopping);
        Turn { rows, wake: self.agenda.next().min(self.savings.wake()) }
    }

    /// Says that the rows of the turn are durable (or that there were none).
    pub fn saved(&mut self) {
        self.savings.saved();
    }

    /// Says that the rows of the turn could not be saved. What rests on them waits for
    /// `SAVE_PATIENCE`; then access tokens come first (L16).
    pub fn not_saved(&mut self, now: Timestamp) {
        self.savings.failed(now);
    }

    /// Whether the state can be written, as far as is known.
    #[must_use]
    pub fn state_is_writable(&self, now: Timestamp) -> bool {
        !self.savings.patience_is_over(now)
    }

    /// Whether no save is failing.
    #[must_use]
    pub fn everything_is_saved(&self) -> bool {
        !self.savings.is_failing()
    }

    /// What may be done now: all of it, but for what rests on rows that could not be saved.
    #[must_use]
    pub fn release(&mut self, now: Timestamp) -> Release {
        let waits = |savings: &Savings, identity: &Identity| savings.holds(identity, now);
        let savings = &self.savings;
        let (waiting, tasks) =
            std::mem::take(&mut self.held_back).into_iter().partition(|task| waits(savings, task.identity()));
        self.held_back = waiting;
        let (waiting, publish): (BTreeSet<Identity>, BTreeSet<Identity>) =
            std::mem::take(&mut self.to_publish).into_iter().partition(|identity| waits(savings, identity));
        self.to_publish = waiting;
        let publications = publish.iter().flat_map(|identity| self.publications(identity)).collect();
        Release { tasks, publications, answers: std::mem::take(&mut self.answers) }
    }

    /// Begins to stop: nothing new is started, what is under way may come home.
    pub fn stop(&mut self) {
        self.stopping = true;
        let askers = std::mem::take(&mut self.askers);
        self.answers.extend(askers.into_values().flatten().map(|asker| (asker, RefreshAnswer::Abandoned)));
    }

    /// Whether nothing is under way and nothing is due: every slot and sink was tried.
    #[must_use]
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        self.in_flight == 0 && self.held_back.is_empty() && self.changed.is_empty() && self.agenda.next() > now
    }

    /// Whether it has stopped, and everything known is saved as far as it can be.
    #[must_use]
    pub fn is_finished(&self, now: Timestamp) -> bool {
        self.stopping && self.in_flight == 0 && (self.savings.is_empty() || self.savings.patience_is_over(now))
    }

    fn plan_one(&mut self, identity: &Identity, now: Timestamp) {
        let Some(case) = self.cases.get(identity) else { return };
        let plan = match case.wanted_slot() {
            Some(slot) => plan(slot, &case.entry, &case.busy, now),
            None if case.busy.is_empty() && forget_at(&case.entry) <= now => return self.forget(identity, now),
            None => plan_departed(&case.entry, &case.busy, now),
        };
        self.note_readiness(identity, now);
        let Plan { due, wake } = plan;
        self.agenda.set(identity, wake);
        if self.stopping {
            return;
        }
        for job in due {
            self.start(identity, job, now);
        }
    }

    fn forget(&mut self, identity: &Identity, now: Timestamp) {
        self.cases.remove(identity);
        self.agenda.remove(identity);
        self.unready.remove(identity);
        self.savings.forget(identity, now);
    }

    fn start(&mut self, identity: &Identity, job: Job, now: Timestamp) {
        let Some(case) = self.cases.get_mut(identity) else { return };
        if let (Job::Issue(ask), Some(slot)) = (&job, &case.slot) {
            let expiry = case.entry.live(now).map_or(Timestamp::EPOCH, |token| token.expires_at);
            if !self.queues.enter(slot.endpoint(), expiry, identity) {
                return;
            }
            if slot.counts_issues() {
                let durability = begin(&mut case.entry, ask, now);
                self.savings.note(identity, durability, now);
            }
        }
        let Some(task) = Task::new(case.slot.as_ref(), &case.entry, job) else { return };
        case.busy.insert(task.lane());
        self.in_flight += 1;
        self.held_back.push(task);
    }

    fn publications(&self, identity: &Identity) -> Vec<Publication> {
        self.cases
            .get(identity)
            .and_then(|case| {
                case.wanted_slot().map(|slot| Publication::of_slot(slot, case.entry.access_token.as_ref()))
            })
            .unwrap_or_default()
    }
}
