//! A server that asks to be left alone is left alone, by all who want something of it (L11, L12).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::clock;
use crate::provider::headers::retry_after;

/// Until when it asked for that.
#[derive(Default)]
pub(crate) struct Patience(Mutex<Option<Instant>>);

impl Patience {
    /// Heeds the headers of an answer that was no success.
    pub(crate) fn heed(&self, headers: Option<HeaderMap>) {
        let asked = headers.and_then(|headers| retry_after(&headers, clock::now()));
        let until = asked.map(|asked| Instant::now() + asked);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = until.max(*held);
    }

    /// When something may be sent again; `None`: now.
    pub(crate) fn until(&self) -> Option<Instant> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }

    /// For how long nothing may be sent.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.until().map(|until| until - Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderValue, RETRY_AFTER};

    use super::*;

    #[test]
    fn the_longest_that_was_asked_for_counts_up_to_an_hour() {
        let patience = Patience::default();
        let asks = |seconds| Some(HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(seconds))]));
        for headers in [None, Some(HeaderMap::new()), asks("soon"), asks("0")] {
            patience.heed(headers);
            assert_eq!(patience.until(), None);
        }
        patience.heed(asks("600"));
        let until = patience.until();
        patience.heed(asks("5"));
        assert_eq!(patience.until(), until, "what was asked for before still counts");
        patience.heed(asks("86400"));
        assert!(patience.until() > until && patience.left() <= Some(Duration::from_hours(1)));
    }
}
