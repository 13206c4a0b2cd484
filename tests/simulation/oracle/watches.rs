//! What must have come about when its time has come: renewals, successors, contents; and the
//! numbers that follow from the laws.

use super::{Case, Content, Judge, Watch};
use crate::simulation::moment::{HOUR, MINUTE, Ms, SECOND, shown};
use crate::simulation::sky::{Disk, Mood, Sky, Trouble, What};
use crate::simulation::spec::path_of;

/// A request times out after so long.
pub const TIMEOUT: Ms = 10 * SECOND;
/// From asking to holding, where all is well.
const ROUND: Ms = 3 * SECOND;

impl Judge {
    pub(super) fn look(&mut self, watch: Watch, at: Ms, sky: &Sky) {
        match watch {
            Watch::Renewal(slot) => self.look_at_renewal(slot, sky),
            Watch::Expiry(slot) => self.look_at_expiry(slot, at, sky),
            Watch::Alive(slot) => self.look_whether_alive(slot, sky),
            Watch::Union(slot) => self.look_at_union(slot, sky),
            Watch::Moment(slot) => self.look_at_moment(slot, sky),
            Watch::Sink(sink) => self.look_at_sink(sink, sky),
            Watch::Gone(sink) => self.look_whether_gone(sink, sky),
            Watch::Hooks(slot) => self.look_at_hooks(slot, sky),
            Watch::Saved => self.look_whether_saved(sky),
        }
    }

    /// L7: not later than it should be.
    fn look_at_renewal(&mut self, slot: usize, sky: &Sky) {
        let (now, case) = (self.now, &self.slots[slot]);
        let account = &self.spec.accounts[case.account];
        let (Some(wanted), Some(held)) = (&case.wanted, case.live(now)) else { return };
        let lead = account.lead_of(held.expires_at - held.asked_at);
        let from = held.expires_at - lead;
        let later = if account.is_exclusive() { 0 } else { lead / 2 };
        let asked = case.asking.is_some() || case.requests.back().is_some_and(|at| *at >= from);
        let too_early = now < from + later + 3 * SECOND;
        if asked || too_early || held.same_again.is_some() || wanted.since > from || self.adopted_at > from {
            return;
        }
        if self.troubled(case, from - MINUTE, now, sky).is_empty() {
            let words = format!("{} was due at {} and is not asked for", case.key, shown(from + later));
            self.broken("L7", words);
        }
    }

    /// The gap: none where the provider would have issued in time.
    fn look_at_expiry(&mut self, slot: usize, at: Ms, sky: &Sky) {
        let (now, case) = (self.now, &self.slots[slot]);
        let account = &self.spec.accounts[case.account];
        self.watches.insert((now + MINUTE, Watch::Alive(slot)));
        let (Some(_), Some(held)) = (&case.wanted, &case.held) else { return };
        if held.expires_at != at {
            return;
        }
        let now = held.expires_at;
        let lead = account.lead_of(held.expires_at - held.asked_at);
        let last = lead.min(20 * SECOND + self.slack);
        let asks_from = now - if account.is_exclusive() { lead } else { lead / 2 };
        if lead < 2 * ROUND {
            return;
        }
        // L11 shortens every wait to half of what is left, so that refusals excuse nothing here.
        if self.hindered(case, (now - last, now), sky).is_empty() {
            let words = format!("{} has no valid access token although the last 20 s of the lead were good", case.key);
            return self.broken("numbers", words);
        }
        // Who answers with the same access token until late would not have issued earlier.
        if account.same_until.is_some_and(|until| until < lead) {
            return;
        }
        // Here L11 wins: a slot that was refused may wait for longer than that.
        let mut good_since = asks_from;
        for (from, to) in self.troubled(case, asks_from, now, sky).into_iter().chain([(now, now)]) {
            if from - good_since > 70 * SECOND + self.slack {
                let words = format!("{} has no valid access token although 70 s of the lead were good", case.key);
                return self.broken("numbers", words);
            }
            good_since = good_since.max(to);
        }
    }

    /// After an outage: a new access token within 60 s plus one time-out.
    fn look_whether_alive(&mut self, slot: usize, sky: &Sky) {
        let (now, case) = (self.now, &self.slots[slot]);
        if case.wanted.is_none() || case.live(now).is_some() {
            return;
        }
        let patience = MINUTE + TIMEOUT + ROUND + self.slack;
        let since = case.wanted.as_ref().map_or(now, |wanted| wanted.since);
        let expired = case.held.as_ref().map_or(since, |held| held.expires_at);
        let troubles = self.troubled(case, now - patience, now, sky);
        let well_since = troubles.last().map_or(Ms::MIN, |(_, to)| *to).max(since).max(expired);
        if now - well_since < patience {
            self.watches.insert((well_since.max(now - patience) + patience + 1, Watch::Alive(slot)));
            return;
        }
        let words = format!(
            "{} has had no access token for {} s although nothing is wrong",
            case.key,
            (now - well_since) / SECOND
        );
        self.broken("numbers", words);
    }

