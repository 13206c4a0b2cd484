//! How many access tokens may be issued in how long (L5).

use std::time::Duration;

use crate::ledger::{Entry, IssueKind};
use crate::settings::Budget;
use crate::slot::Slot;
use crate::time::Timestamp;

const MINUTE: Duration = Duration::from_mins(1);

/// Why an access token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// None is held, or the one held is near its end.
    Renewal,
    /// An admin or a wider union wants one before it is due.
    Forced,
}

/// Until when the budget holds a request back (L5); `EPOCH` when it does not.
#[must_use]
pub fn budget_hold(slot: &Slot, entry: &Entry, reason: Reason, now: Timestamp) -> Timestamp {
    let Some(budget) = slot.policy.budget else { return Timestamp::EPOCH };
    let forced_beside_a_live_token = reason == Reason::Forced && entry.live(now).is_some();
    let places = budget.issues - u32::from(forced_beside_a_live_token && budget.issues > 0);
    issued_hold(entry, budget, places, now).max(spacing_hold(entry, budget, now))
}

/// Why `budget_hold` holds a request back, for people.
#[must_use]
pub fn words_of_hold(slot: &Slot, entry: &Entry, now: Timestamp) -> &'static str {
    let Some(budget) = slot.policy.budget else { return "" };
    let issued = in_window(entry, budget, now).filter(|(_, kind)| *kind == IssueKind::Issued).count();
    if issued >= budget.issues as usize {
        "the budget of access tokens is used up"
    } else if entry.live(now).is_some() && issued + 1 >= budget.issues as usize {
        "the last place in the budget of access tokens is kept for the renewal"
    } else {
        "access tokens may have been issued that never arrived, so the budget spaces its requests"
    }
}

/// Issued access tokens stop the slot when all `places` are taken.
fn issued_hold(entry: &Entry, budget: Budget, places: u32, now: Timestamp) -> Timestamp {
    let issued = || in_window(entry, budget, now).filter(|(_, kind)| *kind == IssueKind::Issued).map(|(at, _)| at);
    let places = places as usize;
    if issued().count() < places {
        return Timestamp::EPOCH;
    }
    if places == 0 {
        return Timestamp::NEVER;
    }
    let mut issued: Vec<Timestamp> = issued().collect();
    issued.sort_unstable();
    issued[issued.len() - places] + budget.per
}

/// Possibly issued ones never stop it, but space its requests once both together reach the budget.
/// It is looked at again when the oldest is no longer counted.
fn spacing_hold(entry: &Entry, budget: Budget, now: Timestamp) -> Timestamp {
    let (mut all, mut possibly) = (0_u32, 0_u32);
    let (mut oldest, mut last) = (Timestamp::NEVER, Timestamp::EPOCH);
    for (at, kind) in in_window(entry, budget, now) {
        all += 1;
        possibly += u32::from(kind == IssueKind::Possibly);
        oldest = oldest.min(at);
        last = last.max(at);
    }
    if possibly == 0 || all < budget.issues {
        return Timestamp::EPOCH;
    }
    let doublings = (all - budget.issues).min(4);
    let spaced = last + (MINUTE * 2_u32.pow(doublings)).min(10 * MINUTE);
    spaced.min(oldest + budget.per)
}

/// The access tokens issued and possibly issued that the budget counts at `now`.
fn in_window(entry: &Entry, budget: Budget, now: Timestamp) -> impl Iterator<Item = (Timestamp, IssueKind)> {
    entry.issues.iter().filter(move |issue| issue.at + budget.per > now).map(|issue| (issue.at, issue.kind))
}
