//! Takes a new configuration whole (L17). Slots whose account and context are unchanged keep
//! token, generation and timers; what is withdrawn is withdrawn a little later, if it is still so.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::config::Config;
use crate::failure::Class;
use crate::keeper::{Case, Keeper};
use crate::ledger::{Entry, Standing};
use crate::name::Identity;
use crate::record::Durability;
use crate::slot::Slot;
use crate::time::Timestamp;

impl Keeper {
    /// Makes `config` what is wanted.
    pub fn adopt(&mut self, config: Arc<Config>, now: Timestamp) {
        self.config = Arc::clone(&config);
        let wanted: HashSet<&Identity> = config.slots.iter().map(|slot| &slot.identity).collect();
        for case in self.cases.values_mut() {
            case.wanted = wanted.contains(&case.entry.identity);
        }
        for slot in &config.slots {
            let case = self.cases.entry(slot.identity.clone()).or_insert_with(|| Case {
                slot: None,
                wanted: true,
                entry: Entry::new(slot.identity.clone()),
                busy: BTreeSet::new(),
            });
            take_slot(case, slot, now);
        }
        for (identity, case) in &mut self.cases {
            if mark_departed_sinks(case, &config, now) {
                self.savings.note(identity, Durability::Lazy, now);
            }
            self.changed.insert(identity.clone());
            self.to_publish.insert(identity.clone());
        }
    }
}

fn take_slot(case: &mut Case, slot: &Arc<Slot>, now: Timestamp) {
    if let Some(before) = case.slot.replace(Arc::clone(slot)) {
        look_again_at_changed_sinks(&mut case.entry, &before, slot);
    }
    if let Standing::Failing(retry) = &mut case.entry.standing
        && retry.failure.class() == Class::Refused
    {
        retry.not_before = now;
    }
}

fn look_again_at_changed_sinks(entry: &mut Entry, before: &Slot, slot: &Slot) {
    for (token, sink) in slot.sinks() {
        let same = before.sink(&sink.id).is_some_and(|(t, s)| s.file == sink.file && t.name == token.name);
        if let (false, Some(receipt)) = (same, entry.receipts.get_mut(&sink.id)) {
            receipt.verified = false;
            receipt.retry = None;
        }
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
