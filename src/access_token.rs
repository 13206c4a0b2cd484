//! What a provider issued, and what it can be used for.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::time::{Step, Timestamp};

/// Counts the access tokens of a slot; it only grows, and 0 means "none yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// No access token was ever issued.
    pub const NONE: Self = Self(0);

    /// What any reader of JSON still tells from its neighbours.
    const HIGHEST: u64 = (1 << 53) - 1;

    /// The number that somebody wrote; `None` where nobody can have counted so far.
    #[must_use]
    pub fn read(number: u64) -> Option<Self> {
        (number <= Self::HIGHEST).then_some(Self(number))
    }

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What arrived from a provider, before it has a place in the ledger.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The access token itself: 1 to 64 KiB of visible ASCII.
    pub secret: Secret,
    /// As answered; `Bearer` where the answer says nothing.
    pub token_type: String,
    /// The scopes that the answer says were granted; `None` where it is silent: then as asked.
    pub scopes: Option<Vec<String>>,
    /// When the request was sent: the token's life counts from here (L6).
    pub issued_at: Timestamp,
    /// When the token stops being valid.
    pub expires_at: Timestamp,
    /// Answer fields and parameters that the preset exports to readers. Never secret.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// What a person should know although the answer was usable ("`expires_at` and `expires_in` disagree").
    pub warning: Option<String>,
}

/// What another tokend wrote: an access token that has its number already.
#[derive(Clone, Debug)]
pub struct Found {
    /// The access token.
    pub issued: Issued,
    /// The number that its issuer gave it.
    pub generation: Generation,
}

/// An access token that is held for a slot.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The access token itself.
    pub secret: Secret,
    /// The type as answered: `Bearer`, `bearer`, `BearerToken`.
    pub token_type: String,
    /// The scopes granted: as answered, else as asked.
    pub scopes: Vec<String>,
    /// When its request was sent.
    pub issued_at: Timestamp,
    /// When it stops being valid.
    pub expires_at: Timestamp,
    /// Its number among the slot's access tokens.
    pub generation: Generation,
    /// What the preset exports to readers.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// What its two moments are measured by.
    pub clock: Clock,
}

/// What the moments of an access token are measured by, when the wall clock is set (L9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The clock that counts since this boot: they move along.
    #[default]
    Boot,
    /// The wall clock, because they are from before the machine was booted, or from another: they stay.
    Wall,
}

impl Clock {
    /// Whether it is the one that nobody can set.
    #[must_use]
    pub fn is_of_boot(&self) -> bool {
        *self == Self::Boot
    }
}

impl AccessToken {
    /// Whether it is valid at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// By how much its moments move when the wall clock, which showed `before`, is set by `step`. One
    /// from before a reboot goes by the wall clock, also by one that was wrong and is set right; one
    /// that was asked for in the future of that clock must be such a one.
    #[must_use]
    pub fn step(&self, step: Step, before: Timestamp) -> Step {
        if self.clock == Clock::Wall || self.issued_at > before { Step::NONE } else { step }
    }

    /// It again after the wall clock, which showed `before`, was set by `step`.
    #[must_use]
    pub fn follow_clock(&self, step: Step, before: Timestamp) -> Self {
        let step = self.step(step, before);
        let (issued_at, expires_at) = (self.issued_at.moved(step), self.expires_at.moved(step));
        Self { issued_at, expires_at, ..self.clone() }
    }

    /// From the request to expiry.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.expires_at.since(self.issued_at)
    }

    /// Whether it may do everything in `scopes`.
    #[must_use]
    pub fn covers(&self, scopes: &[String]) -> bool {
        scopes.iter().all(|scope| self.scopes.contains(scope))
    }
}
