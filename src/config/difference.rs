//! What one configuration changes of another.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::name::Name;
use crate::settings::Persist;
use crate::slot::Slot;

/// How many tokens a configuration changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Tokens that are new.
    pub added: usize,
    /// Tokens that are gone.
    pub removed: usize,
    /// Tokens whose slot says something else.
    pub changed: usize,
}

impl Config {
    /// Shares with `before` every slot that is the same in both, so that they are told apart by
    /// their pointers from now on. Says what is not the same.
    pub fn settle_on(&mut self, before: &Self) -> Changes {
        let known: BTreeMap<&str, &Arc<Slot>> =
            before.slots.iter().map(|slot| (slot.identity.as_str(), slot)).collect();
        for slot in &mut self.slots {
            if let Some(same) = known.get(slot.identity.as_str()).filter(|known| known.same_as(slot)) {
                *slot = Arc::clone(same);
            }
        }
        let is_new = |name: &&Name| !before.tokens.contains_key(*name);
        let is_gone = |name: &&Name| !self.tokens.contains_key(*name);
        let differs = |name: &&Name| match (self.slot_of(name), before.slot_of(name)) {
            (Some(slot), Some(known)) => !Arc::ptr_eq(slot, known),
            _ => false,
        };
        Changes {
            added: self.tokens.keys().filter(is_new).count(),
            removed: before.tokens.keys().filter(is_gone).count(),
            changed: self.tokens.keys().filter(differs).count(),
        }
    }

    /// The keys that a reload cannot change, as they are written, of which this says something else
    /// than `running`.
    #[must_use]
    pub fn needs_restart(&self, running: &Self) -> Vec<String> {
        let (daemon, before) = (&self.daemon, &running.daemon);
        let same_key = match (&daemon.state_key, &before.state_key) {
            (Some(key), Some(before)) => key.same_as(before),
            (key, before) => key.is_none() && before.is_none(),
        };
        let keys = [
            ("daemon.state_dir", daemon.state_dir == before.state_dir),
            ("daemon.socket", daemon.socket == before.socket),
            ("daemon.socket_mode", daemon.socket_mode == before.socket_mode),
            ("daemon.metrics", daemon.metrics == before.metrics),
            ("daemon.persist", daemon.persist == before.persist),
            ("daemon.state_key", same_key),
            ("log.format", self.log.format == running.log.format),
        ];
        keys.into_iter().filter(|(_, same)| !same).map(|(key, _)| key.to_owned()).collect()
    }

    /// Keeps to what `daemon.persist` was when the daemon started, where tables say nothing else.
    pub fn keep_persist(&mut self, running: Persist) {
        let said = self.daemon.persist;
        if said == running {
            return;
        }
        // Nobody can tell what a table inherited from what it says alike.
        let inherits = |slot: &Slot| !slot.policy.exclusive && slot.policy.persist == said;
        for slot in self.slots.iter_mut().filter(|slot| inherits(slot)) {
            let slot = Arc::make_mut(slot);
            slot.policy.persist = running;
            Arc::make_mut(&mut slot.provider).persist = running;
        }
    }
}