    /// L1: a wider union is asked for at once.
    fn look_at_union(&mut self, slot: usize, sky: &Sky) {
        let (now, case) = (self.now, &self.slots[slot]);
        let account = &self.spec.accounts[case.account];
        let (Some(wanted), Some(held)) = (&case.wanted, case.live(now)) else { return };
        let has = if account.is_exclusive() { held.covers(&wanted.union) } else { wanted.union.is_subset(&held.asked) };
        let denied = case.denied.as_ref().is_some_and(|denied| denied.scopes == wanted.union);
        let places = account.budget.map_or(usize::MAX, |(issues, _)| issues as usize - 1);
        if has || denied || case.asking.is_some() || case.counted.len() >= places || self.adopted_at + MINUTE > now {
            return;
        }
        if self.troubled(case, now - 2 * MINUTE, now, sky).is_empty() {
            let words = format!("{} has not asked for its wider union {:?}", case.key, wanted.union);
            self.broken("L1", words);
        }
    }

    /// When between `from` and `to` the slot could not get an access token, or had no need to ask for
    /// one because it was refused: ordered, and joined where they touch.
    pub(super) fn troubled(&self, case: &Case, from: Ms, to: Ms, sky: &Sky) -> Vec<(Ms, Ms)> {
        let mut all = self.hindered(case, (from, to), sky);
        all.extend(case.refusals.iter().copied());
        joined(all, (from, to))
    }

    /// The same, but for refusals.
    fn hindered(&self, case: &Case, (from, to): (Ms, Ms), sky: &Sky) -> Vec<(Ms, Ms)> {
        let account = &self.spec.accounts[case.account];
        let outside =
            sky.near().filter(|trouble| self.hinders(case, trouble)).map(|trouble| (trouble.from, trouble.to));
        let since = case.wanted.as_ref().map_or(to, |wanted| wanted.since);
        let rate = self.rate(account.endpoint).and_then(|rate| {
            let left = &self.endpoints.get(&account.endpoint)?.left;
            let lately = left.iter().filter(|at| **at > from - MINUTE && **at <= to).count();
            (lately >= rate as usize).then_some((from, to))
        });
        let held = self
            .endpoints
            .get(&account.endpoint)
            .map(|endpoint| (to.min(endpoint.held_until - 1), endpoint.held_until));
        let all = outside
            .chain(self.pauses.iter().copied())
            .chain(case.waits.iter().copied())
            .chain(case.paused.map(|since| (since, to + 1)))
            .chain([(Ms::MIN, since)])
            .chain(rate)
            .chain(held.filter(|(_, until)| *until > from))
            .chain(self.patience.get(&case.account).map(|until| (from, *until + MINUTE)))
            .chain(self.budget_wait(case, from))
            .collect();
        joined(all, (from, to))
    }

    fn hinders(&self, case: &Case, trouble: &Trouble) -> bool {
        let account = &self.spec.accounts[case.account];
        match trouble.mood_for(account.endpoint, case.account) {
            None | Some(Mood::Lies | Mood::Withholds(_)) => false,
            Some(Mood::Forgets(secret)) => secret < account.secrets && account.secrets == 1,
            Some(Mood::Denies(scope)) => {
                let scope = account.scope(scope);
                case.granted.as_ref().is_none_or(|granted| granted.contains(scope) || !account.is_exclusive())
            }
            Some(_) => true,
        }
    }

    /// Until when L5 lets it wait.
    fn budget_wait(&self, case: &Case, from: Ms) -> Option<(Ms, Ms)> {
        let (issues, per) = self.spec.accounts[case.account].budget?;
        let counted: Vec<Ms> = case.counted.iter().map(|counted| counted.at).filter(|at| at + per > from).collect();
        let full = counted.len() >= issues as usize;
        let arrived = case.counted.iter().filter(|counted| counted.arrived && counted.at + per > from).count();
        let oldest = counted.iter().min()? + per;
        let last = counted.iter().max()? + 10 * MINUTE;
        full.then_some((from, if arrived >= issues as usize { oldest } else { oldest.min(last) }))
    }

