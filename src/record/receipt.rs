//! Notes what the sinks hold. Each has its own receipt and its own retries (L15).

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::{AccessToken, Generation};
use crate::job::Delivered;
use crate::ledger::{Ahead, Entry, Held, Receipt, SinkRetry};
use crate::name::SinkId;
use crate::record::{Durability, unreachable_wait};
use crate::settings::Persist;
use crate::slot::Slot;
use crate::time::Timestamp;

/// How soon a sink that another tokend is ahead in is looked at again.
const LOOK_AGAIN: Duration = Duration::from_mins(5);

/// Notes what came of a delivery.
pub(crate) fn record_delivery(
    entry: &mut Entry,
    sink: &SinkId,
    (generation, expires_at): (Generation, Timestamp),
    result: Result<Delivered, String>,
    now: Timestamp,
) -> Durability {
    let receipt = entry.receipts.entry(sink.clone()).or_default();
    match result {
        Ok(delivered) => {
            let first = receipt.held.is_none();
            let changed = receipt.held.is_none_or(|held| held.fingerprint != delivered.fingerprint);
            **receipt = Receipt {
                held: Some(Held { generation, expires_at, fingerprint: delivered.fingerprint }),
                verified: true,
                restate: false,
                retry: None,
                gone_since: receipt.gone_since,
                coming: false,
            };
            if first || changed { Durability::Lazy } else { Durability::None }
        }
        Err(reason) => {
            retry_sink(receipt, reason, sink, now);
            Durability::None
        }
    }
}

/// The access token held is about to be brought to the files of `slot`: those to which nothing was seen
/// to be delivered yet are named by the row that saves it. Says whether anything changed.
pub fn name_coming(slot: &Slot, entry: &mut Entry) -> bool {
    // Without the access token what a kill leaves behind could not be known again.
    if entry.access_token.is_none() || slot.policy.persist == Persist::Off {
        return false;
    }
    let mut changed = false;
    for (_, sink) in slot.sinks().filter(|(_, sink)| sink.file().is_some()) {
        let receipt = entry.receipts.entry(sink.id.clone()).or_default();
        if receipt.held.is_none() && !receipt.coming {
            receipt.coming = true;
            changed = true;
        }
    }
    changed
}

/// Notes that a sink holds a higher generation: another tokend wrote it, or we did while the state could
/// not be written, and were killed. While that lives it is left alone; once it has expired ours goes on
/// above it, in all sinks (contract §4). Before the first request after a start, what is issued then
/// is numbered above it at once.
pub(crate) fn record_overtaken(
    entry: &mut Entry,
    sink: &SinkId,
    (generation, expires_at): (Generation, Timestamp),
    now: Timestamp,
) -> Durability {
    if expires_at > now {
        let raised = !entry.recalled && generation > entry.generation;
        if raised {
            entry.generation = generation;
        }
        record_occupied(entry, sink, (generation, expires_at), now);
        return if raised { Durability::Lazy } else { Durability::None };
    }
    entry.generation = entry.generation.max(generation);
    if let Some(held) = entry.access_token.as_ref().filter(|held| held.generation <= generation) {
        entry.generation = entry.generation.next();
        entry.access_token = Some(Arc::new(AccessToken { generation: entry.generation, ..(**held).clone() }));
    }
    entry.receipts.entry(sink.clone()).or_default().retry = None;
    Durability::Token
}

/// Notes that another tokend has written a higher generation, which is left alone. Whoever follows
/// numbers nothing, and so leaves it alone also when it has expired.
pub(crate) fn record_occupied(
    entry: &mut Entry,
    sink: &SinkId,
    (generation, expires_at): (Generation, Timestamp),
    now: Timestamp,
) -> Durability {
    let receipt = entry.receipts.entry(sink.clone()).or_default();
    let who = "another tokend writes there, or this one did and could not save it";
    let reason = format!("{who}: it holds generation {generation} until {expires_at}");
    let attempts = receipt.retry.as_ref().map_or(0, |retry| retry.attempts) + 1;
    let again = now + LOOK_AGAIN;
    let not_before = if expires_at > now { expires_at.min(again) } else { again };
    let ahead = Some(Ahead { generation, expires_at });
    receipt.retry = Some(SinkRetry { reason, attempts, not_before, ahead, of_withdrawal: false });
    Durability::None
}

/// Notes what came of a withdrawal.
pub fn record_withdrawal(entry: &mut Entry, sink: &SinkId, result: Result<(), String>, now: Timestamp) -> Durability {
    let Some(receipt) = entry.receipts.get_mut(sink) else { return Durability::None };
    match result {
        Ok(()) if receipt.gone_since.is_some() => {
            entry.receipts.remove(sink);
        }
        Ok(()) => **receipt = Receipt::default(),
        Err(reason) => {
            retry_sink(receipt, reason, sink, now).of_withdrawal = true;
            return Durability::None;
        }
    }
    Durability::Lazy
}

fn retry_sink<'r>(receipt: &'r mut Receipt, reason: String, sink: &SinkId, now: Timestamp) -> &'r mut SinkRetry {
    let attempts = receipt.retry.as_ref().map_or(0, |retry| retry.attempts) + 1;
    let not_before = now + unreachable_wait(sink.as_str(), attempts, now);
    receipt.retry.insert(SinkRetry { reason, attempts, not_before, ahead: None, of_withdrawal: false })
}

/// What the sink holds is to be looked at, and brought up to date, at once.
pub fn look_again(receipt: &mut Receipt) {
    receipt.verified = false;
    receipt.retry = None;
}
