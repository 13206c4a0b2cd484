//! What is known: for every slot the access token held, how it stands with its provider, what was
//! issued lately, and what its sinks hold. Plain data; `record` is the only one who changes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access_token::{AccessToken, Generation};
use crate::failure::Failure;
use crate::job::Ask;
use crate::name::{Identity, Name, SinkId};
use crate::time::{Anchor, Timestamp};

pub use crate::ledger::hooks::{HookReceipt, HookReceipts, HookRetry, Ran};
pub use crate::ledger::receipt::{Ahead, Held, Receipt, SinkRetry};

mod hooks;
mod receipt;

/// What is known of one slot.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose entry it is.
    pub identity: Identity,
    /// The newest access token, also when it has expired meanwhile.
    pub access_token: Option<Arc<AccessToken>>,
    /// The generation of the newest access token ever issued.
    pub generation: Generation,
    /// Whether the sinks were asked for a generation, or need not be.
    pub recalled: bool,
    /// How it stands with the provider.
    pub standing: Standing,
    /// Access tokens issued and possibly issued within the budget's time, oldest first.
    pub issues: Vec<Issue>,
    /// A request that is about to leave or under way: on disk before it leaves.
    pub intention: Option<Intention>,
    /// The last request was answered with a plea for patience.
    pub plea: Option<Plea>,
    /// A union of scopes that the provider did not grant.
    pub denied: Option<Denied>,
    /// The API scopes last asked for and granted: what is asked again when a union is denied.
    pub granted: Option<Vec<String>>,
    /// An admin asked for a refresh that has not been made yet.
    pub forced: bool,
    /// Since when an admin wants no requests made.
    pub paused: Option<Timestamp>,
    /// The access token that a reader's API refused last.
    pub invalidated: Option<Invalidated>,
    /// When readers last had a fresh one asked for because theirs did not live long enough.
    pub longer_at: Option<Timestamp>,
    /// Up to which moment which schedule was honoured (L10).
    pub honoured: Option<Honoured>,
    /// When to ask next because the provider answered with the same token again (L8).
    pub same_again: Option<Timestamp>,
    /// Which client secret worked last, and how many others were refused since.
    pub secret: SecretChoice,
    /// When the place that is followed was looked at last, and what was there; `None`: not since the start.
    pub looked: Option<Looked>,
    /// What a person should know of the last usable answer.
    pub warning: Option<String>,
    /// What each sink holds. Boxed: a map has room for eleven, and nearly every slot has one.
    pub receipts: BTreeMap<SinkId, Box<Receipt>>,
    /// What the hooks of its tokens were run for.
    pub hooks: BTreeMap<Name, HookReceipts>,
    /// Since when a request that is due waits for its turn.
    pub waiting_since: Option<Timestamp>,
    /// What its moments are measured by; only while it is on its way to the disk or back, and on the
    /// way back only where that is another boot.
    pub anchor: Option<Anchor>,
}

impl Entry {
    /// Nothing is known yet of the slot called `identity`.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            access_token: None,
            generation: Generation::NONE,
            recalled: false,
            standing: Standing::Good,
            issues: Vec::new(),
            intention: None,
            plea: None,
            denied: None,
            granted: None,
            forced: false,
            paused: None,
            invalidated: None,
            longer_at: None,
            honoured: None,
            same_again: None,
            secret: SecretChoice::default(),
            looked: None,
            warning: None,
            receipts: BTreeMap::new(),
            hooks: BTreeMap::new(),
            waiting_since: None,
            anchor: None,
        }
    }

    /// The access token held, if it is valid at `now`.
    #[must_use]
    pub fn live(&self, now: Timestamp) -> Option<&Arc<AccessToken>> {
        self.access_token.as_ref().filter(|token| token.is_live(now))
    }

    /// The generation of the access token held, which sinks may be ahead of; else of the newest ever issued.
    #[must_use]
    pub fn held_generation(&self) -> Generation {
        self.access_token.as_ref().map_or(self.generation, |token| token.generation)
    }

    /// How urgent a request is among those that queue, the earliest first: by when the access token
    /// held expires or expired; after an attempt in vain, by when it was to be tried again, so that
    /// those who fail again and again do not go before those who were never tried.
    #[must_use]
    pub fn urgency(&self) -> Timestamp {
        let expiry = self.access_token.as_ref().map_or(Timestamp::EPOCH, |token| token.expires_at);
        match &self.standing {
            Standing::Failing(retry) => expiry.max(retry.not_before),
            Standing::Good => expiry,
        }
    }

    /// Until when the provider itself asked for patience; `EPOCH` when it did not.
    #[must_use]
    pub fn asked_until(&self) -> Timestamp {
        match &self.standing {
            Standing::Failing(retry) => retry.asked_until.unwrap_or(Timestamp::EPOCH),
            Standing::Good => Timestamp::EPOCH,
        }
    }
}

