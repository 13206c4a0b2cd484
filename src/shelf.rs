//! What the socket serves: for every token its newest access token. Written by the loop after
//! saving, read by every connection; it decides nothing and forgets nothing by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

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
    closing: AtomicBool,
    taken_away: watch::Sender<bool>,
    /// Who waits for news of which token.
    waiting: Mutex<HashMap<Name, Arc<Notify>>>,
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

    /// Offers `item` under `name` from now on, and wakes those who wait for it.
    pub fn put(&self, name: Name, item: Item) {
        let heard = self.waiting().get(&name).cloned();
        self.0.items.write().unwrap_or_else(PoisonError::into_inner).insert(name, item);
        if let Some(heard) = heard {
            heard.notify_waiters();
        }
    }

    /// Nobody is to wait any more: the end has begun.
    pub fn close(&self) {
        if !self.0.closing.swap(true, Ordering::Relaxed) {
            self.wake_all();
        }
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Relaxed)
    }

    /// Nobody is to be served any more.
    pub fn take_away(&self) {
        self.0.taken_away.send_replace(true);
    }

    /// Ready when nobody is to be served any more.
    pub async fn is_taken_away(&self) {
        let _ = self.0.taken_away.subscribe().wait_for(|taken_away| *taken_away).await;
    }

    /// Where news of the token called `name` is heard.
    #[must_use]
    pub fn news(&self, name: &Name) -> News {
        let heard = Arc::clone(self.waiting().entry(name.clone()).or_default());
        News { shelf: self.clone(), name: name.clone(), heard }
    }

    /// Whether anybody waits for anything.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.waiting().is_empty()
    }

    fn wake_all(&self) {
        self.waiting().values().for_each(|heard| heard.notify_waiters());
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Name, Arc<Notify>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers only what `keep` says from now on.
    pub fn retain(&self, keep: impl Fn(&Name) -> bool) {
        self.0.items.write().unwrap_or_else(PoisonError::into_inner).retain(|name, _| keep(name));
        self.wake_all();
    }

    /// The wall clock, which showed `before`, was set by `step`.
    pub fn follow_clock(&self, step: Step, before: Timestamp) {
        let mut items = self.0.items.write().unwrap_or_else(PoisonError::into_inner);
        for token in items.values_mut().filter_map(|item| item.access_token.as_mut()) {
            *token = Arc::new(token.follow_clock(step, before));
        }
        drop(items);
        self.wake_all();
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

/// News of one token, as long as it is held.
#[derive(Debug)]
pub struct News {
    shelf: Shelf,
    name: Name,
    heard: Arc<Notify>,
}

impl News {
    /// Ready when something was said of the token since this was enabled.
    pub fn heard(&self) -> Notified<'_> {
        self.heard.notified()
    }
}

impl Drop for News {
    fn drop(&mut self) {
        let mut waiting = self.shelf.waiting();
        // Ours and that of the shelf.
        if Arc::strong_count(&self.heard) <= 2 {
            waiting.remove(&self.name);
        }
    }
}
