//! Makes the status from what is known at one moment.

use std::sync::Arc;

use crate::access_token::AccessToken;
use crate::failure::Class;
use crate::keeper::readiness::{sink_is_ready, token_is_ready};
use crate::keeper::{Case, Keeper, Unsaved};
use crate::ledger::{Entry, IssueKind, Receipt, Standing};
use crate::name::Name;
use crate::plan::budget::words_of_hold;
use crate::plan::{denial_of, next_issue, renewal_of, serves, waits_for_budget};
use crate::settings::{SinkSettings, TokenSettings};
use crate::slot::Slot;
use crate::time::Timestamp;

use crate::status::follow::follow_status;
use crate::status::hooks::hook_statuses;
use crate::status::{
    BudgetStatus, Counts, LastError, SinkState, SinkStatus, SlotStatus, StandingState, StateError, Status, TokenState,
    TokenStatus,
};

impl Keeper {
    /// Everything that a person wants to know at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        self.status_for(self.config().slots.iter(), now)
    }

    /// The same for the slot that serves the token called `name` alone.
    #[must_use]
    pub fn status_of(&self, name: &Name, now: Timestamp) -> Status {
        self.status_for(self.config().slot_of(name).into_iter(), now)
    }

    /// Why it is not ready: what the first slot lacks that is not. `None` if it is ready.
    #[must_use]
    pub fn unready_reason(&self, now: Timestamp) -> Option<String> {
        let case = self.case_of(self.first_unready()?)?;
        let slot = case.wanted_slot()?;
        // Whoever was ready a moment ago may have expired since; the next turn looks at it.
        let reason = reasons(slot, &case.entry, now).into_iter().next();
        Some(reason.unwrap_or_else(|| format!("{} is being looked at", slot.id)))
    }

    fn status_for<'a>(&self, slots: impl Iterator<Item = &'a Arc<Slot>>, now: Timestamp) -> Status {
        let cases: Vec<(&Arc<Slot>, &Case)> =
            slots.filter_map(|slot| self.case(slot).map(|case| (slot, case))).collect();
        let slots: Vec<SlotStatus> = cases.iter().map(|(slot, case)| self.slot_status(slot, case, now)).collect();
        let reasons: Vec<String> = cases.iter().flat_map(|(slot, case)| reasons(slot, &case.entry, now)).collect();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            now: now.to_string(),
            ready: reasons.is_empty(),
            reasons,
            state_writable: self.state_is_writable(now),
            state_error: self.unsaved().filter(|_| !self.state_is_writable(now)).map(state_error),
            state_notice: self.state_notice().map(str::to_owned),
            metrics_problem: None,
            config: None,
            counts: counts(&slots),
            slots,
        }
    }

    fn slot_status(&self, slot: &Slot, case: &Case, now: Timestamp) -> SlotStatus {
        let entry = &case.entry;
        let held = entry.access_token.as_deref();
        let next = self.next_refresh(slot, entry, now);
        SlotStatus {
            slot: slot.id.to_string(),
            provider: slot.provider.name.to_string(),
            psu_context: slot.context.clone(),
            exclusive: slot.policy.exclusive,
            state: token_state(held, now),
            standing: standing(slot, case, now),
            generation: entry.held_generation(),
            issued_at: held.map(|token| token.issued_at.to_string()),
            expires_at: held.map(|token| token.expires_at.to_string()),
            expires_in: held.map(|token| now.until(token.expires_at).as_secs()),
            paused_since: entry.paused.map(|since| since.to_string()),
            next_refresh: next.map(|next| next.to_string()),
            scope: held.map(|token| token.scopes.join(" ")).unwrap_or_default(),
            due: held.is_none_or(|token| renewal_of(slot, token) <= now),
            last_error: last_error(entry, next),
            warning: entry.warning.clone(),
            budget: budget_status(slot, entry, now),
            follows: follow_status(slot, entry, now),
            tokens: slot.tokens.iter().map(|token| token_status(slot, case, token, now)).collect(),
        }
    }

    /// When the provider is asked next; `None` while it is not to be asked.
    pub(super) fn next_refresh(&self, slot: &Slot, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
        let (next, _) = next_issue(slot, entry, now);
        (next < Timestamp::NEVER).then(|| next.max(self.queued_until(slot)).max(now))
    }
}

