//! When an access token is brought to a sink, and when it is taken away from there.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::job::{Job, Lane};
use crate::ledger::{Entry, Receipt};
use crate::plan::{Plan, serves};
use crate::settings::{OnExpired, SinkSettings, TokenSettings};
use crate::slot::Slot;
use crate::time::Timestamp;

/// How long a withdrawal waits for the edit to be taken back (L17).
pub const WITHDRAWAL_DELAY: Duration = Duration::from_secs(3);

/// Adds what `sinks` of `slot` need.
pub(super) fn plan_sinks<'s>(
    (slot, entry): (&Slot, &Entry),
    sinks: impl Iterator<Item = (&'s TokenSettings, &'s SinkSettings)>,
    busy: &BTreeSet<Lane>,
    now: Timestamp,
    plan: &mut Plan,
) {
    for (token, sink) in sinks {
        let receipt = entry.receipts.get(&sink.id).map(Box::as_ref);
        if let Some((at, job)) = sink_job((slot, entry), (token, sink), receipt, now) {
            plan.want(at, job, now, busy);
        }
        if let Some(held) = receipt.and_then(|receipt| receipt.held).filter(|held| now < held.expires_at) {
            plan.look_again(held.expires_at);
        }
    }
}

fn sink_job(
    (slot, entry): (&Slot, &Entry),
    (token, sink): (&TokenSettings, &SinkSettings),
    receipt: Option<&Receipt>,
    now: Timestamp,
) -> Option<(Timestamp, Job)> {
    let retry = receipt.and_then(|receipt| receipt.retry.as_ref());
    let not_before = retry.map_or(Timestamp::EPOCH, |retry| retry.not_before);
    let held = receipt.and_then(|receipt| receipt.held);
    match (entry.live(now).filter(|live| serves(slot, token, live)), held) {
        (Some(live), _) => {
            let current = receipt.is_some_and(|receipt| is_current(receipt, live));
            // A newer one than what is left alone there is brought at once, as one is over what could not be
            // taken away.
            let newer = retry.and_then(|retry| retry.ahead).is_some_and(|ahead| ahead.generation < live.generation);
            let at_once = newer || retry.is_some_and(|retry| retry.of_withdrawal);
            let not_before = if at_once { Timestamp::EPOCH } else { not_before };
            (!current).then(|| (not_before, Job::Deliver(sink.id.clone())))
        }
        (None, Some(held)) if token.on_expired == OnExpired::Remove && sink.file().is_some() => {
            Some((not_before.max(held.expires_at), Job::Withdraw(sink.id.clone())))
        }
        (None, None) if token.on_expired == OnExpired::Remove && receipt.is_some_and(|receipt| receipt.coming) => {
            let expiry = entry.access_token.as_ref().map_or(Timestamp::NEVER, |token| token.expires_at);
            Some((not_before.max(expiry), Job::Withdraw(sink.id.clone())))
        }
        (None, _) => None,
    }
}

/// Whether the sink of `receipt` was seen to hold `live`, and to say what is true of it.
pub(super) fn is_current(receipt: &Receipt, live: &AccessToken) -> bool {
    let held = receipt.held.filter(|_| receipt.verified && !receipt.restate);
    held.is_some_and(|held| held.generation == live.generation)
}

pub(super) fn plan_withdrawals(entry: &Entry, busy: &BTreeSet<Lane>, now: Timestamp, plan: &mut Plan) {
    for (id, receipt) in &entry.receipts {
        let Some(gone_since) = receipt.gone_since else { continue };
        let not_before = receipt.retry.as_ref().map_or(Timestamp::EPOCH, |retry| retry.not_before);
        plan.want((gone_since + WITHDRAWAL_DELAY).max(not_before), Job::Withdraw(id.clone()), now, busy);
    }
}
