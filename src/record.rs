//! Changes what is known after something was decided or came about. The other half of `plan`:
//! together they hold every decision, and neither has any effect.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::{AccessToken, Clock, Generation};
use crate::failure::{Class, Failure, Refusal};
use crate::job::{Ask, JobResult};
use crate::ledger::{Attempts, Denied, Entry, Intention, Issue, IssueKind, Plea, Retry, Standing};
use crate::record::again::{refused_wait, unreachable_wait};
use crate::record::demand::is_invalidated;
use crate::record::follow::record_look;
use crate::record::hooks::{Run, record_hook};
use crate::record::issued::record_issued;
use crate::record::receipt::{look_again, record_delivery, record_occupied, record_overtaken, record_withdrawal};
use crate::record::schedule::honour;
use crate::slot::Slot;
use crate::time::Timestamp;

pub mod again;
pub mod clock;
pub mod demand;
pub mod follow;
pub mod hooks;
mod issued;
pub mod receipt;
pub mod schedule;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// For how long at most a provider is believed that asks for patience (L11).
pub const LONGEST_PATIENCE: Duration = HOUR;

/// How soon a change must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// It need not be saved at all.
    None,
    /// With the next save of anything, or after a while.
    Lazy,
    /// Before a request or an answer that rests on it.
    Now,
    /// The access token itself: before any sink or reader sees it, and before all else (L16).
    Token,
}

/// Notes that a request is about to leave: saved before it does (L4).
pub fn begin(entry: &mut Entry, ask: &Ask, now: Timestamp) -> Durability {
    entry.intention = Some(Intention { at: now, ask: ask.clone() });
    Durability::Now
}

/// Notes what came of a job for `slot`.
pub fn record(slot: &Slot, entry: &mut Entry, result: JobResult, now: Timestamp) -> Durability {
    match result {
        JobResult::Recalled(highest) => record_recall(entry, highest),
        JobResult::Issued { ask, asked_at, answer } => {
            (entry.intention, entry.plea) = (None, None);
            // What a reader's API refused is wanted anew until it comes.
            entry.forced = ask.forced && answer.is_err() && is_invalidated(entry);
            prune_issues(slot, entry, now);
            match answer {
                Ok(issued) => {
                    honour(entry, asked_at);
                    record_issued(slot, entry, &ask, issued, now);
                    Durability::Token
                }
                Err(failure) => {
                    record_failure(slot, entry, (&ask, asked_at), failure, now);
                    Durability::Now
                }
            }
        }
        JobResult::Delivered { sink, generation, expires_at, result } => {
            record_delivery(entry, &sink, (generation, expires_at), result, now)
        }
        JobResult::Looked { ask, looked_at, found } => record_look(slot, entry, (&ask, looked_at), found, now),
        JobResult::Overtaken { sink, generation, expires_at } if slot.follows().is_some() => {
            record_occupied(entry, &sink, (generation, expires_at), now)
        }
        JobResult::Overtaken { sink, generation, expires_at } => {
            record_overtaken(entry, &sink, (generation, expires_at), now)
        }
        JobResult::Withdrawn { sink, result } => record_withdrawal(entry, &sink, result, now),
        JobResult::Notified { token, event, generation, result } => {
            record_hook(slot, entry, Run { token, event, generation }, result, now)
        }
    }
}

fn record_recall(entry: &mut Entry, highest: Generation) -> Durability {
    entry.recalled = true;
    entry.generation = entry.generation.max(highest);
    Durability::Lazy
}

fn record_failure(slot: &Slot, entry: &mut Entry, asked: (&Ask, Timestamp), failure: Failure, now: Timestamp) {
    let (ask, asked_at) = asked;
    if failure.possibly_issued() {
        entry.issues.push(Issue { at: asked_at, kind: IssueKind::Possibly });
    }
    if let (Failure::NotReady(why), true) = (&failure, entry.secret.refused > 0) {
        return record_unreadable(slot, entry, why, now);
    }
    if let Failure::Refused(refusal) = &failure {
        if slot.policy.exclusive && falls_back(entry, ask, refusal) {
            entry.denied = Some(Denied { scopes: ask.scopes.clone(), at: now, outright: true });
            // It is answered by asking for less, but not sooner than was asked for.
            let patience = refusal.retry_after.unwrap_or_default();
            note_plea(entry, &failure, now, now + patience);
            entry.standing = Standing::Good;
            return;
        }
        if refusal.credentials {
            (entry.secret.refused, entry.secret.again) = (ask.refused + 1, None);
            if entry.secret.refused < slot.provider.secret_choices() {
                let attempts = attempts_so_far(entry);
                entry.forced = ask.forced;
                stand_failing(entry, failure, attempts, (now, now));
                return;
            }
            entry.secret.refused = 0;
        }
    }
    fail(slot, entry, failure, now);
}