fn state_error(unsaved: &Unsaved) -> StateError {
    let Unsaved { since, again_at, reason } = unsaved;
    StateError { reason: reason.clone(), since: since.to_string(), next_attempt: again_at.to_string() }
}

fn token_state(held: Option<&AccessToken>, now: Timestamp) -> TokenState {
    match held {
        None => TokenState::Missing,
        Some(token) if token.is_live(now) => TokenState::Valid,
        Some(_) => TokenState::Expired,
    }
}

fn standing(slot: &Slot, case: &Case, now: Timestamp) -> StandingState {
    if case.is_asking() {
        return StandingState::Asking;
    }
    if case.entry.paused.is_some() {
        return StandingState::Paused;
    }
    if waits_for_budget(slot, &case.entry, now).is_some() {
        return StandingState::WaitingForBudget;
    }
    match &case.entry.standing {
        Standing::Good => StandingState::Good,
        Standing::Failing(retry) if retry.failure.class() == Class::Refused => StandingState::Refused,
        Standing::Failing(_) => StandingState::Retrying,
    }
}

fn last_error(entry: &Entry, next: Option<Timestamp>) -> Option<LastError> {
    let Standing::Failing(retry) = &entry.standing else { return None };
    Some(LastError {
        class: retry.failure.class().to_string(),
        reason: retry.failure.to_string(),
        attempts: retry.attempts.unreachable + retry.attempts.refused,
        since: retry.since.to_string(),
        next_attempt: next.map(|next| next.max(retry.not_before).to_string()),
    })
}

pub(super) fn budget_status(slot: &Slot, entry: &Entry, now: Timestamp) -> Option<BudgetStatus> {
    let budget = slot.policy.budget?;
    let count = |kind| entry.issues.iter().filter(|issue| issue.kind == kind && issue.at + budget.per > now).count();
    Some(BudgetStatus {
        issued: count(IssueKind::Issued),
        possibly_issued: count(IssueKind::Possibly),
        issues: budget.issues,
        per_seconds: budget.per.as_secs(),
    })
}

fn token_status(slot: &Slot, case: &Case, token: &TokenSettings, now: Timestamp) -> TokenStatus {
    let entry = &case.entry;
    let (state, reason) = state_and_reason(slot, entry, token, now);
    TokenStatus {
        name: token.name.to_string(),
        required: token.required,
        state,
        reason,
        sinks: token.sinks.iter().map(|sink| sink_status(entry, sink)).collect(),
        hooks: hook_statuses(slot, case, token, now),
    }
}

/// Whether the readers of `token` have a valid access token, and why not.
fn state_and_reason(slot: &Slot, entry: &Entry, token: &TokenSettings, now: Timestamp) -> (TokenState, Option<String>) {
    match entry.live(now) {
        Some(held) if serves(slot, token, held) => (TokenState::Valid, None),
        Some(held) => (TokenState::Refused, Some(missing_scopes((slot, entry), token, held, now))),
        None => (token_state(entry.access_token.as_deref(), now), Some(why_not_valid(slot, entry, now))),
    }
}

/// What `held` lacks for `token`, and why, or what is done about it.
fn missing_scopes((slot, entry): (&Slot, &Entry), token: &TokenSettings, held: &AccessToken, now: Timestamp) -> String {
    let missing: Vec<&str> = token.scopes.iter().filter(|s| !held.scopes.contains(s)).map(String::as_str).collect();
    let again = format!("`tokend refresh {}` asks again", token.name);
    let why = match denial_of(slot, entry) {
        Some(denied) if denied.outright => format!("the provider refused it (invalid_scope); {again}"),
        Some(_) => format!("the provider has not granted it, or its answer was lost; {again}"),
        None => what_holds_back(slot, entry, now).unwrap_or_else(|| "it is being asked for".to_owned()),
    };
    format!("the access token held does not have {}: {why}", missing.join(" "))
}

