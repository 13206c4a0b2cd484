//! What is saved, delivered, published and withdrawn: L1, L3, L6, L13, L14, L15, L16, L17.

use std::collections::BTreeSet;

use super::case::Plea;
use super::hooks::Run;
use super::schedules::Honoured;
use super::{Content, Held, Judge, Watch};
use crate::simulation::moment::{HOUR, Ms, SECOND, shown};
use crate::simulation::spec::sink_at;

/// An access token as the daemon hands it out.
#[derive(Clone, Copy, Debug)]
pub struct Handed<'a> {
    pub text: &'a str,
    pub generation: u64,
    pub expires_at: Ms,
}

/// What the judge knows of a slot when a row of it is written: what the state holds once that is durable.
pub struct Noted {
    held: Option<Held>,
    has_token: bool,
    honoured: Option<Honoured>,
    generation: u64,
    counted: Ms,
    hooks: Vec<(String, Option<Run>)>,
}

/// A row of the state.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The access token, if the row holds one.
    pub text: Option<&'a str>,
    pub generation: u64,
}

impl Judge {
    /// A save failed.
    pub fn not_saved(&mut self) {
        if self.failing_since.is_none() {
            self.failing_since = Some(self.now);
            let (now, wait) = (self.now, 6 * SECOND);
            self.slots.iter_mut().for_each(|case| case.wait(now, now + wait));
        }
    }

    /// A save succeeded, all of it.
    pub fn all_saved(&mut self) {
        self.failing_since = None;
    }

    /// A row of the slot is written.
    pub fn noted(&mut self, slot: usize, row: Kept<'_>) -> Noted {
        let (now, case) = (self.now, &self.slots[slot]);
        let held = case.held.clone().filter(|held| row.text.is_none_or(|text| text == held.text));
        let noted = Noted {
            held,
            has_token: row.text.is_some(),
            honoured: case.honoured,
            generation: row.generation,
            counted: now,
            hooks: self.note_hooks(slot),
        };
        if row.generation < case.generation && case.kept.is_some() {
            let words = format!("the generation of {} falls from {} to {}", case.key, case.generation, row.generation);
            self.broken("L15", words);
        }
        noted
    }

    /// It is in the state.
    pub fn saved(&mut self, slot: usize, noted: Noted) {
        let (now, case) = (self.now, &mut self.slots[slot]);
        (case.kept_generation, case.kept_honoured) = (noted.generation, noted.honoured);
        case.counted
            .iter_mut()
            .filter(|counted| counted.at <= noted.counted)
            .for_each(|counted| counted.is_saved = true);
        while case.counted.front().is_some_and(|counted| counted.at + 32 * 24 * HOUR < now) || case.counted.len() > 400
        {
            case.counted.pop_front();
        }
        if let Some(Plea { until, whole, .. }) = case.plea.take_if(|plea| plea.at <= noted.counted) {
            self.kept_patience.insert(case.account, (slot, until));
            let endpoint = self.spec.accounts[case.account].endpoint;
            if let Some(endpoint) = self.endpoints.get_mut(&endpoint).filter(|_| whole) {
                endpoint.kept = Some((slot, until));
            }
        }
        if let (Some(held), Some(noted)) = (&mut case.held, &noted.held)
            && held.text == noted.text
        {
            held.saved_at = if held.is_saved { held.saved_at } else { now };
            held.is_saved = true;
        }
        if noted.held.is_some() || !noted.has_token {
            let saved_at = case.held.as_ref().map_or(now, |held| held.saved_at);
            case.kept = noted.held.filter(|_| noted.has_token).map(|held| Held { is_saved: true, saved_at, ..held });
            let sinks = case.wanted.iter().flat_map(|wanted| &wanted.tokens).flat_map(|token| &token.sinks);
            self.watches.extend(sinks.map(|sink| (now + SECOND, Watch::Sink(*sink))));
        }
        self.touched.insert(slot);
        self.hooks_are_saved(slot, noted.hooks);
    }