    /// L3: every sink at the newest generation.
    fn look_at_sink(&mut self, sink: usize, sky: &Sky) {
        let now = self.now;
        let Some(&(slot, token)) = self.wishes.get(&sink) else { return };
        let case = &self.slots[slot];
        let exclusive = self.spec.accounts[case.account].is_exclusive();
        let (Some(wanted), Some(held)) = (&case.wanted, case.live(now)) else { return };
        if exclusive && !held.covers(&wanted.tokens[token].scopes) || !held.is_saved && !self.memory_comes_first() {
            return;
        }
        let is_newest = |content: &Content| {
            content.slot == slot
                && content.text == held.text
                && (!content.json || content.says - content.expires_at == self.ahead)
        };
        if self.contents.get(&sink).is_some_and(is_newest) {
            return;
        }
        let pause = self.pauses.back().map_or(Ms::MIN, |(_, to)| *to);
        let base = self.adopted_at.max(self.started_at).max(pause).max(self.clock_set_at);
        let well = sky.sink_is_well_after(sink);
        let base = (base + 2 * SECOND).max(held.saved_at + SECOND);
        let deadline = base.max(if well > 0 { well + MINUTE + 2 * SECOND } else { 0 });
        if now < deadline {
            self.watches.insert((deadline, Watch::Sink(sink)));
            return;
        }
        let holds = self.contents.get(&sink).map_or(0, |content| content.generation);
        let words = format!("{} holds generation {holds}, not the newest of {}", path_of(sink), case.key);
        self.broken("L3", words);
    }

    /// Contract §3: a token that left takes its file along.
    fn look_whether_gone(&mut self, sink: usize, sky: &Sky) {
        let now = self.now;
        let Some(since) = self.unwished.get(&sink).copied() else { return };
        if !self.contents.contains_key(&sink) {
            return;
        }
        let pause = self.pauses.back().map_or(Ms::MIN, |(_, to)| *to);
        let base = since.max(self.adopted_at).max(self.started_at).max(pause);
        let well = sky.sink_is_well_after(sink);
        let deadline = (base + 5 * SECOND).max(if well > 0 { well + MINUTE + 5 * SECOND } else { 0 });
        if now < deadline {
            self.watches.insert((deadline, Watch::Gone(sink)));
            return;
        }
        self.broken("L17", format!("{} left the configuration and is still there", path_of(sink)));
    }

    /// L16: everything is saved as soon as that works.
    fn look_whether_saved(&mut self, sky: &Sky) {
        let now = self.now;
        if sky.disk(now - 12 * SECOND) != Disk::Works
            || sky.disk(now) != Disk::Works
            || self.pauses.back().is_some_and(|(_, to)| now - to < 12 * SECOND)
        {
            return;
        }
        let unsaved =
            self.slots.iter().find(|case| case.live(now).is_some_and(|held| !held.is_saved) && case.asking.is_none());
        if let Some(case) = unsaved {
            let words = format!("{} is still not saved although that works again", case.key);
            self.broken("L16", words);
        }
    }

    /// A trouble is over.
    pub fn ended(&mut self, trouble: &Trouble) {
        let now = self.now;
        if let What::State | What::StateHangs = trouble.what {
            self.watches.insert((now + 12 * SECOND, Watch::Saved));
        }
        let length = trouble.to - trouble.from;
        let most = 12 + usize::try_from(length / (30 * SECOND)).unwrap_or(0);
        for slot in 0..self.slots.len() {
            let case = &self.slots[slot];
            let endpoint = self.spec.accounts[case.account].endpoint;
            let Some(mood) = trouble.mood_for(endpoint, case.account) else { continue };
            self.watches.insert((now + MINUTE, Watch::Alive(slot)));
            let case = &self.slots[slot];
            let quiet = self.started_at < trouble.from && self.adopted_at < trouble.from && length < 6 * HOUR;
            let tries = case.requests.iter().filter(|at| (trouble.from..trouble.to).contains(at)).count();
            if mood.is_outage() && quiet && tries > 0 {
                self.outages = (self.outages.0 + tries as u64, self.outages.1 + length);
            }
            if mood.is_outage() && quiet && tries > most {
                let key = &self.slots[slot].key;
                let words = format!("{key} was asked for {tries} times in an outage of {} s", length / SECOND);
                return self.broken("numbers", words);
            }
        }
    }
}

/// What of `all` lies between `from` and `to`: ordered, and joined where they touch.
fn joined(mut all: Vec<(Ms, Ms)>, (from, to): (Ms, Ms)) -> Vec<(Ms, Ms)> {
    all.retain(|(begin, end)| *end > from && *begin < to);
    for (begin, _) in &mut all {
        *begin = from.max(*begin);
    }
    all.sort_unstable();
    let mut joined: Vec<(Ms, Ms)> = Vec::new();
    for (begin, end) in all {
        match joined.last_mut().filter(|last| last.1 >= begin) {
            Some(last) => last.1 = last.1.max(end),
            None => joined.push((begin, end)),
        }
    }
    joined
}
