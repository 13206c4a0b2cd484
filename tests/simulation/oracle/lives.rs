//! The daemon starts, or is told of another configuration: what it knows then, and what is wanted.

use std::collections::BTreeSet;

use super::{Counted, Denied, Endpoint, Judge, Saved, Wanted, WantedToken, Watch};
use crate::simulation::moment::{MINUTE, Ms, SECOND};

impl Judge {
    /// The daemon starts, with what was saved; whatever it knew besides is gone.
    pub fn start(&mut self, down_since: Ms, saved: &Saved) {
        let now = self.now;
        self.started_at = now;
        self.pauses.push_back((down_since, now));
        self.is_away = false;
        self.find_pauses(&saved.paused, saved.is_lost);
        self.follow(saved.ahead, saved.booted);
        self.failing_since = None;
        self.is_stopping = false;
        self.remember_patience(saved.is_lost);
        self.remember_hooks();
        if saved.is_lost {
            self.forget_hooks(None);
        }
        self.shelf.clear();
        for slot in &mut self.slots {
            slot.asking = None;
            slot.counted.iter_mut().filter(|counted| !counted.is_saved).for_each(|counted| counted.is_known = false);
            slot.held.clone_from(&slot.kept);
            slot.honoured = slot.kept_honoured;
            slot.renumber();
            slot.refresh_is_asked = false;
            (slot.unreachable, slot.refused, slot.secrets_refused) = (0, 0, 0);
            slot.not_before = Ms::MIN;
            if saved.is_lost {
                slot.forget(now);
                // What a slot that shares nothing may have issued counts for nobody (L16).
                slot.counted.retain(|_| self.spec.accounts[slot.account].is_exclusive());
            }
        }
        for slot in 0..self.slots.len() {
            self.look_by_the_new_clock(slot);
        }
        for (slot, at, scopes) in &saved.intentions {
            let possibly = Counted { at: *at, arrived: false, is_saved: true, is_known: true };
            let case = &mut self.slots[*slot];
            if case.live(*at).is_some_and(|held| !held.covers(scopes)) {
                case.denied = Some(Denied { scopes: scopes.clone(), at: *at, outright: false });
            }
            let counted = &mut case.counted;
            if counted.iter().all(|counted| counted.at != *at || counted.arrived) {
                counted.push_back(possibly);
            }
        }
        self.adopt();
    }

    /// Who asked for patience gets it also after a start, as far as it was saved for slots that are wanted.
    fn remember_patience(&mut self, is_lost: bool) {
        let wishes = self.spec.wishes();
        let counts = |slot: usize| !is_lost && wishes.contains_key(&self.slots[slot].key);
        let kept = self.kept_patience.iter().filter(|(_, (slot, _))| counts(*slot));
        self.patience = kept.map(|(account, (_, until))| (*account, *until)).collect();
        let kept_until =
            |endpoint: &Endpoint| endpoint.kept.filter(|(slot, _)| counts(*slot)).map_or(0, |(_, until)| until);
        let held = self.endpoints.iter().map(|(at, endpoint)| {
            let (kept, held_until) = (endpoint.kept, kept_until(endpoint));
            (*at, Endpoint { held_until, kept, ..Endpoint::default() })
        });
        self.endpoints = held.collect();
        self.slots.iter_mut().for_each(|slot| slot.plea = None);
    }

    /// The daemon was told of another configuration: `spec` is what is wanted from now on.
    pub fn adopt(&mut self) {
        let now = self.now;
        let wishes = self.spec.wishes();
        self.adopted_at = now;
        self.delivered.clear();
        self.failing_sinks.clear();
        for slot in &mut self.slots {
            if !wishes.contains_key(&slot.key) {
                if slot.wanted.take().is_some() {
                    slot.gone_at = now;
                }
                slot.refresh_is_asked = false;
            }
        }
        self.rates.clear();
        for wish in wishes.values() {
            let account = &self.spec.accounts[wish.account];
            if let Some(rate) = account.rate {
                let lowest = self.rates.entry(account.endpoint).or_insert(rate);
                *lowest = rate.min(*lowest);
            }
        }
        let before: Vec<usize> = self.wishes.keys().copied().collect();
        self.wishes.clear();
        for (key, wish) in wishes {
            let slot = self.slot(&key, wish.account);
            let tokens: Vec<WantedToken> = wish.tokens.iter().map(|index| self.wanted_token(*index)).collect();
            for (index, token) in tokens.iter().enumerate() {
                self.wishes.extend(token.sinks.iter().map(|sink| (*sink, (slot, index))));
            }
            let case = &mut self.slots[slot];
            let since = case.wanted.as_ref().map_or(now, |wanted| wanted.since);
            case.wanted = Some(Wanted { since, union: wish.union, tokens });
            case.not_before = Ms::MIN;
            self.watches.insert((now + MINUTE, Watch::Alive(slot)));
            self.watches.insert((now + 2 * MINUTE, Watch::Union(slot)));
            self.touched.insert(slot);
            let every = wish.tokens.first().and_then(|token| self.spec.schedule_of(&self.spec.tokens[*token]));
            self.adopt_schedule(slot, every);
        }
        self.adopt_hooks();
        let contents = self.contents.keys().copied();
        for sink in before.into_iter().chain(contents).filter(|sink| !self.wishes.contains_key(sink)) {
            self.unwished.entry(sink).or_insert(now);
            self.watches.insert((now + 5 * SECOND, Watch::Gone(sink)));
        }
        self.unwished.retain(|sink, _| !self.wishes.contains_key(sink));
        self.watches.extend(self.wishes.keys().map(|sink| (now + 2 * SECOND, Watch::Sink(*sink))));
        let names: BTreeSet<&String> = self.spec.tokens.iter().map(|token| &token.name).collect();
        self.shelf.retain(|name, _| names.contains(name));
    }

    fn wanted_token(&self, index: usize) -> WantedToken {
        let token = &self.spec.tokens[index];
        WantedToken {
            name: token.name.clone(),
            scopes: self.spec.scopes_of(token).collect(),
            sinks: token.sinks.keys().copied().collect(),
            removes: token.removes,
        }
    }
}