    /// The row of the slot was removed from the state.
    pub fn forgotten(&mut self, slot: usize) {
        let now = self.now;
        let case = &self.slots[slot];
        if case.wanted.is_some() || case.kept.as_ref().is_some_and(|kept| kept.is_live(now)) {
            let words = format!("what is known of {} is forgotten while it matters", case.key);
            return self.broken("L4", words);
        }
        let per = self.spec.accounts[case.account].budget.map_or(0, |(_, per)| per);
        if case.counted.iter().any(|counted| counted.at + per > now) {
            let words = format!("{} is forgotten while its budget still counts", case.key);
            return self.broken("L4", words);
        }
        self.slots[slot].forget(now);
        self.slots[slot].counted.clear();
        self.forget_hooks(Some(slot));
    }

    /// An access token is handed out for the token called `name`, to a sink or on the shelf.
    fn handed_out(&mut self, slot: usize, name: &str, handed: Handed<'_>) -> bool {
        let before = self.violation.is_some();
        self.check_handed(slot, name, handed);
        self.violation.is_some() == before
    }

    fn check_handed(&mut self, slot: usize, name: &str, handed: Handed<'_>) {
        let first_come = self.memory_comes_first();
        let case = &mut self.slots[slot];
        let key = case.key.clone();
        let exclusive = self.spec.accounts[case.account].is_exclusive();
        let found = case.truths.iter_mut().rev().find(|(truth, _)| truth.text == handed.text);
        let Some((truth, generation)) = found else {
            return self.broken("L14", format!("{key} hands out what its provider never issued"));
        };
        let (true_end, lied) = (truth.expires_at, truth.lied);
        match generation {
            Some(generation) if *generation != handed.generation => {
                let words = format!(
                    "one access token of {key} is handed out as generation {generation} and {}",
                    handed.generation
                );
                return self.broken("L3", words);
            }
            None if handed.generation < case.generation || handed.generation == 0 => {
                let words = format!("the generation of {key} falls from {} to {}", case.generation, handed.generation);
                return self.broken("L15", words);
            }
            _ => *generation = Some(handed.generation),
        }
        case.generation = case.generation.max(handed.generation);
        if handed.expires_at > true_end && !lied {
            let words = format!(
                "{key} believes its access token to live until {} but it ends at {}",
                shown(handed.expires_at),
                shown(true_end)
            );
            return self.broken("L6", words);
        }
        let Some(held) = &case.held else { return };
        if held.text != handed.text {
            return;
        }
        if held.expires_at != handed.expires_at {
            let words =
                format!("{key} takes {} for the expiry and not {}", shown(handed.expires_at), shown(held.expires_at));
            return self.broken("L6", words);
        }
        if !held.is_saved && !first_come {
            return self.broken("L16", format!("{key} hands out an access token that is not saved"));
        }
        let token = case.wanted.as_ref().and_then(|wanted| wanted.tokens.iter().find(|token| token.name == name));
        if token.is_some_and(|token| exclusive && !held.covers(&token.scopes)) {
            self.broken("L1", format!("{name} gets an access token that lacks its scopes"));
        }
    }

    /// An access token is on its way to a sink.
    pub fn delivering(&mut self, slot: usize, name: &str, path: &str, handed: Handed<'_>) {
        if !self.handed_out(slot, name, handed) {
            return;
        }
        let sink = sink_at(path);
        self.begun.insert(sink, self.now);
        if handed.expires_at <= self.now {
            return self.broken("L13", format!("an expired access token is delivered to {path}"));
        }
        if self.failing_sinks.get(&sink).is_some_and(|(_, not_before)| self.now < *not_before) {
            return self.broken("L15", format!("{path} is tried again too soon"));
        }
        if self.delivered.get(&sink) == Some(&(slot, handed.generation)) {
            self.broken("L15", format!("{path} is written again although nothing changed"));
        }
    }

    /// A sink was written.
    pub fn written(&mut self, path: &str, content: Content) {
        let (now, sink) = (self.now, sink_at(path));
        let before = self.contents.get(&sink).filter(|before| before.slot == content.slot);
        let before = before.filter(|before| !self.was_lost_unsaved(before));
        if before.is_some_and(|before| before.generation > content.generation) {
            return self.broken("L15", format!("{path} goes back to generation {}", content.generation));
        }
        self.contents.insert(sink, content);
        if !self.wishes.contains_key(&sink) {
            self.unwished.entry(sink).or_insert(now);
        }
        let watch = if self.wishes.contains_key(&sink) { Watch::Sink(sink) } else { Watch::Gone(sink) };
        self.watches.insert((now + 5 * SECOND, watch));
    }

