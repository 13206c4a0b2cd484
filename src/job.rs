//! What there is to do, by name: ordered, printable, without secrets. And what came of it.

use std::fmt;
use std::sync::Arc;

use crate::access_token::{AccessToken, Found, Generation, Issued};
use crate::failure::Failure;
use crate::name::{Identity, Name, SinkId, SlotId};
use crate::settings::HookEvent;
use crate::time::{Step, Timestamp};

/// One effect to carry out. It only names things.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// Read the highest generation that the slot's sinks still hold, before its first request.
    Recall,
    /// Ask for an access token: the provider, or the place where another tokend writes.
    Issue(Ask),
    /// Bring the access token held to this sink.
    Deliver(SinkId),
    /// Remove from this sink what we wrote there.
    Withdraw(SinkId),
    /// Run the hook of this token for what happened to it.
    Notify(Name, HookEvent),
}

/// What an `Issue` asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    /// The API scopes to ask for, in order, without the PSU context.
    pub scopes: Vec<String>,
    /// Which of the provider's client secrets to use, counted from 0.
    pub secret_choice: usize,
    /// How many of them were refused, or passed over, since the last one that worked.
    pub refused: usize,
    /// Whether it is asked before it is due (an admin, a wider union, a schedule).
    pub forced: bool,
}

/// What may be under way only once at a time for one slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Speaking to the provider.
    Issuing,
    /// Touching this sink.
    Sink(SinkId),
    /// Running a hook of this token: one after the other.
    Hooks(Name),
}

impl Job {
    /// The lane that it needs for itself.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Recall | Self::Issue(_) => Lane::Issuing,
            Self::Deliver(sink) | Self::Withdraw(sink) => Lane::Sink(sink.clone()),
            Self::Notify(token, _) => Lane::Hooks(token.clone()),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recall => f.write_str("recall the generation"),
            Self::Issue(ask) if ask.scopes.is_empty() => f.write_str("ask for an access token"),
            Self::Issue(ask) => write!(f, "ask for an access token with scope {}", ask.scopes.join(" ")),
            Self::Deliver(sink) => write!(f, "deliver to {sink}"),
            Self::Withdraw(sink) => write!(f, "withdraw from {sink}"),
            Self::Notify(token, event) => write!(f, "run {} of {token}: {event}", event.kind()),
        }
    }
}

/// What a hook is told: never an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened.
    pub event: HookEvent,
    /// To which token.
    pub token: Name,
    /// Whose access token it is.
    pub slot: SlotId,
    /// The generation held; 0 when there was none yet.
    pub generation: Generation,
    /// When the access token held expires, or expired.
    pub expires_at: Option<Timestamp>,
    /// What is the matter, where something is.
    pub trouble: Option<Trouble>,
}

/// Why there is no new access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The class of the failure, or what else holds it back: `budget`, `paused`, `waiting`.
    pub class: String,
    /// The OAuth `error` code or the vendor's own.
    pub code: Option<String>,
    /// In words.
    pub reason: String,
}

/// What came of a job, for the slot known as `identity`.
#[derive(Debug)]
pub struct Outcome {
    /// Whose job it was. An outcome of an identity that is no longer known is ignored.
    pub identity: Identity,
    /// What came of it.
    pub result: JobResult,
}

impl Outcome {
    /// Moves its moments: the wall clock was set by `step` while the job was under way.
    pub fn follow_clock(&mut self, step: Step) {
        match &mut self.result {
            JobResult::Issued { asked_at, answer, .. } => {
                *asked_at = asked_at.moved(step);
                if let Ok(issued) = answer {
                    issued.issued_at = issued.issued_at.moved(step);
                    issued.expires_at = issued.expires_at.moved(step);
                }
            }
            // What another tokend wrote speaks of the right time, whatever the clock here showed.
            JobResult::Looked { looked_at, .. } => *looked_at = looked_at.moved(step),
            JobResult::Delivered { expires_at, .. } | JobResult::Overtaken { expires_at, .. } => {
                *expires_at = expires_at.moved(step);
            }
            JobResult::Recalled(_) | JobResult::Withdrawn { .. } | JobResult::Notified { .. } => {}
        }
    }
}

/// What came of a job.
#[derive(Debug)]
pub enum JobResult {
    /// The highest generation that a sink which could be read still holds.
    Recalled(Generation),
    /// The provider was asked.
    Issued {
        /// What was asked.
        ask: Ask,
        /// When the request was sent.
        asked_at: Timestamp,
        /// What came back.
        answer: Result<Issued, Failure>,
    },
    /// The place where another tokend writes was looked at.
    Looked {
        /// What for.
        ask: Ask,
        /// When.
        looked_at: Timestamp,
        /// What was there.
        found: Result<Found, Failure>,
    },
    /// A sink was brought up to date.
    Delivered {
        /// Where.
        sink: SinkId,
        /// Which generation was brought.
        generation: Generation,
        /// When that expires.
        expires_at: Timestamp,
        /// What the sink now holds, or what is wrong with it, in words for a person.
        result: Result<Delivered, String>,
    },
    /// A sink holds a higher generation of this slot already: another tokend writes there.
    Overtaken {
        /// Where.
        sink: SinkId,
        /// What it holds.
        generation: Generation,
        /// When that expires; `EPOCH` where it does not say.
        expires_at: Timestamp,
    },
    /// A sink was emptied.
    Withdrawn {
        /// Where.
        sink: SinkId,
        /// Nothing, or what is wrong with it.
        result: Result<(), String>,
    },
    /// A hook was run.
    Notified {
        /// Whose.
        token: Name,
        /// What for.
        event: HookEvent,
        /// The generation that it was told.
        generation: Generation,
        /// Nothing, or what is wrong with it.
        result: Result<(), String>,
    },
}

impl JobResult {
    /// The lane that is free again.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Recalled(_) | Self::Issued { .. } | Self::Looked { .. } => Lane::Issuing,
            Self::Delivered { sink, .. } | Self::Overtaken { sink, .. } | Self::Withdrawn { sink, .. } => {
                Lane::Sink(sink.clone())
            }
            Self::Notified { token, .. } => Lane::Hooks(token.clone()),
        }
    }
}

/// A sink holds what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Whether it was written now, or was right already.
    pub written: bool,
    /// A digest of what it holds, to know it again before it is removed.
    pub fingerprint: Fingerprint,
}

/// What we wrote to a sink, to know it again before it is removed.
#[derive(Clone, Debug)]
pub struct Written {
    /// A digest of what was delivered last, if that is known.
    pub fingerprint: Option<Fingerprint>,
    /// What may have been delivered since.
    pub access_token: Option<Arc<AccessToken>>,
}

/// The first 16 bytes of the SHA-256 of a sink's content.
pub type Fingerprint = [u8; 16];