/// The place where another tokend writes was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// When.
    pub at: Timestamp,
    /// The generation there and when it expires; `None` where there was nothing usable.
    pub found: Option<(Generation, Timestamp)>,
}

/// A reader said that its API refused an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidated {
    /// Which one.
    pub generation: Generation,
    /// When.
    pub at: Timestamp,
    /// How many in a row: this one, and those before it of which each came because of the last.
    pub in_a_row: u32,
}

/// How far a schedule was honoured: a moment of it that comes later has brought no access token yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Honoured {
    /// Which schedule.
    pub schedule: String,
    /// Up to which moment of the wall clock; it does not move when that is set.
    pub until: Timestamp,
}

/// How it stands with the provider.
#[derive(Clone, Debug)]
pub enum Standing {
    /// The last request brought an access token, or none was made.
    Good,
    /// The last request failed.
    Failing(Retry),
}

/// Something failed and will be tried again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// What went wrong last.
    pub failure: Failure,
    /// How many times in a row.
    pub attempts: Attempts,
    /// Since when.
    pub since: Timestamp,
    /// Not tried again before this.
    pub not_before: Timestamp,
    /// Until when the provider itself asked for patience.
    pub asked_until: Option<Timestamp>,
}

/// Failed attempts in a row, by class: a provider that is now busy, now refusing gets no new
/// rhythm each time it changes its mind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Nobody answered, or asked for patience.
    pub unreachable: u32,
    /// Refused.
    pub refused: u32,
    /// How many of the refused were tried again sooner than is their time, since the access token held was
    /// about to end: the rhythm after it is that of the others.
    pub hurried: u32,
}

/// An access token that was issued, or may have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// When it arrived; for one that never did, when its request was sent.
    pub at: Timestamp,
    /// Whether it arrived.
    pub kind: IssueKind,
}

/// Whether an access token arrived (L5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueKind {
    /// It arrived.
    Issued,
    /// The request left whole and brought no usable answer.
    Possibly,
}

/// A request that is about to leave or under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intention {
    /// When it was decided.
    pub at: Timestamp,
    /// What it asks.
    pub ask: Ask,
}

/// The provider asked for patience: of the account, or of everybody at the endpoint (L12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plea {
    /// When.
    pub at: Timestamp,
    /// Until when nothing is asked.
    pub until: Timestamp,
    /// Whether the whole endpoint was meant.
    pub of_endpoint: bool,
}

/// A union of scopes that the provider did not grant (L1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What was asked.
    pub scopes: Vec<String>,
    /// When.
    pub at: Timestamp,
    /// Whether the request was refused (`invalid_scope`), or answered with fewer scopes.
    pub outright: bool,
}

/// Which client secret to use, of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecretChoice {
    /// The one that worked last, counted from 0.
    pub worked: usize,
    /// How many were refused in a row since.
    pub refused: usize,
    /// From when on these may be shown again although others of the list could not be read meanwhile.
    pub again: Option<Timestamp>,
}

impl SecretChoice {
    /// The secret to use at `now` out of `choices`, and how many were refused before it.
    #[must_use]
    pub fn next(self, choices: usize, now: Timestamp) -> (usize, usize) {
        let refused = if self.again.is_some_and(|again| again <= now) { 0 } else { self.refused };
        (self.worked.wrapping_add(refused) % choices.max(1), refused)
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretChoice, Timestamp};

    #[test]
    fn some_secret_is_chosen_whatever_number_was_stored() {
        for worked in [0, 3, usize::MAX] {
            for refused in [0, 1, usize::MAX] {
                let choice = SecretChoice { worked, refused, again: None };
                assert!(choice.next(2, Timestamp::EPOCH).0 < 2);
                assert_eq!(choice.next(0, Timestamp::EPOCH).0, 0);
            }
        }
    }
}