    /// TOLERATED: what was handed out from memory and forgotten by a kill is followed by an older
    /// generation, or by another access token of the same one.
    fn was_lost_unsaved(&self, before: &Content) -> bool {
        let mut truths = self.slots[before.slot].truths.iter();
        truths.all(|(truth, generation)| truth.text != before.text || *generation != Some(before.generation))
    }

    /// A delivery was reported to the daemon as failed.
    pub fn failed(&mut self, path: &str) {
        let sink = sink_at(path);
        // What was under way when the clock was set is said anew at once.
        if self.begun.get(&sink).is_some_and(|begun| *begun <= self.clock_set_at) {
            self.failing_sinks.remove(&sink);
            return;
        }
        let (times, not_before) = self.failing_sinks.entry(sink).or_default();
        *times += 1;
        *not_before = self.now + (SECOND << (*times - 1).min(6)).min(60 * SECOND) / 2 - 2;
    }

    /// A delivery was reported to the daemon as done.
    pub fn reported(&mut self, slot: usize, path: &str, generation: u64) {
        let sink = sink_at(path);
        self.failing_sinks.remove(&sink);
        self.watches.insert((self.now + 3 * SECOND, Watch::Hooks(slot)));
        if self.wishes.get(&sink).is_some_and(|(owner, _)| *owner == slot) {
            let mine = self.contents.get(&sink).is_some_and(|content| content.slot == slot);
            let is_after = self.begun.get(&sink).is_some_and(|begun| *begun > self.clock_set_at.max(self.adopted_at));
            if mine && is_after {
                self.delivered.insert(sink, (slot, generation));
            }
        }
    }

    /// A sink is about to be emptied.
    pub fn withdrawing(&mut self, path: &str) {
        let (now, sink) = (self.now, sink_at(path));
        self.delivered.remove(&sink);
        if self.unwished.get(&sink).is_some_and(|since| now < since + 3 * SECOND) {
            self.broken("L17", format!("{path} is withdrawn sooner than 3 s after it left the configuration"));
        }
    }

    /// A sink is emptied of what has this fingerprint; of nothing else.
    pub fn withdrawn(&mut self, path: &str, fingerprint: [u8; 16]) {
        let (now, sink) = (self.now, sink_at(path));
        let Some(content) = self.contents.get(&sink).filter(|content| content.fingerprint == fingerprint) else {
            return;
        };
        let expired = content.expires_at <= now;
        self.contents.remove(&sink);
        let Some((slot, token)) = self.wishes.get(&sink) else { return };
        let removes = self.slots[*slot].wanted.as_ref().is_some_and(|wanted| wanted.tokens[*token].removes);
        if self.adopted_at + SECOND < now && (!removes || !expired) {
            self.broken("L13", format!("{path} is emptied (expired: {expired}, on_expired removes: {removes})"));
        }
    }

    /// Something is put on the shelf, or nothing.
    pub fn published(&mut self, slot: usize, name: &str, handed: Option<Handed<'_>>) {
        let live = handed.filter(|handed| handed.expires_at > self.now);
        if live.is_some_and(|handed| !self.handed_out(slot, name, handed)) {
            return;
        }
        self.shelf.insert(name.to_owned(), handed.map(|handed| (slot, handed.text.to_owned())));
    }

    /// A turn is over: what readers may have is what is held (L3, L13).
    pub fn turned(&mut self) {
        let now = self.now;
        for slot in std::mem::take(&mut self.touched) {
            let case = &self.slots[slot];
            let exclusive = self.spec.accounts[case.account].is_exclusive();
            let (Some(wanted), Some(held)) = (&case.wanted, case.live(now)) else { continue };
            if !held.is_saved && !self.memory_comes_first() {
                self.touched.insert(slot);
                continue;
            }
            let lacks = |shelved: Option<&Option<(usize, String)>>| match shelved {
                Some(Some((by, text))) => *by != slot || *text != held.text,
                _ => true,
            };
            let served = wanted.tokens.iter().filter(|token| !exclusive || held.covers(&token.scopes));
            let lacking: BTreeSet<&str> =
                served.filter(|t| lacks(self.shelf.get(&t.name))).map(|t| t.name.as_str()).collect();
            if let Some(name) = lacking.first() {
                let words = format!("{} holds an access token that {name} does not show", case.key);
                return self.broken("L3", words);
            }
        }
    }
}
