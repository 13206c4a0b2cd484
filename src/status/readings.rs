//! The status in numbers: what metrics say of slots, tokens and sinks at one moment. It holds no
//! text of its own, so that taking it from ten thousand slots keeps the loop for milliseconds.

use std::sync::Arc;

use crate::access_token::Generation;
use crate::keeper::{Case, Keeper};
use crate::ledger::{Entry, Standing};
use crate::plan::{renewal_of, serves};
use crate::settings::TokenSettings;
use crate::slot::Slot;
use crate::status::composing::{budget_status, sink_state};
use crate::status::{BudgetStatus, SinkState};
use crate::time::Timestamp;

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct Readings {
    /// Every slot of the configuration, by id.
    pub slots: Vec<SlotReading>,
    /// Whether the state can be written.
    pub state_writable: bool,
}

/// One slot.
#[derive(Clone, Debug)]
pub struct SlotReading {
    /// Which.
    pub slot: Arc<Slot>,
    /// The generation of its newest access token; 0 when there was none yet.
    pub generation: Generation,
    /// The access token held, also when it has expired.
    pub held: Option<HeldReading>,
    /// When the provider is asked next; `None` while it is not to be asked.
    pub next_refresh: Option<Timestamp>,
    /// Failed requests in a row.
    pub failures: u32,
    /// How its budget stands, where there is one.
    pub budget: Option<BudgetStatus>,
    /// Its tokens, in the order of the slot.
    pub tokens: Box<[TokenReading]>,
}

/// An access token.
#[derive(Clone, Copy, Debug)]
pub struct HeldReading {
    /// When it expires.
    pub expires_at: Timestamp,
    /// When its renewal is due.
    pub renewal_at: Timestamp,
}

/// One token.
#[derive(Clone, Debug)]
pub struct TokenReading {
    /// Whether its readers have a valid access token.
    pub valid: bool,
    /// Whether the access token held, valid or expired, is one that serves it.
    pub served: bool,
    /// For each of its sinks, in their order: whether it holds the newest access token.
    pub current: Box<[bool]>,
}

impl Keeper {
    /// What metrics say at `now`.
    #[must_use]
    pub fn readings(&self, now: Timestamp) -> Readings {
        let reading = |slot: &Arc<Slot>| self.case(slot).map(|case| self.slot_reading(slot, case, now));
        Readings {
            slots: self.config().slots.iter().filter_map(reading).collect(),
            state_writable: self.state_is_writable(now),
        }
    }

    fn slot_reading(&self, slot: &Arc<Slot>, case: &Case, now: Timestamp) -> SlotReading {
        let entry = &case.entry;
        let held = entry.access_token.as_deref();
        let held = held.map(|token| HeldReading { expires_at: token.expires_at, renewal_at: renewal_of(slot, token) });
        let failures = match &entry.standing {
            Standing::Good => 0,
            Standing::Failing(retry) => retry.attempts.unreachable + retry.attempts.refused,
        };
        SlotReading {
            slot: Arc::clone(slot),
            generation: entry.held_generation(),
            held,
            next_refresh: self.next_refresh(slot, entry, now),
            failures,
            budget: budget_status(slot, entry, now),
            tokens: slot.tokens.iter().map(|token| token_reading(slot, entry, token, now)).collect(),
        }
    }
}

fn token_reading(slot: &Slot, entry: &Entry, token: &TokenSettings, now: Timestamp) -> TokenReading {
    let served = entry.access_token.as_ref().filter(|held| serves(slot, token, held));
    let current = |receipt| sink_state(entry, receipt) == SinkState::Current;
    TokenReading {
        valid: served.is_some_and(|held| held.is_live(now)),
        served: served.is_some(),
        current: token
            .sinks
            .iter()
            .map(|sink| entry.receipts.get(&sink.id).is_some_and(|receipt| current(receipt)))
            .collect(),
    }
}