/// Some secrets of a list were refused, and the others cannot be read: those are looked for as what is not
/// ready, and these shown again in the rhythm of refusals (L11).
fn record_unreadable(slot: &Slot, entry: &mut Entry, why: &str, now: Timestamp) {
    if let (None, Standing::Failing(retry)) = (entry.secret.again, &mut entry.standing) {
        retry.attempts.refused += 1;
        entry.secret.again = Some(now + refused_wait(retry.attempts.refused - retry.attempts.hurried));
    }
    let why = format!("{why}; what can be read of its list was refused");
    fail(slot, entry, Failure::NotReady(why), now);
}

/// Whether a refused union of scopes can be answered by asking for what was granted last (L1).
fn falls_back(entry: &Entry, ask: &Ask, refusal: &Refusal) -> bool {
    refusal.is_about_scope() && entry.granted.as_ref().is_some_and(|granted| *granted != ask.scopes)
}

fn attempts_so_far(entry: &Entry) -> Attempts {
    match &entry.standing {
        Standing::Good => Attempts::default(),
        Standing::Failing(retry) => retry.attempts,
    }
}

/// Notes a failure and when to try again (L11).
fn fail(slot: &Slot, entry: &mut Entry, failure: Failure, now: Timestamp) {
    let mut attempts = attempts_so_far(entry);
    let wait = match failure.class() {
        Class::Unreachable | Class::NotReady => {
            attempts.unreachable += 1;
            unreachable_wait(slot.identity.as_str(), attempts.unreachable, now)
        }
        Class::Refused => {
            attempts.refused += 1;
            refused_wait(attempts.refused - attempts.hurried)
        }
    };
    let longest = entry.live(now).map_or(Duration::MAX, |held| (now.until(held.expires_at) / 2).max(5 * SECOND));
    if failure.class() == Class::Refused && wait > longest {
        attempts.hurried += 1;
    }
    stand_failing(entry, failure, attempts, (now, now + wait.min(longest)));
}

fn stand_failing(entry: &mut Entry, failure: Failure, attempts: Attempts, (now, at): (Timestamp, Timestamp)) {
    let since = match &entry.standing {
        Standing::Good => now,
        Standing::Failing(retry) => retry.since,
    };
    let asked_until = failure.retry_after().map(|patience| now + patience.min(LONGEST_PATIENCE));
    let not_before = asked_until.map_or(at, |until| until.max(at));
    note_plea(entry, &failure, now, asked_until.unwrap_or(not_before));
    entry.standing = Standing::Failing(Retry { failure, attempts, since, not_before, asked_until });
}

fn note_plea(entry: &mut Entry, failure: &Failure, now: Timestamp, until: Timestamp) {
    entry.plea = plea_of(failure).map(|of_endpoint| Plea { at: now, until, of_endpoint });
}

/// Whether `failure` asks for patience, and then whether of the whole endpoint (L12).
fn plea_of(failure: &Failure) -> Option<bool> {
    let (status, retry_after) = match failure {
        Failure::Busy { status, retry_after, .. } => (*status, *retry_after),
        Failure::Refused(refusal) => (refusal.status, refusal.retry_after),
        _ => return None,
    };
    let named = retry_after.is_some();
    (status == 429 || named).then_some(status == 503 && named)
}

/// Forgets issues that no budget counts any more.
fn prune_issues(slot: &Slot, entry: &mut Entry, now: Timestamp) {
    let window = slot.policy.budget.map_or(HOUR, |budget| budget.per.max(HOUR));
    entry.issues.retain(|issue| issue.at + window > now);
    let excess = entry.issues.len().saturating_sub(MOST_ISSUES);
    entry.issues.drain(..excess);
}

/// More than any sensible budget counts; bounds what a row of the state holds.
const MOST_ISSUES: usize = 1000;

/// What an entry found in the state means at start: a request that was under way counts as
/// possibly issued and is not repeated before it is due, and what the sinks hold is not known
/// until they were looked at (L4, L15). After a reboot its access token goes by the wall clock (L9).
pub fn adopt_stored(entry: &mut Entry) {
    if let Some(Intention { at, ask }) = entry.intention.take() {
        entry.issues.push(Issue { at, kind: IssueKind::Possibly });
        if ask.forced {
            entry.denied = Some(Denied { scopes: ask.scopes, at, outright: false });
        }
    }
    if entry.anchor.is_some() {
        let from_before = |token: &mut Arc<AccessToken>| Arc::make_mut(token).clock = Clock::Wall;
        entry.access_token.iter_mut().for_each(from_before);
    }
    entry.forced = false;
    // What was handed out while the state could not be written is known by the sinks alone.
    entry.recalled = false;
    entry.receipts.values_mut().for_each(|receipt| look_again(receipt));
}

/// Notes that the state was lost: whatever was issued before is not known, so one possible issue
/// is counted (L16).
pub fn note_lost_state(entry: &mut Entry, now: Timestamp) {
    entry.issues.push(Issue { at: now, kind: IssueKind::Possibly });
}

#[cfg(test)]
#[allow(clippy::float_cmp, clippy::unwrap_used)]
mod tests;
