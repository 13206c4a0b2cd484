//! What admins ask for, and what they are told (contract §5); what readers of the shelf find.

use super::{Held, Judge};
use crate::simulation::moment::{Ms, SECOND};

/// What an admin asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Refresh,
    Pause,
    Resume,
}

/// What the admin is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    Held(&'a str),
    NotBefore(Ms),
    Failed,
    Paused,
    Resumed,
    Abandoned { stopping: bool },
}

impl Judge {
    /// An admin asks for something about the token called `name`; says of which slot that is.
    pub fn wished(&mut self, name: &str, wish: Wish) -> Option<usize> {
        let slot = self.slots.iter().position(|slot| slot.wanted.as_ref().is_some_and(|wanted| wanted.has(name)))?;
        let (now, case) = (self.now, &mut self.slots[slot]);
        match wish {
            Wish::Refresh if case.asking.is_none() && case.paused.is_none() => case.refresh_is_asked = true,
            Wish::Refresh => {}
            Wish::Pause => {
                case.refresh_is_asked = false;
                case.paused.get_or_insert(now);
            }
            Wish::Resume => case.resume(now),
        }
        Some(slot)
    }

    /// The admin who wished that at `asked_at` was answered.
    pub fn answered(&mut self, slot: Option<usize>, wish: Wish, asked_at: Ms, told: Told<'_>) {
        let Some(slot) = slot else {
            return match told {
                Told::Abandoned { .. } => {}
                told => self.broken("contract", format!("an admin who asks for what is not there is told {told:?}")),
            };
        };
        let before = self.slots[slot].asking.is_none();
        match wish {
            Wish::Refresh if before => self.slots[slot].refresh_is_asked = false,
            Wish::Pause if told == Told::Paused => self.slots[slot].pause_is_told = true,
            _ => {}
        }
        if !self.is_right(slot, wish, asked_at, told) {
            let words = format!("an admin who asked {wish:?} of {} is told {told:?}", self.slots[slot].key);
            self.broken("contract", words);
        }
    }

    fn is_right(&self, slot: usize, wish: Wish, asked_at: Ms, told: Told<'_>) -> bool {
        let case = &self.slots[slot];
        match (wish, told) {
            (_, Told::Abandoned { stopping }) => stopping || case.wanted.is_none() || case.gone_at >= asked_at,
            (Wish::Refresh, Told::Held(text)) => {
                case.granted_at >= asked_at && case.held.as_ref().is_some_and(|held| held.text == text)
            }
            (Wish::Refresh, Told::Failed) => case.failed_at >= asked_at,
            (Wish::Refresh, Told::NotBefore(until)) => {
                until > self.now && (until < self.now + SECOND || self.must_wait(slot))
            }
            (Wish::Refresh | Wish::Pause, Told::Paused) => case.paused.is_some() || case.resumed_at >= asked_at,
            (Wish::Resume, Told::Resumed) => true,
            _ => false,
        }
    }

    /// Whether a refresh must wait: for patience, or for the budget.
    fn must_wait(&self, slot: usize) -> bool {
        let case = &self.slots[slot];
        let endpoint = self.spec.accounts[case.account].endpoint;
        let held = self.endpoints.get(&endpoint).is_some_and(|endpoint| self.now < endpoint.held_until);
        let patience = self.patience.get(&case.account).is_some_and(|until| self.now < *until);
        held || patience || self.may_spend(case, true).is_err()
    }

    /// What is found in the state when the daemon starts: a pause that was answered is there.
    pub(super) fn find_pauses(&mut self, paused: &[usize], is_lost: bool) {
        let (now, failing) = (self.now, self.failing_since.is_some());
        for slot in 0..self.slots.len() {
            let case = &mut self.slots[slot];
            if paused.contains(&slot) {
                case.paused.get_or_insert(now);
            } else if case.pause_is_told && !is_lost && !failing {
                let words = format!("that {} is paused is forgotten", case.key);
                return self.broken("L4", words);
            } else {
                case.resume(now);
            }
        }
    }

    /// A reader is served this access token.
    pub fn read(&mut self, slot: usize, name: &str, text: &str) {
        let now = self.now;
        let by_wall = |held: &&Held| held.by_wall && held.text == text;
        if let Some(held) = self.slots[slot].held.as_ref().filter(by_wall) {
            if held.expires_at < now {
                self.broken("L13", format!("a reader of {name} is served an access token that has expired"));
            }
            return;
        }
        let truth = self.slots[slot].truths.iter().map(|(truth, _)| truth).find(|truth| truth.text == text);
        if truth.is_some_and(|truth| !truth.lied && truth.expires_at + SECOND / 100 < now) {
            self.broken("L13", format!("a reader of {name} is served an access token that has expired"));
        }
    }
}
