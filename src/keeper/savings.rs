//! What is to be saved, how soon, and what happens while it cannot be (L16).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::keeper::Case;
use crate::keeper::Keeper;
use crate::name::Identity;
use crate::record::Durability;
use crate::settings::Persist;
use crate::task::Row;
use crate::time::{Step, Timestamp};

/// How long saving is tried before access tokens are published unsaved.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a change that nothing rests on may wait for the next save.
const LAZY: Duration = Duration::from_secs(1);
/// How soon a failed save is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Which entries differ from what is on disk.
#[derive(Debug, Default)]
pub(crate) struct Savings {
    urgent: BTreeMap<Identity, Durability>,
    lazy: BTreeSet<Identity>,
    removed: BTreeSet<Identity>,
    lazy_until: Option<Timestamp>,
    failing: Option<Unsaved>,
}

/// What is known is not on disk, because it could not be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaved {
    /// Since when.
    pub since: Timestamp,
    /// When saving is tried again.
    pub again_at: Timestamp,
    /// What went wrong last: where, and what to do.
    pub reason: String,
}

impl Savings {
    pub(crate) fn note(&mut self, identity: &Identity, durability: Durability, now: Timestamp) {
        match durability {
            Durability::None => return,
            Durability::Lazy => {
                self.lazy.insert(identity.clone());
                self.lazy_until.get_or_insert(now + LAZY);
            }
            Durability::Now | Durability::Token => {
                let before = self.urgent.get(identity).copied().unwrap_or(durability);
                self.urgent.insert(identity.clone(), durability.max(before));
            }
        }
        self.removed.remove(identity);
    }

    pub(crate) fn forget(&mut self, identity: &Identity, now: Timestamp) {
        self.urgent.remove(identity);
        self.lazy.remove(identity);
        self.removed.insert(identity.clone());
        self.lazy_until.get_or_insert(now + LAZY);
    }

    /// The rows to save now; nothing while it is not worth it or too soon after a failure.
    pub(crate) fn rows(&self, cases: &HashMap<Identity, Box<Case>>, now: Timestamp, stopping: bool) -> Vec<Row> {
        let due = !self.urgent.is_empty() || stopping || self.lazy_until.is_some_and(|until| until <= now);
        if !due || self.failing.as_ref().is_some_and(|failing| now < failing.again_at) {
            return Vec::new();
        }
        let row = |identity: &Identity| {
            let case = cases.get(identity)?;
            let persist = case.slot.as_ref().map_or(Persist::Encrypted, |slot| slot.policy.persist);
            Some(Row::Put(Box::new(case.entry.clone()), persist))
        };
        let puts =
            self.urgent.keys().chain(self.lazy.iter().filter(|id| !self.urgent.contains_key(*id))).filter_map(row);
        puts.chain(self.removed.iter().cloned().map(Row::Remove)).collect()
    }

    pub(crate) fn follow_clock(&mut self, step: Step) {
        self.lazy_until = self.lazy_until.map(|until| until.moved(step));
        if let Some(Unsaved { since, again_at, .. }) = &mut self.failing {
            (*since, *again_at) = (since.moved(step), again_at.moved(step));
        }
    }

    pub(crate) fn saved(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn failed(&mut self, reason: String, since: Timestamp, now: Timestamp) {
        let since = self.failing.as_ref().map_or(since, |failing| failing.since);
        let pause = if now < since + PATIENCE { AGAIN } else { PATIENCE };
        self.failing = Some(Unsaved { since, again_at: now + pause, reason });
    }

    /// Whether a request for `identity`, or an answer, must wait for the next save.
    pub(crate) fn holds(&self, identity: &Identity, now: Timestamp) -> bool {
        !self.patience_is_over(now) && self.urgent.contains_key(identity)
    }

    /// Whether its access token must: an unsaved intention to ask for the next one holds it back from nobody.
    pub(crate) fn holds_token(&self, identity: &Identity, now: Timestamp) -> bool {
        !self.patience_is_over(now) && self.urgent.get(identity) == Some(&Durability::Token)
    }

    pub(crate) fn patience_is_over(&self, now: Timestamp) -> bool {
        self.failing.as_ref().is_some_and(|failing| now >= failing.since + PATIENCE)
    }

    pub(crate) fn unsaved(&self) -> Option<&Unsaved> {
        self.failing.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.lazy.is_empty() && self.removed.is_empty()
    }

    pub(crate) fn wake(&self) -> Timestamp {
        match &self.failing {
            Some(failing) => failing.again_at,
            None => self.lazy_until.unwrap_or(Timestamp::NEVER),
        }
    }
}

impl Keeper {
    /// Says that the rows of the turn are durable.
    pub fn saved(&mut self) {
        self.savings.saved();
    }

    /// Says that the rows of the turn, whose saving began at `since`, could not be saved, and why. What
    /// rests on them waits for a few seconds from then; then access tokens come first (L16).
    pub fn not_saved(&mut self, reason: String, since: Timestamp, now: Timestamp) {
        self.savings.failed(reason, since, now);
    }

    /// Whether the state can be written, as far as is known.
    #[must_use]
    pub fn state_is_writable(&self, now: Timestamp) -> bool {
        !self.savings.patience_is_over(now)
    }

    /// Why saving fails, from its first failure on; `None` while it does not.
    #[must_use]
    pub fn unsaved(&self) -> Option<&Unsaved> {
        self.savings.unsaved()
    }
}
