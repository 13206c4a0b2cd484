//! What the provider said: who holds what now, and who waits for how long.

use std::collections::BTreeSet;

use super::case::Plea;
use super::{Asking, Counted, Denied, Held, Judge, Watch};
use crate::simulation::moment::{HOUR, MINUTE, Ms, SECOND};
use crate::simulation::provider::{Reply, Truth, Verdict};

impl Judge {
    /// An access token was issued for the slot, whether or not it ever arrives.
    pub fn issued(&mut self, slot: usize, reply: &Reply) {
        let Some(truth) = reply.issued.clone() else { return };
        let (now, case) = (self.now, &mut self.slots[slot]);
        // By a clock that is behind it may be handed out after its true end.
        let is_held = |truth: &Truth| case.held.iter().chain(&case.kept).any(|held| held.text == truth.text);
        let is_over = |truth: &Truth| truth.expires_at < now && !is_held(truth);
        case.truths.push_back((truth, None));
        while case.truths.len() > 8 && case.truths.front().is_some_and(|(truth, _)| is_over(truth)) {
            case.truths.pop_front();
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
        if matches!(verdict, Verdict::Grant { .. }) {
            self.slots[slot].granted_at = self.now;
            self.honour(slot, asking.at);
        } else {
            self.slots[slot].failed_at = self.now;
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

    fn take(&mut self, slot: usize, asking: &Asking, (text, seconds, scopes): (&str, Ms, &BTreeSet<String>)) {
        let now = self.now;
        let account = &self.spec.accounts[self.slots[slot].account];
        let (exclusive, silent) = (account.is_exclusive(), account.silent);
        let case = &mut self.slots[slot];
        let scopes = if silent { asking.scopes.clone() } else { scopes.clone() };
        let contexts = ["private", "corporate"];
        let asked: BTreeSet<String> =
            asking.scopes.iter().filter(|scope| !contexts.contains(&scope.as_str())).cloned().collect();
        let same = case.live(now).filter(|held| held.text == *text).cloned();
        let told = asking.at + seconds * SECOND;
        // The one that a wrong clock took for expired lives on.
        let lives_on = same.is_some() || told >= now + 20 * SECOND;
        if !lives_on || case.held.as_ref().is_none_or(|held| held.text != *text) {
            let again = case.truths.iter_mut().filter(|(truth, _)| truth.text == *text);
            again.for_each(|(_, generation)| *generation = None);
            case.counted.push_back(Counted { at: now, arrived: true, is_saved: false, is_known: true });
        }
        if told <= now {
            case.failed_at = now;
            return self.unreachable(slot);
        }
        (case.unreachable, case.refused, case.secrets_refused, case.not_before) = (0, 0, 0, Ms::MIN);
        let granted: BTreeSet<String> = asked.intersection(&scopes).cloned().collect();
        case.granted = Some(if exclusive && !granted.is_empty() { granted } else { asked.clone() });
        let union = case.wanted.as_ref().map(|wanted| wanted.union.clone()).unwrap_or_default();
        if union.is_subset(&asked) {
            let missing = !union.is_subset(&scopes);
            case.denied = missing.then_some(Denied { scopes: union, at: now, outright: false });
        }
        let mut taken = Held {
            text: text.to_owned(),
            came_at: asking.at,
            asked_at: asking.at,
            expires_at: told,
            scopes,
            asked,
            same_again: None,
            by_wall: false,
            is_saved: false,
            saved_at: now,
        };
        if let Some(held) = &same {
            taken.came_at = held.came_at;
            (taken.asked_at, taken.expires_at) = (held.asked_at, held.expires_at.min(told));
            taken.by_wall = held.by_wall;
            let last = taken.expires_at - ((taken.expires_at - held.asked_at) / 50).min(10 * SECOND);
            let half = now + (taken.expires_at - now) / 2;
            taken.same_again = Some(half.min(last).max(now + 10 * SECOND) - 50);
        }
        case.held = Some(taken);
        self.arm(slot);
    }

    pub(super) fn arm(&mut self, slot: usize) {
        let case = &self.slots[slot];
        let account = &self.spec.accounts[case.account];
        let Some(held) = &case.held else { return };
        let lead = account.lead_of(held.expires_at - held.asked_at);
        let later = if account.is_exclusive() { 0 } else { lead / 2 };
        let expires_at = held.expires_at;
        self.watches.insert(((expires_at - lead + later).max(self.now) + 3 * SECOND, Watch::Renewal(slot)));
        self.watches.insert((expires_at, Watch::Expiry(slot)));
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
        let asked: BTreeSet<String> =
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
        if wait > longest {
            // What the end of the token hurried lengthens no wait after it.
            case.refused -= 1;
        }
        case.not_before = now + wait.min(longest) - 2;
        case.wait_refused(now, now + wait.min(longest));
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
        self.patience.insert(account, if patience.is_some() { until } else { self.slots[slot].not_before });
        let endpoint = self.endpoints.entry(at).or_default();
        endpoint.pleas.retain(|(when, who)| *when + MINUTE > now && *who != account);
        endpoint.pleas.push((now, account));
        let meant = status == 503 && patience.is_some();
        let whole = meant || endpoint.pleas.len() >= 3;
        if whole {
            endpoint.held_until = endpoint.held_until.max(until);
        }
        let until_kept = self.patience[&account];
        self.slots[slot].plea = Some(Plea { at: now, until: until_kept, whole: meant });
        for case in &mut self.slots {
            let its_endpoint = self.spec.accounts[case.account].endpoint;
            if case.account == account || whole && its_endpoint == at {
                case.wait(now, until.max(now + MINUTE));
            }
        }
    }
}
