//! What the socket serves: for every token its newest access token. Written by the loop after
//! saving, read by every connection; it decides nothing and forgets nothing by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hyper::body::Bytes;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

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
    page: Arc<Page>,
}

/// What the readers of one access token were given last, for how many seconds of life left: those
/// who ask within the same second, or wake together, share it.
#[derive(Default)]
struct Page(Mutex<Option<(u64, Bytes)>>);

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Page")
    }
}

impl Item {
    /// `slot` serves `access_token`.
    #[must_use]
    pub fn new(slot: Arc<Slot>, access_token: Option<Arc<AccessToken>>) -> Self {
        Self { slot, access_token, page: Arc::default() }
    }

    /// What readers are given of it while it lives for `seconds` more, written anew only when that
    /// changed. It is wiped when nobody has it any more.
    #[must_use]
    pub fn page(&self, seconds: u64, write: impl FnOnce() -> Vec<u8>) -> Bytes {
        let mut page = self.page.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*page {
            Some((of, text)) if *of == seconds => text.clone(),
            _ => {
                let text = Bytes::from_owner(Zeroizing::new(write()));
                *page = Some((seconds, text.clone()));
                text
            }
        }
    }
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
        for item in items.values_mut() {
            let moved = item.access_token.as_ref().map(|token| Arc::new(token.follow_clock(step, before)));
            *item = Item::new(Arc::clone(&item.slot), moved);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::fixtures::plain_slot;

    #[test]
    fn a_page_is_written_once_for_every_second_and_every_access_token() {
        let written = Cell::new(0_u8);
        let page = |item: &Item, seconds| {
            let write = || {
                written.set(written.get() + 1);
                vec![written.get()]
            };
            item.page(seconds, write)[0]
        };
        let item = Item::new(Arc::new(plain_slot()), None);
        let (shelf, name) = (Shelf::default(), Name::parse("a").unwrap());
        shelf.put(name.clone(), item.clone());
        assert_eq!([page(&item, 9), page(&shelf.find(&name).unwrap(), 9)], [1, 1]);
        assert_eq!([page(&item, 8), page(&item, 9)], [2, 3]);
        shelf.follow_clock(Step::NONE, Timestamp::from_secs(1));
        assert_eq!(page(&shelf.find(&name).unwrap(), 9), 4, "its times may have moved");
        shelf.put(name.clone(), Item::new(item.slot, None));
        assert_eq!(page(&shelf.find(&name).unwrap(), 9), 5);
    }
}
