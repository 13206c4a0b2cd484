//! Takes a new configuration whole (L17). Slots whose account and context are unchanged keep
//! token, generation and timers; what is withdrawn is withdrawn a little later, if it is still so.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use crate::config::Config;
use crate::job::Lane;
use crate::keeper::{Case, Keeper};
use crate::ledger::Entry;
use crate::name::{Identity, SinkId};
use crate::record::receipt::look_again;
use crate::record::schedule::adopt_schedule;
use crate::record::{Durability, try_denied_again, try_refused_again};
use crate::settings::{SinkSettings, TokenSettings};
use crate::slot::Slot;
use crate::time::Timestamp;

impl Keeper {
    /// Makes `config` what is wanted.
    pub fn adopt(&mut self, config: Arc<Config>, now: Timestamp) {
        self.queues.adopt(config.providers.values().map(AsRef::as_ref));
        for case in self.cases.values_mut() {
            case.wanted = false;
        }
        for slot in &config.slots {
            let new = || Case::new(Entry::new(slot.identity.clone()));
            let case = self.cases.entry(slot.identity.clone()).or_insert_with(new);
            take_slot(case, slot, now);
            if adopt_schedule(slot, &mut case.entry, now) {
                self.savings.note(&slot.identity, Durability::Lazy, now);
            }
        }
        for (identity, case) in &mut self.cases {
            if mark_departed_sinks(case, &config, now) {
                self.savings.note(identity, Durability::Lazy, now);
            }
            if !case.wanted {
                case.entry.forced = false;
            }
            self.changed.insert(identity.clone());
            self.to_publish.insert(identity.clone());
        }
        self.config = config;
        self.abandon_departed();
    }

    /// Nobody asks any more for what left the configuration; a request under way is waited for.
    fn abandon_departed(&mut self) {
        let cases = &self.cases;
        let departed = |identity: &Identity| cases.get(identity).is_none_or(|case| !case.wanted && !case.is_asking());
        let (gone, askers): (BTreeMap<_, _>, BTreeMap<_, _>) =
            take(&mut self.askers).into_iter().partition(|(identity, _)| departed(identity));
        self.askers = askers;
        self.abandon(gone.into_values().flatten().collect());
    }

    /// A task at `sink` came home: what the configuration said of the sink meanwhile is caught up with.
    pub(crate) fn settle_sink(&mut self, identity: &Identity, sink: &SinkId, now: Timestamp) {
        let Some(case) = self.cases.get_mut(identity) else { return };
        if case.outdated.remove(sink) {
            case.entry.receipts.get_mut(sink).map(look_again);
        }
        let mine = case.wanted_slot().is_some_and(|slot| slot.sink(sink).is_some());
        if mine {
            return;
        }
        if mark_departed_sinks(case, &self.config, now) {
            self.savings.note(identity, Durability::Lazy, now);
        }
        let Some(&owner) = self.config.sinks.get(sink) else { return };
        let owner = self.config.slots[owner].identity.clone();
        if let Some(case) = self.cases.get_mut(&owner) {
            case.look_again_at(sink);
            self.changed.insert(owner);
        }
    }
}

impl Case {
    fn look_again_at(&mut self, sink: &SinkId) {
        self.entry.receipts.get_mut(sink).map(look_again);
        if self.busy.contains(&Lane::Sink(sink.clone())) {
            self.outdated.insert(sink.clone());
        }
    }
}

fn take_slot(case: &mut Case, slot: &Arc<Slot>, now: Timestamp) {
    case.wanted = true;
    try_refused_again(&mut case.entry, now);
    let Some(before) = case.slot.replace(Arc::clone(slot)) else { return };
    try_denied_again(&mut case.entry);
    let same_content = |token: &TokenSettings, sink: &SinkSettings| {
        before.id == slot.id && before.sink(&sink.id).is_some_and(|(t, s)| s.file == sink.file && t.name == token.name)
    };
    for (_, sink) in slot.sinks().filter(|(token, sink)| !same_content(token, sink)) {
        case.look_again_at(&sink.id);
    }
}

/// Marks the sinks that left the configuration; drops those that another slot took over.
fn mark_departed_sinks(case: &mut Case, config: &Config, now: Timestamp) -> bool {
    let slot = case.slot.as_ref().filter(|_| case.wanted);
    let mut changed = false;
    case.entry.receipts.retain(|id, receipt| {
        let mine = slot.is_some_and(|slot| slot.sink(id).is_some());
        let gone_since = if mine { None } else { receipt.gone_since.or(Some(now)) };
        let taken_over = !mine && config.sinks.contains_key(id);
        let nothing_there = !mine && receipt.held.is_none();
        changed |= receipt.gone_since != gone_since || taken_over || nothing_there;
        receipt.gone_since = gone_since;
        !taken_over && !nothing_there
    });
    changed
}
