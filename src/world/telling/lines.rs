//! The lines of the log.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::access_token::AccessToken;
use crate::failure::Class;
use crate::job::Ask;
use crate::keeper::{Case, Keeper};
use crate::ledger::{Entry, Retry};
use crate::name::{Name, SinkId};
use crate::plan::{renewal_of, serves};
use crate::settings::HookEvent;
use crate::slot::Slot;
use crate::time::{Timestamp, for_people};

/// Somebody is asked, or a place looked at.
pub(super) fn tell_asking(slot: &Slot, ask: &Ask) {
    if slot.follows().is_some() {
        debug!(slot = %slot.id, place = slot.endpoint().as_str(), "looking where another tokend writes");
    } else {
        debug!(slot = %slot.id, scope = ask.scopes.join(" "), forced = ask.forced, "asking the provider");
    }
}

/// Why there is no new access token, and when the provider is asked again: what the schedule of
/// retries, the budget and the provider's patience make together.
pub(super) fn tell_failure(slot: &Slot, entry: &Entry, retry: &Retry, next: Timestamp, now: Timestamp) {
    let attempts = retry.attempts.unreachable + retry.attempts.refused;
    let next = if entry.paused.is_some() { "never: it is paused".to_owned() } else { pause_until(next, now) };
    let held = entry.live(now).map(|held| for_people(now.until(held.expires_at)));
    let held = held.map_or("none".to_owned(), |left| format!("valid for {left}"));
    let (reason, class) = (retry.failure.to_string(), retry.failure.class().to_string());
    let provider = slot.provider.name.as_str();
    if attempts == 0 {
        return warn!(slot = %slot.id, provider, class, reason, held, "a secret was refused; the next of its list is tried");
    }
    match retry.failure.class() {
        Class::Unreachable => {
            warn!(slot = %slot.id, provider, class, reason, attempts, next_attempt_in = next, held, "no new access token");
        }
        Class::Refused | Class::NotReady => {
            error!(slot = %slot.id, provider, class, reason, attempts, next_attempt_in = next, held, "no new access token");
        }
    }
}

/// An access token has expired, and nothing is under way that would bring another.
pub(super) fn tell_expiry(keeper: &Keeper, case: &Case, now: Timestamp) {
    let Some((slot, token)) = case.slot.as_deref().and_then(|slot| Some((slot, slot.tokens.first()?))) else { return };
    let status = keeper.status_of(&token.name, now);
    let Some(told) = status.slots.first() else { return };
    let reason = told.tokens.first().and_then(|token| token.reason.as_deref());
    let (generation, next_refresh) = (told.generation.0, told.next_refresh.as_deref());
    if slot.tokens.iter().any(|token| token.required) {
        error!(slot = %slot.id, generation, reason, next_refresh, "there is no valid access token any more");
    } else {
        warn!(slot = %slot.id, generation, reason, next_refresh, "there is no valid access token any more");
    }
}

pub(super) fn tell_issue(slot: &Slot, entry: &Entry, before: u64, next: Timestamp) {
    let Some(token) = &entry.access_token else { return };
    let denied = entry.denied.as_ref().map(|denied| denied.scopes.join(" "));
    match denied {
        _ if slot.follows().is_some() => tell_found(slot, entry, token, before),
        _ if token.generation.0 > before => tell_new_token(slot, entry, token, next),
        Some(scope) => {
            error!(slot = %slot.id, scope, "the provider does not grant these scopes together; renewing what it granted last");
        }
        None => debug!(slot = %slot.id, "the provider answered with the access token already held"),
    }
}

fn tell_found(slot: &Slot, entry: &Entry, token: &AccessToken, before: u64) {
    let place = slot.endpoint().as_str();
    if token.generation.0 > before {
        info!(slot = %slot.id, place, generation = token.generation.0, expires_at = %token.expires_at,
            scope = token.scopes.join(" "), "access token taken from another tokend");
    } else {
        debug!(slot = %slot.id, place, generation = token.generation.0, "nothing newer there");
    }
    if let (Some(warning), true) = (&entry.warning, token.generation.0 > before) {
        warn!(slot = %slot.id, warning, "it was usable, but");
    }
}

