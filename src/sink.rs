//! Where access tokens are delivered. What every sink promises is written on [`Sink`], and one
//! suite of tests holds each of them to it. The set is closed: files, and secrets in
//! Vault, which [`vault`] reaches over the network and so keeps the same promises in its own way.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "sinks touch the world")]

pub mod file;
pub mod template_file;
pub mod vault;

use aws_lc_rs::digest::{SHA256, digest};

use crate::access_token::Generation;
use crate::job::{Delivered, Fingerprint};
use crate::time::Timestamp;

/// A place that holds one content for its readers.
///
/// - **All or nothing**: whoever looks sees the old content or the new one, whole.
/// - **Idempotent**: a second `put` of the same content writes nothing; a second `remove` is fine.
/// - **Patient elsewhere**: it tries once, and says what is wrong in words for a person, with the
///   remedy. When to try again is decided by the plan.
/// - **Silent**: it logs nothing, and no content reaches its words.
/// - **Careful**: it removes only what it wrote.
pub trait Sink {
    /// Makes it hold `content`, durably.
    fn put(&self, content: &[u8]) -> Result<Delivered, String>;

    /// Removes what has this fingerprint. What somebody else put there is left, and said.
    fn remove(&self, written: Fingerprint) -> Result<(), String>;
}

/// What came of bringing an access token to a sink.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// It holds what it should.
    Done(Delivered),
    /// It holds a higher generation of the same slot: another tokend writes there, or we did and forgot.
    Overtaken {
        /// That generation.
        generation: Generation,
        /// When that expires, where it says so.
        expires_at: Option<Timestamp>,
    },
}

/// A digest to know `content` again.
#[must_use]
pub fn fingerprint(content: &[u8]) -> Fingerprint {
    let whole = digest(&SHA256, content);
    let mut first = Fingerprint::default();
    first.copy_from_slice(&whole.as_ref()[..size_of::<Fingerprint>()]);
    first
}

#[cfg(test)]
mod contract;
