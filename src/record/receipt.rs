//! Notes what the sinks hold. Each has its own receipt and its own retries (L15).

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::{AccessToken, Generation};
use crate::job::Delivered;
use crate::ledger::{Entry, Held, Receipt, SinkRetry};
use crate::name::SinkId;
use crate::record::{Durability, unreachable_wait};
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
            *receipt = Receipt {
                held: Some(Held { generation, expires_at, fingerprint: delivered.fingerprint }),
                verified: true,
                restate: false,
                retry: None,
                gone_since: receipt.gone_since,
            };
            if first || changed { Durability::Lazy } else { Durability::None }
        }
        Err(reason) => {
            retry_sink(receipt, reason, sink, now);
            Durability::None
        }
    }
}

/// Notes that another tokend has written a higher generation. While that lives it is left alone; once
/// it has expired ours goes on above it, in all sinks (contract §4).
pub(crate) fn record_overtaken(
    entry: &mut Entry,
    sink: &SinkId,
    (generation, expires_at): (Generation, Timestamp),
    now: Timestamp,
) -> Durability {
    if expires_at > now {
        return record_occupied(entry, sink, (generation, expires_at), now);
    }
    if generation >= entry.generation {
        entry.generation = generation.next();
        let numbered = |token: &Arc<AccessToken>| AccessToken { generation: generation.next(), ..(**token).clone() };
        entry.access_token = entry.access_token.as_ref().map(numbered).map(Arc::new);
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
    let reason = format!("another tokend writes there: it holds generation {generation} until {expires_at}");
    let attempts = receipt.retry.as_ref().map_or(0, |retry| retry.attempts) + 1;
    let again = now + LOOK_AGAIN;
    let not_before = if expires_at > now { expires_at.min(again) } else { again };
    receipt.retry = Some(SinkRetry { reason, attempts, not_before });
    Durability::None
}

/// Notes what came of a withdrawal.
pub fn record_withdrawal(entry: &mut Entry, sink: &SinkId, result: Result<(), String>, now: Timestamp) -> Durability {
    let Some(receipt) = entry.receipts.get_mut(sink) else { return Durability::None };
    match result {
        Ok(()) if receipt.gone_since.is_some() => {
            entry.receipts.remove(sink);
        }
        Ok(()) => *receipt = Receipt::default(),
        Err(reason) => {
            retry_sink(receipt, reason, sink, now);
            return Durability::None;
        }
    }
    Durability::Lazy
}

fn retry_sink(receipt: &mut Receipt, reason: String, sink: &SinkId, now: Timestamp) {
    let attempts = receipt.retry.as_ref().map_or(0, |retry| retry.attempts) + 1;
    let not_before = now + unreachable_wait(sink.as_str(), attempts, now);
    receipt.retry = Some(SinkRetry { reason, attempts, not_before });
}

/// What the sink holds is to be looked at, and brought up to date, at once.
pub fn look_again(receipt: &mut Receipt) {
    receipt.verified = false;
    receipt.retry = None;
}
