//! What the sinks of a token hold, as far as is known. Kept over restarts, so that a file of ours is
//! known again, and nothing is brought twice (L15).

use crate::access_token::Generation;
use crate::job::Fingerprint;
use crate::time::Timestamp;

/// What a sink holds, as far as we know.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    /// What was delivered to it last; kept over restarts to know our own file again.
    pub held: Option<Held>,
    /// Whether that was seen to be so since the daemon started.
    pub verified: bool,
    /// It is to be looked at, and put right: the clock was set and what it says of times is to be said
    /// anew, or somebody asks.
    pub restate: bool,
    /// Why the last delivery failed, and when it is tried again.
    pub retry: Option<SinkRetry>,
    /// Since when the configuration no longer names it.
    pub gone_since: Option<Timestamp>,
    /// Nothing was delivered to it yet, but is about to be: saved first, so that what a kill leaves is known.
    pub coming: bool,
}

/// What was delivered to a sink last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its generation.
    pub generation: Generation,
    /// When it expires.
    pub expires_at: Timestamp,
    /// A digest of the content.
    pub fingerprint: Fingerprint,
}

/// A delivery failed and will be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkRetry {
    /// What is wrong, in words for a person.
    pub reason: String,
    /// How many times in a row.
    pub attempts: u32,
    /// Not tried again before this.
    pub not_before: Timestamp,
    /// The higher generation that it holds, where that is why.
    pub ahead: Option<Ahead>,
    /// Whether a withdrawal failed: what is brought there next does not wait for it.
    pub of_withdrawal: bool,
}

/// What a sink holds that is ahead of us: another tokend wrote it, or we did and forgot it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Its generation.
    pub generation: Generation,
    /// When it expires.
    pub expires_at: Timestamp,
}
