//! Takes a new configuration whole (L17). Slots whose account and context are unchanged keep
//! token, generation and timers; what is withdrawn is withdrawn a little later, if it is still so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::{replace, take};
use std::sync::Arc;

use crate::config::Config;
use crate::keeper::{Case, Keeper};
use crate::ledger::Entry;
use crate::name::{Identity, SinkId};
use crate::record::Durability;
use crate::record::follow::look_at_once;
use crate::record::receipt::look_again;
use crate::settings::{FollowedPlace, VaultPlace};
use crate::slot::Slot;
use crate::time::Timestamp;

impl Keeper {
    /// Makes `config` what is wanted. Looks at every slot, and touches those that say something else
    /// than before.
    pub fn adopt(&mut self, config: Arc<Config>, now: Timestamp) {
        self.queues.adopt(config.providers.values().map(AsRef::as_ref));
        let mut wanted: HashMap<&Identity, &Arc<Slot>> =
            config.slots.iter().map(|slot| (&slot.identity, slot)).collect();
        let mut touched = Vec::new();
        for (identity, case) in &mut self.cases {
            let slot = wanted.remove(identity);
            if case.is_settled(slot) {
                continue;
            }
            match slot {
                Some(slot) => case.take_slot(slot, now),
                None => case.depart(),
            }
            touched.push(identity.clone());
        }
        for (identity, slot) in wanted {
            let mut case = Box::new(Case::new(Entry::new(identity.clone())));
            case.take_slot(slot, now);
            self.cases.insert(identity.clone(), case);
            touched.push(identity.clone());
        }
        for identity in &touched {
            let Some(case) = self.cases.get_mut(identity) else { continue };
            let departed = mark_departed_sinks(case, &config, &mut self.taken_over, now);
            let scheduled = case.adopt_schedule(now);
            let hooked = case.adopt_hooks();
            if departed || scheduled || hooked {
                self.savings.note(identity, Durability::Lazy, now);
            }
            if case.name_coming() {
                self.savings.note(identity, Durability::Now, now);
            }
        }
        self.to_publish.extend(touched.iter().cloned());
        self.changed.extend(touched);
        let before = replace(&mut self.config, config);
        self.look_at_other_servers(&before, now);
        self.abandon_departed();
    }

    /// Nothing is known of what is at a Vault server whose table says something else than before.
    fn look_at_other_servers(&mut self, before: &Config, now: Timestamp) {
        let other = |place: &VaultPlace| match (before.vaults.get(&place.server), self.config.vaults.get(&place.server))
        {
            (Some(before), Some(server)) => !Arc::ptr_eq(before, server) && !server.same_as(before),
            _ => false,
        };
        for slot in &self.config.slots {
            let Some(case) = self.cases.get_mut(&slot.identity) else { continue };
            for (_, sink) in slot.sinks().filter(|(_, sink)| sink.vault().is_some_and(|vault| other(&vault.place))) {
                case.look_again_at(&sink.id);
                self.changed.insert(slot.identity.clone());
            }
            if let Some(FollowedPlace::Vault(place)) = slot.follows().map(|followed| &followed.place)
                && other(place)
            {
                case.overtaken = case.is_asking();
                look_at_once(&mut case.entry, now);
                self.changed.insert(slot.identity.clone());
            }
        }
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

    /// A task at `sink` came home: what the configuration said of the sink meanwhile is caught up with. Says
    /// whether nothing but that sink of the slot need be looked at.
    pub(crate) fn settle_sink(&mut self, identity: &Identity, sink: &SinkId, now: Timestamp) -> bool {
        let Some(case) = self.cases.get_mut(identity) else { return false };
        if case.outdated.remove(sink)
            && let Some(receipt) = case.entry.receipts.get_mut(sink)
        {
            look_again(receipt);
        }
        if let Some(slot) = case.wanted_slot().filter(|slot| slot.sink(sink).is_some()) {
            // Before that its request waits for what the sinks hold.
            return case.entry.recalled || slot.follows().is_some();
        }
        if mark_departed_sinks(case, &self.config, &mut self.taken_over, now) {
            self.savings.note(identity, Durability::Lazy, now);
        }
        let Some(&owner) = self.config.sinks.get(sink) else { return false };
        let owner = self.config.slots[owner].identity.clone();
        if let Some(case) = self.cases.get_mut(&owner) {
            case.look_again_at(sink);
            self.changed.insert(owner);
        }
        false
    }
}

/// Marks the sinks that left the configuration; drops those that another slot took over, and names them.
fn mark_departed_sinks(case: &mut Case, config: &Config, others: &mut BTreeSet<SinkId>, now: Timestamp) -> bool {
    let slot = case.slot.as_ref().filter(|_| case.wanted);
    let mut changed = false;
    case.entry.receipts.retain(|id, receipt| {
        let mine = slot.is_some_and(|slot| slot.sink(id).is_some());
        let gone_since = if mine { None } else { receipt.gone_since.or(Some(now)) };
        let taken_over = !mine && config.sinks.contains_key(id);
        let nothing_there = !mine && receipt.held.is_none() && !receipt.coming;
        if taken_over {
            others.insert(id.clone());
        }
        changed |= receipt.gone_since != gone_since || taken_over || nothing_there;
        receipt.gone_since = gone_since;
        !taken_over && !nothing_there
    });
    changed
}
