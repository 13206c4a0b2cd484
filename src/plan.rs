//! Decides what to do next for one slot, by comparing what the operator wants with what is known.
//!
//! Nothing here reads a clock, draws a random number, logs or waits. The same slot, entry and
//! moment always give the same plan, so a plan can be printed, tested as a table, and made anew
//! from nothing after a crash or a reload.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::job::{Ask, Job, Lane};
use crate::ledger::{Denied, Entry, Standing};
use crate::name::SinkId;
use crate::plan::budget::{Reason, budget_hold};
use crate::plan::follow::{expected_at, next_look};
use crate::plan::hooks::plan_hooks;
use crate::plan::sinks::{plan_sinks, plan_withdrawals};
use crate::settings::{Budget, TokenSettings};
use crate::slot::{Policy, Slot};
use crate::spread::share;
use crate::time::Timestamp;

pub use crate::plan::sinks::WITHDRAWAL_DELAY;

pub mod budget;
mod follow;
pub mod hooks;
mod sinks;

/// How often a union of scopes that was denied is tried again (L1).
pub const DENIED_RETRY: Duration = Duration::from_hours(24);

/// The shortest time from one access token to the request for the next.
const BREATH: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// What is due now, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to carry out now, in no particular order.
    pub due: Vec<Job>,
    /// The next moment at which something may become due; `NEVER` when only an outcome can.
    pub wake: Timestamp,
}

impl Plan {
    fn nothing() -> Self {
        Self { due: Vec::new(), wake: Timestamp::NEVER }
    }

    fn want(&mut self, at: Timestamp, job: Job, now: Timestamp, busy: &BTreeSet<Lane>) {
        if busy.contains(&job.lane()) {
            return;
        }
        if at <= now {
            self.due.push(job);
        } else {
            self.look_again(at);
        }
    }

    fn look_again(&mut self, at: Timestamp) {
        self.wake = self.wake.min(at);
    }
}

/// Decides what to do at `now` for `slot`, keeping out of the lanes that are `busy`.
#[must_use]
pub fn plan(slot: &Slot, entry: &Entry, busy: &BTreeSet<Lane>, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    let (at, forced) = issue_at(slot, entry, now);
    if needs_recall(slot, entry, busy) {
        plan.want(at, Job::Recall, now, busy);
    } else if busy.contains(&Lane::Issuing) {
        // What it brings home decides.
    } else if at <= now {
        plan.due.push(Job::Issue(ask(slot, entry, forced, now)));
    } else {
        plan.look_again(at);
    }
    plan_sinks((slot, entry), slot.sinks(), busy, now, &mut plan);
    plan_hooks(slot, entry, busy, now, &mut plan);
    plan_withdrawals(entry, busy, now, &mut plan);
    if let Some(token) = entry.live(now) {
        plan.look_again(token.expires_at);
    }
    plan
}

/// Decides what to do at `now` for `slot` after something came home from `sinks` alone, and nothing else
/// changed since it was planned whole: what else is due, and when, was planned then. Costs what they cost.
#[must_use]
pub fn plan_after(slot: &Slot, entry: &Entry, sinks: &[SinkId], busy: &BTreeSet<Lane>, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    let sinks = sinks.iter().filter_map(|id| slot.sink(id));
    plan_sinks((slot, entry), sinks, busy, now, &mut plan);
    plan_hooks(slot, entry, busy, now, &mut plan);
    plan
}

/// Decides what to do at `now` about a slot that left the configuration.
#[must_use]
pub fn plan_departed(entry: &Entry, busy: &BTreeSet<Lane>, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    plan_withdrawals(entry, busy, now, &mut plan);
    if busy.is_empty() {
        plan.look_again(forget_at(entry));
    }
    plan
}

/// When what is known of a departed slot may be forgotten: its access token has expired, its
/// issues are older than any budget counts, and nothing is left to withdraw (L4).
#[must_use]
pub fn forget_at(entry: &Entry) -> Timestamp {
    if entry.receipts.values().any(|receipt| receipt.gone_since.is_some()) {
        return Timestamp::NEVER;
    }
    let expiry = entry.access_token.as_ref().map_or(Timestamp::EPOCH, |token| token.expires_at);
    let last_issue = entry.issues.iter().map(|issue| issue.at).max();
    expiry.max(last_issue.map_or(Timestamp::EPOCH, |at| at + Budget::LONGEST))
}

/// Whether the sinks must first be asked for the generation that they hold: there is no history, or
/// none of what happened while the state could not be written. A delivery asks as well. One that
/// follows takes its generations from the issuer.
fn needs_recall(slot: &Slot, entry: &Entry, busy: &BTreeSet<Lane>) -> bool {
    let asked = |id: &SinkId| {
        let receipt = entry.receipts.get(id);
        busy.contains(&Lane::Sink(id.clone())) || receipt.is_some_and(|it| it.verified || it.retry.is_some())
    };
    let knows = entry.recalled || slot.follows().is_some();
    !knows && slot.sinks().any(|(_, sink)| sink.holds_generation() && !asked(&sink.id))
}

/// When the next request leaves, and what it asks; never while an admin wants none.
#[must_use]
pub fn next_issue(slot: &Slot, entry: &Entry, now: Timestamp) -> (Timestamp, Ask) {
    let (at, forced) = issue_at(slot, entry, now);
    (at, ask(slot, entry, forced, now))
}

fn ask(slot: &Slot, entry: &Entry, forced: bool, now: Timestamp) -> Ask {
    let (secret_choice, refused) = entry.secret.next(slot.provider.secret_choices(), now);
    Ask { scopes: scopes_to_ask(slot, entry, now), secret_choice, refused, forced }
}

