//! Everything that is wanted, known and under way, kept together as one plain value: the loop
//! without its effects. It is fed what happened and answers what to save and what to carry out.
//!
//! plan → act → record → save → plan: nothing leaves before what it rests on is saved. A turn costs
//! what changed, not what there is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem::take;
use std::sync::Arc;

pub use crate::keeper::case::Case;
pub use crate::keeper::savings::Unsaved;

use crate::agenda::Agenda;
use crate::config::Config;
use crate::job::{JobResult, Lane, Outcome};
use crate::keeper::arriving::without_secrets;
use crate::keeper::queues::Queues;
use crate::keeper::savings::Savings;
use crate::ledger::{Entry, Plea};
use crate::name::{Identity, SinkId};
use crate::record::again::try_refused_again;
use crate::record::follow::look_at_once;
use crate::record::receipt::record_withdrawal;
use crate::record::{Durability, LONGEST_PATIENCE, adopt_stored, note_lost_state, record};
use crate::settings::Provider;
use crate::slot::Slot;
use crate::task::{AskerId, RefreshAnswer, Row, Task};
use crate::time::Timestamp;

mod again;
mod arriving;
mod case;
mod clock;
mod demand;
mod overlooked;
mod pause;
mod planning;
mod queues;
pub mod readiness;
mod refresh;
mod release;
mod reload;
mod savings;
mod schedule;

/// Everything that is wanted, known and under way.
#[derive(Debug)]
pub struct Keeper {
    config: Arc<Config>,
    cases: HashMap<Identity, Box<Case>>,
    agenda: Agenda,
    changed: BTreeSet<Identity>,
    /// Sinks from which something came home, where that is all that changed.
    returned: BTreeMap<Identity, Vec<SinkId>>,
    savings: Savings,
    queues: Queues,
    held_back: Vec<Task>,
    to_publish: BTreeSet<Identity>,
    askers: BTreeMap<Identity, Vec<AskerId>>,
    /// Answers that speak of a slot's access token wait until it is saved.
    answers: Vec<(Option<Identity>, AskerId, RefreshAnswer)>,
    unready: HashSet<Identity>,
    /// Whose access token expired in this turn, without another one being asked for.
    expired: Vec<Identity>,
    /// Sinks that still hold what was written there for another slot.
    taken_over: BTreeSet<SinkId>,
    in_flight: usize,
    stopping: bool,
    stopping_since: Option<Timestamp>,
    state_notice: Option<String>,
}

impl Keeper {
    /// Starts from what the state held. Asks for nothing that is already held (L4).
    #[must_use]
    pub fn new(config: Arc<Config>, stored: Vec<Entry>, now: Timestamp) -> Self {
        let mut keeper = Self {
            config: Arc::clone(&config),
            cases: HashMap::with_capacity(config.slots.len().max(stored.len())),
            agenda: Agenda::default(),
            changed: BTreeSet::new(),
            returned: BTreeMap::new(),
            savings: Savings::default(),
            queues: Queues::default(),
            held_back: Vec::new(),
            to_publish: BTreeSet::new(),
            askers: BTreeMap::new(),
            answers: Vec::new(),
            unready: HashSet::new(),
            expired: Vec::new(),
            taken_over: BTreeSet::new(),
            in_flight: 0,
            stopping: false,
            stopping_since: None,
            state_notice: None,
        };
        for mut entry in stored {
            adopt_stored(&mut entry);
            if entry.anchor.take().is_some() {
                // From now on its moments are measured by this boot, all but the access token's.
                keeper.savings.note(&entry.identity, Durability::Lazy, now);
            }
            keeper.cases.insert(entry.identity.clone(), Box::new(Case::new(entry)));
        }
        keeper.changed = keeper.cases.keys().cloned().collect();
        keeper.adopt(config, now);
        keeper.remember_pleas(now);
        keeper
    }

    /// Whoever asked for patience before the daemon was started still gets it (L12).
    fn remember_pleas(&mut self, now: Timestamp) {
        let plea = |case: &Case| Some((case.entry.plea?, Arc::clone(&case.wanted_slot()?.provider)));
        // Nobody is believed for longer: the clock was another one when it was saved.
        let counts = |plea: &Plea| plea.until > now && plea.until <= now + LONGEST_PATIENCE;
        let mut pleas: Vec<(Plea, Arc<Provider>)> =
            self.cases.values().filter_map(|case| plea(case)).filter(|(plea, _)| counts(plea)).collect();
        pleas.sort_by_key(|(plea, _)| plea.at);
        for (plea, provider) in pleas {
            self.queues.heed(&provider, plea);
        }
    }

