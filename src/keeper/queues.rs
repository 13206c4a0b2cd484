//! The requests to each endpoint: at most so many at a time and in so long, the nearest expiry first
//! (see [`crate::ledger::Entry::urgency`]), and none to whom asked for patience (L12).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem::take;
use std::time::Duration;

use crate::ledger::Plea;
use crate::name::Identity;
use crate::settings::{Endpoint, Provider, Rate};
use crate::time::{Step, Timestamp};

/// How many requests may be under way at one endpoint.
const REQUESTS_AT_A_TIME: usize = 8;
/// So many accounts held back within `MINUTE` hold back their endpoint.
const ACCOUNTS_HELD: usize = 3;

const MINUTE: Duration = Duration::from_mins(1);

/// The requests under way and waiting, by endpoint.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    queues: HashMap<Endpoint, Queue>,
    crowded: BTreeSet<Endpoint>,
}

#[derive(Debug)]
struct Queue {
    in_flight: usize,
    /// How many of them have not left yet: they wait for a save.
    setting_out: usize,
    waiting: BTreeSet<Waiting>,
    admitted: BTreeSet<Identity>,
    rate: Option<Rate>,
    /// When requests left, within the rate's time; oldest first.
    left: VecDeque<Timestamp>,
    held_until: Timestamp,
    accounts: BTreeMap<String, Patience>,
}

/// Who wants a place; the most urgent first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    urgency: Timestamp,
    identity: Identity,
    account: String,
}

#[derive(Clone, Copy, Debug)]
struct Patience {
    since: Timestamp,
    until: Timestamp,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            in_flight: 0,
            setting_out: 0,
            waiting: BTreeSet::new(),
            admitted: BTreeSet::new(),
            rate: None,
            left: VecDeque::new(),
            held_until: Timestamp::EPOCH,
            accounts: BTreeMap::new(),
        }
    }
}

impl Queue {
    fn held_until(&self, account: &str) -> Timestamp {
        self.accounts.get(account).map_or(self.held_until, |patience| patience.until.max(self.held_until))
    }

    fn follow_clock(&mut self, step: Step) {
        self.held_until = self.held_until.moved(step);
        self.left.iter_mut().for_each(|at| *at = at.moved(step));
        for patience in self.accounts.values_mut() {
            *patience = Patience { since: patience.since.moved(step), until: patience.until.moved(step) };
        }
        let moved = |waiting: Waiting| Waiting { urgency: waiting.urgency.moved(step), ..waiting };
        self.waiting = take(&mut self.waiting).into_iter().map(moved).collect();
    }

    fn admit(&mut self, now: Timestamp) -> Vec<Identity> {
        self.admitted.clear();
        let places = REQUESTS_AT_A_TIME.saturating_sub(self.in_flight).min(self.left_of_rate(now));
        let next: Vec<Waiting> =
            self.waiting.iter().filter(|w| self.held_until(&w.account) <= now).take(places).cloned().collect();
        for waiting in &next {
            self.waiting.remove(waiting);
        }
        self.admitted.extend(next.iter().map(|waiting| waiting.identity.clone()));
        next.into_iter().map(|waiting| waiting.identity).collect()
    }

    fn left_of_rate(&mut self, now: Timestamp) -> usize {
        let Some(rate) = self.rate else { return usize::MAX };
        while self.left.front().is_some_and(|at| *at + rate.per <= now) {
            self.left.pop_front();
        }
        (rate.requests as usize).saturating_sub(self.left.len() + self.setting_out)
    }

    /// When somebody who waits may go on although nobody comes home.
    fn wake(&self, now: Timestamp) -> Timestamp {
        if self.waiting.is_empty() || self.in_flight >= REQUESTS_AT_A_TIME {
            return Timestamp::NEVER;
        }
        let patience = self.accounts.values().map(|patience| patience.until).chain([self.held_until]);
        let rate = self.rate.and_then(|rate| self.left.front().map(|at| *at + rate.per));
        patience.chain(rate).filter(|at| *at > now).min().unwrap_or(Timestamp::NEVER)
    }
}

