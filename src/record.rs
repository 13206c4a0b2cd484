//! Changes what is known after something was decided or came about. The other half of `plan`:
//! together they hold every decision, and neither has any effect.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::{AccessToken, Generation, Issued};
use crate::failure::{Class, Failure, Refusal};
use crate::job::{Ask, Delivered, JobResult};
use crate::ledger::{Attempts, Denied, Entry, Held, Intention, Issue, IssueKind, Receipt, Retry, SinkRetry, Standing};
use crate::name::SinkId;
use crate::slot::Slot;
use crate::spread::share;
use crate::time::Timestamp;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How soon a change must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// It need not be saved at all.
    None,
    /// With the next save of anything, or after a while.
    Lazy,
    /// Before anything is done that rests on it.
    Now,
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
            entry.intention = None;
            entry.forced = false;
            prune_issues(slot, entry, now);
            match answer {
                Ok(issued) => record_issued(slot, entry, &ask, issued, now),
                Err(failure) => record_failure(slot, entry, (&ask, asked_at), failure, now),
            }
            Durability::Now
        }
        JobResult::Delivered { sink, generation, expires_at, result } => {
            record_delivery(entry, &sink, (generation, expires_at), result, now)
        }
        JobResult::Withdrawn { sink, result } => record_withdrawal(entry, &sink, result, now),
    }
}

fn record_recall(entry: &mut Entry, highest: Generation) -> Durability {
    entry.recalled = true;
    entry.generation = entry.generation.max(highest);
    Durability::Lazy
}

fn record_issued(slot: &Slot, entry: &mut Entry, ask: &Ask, issued: Issued, now: Timestamp) {
    entry.secret.worked = ask.secret_choice;
    entry.secret.refused = 0;
    entry.recalled = true;
    let same = entry.live(now).filter(|held| held.secret.same_as(&issued.secret)).cloned();
    if let Some(held) = same {
        record_same_token(entry, &held, &issued, now);
        return;
    }
    entry.issues.push(Issue { at: issued.issued_at, kind: IssueKind::Issued });
    if issued.expires_at <= now {
        let failure = Failure::Malformed("the access token had expired before it arrived".into());
        fail(slot, entry, failure, now);
        return;
    }
    entry.generation = entry.generation.next();
    entry.standing = Standing::Good;
    entry.same_again = None;
    entry.granted = Some(ask.scopes.clone());
    entry.warning = issued.warning;
    let scopes = issued.scopes.unwrap_or_else(|| ask.scopes.iter().chain(&slot.context).cloned().collect());
    entry.denied = denial_after(slot, entry.denied.take(), ask, &scopes, now);
    entry.access_token = Some(Arc::new(AccessToken {
        secret: issued.secret,
        token_type: issued.token_type,
        scopes,
        issued_at: issued.issued_at,
        expires_at: issued.expires_at,
        generation: entry.generation,
        extra: issued.extra,
    }));
}

/// What is denied after an access token with `scopes` arrived.
fn denial_after(slot: &Slot, before: Option<Denied>, ask: &Ask, scopes: &[String], now: Timestamp) -> Option<Denied> {
    let asked_all = slot.scopes.iter().all(|scope| ask.scopes.contains(scope));
    if !asked_all {
        return before;
    }
    let missing = ask.scopes.iter().any(|scope| !scopes.contains(scope));
    missing.then(|| Denied { scopes: ask.scopes.clone(), at: now, outright: false })
}

/// The provider answered with the token already held (L8): nothing is new, and the next request
/// comes when half of what is left has passed.
fn record_same_token(entry: &mut Entry, held: &Arc<AccessToken>, issued: &Issued, now: Timestamp) {
    entry.standing = Standing::Good;
    let expires_at = held.expires_at.min(issued.expires_at.max(now));
    let left = now.until(expires_at);
    let last = (held.lifetime() / 50).max(10 * SECOND);
    let next = (now + (left / 2).max(10 * SECOND)).min((expires_at - last).max(now + 10 * SECOND));
    entry.same_again = Some(next);
    if expires_at < held.expires_at {
        entry.access_token = Some(Arc::new(AccessToken { expires_at, ..AccessToken::clone(held) }));
    }
}

