//! What `on_change` hooks are run for: once for each access token, also over restarts, when every
//! sink of the token holds it; one that fails is run again (L15).

use super::{Judge, Watch};
use crate::simulation::moment::{MINUTE, Ms, SECOND};
use crate::simulation::sky::Sky;
use crate::simulation::spec::Token;

/// How soon a hook is run once everything is ready for it.
const SOON: Ms = 3 * SECOND;

/// An access token that a hook was run for, and its generation.
pub(super) type Run = (String, u64);

/// The hook of one token.
#[derive(Default)]
pub(super) struct Hook {
    /// Which slot its token is of, and since when it is wanted.
    slot: usize,
    wanted: Option<Ms>,
    is_running: bool,
    /// What it was run for last, and what of that the state holds.
    done: Option<Run>,
    kept: Option<Run>,
    /// How often it failed in a row, and before when it is not run again.
    failures: u32,
    not_before: Ms,
    /// Which access token all sinks were seen to hold, and since when.
    ready: Option<(String, Ms)>,
}

impl Judge {
    /// A hook is run for this generation.
    pub fn hook_begins(&mut self, slot: usize, name: &str, generation: u64) {
        let now = self.now;
        let case = &self.slots[slot];
        let token = case.wanted.as_ref().and_then(|wanted| wanted.tokens.iter().find(|token| token.name == name));
        let hook = self.hooks.get(name).filter(|hook| hook.slot == slot && hook.wanted.is_some());
        let (Some(token), Some(hook)) = (token, hook) else {
            return self.broken("L17", format!("the hook of {name} is run, which nobody wants"));
        };
        let told =
            |text: &str| case.truths.iter().any(|(truth, known)| truth.text == text && *known == Some(generation));
        let Some(held) = case.live(now).filter(|held| told(&held.text)) else {
            return self
                .broken("L15", format!("the hook of {name} is run for generation {generation}, which is not held"));
        };
        let holds = |sink: &&usize| {
            self.contents.get(sink).is_some_and(|content| content.slot == slot && content.text == held.text)
        };
        let wrong = if !token.sinks.iter().all(|sink| holds(&sink)) {
            "before all sinks hold it"
        } else if hook.done.as_ref() == Some(&(held.text.clone(), generation)) {
            "a second time"
        } else if now < hook.not_before {
            "again too soon after it failed"
        } else {
            self.hooks.get_mut(name).into_iter().for_each(|hook| hook.is_running = true);
            return;
        };
        self.broken("L15", format!("the hook of {name} is run for generation {generation} {wrong}"));
    }

    /// What came of it is told to the daemon.
    pub fn hook_ended(&mut self, slot: usize, name: &str, generation: u64, is_well: bool) {
        let now = self.now;
        let known = |(_, known): &&(_, Option<u64>)| *known == Some(generation);
        let text = self.slots[slot].truths.iter().rev().find(known).map(|(truth, _)| truth.text.clone());
        self.watches.insert((now + SOON, Watch::Hooks(slot)));
        let Some(hook) = self.hooks.get_mut(name).filter(|hook| hook.wanted.is_some()) else { return };
        hook.is_running = false;
        if is_well {
            hook.done = text.map(|text| (text, generation));
            (hook.failures, hook.not_before) = (0, Ms::MIN);
        } else {
            hook.failures += 1;
            hook.not_before = now + (SECOND << (hook.failures - 1).min(6)).min(MINUTE) / 2 - 2;
        }
    }

    /// What the hooks of the slot were run for until now.
    pub(super) fn note_hooks(&self, slot: usize) -> Vec<(String, Option<Run>)> {
        let tokens = self.slots[slot].wanted.iter().flat_map(|wanted| &wanted.tokens);
        let done = |name: &String| Some((name.clone(), self.hooks.get(name)?.done.clone()));
        tokens.filter_map(|token| done(&token.name)).collect()
    }