impl Queues {
    /// Takes the rates that `providers` give; the lowest given for one endpoint holds.
    pub(crate) fn adopt<'a>(&mut self, providers: impl Iterator<Item = &'a Provider>) {
        for queue in self.queues.values_mut() {
            queue.rate = None;
        }
        for provider in providers {
            let Some(rate) = provider.rate else { continue };
            let queue = self.queues.entry(provider.endpoint.clone()).or_default();
            queue.rate = Some(queue.rate.map_or(rate, |other| slower(rate, other)));
        }
    }

    /// Takes the place at the endpoint of `provider` that `identity` was admitted to; without one
    /// it waits.
    pub(crate) fn enter(&mut self, provider: &Provider, identity: &Identity, urgency: Timestamp) -> bool {
        let queue = self.queues.entry(provider.endpoint.clone()).or_default();
        if queue.admitted.remove(identity) {
            queue.in_flight += 1;
            queue.setting_out += 1;
            return true;
        }
        let account = provider.client_id().to_owned();
        queue.waiting.insert(Waiting { urgency, identity: identity.clone(), account });
        self.crowded.insert(provider.endpoint.clone());
        false
    }

    /// The wall clock was set by `step`.
    pub(crate) fn follow_clock(&mut self, step: Step) {
        self.queues.values_mut().for_each(|queue| queue.follow_clock(step));
    }

    /// Whether `identity` waits for a place.
    pub(crate) fn is_waiting(&self, identity: &Identity) -> bool {
        self.queues.values().any(|queue| queue.waiting.iter().any(|waiting| &waiting.identity == identity))
    }

    /// How many requests are under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.queues.values().map(|queue| queue.in_flight).sum()
    }

    /// A request to the endpoint of `provider` leaves: from now on it counts for the rate.
    pub(crate) fn depart(&mut self, provider: &Provider, now: Timestamp) {
        let Some(queue) = self.queues.get_mut(&provider.endpoint) else { return };
        queue.setting_out = queue.setting_out.saturating_sub(1);
        if queue.rate.is_some() {
            queue.left.push_back(now);
        }
    }

    /// A request to the endpoint of `provider` will not leave: its place is free again.
    pub(crate) fn give_up(&mut self, provider: &Provider) {
        if let Some(queue) = self.queues.get_mut(&provider.endpoint) {
            queue.setting_out = queue.setting_out.saturating_sub(1);
        }
        self.leave(provider);
    }

    /// Gives a place at the endpoint of `provider` back.
    pub(crate) fn leave(&mut self, provider: &Provider) {
        if let Some(queue) = self.queues.get_mut(&provider.endpoint) {
            queue.in_flight = queue.in_flight.saturating_sub(1);
        }
    }

    /// Heeds a plea for patience: it concerns the account of `provider`; the endpoint, if that was
    /// meant or several accounts are held back within a minute.
    pub(crate) fn heed(&mut self, provider: &Provider, plea: Plea) {
        let Plea { at, until, of_endpoint } = plea;
        let queue = self.queues.entry(provider.endpoint.clone()).or_default();
        queue.accounts.retain(|_, patience| patience.until > at || patience.since + MINUTE > at);
        let patience = queue.accounts.entry(provider.client_id().to_owned()).or_insert(Patience { since: at, until });
        // What was asked for longer holds all the same.
        *patience = Patience { since: at, until: patience.until.max(until) };
        let lately = queue.accounts.values().filter(|patience| patience.since + MINUTE > at).count();
        if of_endpoint || lately >= ACCOUNTS_HELD {
            queue.held_until = queue.held_until.max(until);
        }
    }

    /// Until when nothing is asked for the account of `provider`; `EPOCH` when it is not held back.
    pub(crate) fn held_until(&self, provider: &Provider) -> Timestamp {
        self.queues.get(&provider.endpoint).map_or(Timestamp::EPOCH, |queue| queue.held_until(provider.client_id()))
    }

    /// Names those who may enter now: one for every free place.
    pub(crate) fn admit(&mut self, now: Timestamp) -> Vec<Identity> {
        let mut admitted = Vec::new();
        let queues = &mut self.queues;
        self.crowded.retain(|endpoint| {
            let Some(queue) = queues.get_mut(endpoint) else { return false };
            admitted.extend(queue.admit(now));
            !queue.waiting.is_empty() || !queue.admitted.is_empty()
        });
        admitted
    }

    /// When to admit again although nobody comes home.
    pub(crate) fn wake(&self, now: Timestamp) -> Timestamp {
        let queues = self.crowded.iter().filter_map(|endpoint| self.queues.get(endpoint));
        queues.map(|queue| queue.wake(now)).min().unwrap_or(Timestamp::NEVER)
    }

    /// Whether somebody waits for a place, and not because patience was asked for.
    pub(crate) fn is_moving(&self, now: Timestamp) -> bool {
        let queues = self.crowded.iter().filter_map(|endpoint| self.queues.get(endpoint));
        queues.into_iter().any(|queue| queue.waiting.iter().any(|waiting| queue.held_until(&waiting.account) <= now))
    }
}

fn slower(a: Rate, b: Rate) -> Rate {
    if u128::from(a.requests) * b.per.as_millis() <= u128::from(b.requests) * a.per.as_millis() { a } else { b }
}

#[cfg(test)]
mod tests;