/// When the next request leaves, and whether it is forced.
fn issue_at(slot: &Slot, entry: &Entry, now: Timestamp) -> (Timestamp, bool) {
    if entry.paused.is_some() {
        return (Timestamp::NEVER, false);
    }
    if slot.follows().is_some() {
        return (next_look(slot, entry, now), entry.forced);
    }
    let hold = retry_hold(entry, now);
    let renewal = renewal_at(slot, entry, now).max(hold).max(budget_hold(slot, entry, Reason::Renewal, now));
    let early = forced_at(slot, entry, now).min(scheduled_at(slot, entry));
    if early == Timestamp::NEVER {
        return (renewal, false);
    }
    let forced = early.max(hold).max(budget_hold(slot, entry, Reason::Forced, now));
    if forced < renewal { (forced, true) } else { (renewal, false) }
}

/// Until when the budget holds back a request that is due; `None` when it holds none back.
#[must_use]
pub fn waits_for_budget(slot: &Slot, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
    if entry.paused.is_some() {
        return None;
    }
    let hold = |due: Timestamp, reason| {
        (due <= now).then(|| budget_hold(slot, entry, reason, now)).filter(|until| *until > now)
    };
    let early = forced_at(slot, entry, now).min(scheduled_at(slot, entry));
    hold(renewal_at(slot, entry, now), Reason::Renewal).or_else(|| hold(early, Reason::Forced))
}

fn renewal_at(slot: &Slot, entry: &Entry, now: Timestamp) -> Timestamp {
    let Some(token) = entry.live(now) else { return Timestamp::EPOCH };
    renewal_of(slot, token).max(entry.same_again.unwrap_or(Timestamp::EPOCH))
}

/// When `token` is renewed if nothing goes wrong (L7), by whoever asks for it.
#[must_use]
pub fn renewal_of(slot: &Slot, token: &AccessToken) -> Timestamp {
    if slot.follows().is_some() {
        return expected_at(slot, token);
    }
    let lead = lead(&slot.policy, token.lifetime());
    let later = if slot.policy.exclusive {
        Duration::ZERO
    } else {
        lead.mul_f64(share(slot.identity.as_str(), token.generation.0) / 2.0)
    };
    (token.expires_at - lead + later).min(token.expires_at)
}

/// How long before the end of a token that lives for `lifetime` the next one is asked for (L7).
#[must_use]
pub fn lead(policy: &Policy, lifetime: Duration) -> Duration {
    let natural =
        if policy.exclusive { (lifetime / 10).min(MINUTE) } else { (lifetime / 10).clamp(MINUTE, 10 * MINUTE) };
    let lead = policy.lead.unwrap_or(natural);
    lead.min(policy.max_lead.unwrap_or(Duration::MAX)).min(lifetime / 2)
}

/// When a request is wanted although the access token held is not due.
fn forced_at(slot: &Slot, entry: &Entry, now: Timestamp) -> Timestamp {
    let Some(token) = entry.live(now) else { return Timestamp::NEVER };
    if entry.forced {
        return Timestamp::EPOCH;
    }
    if scopes_suffice(slot, entry, token) {
        return Timestamp::NEVER;
    }
    match denial_of(slot, entry) {
        Some(denied) => denied.at + DENIED_RETRY,
        None => Timestamp::EPOCH,
    }
}

/// When a fresh access token is wanted by the wall clock (L10): at the first moment of the schedule
/// that was not honoured; of several that were missed one brings the access token for all.
fn scheduled_at(slot: &Slot, entry: &Entry) -> Timestamp {
    let (Some(schedule), Some(honoured)) = (&slot.schedule, &entry.honoured) else { return Timestamp::NEVER };
    schedule.next_after(honoured.until).unwrap_or(Timestamp::NEVER)
}

/// Whether the access token held has all scopes that the slot's tokens list. Where tokens do not
/// share a slot the provider may name scopes in its own way: there what was asked counts.
fn scopes_suffice(slot: &Slot, entry: &Entry, token: &AccessToken) -> bool {
    if slot.policy.exclusive {
        return token.covers(&slot.scopes);
    }
    let asked = entry.granted.as_deref().unwrap_or_default();
    slot.scopes.iter().all(|scope| asked.contains(scope))
}

/// The denial of just this union of scopes, if there was one.
#[must_use]
pub fn denial_of<'a>(slot: &Slot, entry: &'a Entry) -> Option<&'a Denied> {
    let same = |denied: &&Denied| {
        denied.scopes.len() == slot.scopes.len() && slot.scopes.iter().all(|scope| denied.scopes.contains(scope))
    };
    entry.denied.as_ref().filter(same)
}

/// The scopes to ask for: the union, or what was granted last while the union is denied (L1).
#[must_use]
pub fn scopes_to_ask(slot: &Slot, entry: &Entry, now: Timestamp) -> Vec<String> {
    let denied = denial_of(slot, entry).filter(|denied| denied.outright && now < denied.at + DENIED_RETRY);
    match (denied, &entry.granted) {
        (Some(_), Some(granted)) => granted.clone(),
        _ => slot.scopes.clone(),
    }
}

/// However short the tokens live: never two in one moment. What lies in the future is from before a
/// reboot into a clock that is behind.
fn retry_hold(entry: &Entry, now: Timestamp) -> Timestamp {
    let last = entry.issues.last().filter(|issue| issue.at <= now);
    let breath = last.map_or(Timestamp::EPOCH, |issue| issue.at + BREATH);
    match &entry.standing {
        Standing::Good => breath,
        Standing::Failing(retry) => retry.not_before.max(breath),
    }
}

/// Whether `access_token` may serve `token`: it has the scopes that the token lists (L1).
#[must_use]
pub fn serves(slot: &Slot, token: &TokenSettings, access_token: &AccessToken) -> bool {
    !slot.policy.exclusive || access_token.covers(&token.scopes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
