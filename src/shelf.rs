//! What the socket serves: for every token its newest access token. Written by the loop after
//! saving, read by every connection; it decides nothing and forgets nothing by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::access_token::AccessToken;
use crate::name::Name;
use crate::slot::Slot;
use crate::time::{Step, Timestamp};

/// The tokens on offer, by name. Cheap to clone: all clones are one shelf.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    items: RwLock<BTreeMap<Name, Item>>,
    ready: AtomicBool,
}

/// One token on the shelf.
#[derive(Clone, Debug)]
pub struct Item {
    /// The slot that serves it.
    pub slot: Arc<Slot>,
    /// Its newest access token, which may have expired; `None` while there is none for it.
    pub access_token: Option<Arc<AccessToken>>,
}

impl Shelf {
    /// Says whether every required token is valid and delivered.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether every required token was valid and delivered when the loop looked last.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed)
    }

    /// Offers `item` under `name` from now on.
    pub fn put(&self, name: Name, item: Item) {
        self.0.items.write().unwrap_or_else(PoisonError::into_inner).insert(name, item);
    }

    /// Offers only what `keep` says from now on.
    pub fn retain(&self, keep: impl Fn(&Name) -> bool) {
        self.0.items.write().unwrap_or_else(PoisonError::into_inner).retain(|name, _| keep(name));
    }

    /// The wall clock, which showed `before`, was set by `step`.
    pub fn follow_clock(&self, step: Step, before: Timestamp) {
        let mut items = self.0.items.write().unwrap_or_else(PoisonError::into_inner);
        for token in items.values_mut().filter_map(|item| item.access_token.as_mut()) {
            *token = Arc::new(token.follow_clock(step, before));
        }
    }

    /// What is offered under `name`.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<Item> {
        self.0.items.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Everything on offer, by name.
    #[must_use]
    pub fn all(&self) -> Vec<(Name, Item)> {
        let items = self.0.items.read().unwrap_or_else(PoisonError::into_inner);
        items.iter().map(|(name, item)| (name.clone(), item.clone())).collect()
    }
}
