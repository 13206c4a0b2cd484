//! When hooks are run: `on_change` after all sinks of a token hold a new access token, `on_failure`
//! once when half of the lead has passed without success and once at expiry. Each once per
//! generation, those of one token one after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::failure::Failure;
use crate::job::{Job, Lane, Trouble};
use crate::ledger::{Entry, HookReceipt, HookReceipts, Standing};
use crate::plan::budget::words_of_hold;
use crate::plan::sinks::is_current;
use crate::plan::{Plan, renewal_of, serves, waits_for_budget};
use crate::settings::{HookEvent, HookKind, TokenSettings};
use crate::slot::Slot;
use crate::time::Timestamp;

/// How long the first access token may fail to come before `on_failure` is run.
pub const FIRST_PATIENCE: Duration = Duration::from_mins(1);
/// How long a request may wait for its turn before that is a trouble.
pub const TURN_PATIENCE: Duration = Duration::from_secs(30);

/// Adds the hooks of `slot`.
pub(super) fn plan_hooks(slot: &Slot, entry: &Entry, busy: &BTreeSet<Lane>, now: Timestamp, plan: &mut Plan) {
    for token in slot.tokens.iter().filter(|token| token.hooks().next().is_some()) {
        let wanted = [change_due(slot, entry, token, now), failure_due(slot, entry, token, now)];
        // The later one is planned when the first has come home.
        if let Some((at, event)) = wanted.into_iter().flatten().min() {
            plan.want(at, Job::Notify(token.name.clone(), event), now, busy);
        }
        if token.on_failure.is_some() {
            trouble_may_begin(slot, entry, now).for_each(|at| plan.look_again(at));
        }
    }
}

/// When `on_change` is run, if it is to be run for the access token held.
fn change_due(slot: &Slot, entry: &Entry, token: &TokenSettings, now: Timestamp) -> Option<(Timestamp, HookEvent)> {
    token.on_change.as_ref()?;
    let live = entry.live(now).filter(|live| serves(slot, token, live))?;
    let receipt = receipt(entry, token, HookKind::OnChange);
    let not_before = receipt.map_or(Timestamp::EPOCH, HookReceipt::not_before);
    let done = receipt.is_some_and(|receipt| receipt.covers(live.generation, HookEvent::Changed));
    (!done && is_everywhere(entry, token, live)).then_some((not_before, HookEvent::Changed))
}

/// Whether all sinks of `token` were seen to hold `live`.
fn is_everywhere(entry: &Entry, token: &TokenSettings, live: &AccessToken) -> bool {
    token.sinks.iter().all(|sink| entry.receipts.get(&sink.id).is_some_and(|receipt| is_current(receipt, live)))
}

/// When `on_failure` is run, if the trouble that there is goes on.
#[must_use]
pub fn failure_due(
    slot: &Slot,
    entry: &Entry,
    token: &TokenSettings,
    now: Timestamp,
) -> Option<(Timestamp, HookEvent)> {
    token.on_failure.as_ref()?;
    let (since, _) = trouble(slot, entry, now)?;
    let (moment, event) = match &entry.access_token {
        None => (since + FIRST_PATIENCE, HookEvent::Failing),
        Some(held) if held.is_live(now) => (half_of_lead(slot, held), HookEvent::Failing),
        Some(held) => (held.expires_at, HookEvent::Expired),
    };
    let receipt = receipt(entry, token, HookKind::OnFailure);
    let done = receipt.is_some_and(|receipt| receipt.covers(entry.held_generation(), event));
    let not_before = receipt.map_or(Timestamp::EPOCH, HookReceipt::not_before);
    (!done).then_some((moment.max(not_before), event))
}

/// The moment at which half of the time between the renewal of `token` and its expiry has passed.
#[must_use]
pub fn half_of_lead(slot: &Slot, token: &AccessToken) -> Timestamp {
    let renewal = renewal_of(slot, token);
    renewal + renewal.until(token.expires_at) / 2
}

/// The moments to come at which something is a trouble that was none before, without any outcome.
fn trouble_may_begin(slot: &Slot, entry: &Entry, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let half = entry.live(now).map(|held| half_of_lead(slot, held));
    let turn = entry.waiting_since.map(|since| since + TURN_PATIENCE);
    half.into_iter().chain(turn).filter(move |at| *at > now)
}

fn receipt<'a>(entry: &'a Entry, token: &TokenSettings, kind: HookKind) -> Option<&'a HookReceipt> {
    entry.hooks.get(&token.name).map(|receipts: &HookReceipts| receipts.of(kind))
}

/// Why no new access token comes, and since when. A request that is under way, or about to leave
/// for the first time, is none.
#[must_use]
pub fn trouble(slot: &Slot, entry: &Entry, now: Timestamp) -> Option<(Timestamp, Trouble)> {
    let ours = |class: &str, reason| Trouble { class: class.into(), code: None, reason };
    if let Some(since) = entry.paused {
        return Some((since, ours("paused", format!("it is paused since {since}"))));
    }
    if let Some(until) = waits_for_budget(slot, entry, now) {
        let since = entry.issues.last().map_or(Timestamp::EPOCH, |issue| issue.at);
        return Some((since, ours("budget", format!("{} until {until}", words_of_hold(slot, entry, now)))));
    }
    match &entry.standing {
        Standing::Failing(retry) => Some((retry.since, of_failure(&retry.failure))),
        Standing::Good => entry.waiting_since.filter(|since| *since + TURN_PATIENCE <= now).map(|since| {
            let why = "its request waits for its turn: the provider asked for patience, or is asked too much";
            (since, ours("waiting", why.to_owned()))
        }),
    }
}

fn of_failure(failure: &Failure) -> Trouble {
    let code = match failure {
        Failure::Refused(refusal) => refusal.code.clone(),
        _ => None,
    };
    Trouble { class: failure.class().to_string(), code, reason: failure.to_string() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
