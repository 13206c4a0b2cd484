//! What readers ask for over the socket; `record::demand` decides.

use std::time::Duration;

use crate::access_token::Generation;
use crate::keeper::Keeper;
use crate::name::Name;
use crate::plan::budget::words_of_hold;
use crate::plan::serves;
use crate::record::Durability;
use crate::record::demand::{Invalidation, invalidate, want_longer};
use crate::task::{AskerId, RefreshAnswer};
use crate::time::Timestamp;

impl Keeper {
    /// A reader of `name` wants an access token that lives at least `min_valid`. The answer comes with
    /// a release: when the next one may come.
    pub fn want_longer(&mut self, name: &Name, min_valid: Duration, asker: AskerId, now: Timestamp) {
        let answer = self.longer(name, min_valid, now).unwrap_or(RefreshAnswer::Abandoned);
        self.answers.push((None, asker, answer));
    }

    fn longer(&mut self, name: &Name, min_valid: Duration, now: Timestamp) -> Option<RefreshAnswer> {
        let slot = self.config.slot_of(name).cloned().filter(|_| !self.stopping)?;
        let patience = self.queues.held_until(&slot.provider);
        let case = self.cases.get_mut(&slot.identity)?;
        if case.is_asking() {
            return Some(RefreshAnswer::NotBefore(now, "the provider is being asked".into()));
        }
        let was_forced = case.entry.forced;
        let next = want_longer(&slot, &mut case.entry, min_valid, now).max(patience);
        if case.entry.forced != was_forced {
            self.changed.insert(slot.identity.clone());
        }
        Some(RefreshAnswer::NotBefore(next, "no access token that lives so long is held".into()))
    }

    /// A reader of `name` says that its API refused the access token of `generation`. The answer comes
    /// with a release.
    pub fn invalidate(&mut self, name: &Name, generation: Generation, asker: AskerId, now: Timestamp) {
        let answer = self.invalidation(name, generation, now).unwrap_or(RefreshAnswer::Abandoned);
        self.answers.push((None, asker, answer));
    }

    fn invalidation(&mut self, name: &Name, generation: Generation, now: Timestamp) -> Option<RefreshAnswer> {
        let slot = self.config.slot_of(name).cloned().filter(|_| !self.stopping)?;
        let case = self.cases.get_mut(&slot.identity)?;
        let token = slot.token(name)?;
        let serves = case.entry.access_token.as_ref().is_some_and(|held| serves(&slot, token, held));
        if !serves {
            return Some(RefreshAnswer::NotHeld(None));
        }
        let before = case.entry.invalidated;
        let answer = match invalidate(&slot, &mut case.entry, generation, now) {
            Invalidation::Accepted => RefreshAnswer::Accepted,
            Invalidation::NotHeld(held) => RefreshAnswer::NotHeld(held),
            Invalidation::TooSoon(at) => RefreshAnswer::NotBefore(at, "one was invalidated just before".into()),
            Invalidation::Budget(at) => RefreshAnswer::NotBefore(at, words_of_hold(&slot, &case.entry, now).into()),
            Invalidation::Paused(since) => RefreshAnswer::Paused(since),
        };
        if case.entry.invalidated != before {
            self.savings.note(&slot.identity, Durability::Lazy, now);
            self.changed.insert(slot.identity.clone());
        }
        Some(answer)
    }
}
