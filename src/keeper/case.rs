//! One slot: what is wanted and known of it, and what is under way for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::job::Lane;
use crate::ledger::Entry;
use crate::name::SinkId;
use crate::record::again::{try_denied_again, try_refused_again};
use crate::record::hooks::{adopt_hooks, try_hooks_again};
use crate::record::receipt::{look_again, name_coming};
use crate::record::schedule::adopt_schedule;
use crate::settings::{Provider, SinkSettings, TokenSettings};
use crate::slot::Slot;
use crate::time::Timestamp;

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
    pub(super) busy: BTreeSet<Lane>,
    /// Sinks of which the configuration says something else than what is under way for them.
    pub(super) outdated: BTreeSet<SinkId>,
    /// Whom a request under way asks, as the configuration was when it was decided.
    pub(super) asked: Option<Arc<Provider>>,
    /// The configuration, or a file that it names, changed while a request was under way: what it
    /// brings home is no reason to wait.
    pub(super) overtaken: bool,
    /// Whether an access token lived when it was planned last.
    pub(super) lived: bool,
}

impl Case {
    pub(super) fn new(entry: Entry) -> Self {
        let (busy, outdated) = (BTreeSet::new(), BTreeSet::new());
        Self { slot: None, wanted: false, entry, busy, outdated, asked: None, overtaken: false, lived: false }
    }

    /// Whether a request to the provider is under way.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.busy.contains(&Lane::Issuing)
    }

    /// Whether something is under way in `lane`.
    #[must_use]
    pub fn is_busy(&self, lane: &Lane) -> bool {
        self.busy.contains(lane)
    }

    /// Nothing is under way in `lane` any more.
    pub(super) fn leave(&mut self, lane: &Lane) {
        self.busy.remove(lane);
        if self.busy.is_empty() {
            // An empty set has room for eleven, and most slots do nothing for an hour.
            self.busy = BTreeSet::new();
        }
    }

    pub(crate) fn wanted_slot(&self) -> Option<&Arc<Slot>> {
        self.slot.as_ref().filter(|_| self.wanted)
    }
}

impl Case {
    /// Whether a configuration that says `slot` of it changes nothing.
    pub(super) fn is_settled(&self, slot: Option<&Arc<Slot>>) -> bool {
        // Another slot may take over what this one is about to withdraw.
        let withdraws = self.entry.receipts.values().any(|receipt| receipt.gone_since.is_some());
        let same = match (slot, &self.slot) {
            (Some(slot), Some(before)) => self.wanted && (Arc::ptr_eq(slot, before) || slot.same_as(before)),
            (None, _) => !self.wanted && self.entry.receipts.is_empty(),
            (Some(_), None) => false,
        };
        same && !withdraws
    }

    pub(super) fn take_slot(&mut self, slot: &Arc<Slot>, now: Timestamp) {
        let unchanged = self.wanted && self.slot.as_ref().is_some_and(|before| before.same_as(slot));
        self.wanted = true;
        if unchanged {
            return;
        }
        self.overtaken = self.asked.is_some();
        try_refused_again(&mut self.entry, now);
        let Some(before) = self.slot.replace(Arc::clone(slot)) else { return };
        try_denied_again(&mut self.entry);
        try_hooks_again(slot, &before, &mut self.entry);
        let same_content = |token: &TokenSettings, sink: &SinkSettings| {
            let same = |(t, s): (&TokenSettings, &SinkSettings)| s.place == sink.place && t.name == token.name;
            before.id == slot.id && before.sink(&sink.id).is_some_and(same)
        };
        for (_, sink) in slot.sinks().filter(|(token, sink)| !same_content(token, sink)) {
            self.look_again_at(&sink.id);
        }
    }

    /// Says whether anything changed.
    pub(super) fn adopt_schedule(&mut self, now: Timestamp) -> bool {
        let slot = self.slot.as_ref().filter(|_| self.wanted);
        slot.is_some_and(|slot| adopt_schedule(slot, &mut self.entry, now))
    }

    /// Says whether anything changed.
    pub(super) fn adopt_hooks(&mut self) -> bool {
        let slot = self.slot.as_ref().filter(|_| self.wanted);
        slot.is_some_and(|slot| adopt_hooks(slot, &mut self.entry))
    }

    /// Says whether anything changed.
    pub(super) fn name_coming(&mut self) -> bool {
        let slot = self.slot.as_ref().filter(|_| self.wanted);
        slot.is_some_and(|slot| name_coming(slot, &mut self.entry))
    }

    pub(super) fn depart(&mut self) {
        self.wanted = false;
        self.entry.forced = false;
    }

    pub(super) fn look_again_at(&mut self, sink: &SinkId) {
        if let Some(receipt) = self.entry.receipts.get_mut(sink) {
            look_again(receipt);
        }
        if self.busy.contains(&Lane::Sink(sink.clone())) {
            self.outdated.insert(sink.clone());
        }
    }
}
