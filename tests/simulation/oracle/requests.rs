//! Whether a request may leave: L1, L2, L4, L5, L8, L10, L11, L12.

use super::{Asking, Case, Denied, Judge};
use crate::simulation::moment::{DAY, HOUR, MINUTE, SECOND, shown};
use crate::simulation::provider::Wire;

/// What the state says when a request leaves.
#[derive(Clone, Copy, Debug)]
pub struct OnDisk {
    pub has_intention: bool,
}

impl Judge {
    /// A request leaves for the slot.
    pub fn request(&mut self, slot: usize, wire: &Wire, disk: OnDisk) {
        let case = &self.slots[slot];
        let account = &self.spec.accounts[case.account];
        let forced = self.is_forced(case);
        if case.asking.is_some() {
            return self.broken("L2", format!("a second request is in flight for {}", self.slots[slot].key));
        }
        if case.wanted.is_none() {
            return self.broken("L17", format!("asks for {}, which left the configuration", self.slots[slot].key));
        }
        if case.paused.is_some() {
            return self.broken("contract", format!("asks for {}, which an admin paused", self.slots[slot].key));
        }
        if account.counts() && !disk.has_intention && !self.memory_comes_first() {
            let words = format!("a request for {} leaves before the intention is on disk", case.key);
            return self.broken("L4", words);
        }
        if let Err((law, words)) = self.may_ask(slot, wire, forced) {
            return self.broken(law, format!("{words}: {}", self.slots[slot].key));
        }
        if let Some(other) = self.who_comes_first(slot) {
            let words = format!("{} goes before {}, which expires sooner", self.slots[slot].key, self.slots[other].key);
            return self.broken("L12", words);
        }
        self.note_departure(slot);
        let (now, case) = (self.now, &mut self.slots[slot]);
        case.asking = Some(Asking { at: now, forced, scopes: wire.scopes.clone() });
        case.refresh_is_asked = false;
        while case.requests.front().is_some_and(|at| *at + 6 * HOUR < now) {
            case.requests.pop_front();
        }
        case.requests.push_back(now);
    }

    /// Whether something makes a request right although the access token held is not due (L2).
    fn is_forced(&self, case: &Case) -> bool {
        let account = &self.spec.accounts[case.account];
        let (Some(wanted), Some(held)) = (&case.wanted, case.live(self.now)) else { return false };
        if self.now >= held.expires_at - account.lead_of(held.expires_at - held.asked_at) {
            return false;
        }
        if case.refresh_is_asked || case.moment_has_come(self.wall()) {
            return true;
        }
        let exclusive = account.is_exclusive();
        let suffices = if exclusive { held.covers(&wanted.union) } else { wanted.union.is_subset(&held.asked) };
        let denied = case.denied.as_ref().filter(|denied| denied.scopes == wanted.union);
        let again = |denied: &Denied| self.now >= denied.at + DAY || denied.outright && self.adopted_at > denied.at;
        !suffices && denied.is_none_or(again)
    }

    fn may_ask(&self, slot: usize, wire: &Wire, forced: bool) -> Result<(), (&'static str, String)> {
        let (case, now) = (&self.slots[slot], self.now);
        let account = &self.spec.accounts[case.account];
        if let Some(held) = case.live(now).filter(|_| !forced) {
            let lead = account.lead_of(held.expires_at - held.asked_at);
            let due = held.expires_at - lead;
            if now < due {
                return Err(("L2", format!("asks {} ms before the lead", due - now)));
            }
            if held.same_again.is_some_and(|at| now < at)
                && !case.refresh_is_asked
                && !case.moment_has_come(self.wall())
                && case.wanted.as_ref().is_none_or(|wanted| wanted.union.is_subset(&held.asked))
            {
                return Err(("L8", "asks again too soon after the same access token came".into()));
            }
        }
        if now < case.not_before && !forced && !case.refresh_is_asked {
            return Err(("L11", format!("tries again {} ms too soon", case.not_before - now)));
        }
        self.may_spend(case, forced)?;
        self.endpoint_is_free(case)?;
        let wanted = case.wanted.as_ref().map(|wanted| &wanted.union);
        let asked: std::collections::BTreeSet<String> =
            wire.scopes.iter().filter(|scope| !["private", "corporate"].contains(&scope.as_str())).cloned().collect();
        if Some(&asked) == wanted {
            let denied = case.denied.as_ref().filter(|denied| denied.outright && denied.scopes == asked);
            // Who refreshes a token that lacks them wants them asked for.
            let too_soon = !case.refresh_is_asked
                && denied.is_some_and(|d| now < d.at + DAY && self.adopted_at <= d.at && case.granted.is_some());
            return if too_soon { Err(("L1", "asks again for scopes that were refused".into())) } else { Ok(()) };
        }
        let falls_back = case.denied.as_ref().is_some_and(|d| d.outright && Some(&d.scopes) == wanted);
        if falls_back && case.granted.as_ref() == Some(&asked) {
            return Ok(());
        }
        Err(("L1", format!("asks for {asked:?} instead of the union {wanted:?}")))
    }

