//! The one place that reads the wall clock, through std alone so that a test can replace it.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// The moment that the wall clock shows.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
