//! Notes what the sinks hold. Each has its own receipt and its own retries (L15).

use crate::access_token::Generation;
use crate::job::Delivered;
use crate::ledger::{Entry, Held, Receipt, SinkRetry};
use crate::name::SinkId;
use crate::record::{Durability, unreachable_wait};
use crate::time::Timestamp;

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
