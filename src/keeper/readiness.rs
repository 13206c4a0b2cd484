//! Ready means: every required token is valid and in all its required sinks.

use crate::keeper::{Case, Keeper};
use crate::ledger::Entry;
use crate::name::{Identity, SinkId};
use crate::plan::serves;
use crate::settings::TokenSettings;
use crate::slot::Slot;
use crate::time::Timestamp;

impl Keeper {
    /// Whether every required token is valid and in all its required sinks.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.unready.is_empty()
    }

    /// How many slots lack a required token.
    #[must_use]
    pub fn unready_count(&self) -> usize {
        self.unready.len()
    }

    /// A slot that lacks a required token, if one does.
    #[must_use]
    pub fn first_unready(&self) -> Option<&Identity> {
        self.unready.iter().min()
    }

    pub(crate) fn note_readiness(&mut self, identity: &Identity, now: Timestamp) {
        if self.cases.get(identity).is_none_or(|case| case_is_ready(case, now)) {
            self.unready.remove(identity);
        } else {
            self.unready.insert(identity.clone());
        }
    }
}

fn case_is_ready(case: &Case, now: Timestamp) -> bool {
    let Some(slot) = case.wanted_slot() else { return true };
    slot.tokens.iter().filter(|token| token.required).all(|token| token_is_ready(slot, &case.entry, token, now))
}

/// Whether `token` is valid and in all its required sinks.
#[must_use]
pub fn token_is_ready(slot: &Slot, entry: &Entry, token: &TokenSettings, now: Timestamp) -> bool {
    let valid = entry.live(now).is_some_and(|live| serves(slot, token, live));
    valid && token.sinks.iter().filter(|sink| sink.required).all(|sink| sink_is_ready(entry, &sink.id, now))
}

/// Whether the sink called `id` was seen to hold a valid access token; an older generation counts, and
/// so does a higher one that is left alone there.
#[must_use]
pub fn sink_is_ready(entry: &Entry, id: &SinkId, now: Timestamp) -> bool {
    let Some(receipt) = entry.receipts.get(id) else { return false };
    let ahead = receipt.retry.as_ref().and_then(|retry| retry.ahead);
    ahead.is_some_and(|ahead| now < ahead.expires_at)
        || receipt.held.is_some_and(|held| receipt.verified && now < held.expires_at)
}