    /// Counts one possible issue for every exclusive slot: the state was lost, and with it the
    /// knowledge of what was issued (L16).
    pub fn note_lost_state(&mut self, reason: String, now: Timestamp) {
        self.state_notice = Some(reason);
        for case in self.cases.values_mut() {
            if case.slot.as_ref().is_some_and(|slot| slot.policy.exclusive) {
                note_lost_state(&mut case.entry, now);
                self.savings.note(&case.entry.identity, Durability::Now, now);
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
        self.case_of(&slot.identity)
    }

    /// What is known of the slot called `identity`, also of one that left the configuration.
    #[must_use]
    pub fn case_of(&self, identity: &Identity) -> Option<&Case> {
        self.cases.get(identity).map(Box::as_ref)
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

    /// Whose access token expired in the last turn, without another one being asked for.
    #[must_use]
    pub fn expired(&self) -> &[Identity] {
        &self.expired
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Until when the account or the endpoint of `slot` is held back; `EPOCH` when neither is.
    #[must_use]
    pub fn queued_until(&self, slot: &Slot) -> Timestamp {
        self.queues.held_until(&slot.provider)
    }

    /// Notes what came of a task.
    pub fn handle(&mut self, outcome: Outcome, now: Timestamp) {
        let Outcome { identity, result } = outcome;
        self.in_flight = self.in_flight.saturating_sub(1);
        let result = self.disown(result);
        let Some(case) = self.cases.get_mut(&identity) else { return };
        let result = without_secrets(&case.entry, result);
        let lane = result.lane();
        case.leave(&lane);
        let answered = match &result {
            JobResult::Issued { answer, .. } => Some(answer.as_ref().err().cloned()),
            JobResult::Looked { found, .. } => Some(found.as_ref().err().cloned()),
            _ => None,
        };
        let durability = match (&case.slot, result) {
            (Some(slot), result) => record(slot, &mut case.entry, result, now),
            (None, JobResult::Withdrawn { sink, result }) => record_withdrawal(&mut case.entry, &sink, result, now),
            (None, _) => Durability::None,
        };
        if answered.is_some() && take(&mut case.overtaken) {
            try_refused_again(&mut case.entry, now);
            if case.slot.as_ref().is_some_and(|slot| slot.follows().is_some()) {
                look_at_once(&mut case.entry, now);
            }
        }
        self.savings.note(&identity, durability, now);
        match (lane, answered) {
            (Lane::Issuing, Some(failure)) => self.settle_request(&identity, failure, now),
            (Lane::Issuing | Lane::Hooks(_), _) => {}
            (Lane::Sink(sink), _) => {
                if durability == Durability::Token {
                    // Its access token is numbered anew: another tokend was ahead.
                    self.to_publish.insert(identity.clone());
                } else if self.settle_sink(&identity, &sink, now) {
                    self.returned.entry(identity).or_default().push(sink);
                    return;
                }
            }
        }
        self.changed.insert(identity);
    }

    /// Decides everything that is to be decided at `now`. Answers what to save, in one
    /// transaction, before anything that is released.
    #[must_use]
    pub fn turn(&mut self, now: Timestamp) -> Vec<Row> {
        self.expired.clear();
        self.note_stopping(now);
        self.changed.extend(self.agenda.take_due(now));
        self.plan_returned(now);
        loop {
            while let Some(identity) = self.changed.pop_first() {
                self.plan_one(&identity, now);
            }
            if self.stopping {
                break;
            }
            self.changed.extend(self.queues.admit(now));
            if self.changed.is_empty() {
                break;
            }
        }
        self.savings.rows(&self.cases, now, self.stopping)
    }

    /// When to take the next turn if nothing happens before.
    #[must_use]
    pub fn wake(&self, now: Timestamp) -> Timestamp {
        let end = Some(self.end()).filter(|end| *end > now).unwrap_or(Timestamp::NEVER);
        self.agenda.next().min(self.savings.wake()).min(self.queues.wake(now)).min(end)
    }

    /// Whether nothing is under way and nothing is due: every slot and sink was tried.
    #[must_use]
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        let planned = self.changed.is_empty() && self.returned.is_empty();
        let nothing_due = planned && self.agenda.next() > now && !self.queues.is_moving(now);
        self.in_flight == 0 && nothing_due
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