    /// L5.
    pub(super) fn may_spend(&self, case: &Case, forced: bool) -> Result<(), (&'static str, String)> {
        let Some((issues, per)) = self.spec.accounts[case.account].budget else { return Ok(()) };
        let beside_a_live_one = forced && case.live(self.now).is_some();
        let places = issues as usize - usize::from(beside_a_live_one);
        let counted = || case.counted.iter().filter(|counted| counted.is_known && counted.at + per > self.now);
        let arrived = counted().filter(|counted| counted.arrived).count();
        if arrived >= places {
            return Err((
                "L5",
                format!("{arrived} were issued of {issues}, and it asks for another (forced: {forced})"),
            ));
        }
        let all = counted().count();
        let Some(last) = counted().map(|counted| counted.at).max().filter(|_| all > arrived && all >= issues as usize)
        else {
            return Ok(());
        };
        let spacing = (MINUTE << (all - issues as usize).min(4)).min(10 * MINUTE);
        // An intention found at start is counted from when it was noted, which the judge does not see.
        if self.now < last + spacing - SECOND {
            return Err(("L5", format!("{all} were issued or possibly issued, and it does not wait")));
        }
        Ok(())
    }

    /// L12.
    fn endpoint_is_free(&self, case: &Case) -> Result<(), (&'static str, String)> {
        let (now, account) = (self.now, &self.spec.accounts[case.account]);
        if self.patience.get(&case.account).is_some_and(|until| now < *until) {
            return Err(("L12", "the account asked for patience".into()));
        }
        let Some(endpoint) = self.endpoints.get(&account.endpoint) else { return Ok(()) };
        if now < endpoint.held_until {
            return Err(("L12", format!("the endpoint is held back until {}", shown(endpoint.held_until))));
        }
        if endpoint.in_flight >= 8 {
            return Err(("L12", "nine requests at a time".into()));
        }
        let lately = endpoint.left.iter().filter(|at| **at + MINUTE > now + 50).count();
        if self.rate(account.endpoint).is_some_and(|rate| lately >= rate as usize) {
            return Err(("L12", format!("{lately} requests in a minute are more than the rate")));
        }
        Ok(())
    }

    pub(super) fn rate(&self, endpoint: usize) -> Option<u32> {
        self.rates.get(&endpoint).copied()
    }

    fn note_departure(&mut self, slot: usize) {
        let (now, at) = (self.now, self.spec.accounts[self.slots[slot].account].endpoint);
        let endpoint = self.endpoints.entry(at).or_default();
        endpoint.in_flight += 1;
        while endpoint.left.front().is_some_and(|at| *at + 11 * MINUTE < now) {
            endpoint.left.pop_front();
        }
        endpoint.left.push_back(now);
    }

    /// Who waits for a place at the same endpoint, where places are short, and should have it before `slot`.
    fn who_comes_first(&self, slot: usize) -> Option<usize> {
        let (now, case) = (self.now, &self.slots[slot]);
        let at = self.spec.accounts[case.account].endpoint;
        let crowded = self.endpoints.get(&at).is_some_and(|endpoint| endpoint.in_flight >= 7);
        let settled =
            self.started_at.max(self.adopted_at).max(self.pauses.back().map_or(0, |(_, to)| *to)) + 2 * SECOND;
        if !crowded || now < settled || self.failing_since.is_some() {
            return None;
        }
        let expiry = case.held.as_ref()?.expires_at;
        self.slots.iter().position(|other| {
            let account = &self.spec.accounts[other.account];
            let Some(held) = other.held.as_ref().filter(|held| held.expires_at < expiry) else { return false };
            let lead = account.lead_of(held.expires_at - held.asked_at);
            let due = held.expires_at - if account.is_exclusive() { lead } else { lead / 2 };
            let free = other.wanted.is_some() && other.asking.is_none() && other.paused.is_none();
            let held_back = self.patience.get(&other.account).is_some_and(|until| now < *until + SECOND);
            let waits = other.waits.iter().any(|(_, to)| now < *to + SECOND) || now < other.not_before + MINUTE;
            let limited = account.budget.is_some() || held.same_again.is_some();
            account.endpoint == at && due + 2 * SECOND < now && free && !held_back && !waits && !limited
        })
    }
}