    /// The state holds what was noted.
    pub(super) fn hooks_are_saved(&mut self, slot: usize, noted: Vec<(String, Option<Run>)>) {
        for (name, done) in noted {
            self.hooks.get_mut(&name).into_iter().for_each(|hook| hook.kept.clone_from(&done));
        }
        self.watches.insert((self.now + SOON, Watch::Hooks(slot)));
    }

    /// Nothing is known any more of what was run for this slot, or for all.
    pub(super) fn forget_hooks(&mut self, slot: Option<usize>) {
        let of_slot = self.hooks.values_mut().filter(|hook| slot.is_none_or(|slot| hook.slot == slot));
        of_slot.for_each(|hook| (hook.done, hook.kept) = (None, None));
    }

    /// The daemon starts: it knows what was saved.
    pub(super) fn remember_hooks(&mut self) {
        for hook in self.hooks.values_mut() {
            hook.done.clone_from(&hook.kept);
            (hook.is_running, hook.failures, hook.not_before) = (false, 0, Ms::MIN);
        }
    }

    /// The daemon was told of what the operator wants now.
    pub(super) fn adopt_hooks(&mut self) {
        let now = self.now;
        let wanted: Vec<Token> = self.spec.tokens.iter().filter(|token| token.hooked).cloned().collect();
        for (name, hook) in &mut self.hooks {
            if wanted.iter().all(|token| token.name != *name) {
                (hook.wanted, hook.failures, hook.not_before) = (None, 0, Ms::MIN);
            }
        }
        for token in wanted {
            let slot = self.index[&self.spec.key_of(&token)];
            let hook = self.hooks.entry(token.name).or_default();
            if hook.slot != slot {
                *hook = Hook { slot, ..Hook::default() };
            }
            hook.wanted.get_or_insert(now);
            self.watches.insert((now + SOON, Watch::Hooks(slot)));
        }
    }

    /// Whether the hooks of the slot were run for what all their sinks hold.
    pub(super) fn look_at_hooks(&mut self, slot: usize, sky: &Sky) {
        let (now, case) = (self.now, &self.slots[slot]);
        let exclusive = self.spec.accounts[case.account].is_exclusive();
        let (Some(wanted), Some(held)) = (&case.wanted, case.live(now)) else { return };
        if self.is_stopping || !held.is_saved && !self.memory_comes_first() {
            return;
        }
        let pause = self.pauses.back().map_or(Ms::MIN, |(_, to)| *to);
        let since = self.adopted_at.max(self.started_at).max(pause).max(self.clock_set_at).max(held.saved_at);
        for token in wanted.tokens.iter().filter(|token| !exclusive || held.covers(&token.scopes)) {
            let Some(hook) = self.hooks.get_mut(&token.name).filter(|hook| hook.slot == slot) else { continue };
            // One that is new need not be run for what was there before.
            let is_new = hook.wanted.is_none_or(|since| since > held.came_at);
            let holds = |sink: &usize| {
                self.contents.get(sink).is_some_and(|content| content.slot == slot && content.text == held.text)
            };
            if is_new
                || hook.is_running
                || hook.done.as_ref().is_some_and(|(text, _)| *text == held.text)
                || !token.sinks.iter().all(holds)
            {
                continue;
            }
            let ready = hook.ready.take().filter(|(text, _)| *text == held.text).unwrap_or((held.text.clone(), now));
            let well = token.sinks.iter().map(|sink| sky.sink_is_well_after(*sink)).max().unwrap_or(Ms::MIN);
            let well = well.max(sky.hooks_are_well_after());
            let due = (ready.1.max(since) + SOON).max(if well > 0 { well + MINUTE + SOON } else { 0 });
            hook.ready = Some(ready);
            if now < due || self.failing_since.is_some() {
                self.watches.insert((due.max(now + SOON), Watch::Hooks(slot)));
                continue;
            }
            let words = format!("all sinks of {} hold the newest access token, and its hook is not run", token.name);
            return self.broken("L15", words);
        }
    }
}