fn why_not_valid(slot: &Slot, entry: &Entry, now: Timestamp) -> String {
    let had_one = entry.access_token.is_some();
    let what = if had_one { "its access token has expired" } else { "it has no access token yet" };
    match what_holds_back(slot, entry, now) {
        Some(why) => format!("{what}: {why}"),
        None => what.to_owned(),
    }
}

/// Why nothing newer is there.
fn what_holds_back(slot: &Slot, entry: &Entry, now: Timestamp) -> Option<String> {
    if let Some(since) = entry.paused {
        return Some(format!("it is paused since {since}"));
    }
    if let Some(until) = waits_for_budget(slot, entry, now) {
        return Some(format!("{} until {until}", words_of_hold(slot, entry, now)));
    }
    match &entry.standing {
        Standing::Failing(retry) => Some(retry.failure.to_string()),
        Standing::Good => None,
    }
}

fn sink_status(entry: &Entry, sink: &SinkSettings) -> SinkStatus {
    let nothing = Receipt::default();
    let receipt = entry.receipts.get(&sink.id).map_or(&nothing, Box::as_ref);
    let state = sink_state(entry, receipt);
    let ahead = receipt.retry.as_ref().and_then(|retry| retry.ahead);
    SinkStatus {
        sink: sink.id.to_string(),
        required: sink.required,
        state,
        generation: ahead.map(|ahead| ahead.generation).or(receipt.held.map(|held| held.generation)),
        error: receipt.retry.as_ref().map(|retry| retry.reason.clone()),
        next_attempt: receipt.retry.as_ref().map(|retry| retry.not_before.to_string()),
    }
}

/// What the sink holds of which `receipt` is.
pub(super) fn sink_state(entry: &Entry, receipt: &Receipt) -> SinkState {
    let held = receipt.held.filter(|_| receipt.verified);
    match (&receipt.retry, held) {
        (Some(_), _) => SinkState::Failing,
        (None, None) => SinkState::Waiting,
        (None, Some(held)) if held.generation == entry.held_generation() => SinkState::Current,
        (None, Some(_)) => SinkState::Behind,
    }
}

/// Why `slot` is not ready: at least one for each required token that is not.
fn reasons(slot: &Slot, entry: &Entry, now: Timestamp) -> Vec<String> {
    let unready = |token: &&TokenSettings| token.required && !token_is_ready(slot, entry, token, now);
    slot.tokens.iter().filter(unready).flat_map(|token| reasons_of(slot, entry, token, now)).collect()
}

fn reasons_of(slot: &Slot, entry: &Entry, token: &TokenSettings, now: Timestamp) -> Vec<String> {
    if let (_, Some(reason)) = state_and_reason(slot, entry, token, now) {
        return vec![format!("{} ({}): {reason}", token.name, slot.id)];
    }
    let unready = |sink: &&SinkSettings| sink.required && !sink_is_ready(entry, &sink.id, now);
    let line = |sink: &SinkSettings| {
        let retry = entry.receipts.get(&sink.id).and_then(|receipt| receipt.retry.as_ref());
        let why = retry.map_or("not delivered yet", |retry| retry.reason.as_str());
        format!("{} ({}): {}: {why}", token.name, slot.id, sink.id)
    };
    token.sinks.iter().filter(unready).map(line).collect()
}

fn counts(slots: &[SlotStatus]) -> Counts {
    let tokens = || slots.iter().flat_map(|slot| &slot.tokens);
    let valid = || tokens().filter(|token| token.state == TokenState::Valid);
    let sinks = || tokens().flat_map(|token| &token.sinks);
    Counts {
        slots: slots.len(),
        tokens: tokens().count(),
        valid: valid().count(),
        failing: slots.iter().filter(|slot| slot.last_error.is_some()).count(),
        sinks: sinks().count(),
        current: valid().flat_map(|token| &token.sinks).filter(|sink| sink.state == SinkState::Current).count(),
    }
}