fn tell_new_token(slot: &Slot, entry: &Entry, token: &AccessToken, next: Timestamp) {
    info!(slot = %slot.id, provider = %slot.provider.name, generation = token.generation.0, expires_at = %token.expires_at,
        scope = token.scopes.join(" "), "access token issued");
    if let Some(warning) = &entry.warning {
        warn!(slot = %slot.id, warning, "the answer was usable, but");
    }
    for unserved in slot.tokens.iter().filter(|settings| !serves(slot, settings, token)) {
        let missing: Vec<&str> =
            unserved.scopes.iter().filter(|scope| !token.scopes.contains(scope)).map(String::as_str).collect();
        warn!(slot = %slot.id, token = %unserved.name, missing = missing.join(" "),
            "the provider granted less than was asked for: this token gets no new access token");
    }
    let due = renewal_of(slot, token);
    if slot.policy.budget.is_some() && due < next && next < Timestamp::NEVER {
        warn!(slot = %slot.id, %due, next_refresh = %next, "the budget of access tokens is used up: its renewal will have to wait");
    }
}

/// The token that `sink` belongs to, and its slot, while the configuration names them.
pub(super) fn names_of<'c>(case: &'c Case, sink: &SinkId) -> (Option<&'c str>, Option<&'c str>) {
    let slot = case.slot.as_deref();
    let token = slot.and_then(|slot| slot.sink(sink)).map(|(token, _)| token.name.as_str());
    (token, slot.map(|slot| slot.id.as_str()))
}

pub(super) fn tell_sink_failure(case: &Case, sink: &SinkId, reason: &str, what: &str, now: Timestamp) {
    let (token, slot) = names_of(case, sink);
    let retry = case.entry.receipts.get(sink).and_then(|receipt| receipt.retry.as_ref());
    let Some(retry) = retry.filter(|retry| worth_telling(retry.attempts)) else { return };
    let next = pause_until(retry.not_before, now);
    warn!(token, %sink, reason, slot, attempts = retry.attempts, next_attempt_in = next, "{what}");
}

pub(super) fn tell_hook_failure(case: &Case, token: &Name, event: HookEvent, reason: &str, now: Timestamp) {
    let retry = case.entry.hooks.get(token).and_then(|receipts| receipts.of(event.kind()).retry.as_ref());
    let Some(retry) = retry.filter(|retry| worth_telling(retry.attempts)) else { return };
    let next = pause_until(retry.not_before, now);
    warn!(%token, hook = %event.kind(), %event, reason, attempts = retry.attempts, next_attempt_in = next, "hook failed");
}

/// How long until `moment`, in whole seconds: a pause of half a second is not none.
fn pause_until(moment: Timestamp, now: Timestamp) -> String {
    let pause = now.until(moment);
    for_people(Duration::from_secs(pause.as_secs() + u64::from(pause.subsec_nanos() > 0)))
}

/// The 1st, 2nd, 4th, 8th … time.
pub(super) fn worth_telling(attempts: u32) -> bool {
    attempts.is_power_of_two() || attempts == 0
}

/// Logs one line for each slot: what SIGUSR1 asks for.
pub(super) fn tell_status(keeper: &Keeper, now: Timestamp) {
    let status = keeper.status(now);
    info!(ready = status.ready, tokens = status.counts.tokens, valid = status.counts.valid, "status");
    for slot in &status.slots {
        let error = slot.last_error.as_ref().map(|error| error.reason.as_str());
        info!(
            slot = slot.slot,
            generation = slot.generation.0,
            expires_at = slot.expires_at,
            next_refresh = slot.next_refresh,
            last_error = error,
            "status"
        );
    }
}