fn record_failure(slot: &Slot, entry: &mut Entry, asked: (&Ask, Timestamp), failure: Failure, now: Timestamp) {
    let (ask, asked_at) = asked;
    if failure.possibly_issued() {
        entry.issues.push(Issue { at: asked_at, kind: IssueKind::Possibly });
    }
    if let Failure::Refused(refusal) = &failure {
        if falls_back(entry, ask, refusal) {
            entry.denied = Some(Denied { scopes: ask.scopes.clone(), at: now, outright: true });
            entry.standing = Standing::Good;
            return;
        }
        if refusal.credentials {
            entry.secret.refused += 1;
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
        Class::Unreachable => {
            attempts.unreachable += 1;
            unreachable_wait(slot.identity.as_str(), attempts.unreachable, now)
        }
        Class::Refused => {
            attempts.refused += 1;
            refused_wait(attempts.refused)
        }
    };
    let longest = entry.live(now).map_or(Duration::MAX, |held| (now.until(held.expires_at) / 2).max(5 * SECOND));
    stand_failing(entry, failure, attempts, (now, now + wait.min(longest)));
}

fn stand_failing(entry: &mut Entry, failure: Failure, attempts: Attempts, (now, at): (Timestamp, Timestamp)) {
    let since = match &entry.standing {
        Standing::Good => now,
        Standing::Failing(retry) => retry.since,
    };
    let asked_until = failure.retry_after().map(|patience| now + patience.min(HOUR));
    let not_before = asked_until.map_or(at, |until| until.max(at));
    entry.standing = Standing::Failing(Retry { failure, attempts, since, not_before, asked_until });
}

/// 1 s, doubling to 60 s, each shortened by up to half.
fn unreachable_wait(name: &str, attempt: u32, now: Timestamp) -> Duration {
    let whole = (SECOND * 2_u32.pow(attempt.saturating_sub(1).min(6))).min(MINUTE);
    whole.mul_f64(1.0 - share(name, now.as_millis().unsigned_abs()) / 2.0)
}

/// 5 s, 20 s, then 1 min doubling to 1 h.
fn refused_wait(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => 5 * SECOND,
        2 => 20 * SECOND,
        more => (MINUTE * 2_u32.pow((more - 3).min(6))).min(HOUR),
    }
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

fn record_delivery(
    entry: &mut Entry,
    sink: &SinkId,
    (generation, expires_at): (Generation, Timestamp),
    result: Result<Delivered, String>,
    now: Timestamp,
) -> Durability {
    let name = entry.identity.clone();
    let receipt = entry.receipts.entry(sink.clone()).or_default();
    match result {
        Ok(delivered) => {
            let first = receipt.held.is_none();
            let changed = receipt.held.is_none_or(|held| held.fingerprint != delivered.fingerprint);
            *receipt = Receipt {
                held: Some(Held { generation, expires_at, fingerprint: delivered.fingerprint }),
                verified: true,
                retry: None,
                gone_since: receipt.gone_since,
            };
            if first || changed { Durability::Lazy } else { Durability::None }
        }
        Err(reason) => {
            retry_sink(receipt, reason, name.as_str(), now);
            Durability::None
        }
    }
}

/// Notes what came of a withdrawal.
pub fn record_withdrawal(entry: &mut Entry, sink: &SinkId, result: Result<(), String>, now: Timestamp) -> Durability {
    let name = entry.identity.clone();
    let Some(receipt) = entry.receipts.get_mut(sink) else { return Durability::None };
    match result {
        Ok(()) if receipt.gone_since.is_some() => {
            entry.receipts.remove(sink);
        }
        Ok(()) => *receipt = Receipt::default(),
        Err(reason) => {
            retry_sink(receipt, reason, name.as_str(), now);
            return Durability::None;
        }
    }
    Durability::Lazy
}

fn retry_sink(receipt: &mut Receipt, reason: String, name: &str, now: Timestamp) {
    let attempts = receipt.retry.as_ref().map_or(0, |retry| retry.attempts) + 1;
    let not_before = now + unreachable_wait(name, attempts, now);
    receipt.retry = Some(SinkRetry { reason, attempts, not_before });
}

/// What an entry found in the state means at start: a request that was under way counts as
/// possibly issued, and what the sinks hold is not known until they were looked at (L4, L15).
pub fn adopt_stored(entry: &mut Entry) {
    if let Some(intention) = entry.intention.take() {
        entry.issues.push(Issue { at: intention.at, kind: IssueKind::Possibly });
    }
    entry.recalled = entry.generation > Generation::NONE;
    for receipt in entry.receipts.values_mut() {
        receipt.verified = false;
        receipt.retry = None;
    }
}

/// Notes that the state was lost: whatever was issued before is not known, so one possible issue
/// is counted (L16).
pub fn note_lost_state(entry: &mut Entry, now: Timestamp) {
    entry.issues.push(Issue { at: now, kind: IssueKind::Possibly });
}
