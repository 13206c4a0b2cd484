//! Requests and answers: L1, L2, L4, L5, L8, L11, L12.

use super::{Asking, Case, Counted, Denied, Held, Judge, Watch};
use crate::simulation::moment::{DAY, HOUR, MINUTE, Ms, SECOND, shown};
use crate::simulation::provider::{Reply, Verdict, Wire};

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
        if account.counts() && !disk.has_intention && !self.memory_comes_first() {
            let words = format!("a request for {} leaves before the intention is on disk", case.key);
            return self.broken("L4", words);
        }
        if let Err((law, words)) = self.may_ask(slot, wire, forced) {
            return self.broken(law, format!("{words}: {}", self.slots[slot].key));
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
        if case.refresh_is_asked {
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
            if held.same_again.is_some_and(|at| now < at) && !case.refresh_is_asked {
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
            let too_soon =
                denied.is_some_and(|d| now < d.at + DAY && self.adopted_at <= d.at && case.granted.is_some());
            return if too_soon { Err(("L1", "asks again for scopes that were refused".into())) } else { Ok(()) };
        }
        let falls_back = case.denied.as_ref().is_some_and(|d| d.outright && Some(&d.scopes) == wanted);
        if falls_back && case.granted.as_ref() == Some(&asked) {
            return Ok(());
        }
        Err(("L1", format!("asks for {asked:?} instead of the union {wanted:?}")))
    }

    /// L5.
    fn may_spend(&self, case: &Case, forced: bool) -> Result<(), (&'static str, String)> {
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
        // What waits for the state to be written was counted when it was decided.
        let lately = endpoint.left.iter().filter(|at| **at + MINUTE > now + 50).count();
        let failed_lately = self.failed_at.is_some_and(|at| at + 2 * MINUTE > now);
        if !failed_lately && self.rate(account.endpoint).is_some_and(|rate| lately >= rate as usize) {
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

    /// An access token was issued for the slot, whether or not it ever arrives.
    pub fn issued(&mut self, slot: usize, reply: &Reply) {
        let Some(truth) = reply.issued.clone() else { return };
        let (now, truths) = (self.now, &mut self.slots[slot].truths);
        truths.push_back((truth, None));
        while truths.len() > 8 && truths.front().is_some_and(|(truth, _)| truth.expires_at < now) {
            truths.pop_front();
        }
    }

    /// What the provider said arrives at the daemon.
    pub fn answer(&mut self, slot: usize, verdict: &Verdict) {
        self.touched.insert(slot);
        let case = &mut self.slots[slot];
        let Some(asking) = case.asking.take() else { return };
        let endpoint = self.spec.accounts[case.account].endpoint;
        if let Some(endpoint) = self.endpoints.get_mut(&endpoint) {
            endpoint.in_flight -= 1;
        }
        match verdict {
            Verdict::Grant { text, seconds, scopes } => self.take(slot, &asking, (text, *seconds, scopes)),
            Verdict::Silence { taken: false } => self.unreachable(slot),
            Verdict::Silence { taken: true } | Verdict::Junk(_) => {
                let possibly = Counted { at: asking.at, arrived: false, is_saved: false, is_known: true };
                self.slots[slot].counted.push_back(possibly);
                self.unreachable(slot);
            }
            Verdict::No { status: 400, code, .. } => self.refuse(slot, &asking, code),
            Verdict::No { status, patience, .. } => {
                self.unreachable(slot);
                self.heed(slot, *status, *patience);
            }
        }
    }

    fn take(
        &mut self,
        slot: usize,
        asking: &Asking,
        (text, seconds, scopes): (&str, Ms, &std::collections::BTreeSet<String>),
    ) {
        let now = self.now;
        let account = &self.spec.accounts[self.slots[slot].account];
        let (exclusive, silent) = (account.is_exclusive(), account.silent);
        let case = &mut self.slots[slot];
        let scopes = if silent { asking.scopes.clone() } else { scopes.clone() };
        let contexts = ["private", "corporate"];
        let asked: std::collections::BTreeSet<String> =
            asking.scopes.iter().filter(|scope| !contexts.contains(&scope.as_str())).cloned().collect();
        let same = case.live(now).filter(|held| held.text == *text).cloned();
        let told = asking.at + seconds * SECOND;
        if same.is_none() {
            case.counted.push_back(Counted { at: now, arrived: true, is_saved: false, is_known: true });
        }
        if told <= now {
            return self.unreachable(slot);
        }
        (case.unreachable, case.refused, case.secrets_refused, case.not_before) = (0, 0, 0, Ms::MIN);
        let granted: std::collections::BTreeSet<String> = asked.intersection(&scopes).cloned().collect();
        case.granted = Some(if exclusive && !granted.is_empty() { granted } else { asked.clone() });
        let union = case.wanted.as_ref().map(|wanted| wanted.union.clone()).unwrap_or_default();
        if union.is_subset(&asked) {
            let missing = !union.is_subset(&scopes);
            case.denied = missing.then_some(Denied { scopes: union, at: now, outright: false });
        }
        let mut taken = Held {
            text: text.to_owned(),
            asked_at: asking.at,
            expires_at: told,
            scopes,
            asked,
            same_again: None,
            is_saved: false,
            saved_at: now,
        };
        if let Some(held) = &same {
            (taken.asked_at, taken.expires_at) = (held.asked_at, held.expires_at.min(told));
            let last = taken.expires_at - ((taken.expires_at - held.asked_at) / 50).min(10 * SECOND);
            let half = now + (taken.expires_at - now) / 2;
            taken.same_again = Some(half.min(last).max(now + 10 * SECOND) - 50);
        }
        case.held = Some(taken);
        self.arm(slot);
    }

    fn arm(&mut self, slot: usize) {
        let case = &self.slots[slot];
        let account = &self.spec.accounts[case.account];
        let Some(held) = &case.held else { return };
        let lead = account.lead_of(held.expires_at - held.asked_at);
        let later = if account.is_exclusive() { 0 } else { lead / 2 };
        self.watches.insert((held.expires_at - lead + later + 3 * SECOND, Watch::Renewal(slot)));
        self.watches.insert((held.expires_at, Watch::Expiry(slot)));
    }

    fn unreachable(&mut self, slot: usize) {
        let now = self.now;
        let case = &mut self.slots[slot];
        case.unreachable += 1;
        let whole = (SECOND << (case.unreachable - 1).min(6)).min(MINUTE);
        let longest = case.live(now).map_or(Ms::MAX, |held| ((held.expires_at - now) / 2).max(5 * SECOND));
        case.not_before = now + (whole / 2).min(longest) - 2;
    }

    fn refuse(&mut self, slot: usize, asking: &Asking, code: &str) {
        let now = self.now;
        let account = &self.spec.accounts[self.slots[slot].account];
        let (exclusive, secrets) = (account.is_exclusive(), account.secrets);
        let contexts = ["private", "corporate"];
        let asked: std::collections::BTreeSet<String> =
            asking.scopes.iter().filter(|scope| !contexts.contains(&scope.as_str())).cloned().collect();
        let case = &mut self.slots[slot];
        let another = case.granted.as_ref().is_some_and(|granted| *granted != asked);
        if code == "invalid_scope" && exclusive && another {
            case.denied = Some(Denied { scopes: asked, at: now, outright: true });
            (case.unreachable, case.refused, case.not_before) = (0, 0, Ms::MIN);
            return;
        }
        if code == "invalid_client" {
            case.secrets_refused += 1;
            if case.secrets_refused < secrets {
                case.refresh_is_asked |= asking.forced;
                case.not_before = Ms::MIN;
                return;
            }
            case.secrets_refused = 0;
        }
        case.refused += 1;
        let wait = match case.refused {
            1 => 5 * SECOND,
            2 => 20 * SECOND,
            more => (MINUTE << (more - 3).min(6)).min(HOUR),
        };
        let longest = case.live(now).map_or(Ms::MAX, |held| ((held.expires_at - now) / 2).max(5 * SECOND));
        case.not_before = now + wait.min(longest) - 2;
        case.wait(now, now + wait.min(longest));
    }

    /// L12: who is held back, and for how long.
    fn heed(&mut self, slot: usize, status: u16, patience: Option<u64>) {
        let now = self.now;
        let account = self.slots[slot].account;
        let at = self.spec.accounts[account].endpoint;
        let until = now + patience.map_or(0, |seconds| (seconds as Ms * SECOND).min(HOUR));
        if status != 429 && patience.is_none() {
            return;
        }
        self.patience.insert(account, until.max(self.slots[slot].not_before));
        let endpoint = self.endpoints.entry(at).or_default();
        endpoint.pleas.retain(|(when, who)| *when + MINUTE > now && *who != account);
        endpoint.pleas.push((now, account));
        let whole = status == 503 && patience.is_some() || endpoint.pleas.len() >= 3;
        if whole {
            endpoint.held_until = endpoint.held_until.max(until);
        }
        for case in &mut self.slots {
            let its_endpoint = self.spec.accounts[case.account].endpoint;
            if case.account == account || whole && its_endpoint == at {
                case.wait(now, until.max(now + MINUTE));
            }
        }
    }
}
