//! What readers may bring about: a fresh access token because theirs does not live long enough, or
//! because their API refused it. Never more often than it helps.

use std::time::Duration;

use crate::access_token::Generation;
use crate::ledger::{Entry, Invalidated};
use crate::plan::budget::{Reason, budget_hold};
use crate::plan::next_issue;
use crate::slot::Slot;
use crate::time::Timestamp;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Readers want an access token that lives at least `min_valid`. A slot that is not exclusive asks for
/// one, at most once a minute; an exclusive one waits for its renewal (L2). Says when the next request
/// leaves, or may be wanted again.
pub fn want_longer(slot: &Slot, entry: &mut Entry, min_valid: Duration, now: Timestamp) -> Timestamp {
    let renewal = |entry: &Entry| next_issue(slot, entry, now).0.max(now);
    let Some(held) = entry.live(now).filter(|held| now.until(held.expires_at) < min_valid) else {
        return renewal(entry);
    };
    if slot.policy.exclusive || entry.forced || entry.paused.is_some() {
        return renewal(entry);
    }
    let again = entry.longer_at.map_or(held.issued_at, |at| at.max(held.issued_at)) + MINUTE;
    if now < again {
        return renewal(entry).min(again);
    }
    entry.longer_at = Some(now);
    entry.forced = true;
    renewal(entry)
}

/// What came of a reader's word that its API refused an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// Another is asked for; this one is served until it is there.
    Accepted,
    /// Another generation is held, or none.
    NotHeld(Option<Generation>),
    /// Not again before this moment: the last one is too near.
    TooSoon(Timestamp),
    /// Not before this moment: the budget is used up.
    Budget(Timestamp),
    /// An admin wants no requests since then.
    Paused(Timestamp),
}

/// A reader says that its API refused the access token of `generation`.
pub fn invalidate(slot: &Slot, entry: &mut Entry, generation: Generation, now: Timestamp) -> Invalidation {
    let held = entry.access_token.as_ref().map(|token| token.generation);
    if held != Some(generation) {
        return Invalidation::NotHeld(entry.live(now).map(|token| token.generation));
    }
    if let Some(since) = entry.paused {
        return Invalidation::Paused(since);
    }
    let last = entry.invalidated.filter(|last| goes_on(*last, generation));
    let is_asked_for = entry.forced && last.is_some_and(|last| last.generation == generation);
    let renewal = next_issue(slot, entry, now).0;
    if is_asked_for || entry.live(now).is_none() || renewal <= now {
        return Invalidation::Accepted;
    }
    let again = entry.invalidated.map_or(Timestamp::EPOCH, |any| any.at + pace(last.map_or(1, |last| last.in_a_row)));
    if now < again {
        return Invalidation::TooSoon(again.min(renewal.max(now)));
    }
    let place_free = budget_hold(slot, entry, Reason::Forced, now);
    if place_free > now {
        return Invalidation::Budget(place_free.min(renewal.max(now)));
    }
    let in_a_row = last.map_or(1, |last| last.in_a_row.saturating_add(1));
    entry.invalidated = Some(Invalidated { generation, at: now, in_a_row });
    entry.forced = true;
    Invalidation::Accepted
}

/// Whether what was asked for because of `last` is refused as well.
fn goes_on(last: Invalidated, generation: Generation) -> bool {
    generation == last.generation || generation == last.generation.next()
}

/// 1 min, doubling to 1 h.
fn pace(in_a_row: u32) -> Duration {
    (MINUTE * 2_u32.pow(in_a_row.saturating_sub(1).min(6))).min(HOUR)
}

/// Whether the access token held was refused by an API, so that another is wanted until it comes.
#[must_use]
pub fn is_invalidated(entry: &Entry) -> bool {
    let held = entry.access_token.as_ref().map(|token| token.generation);
    entry.invalidated.is_some_and(|last| Some(last.generation) == held)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
