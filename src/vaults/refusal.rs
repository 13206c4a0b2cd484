//! What a server refused to let in is shown to it rarely: many let nobody in for a quarter of an hour
//! after the fifth refusal within another, and a right secret that comes then finds a locked door.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::vaults::reading::Read;

/// After these it is tried again, and again after each last one: never a fifth time within 15 minutes.
const WAITS: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(20), Duration::from_mins(5), Duration::from_mins(15)];

/// The credentials that were refused last.
#[derive(Default)]
pub(crate) struct Refusal(Mutex<Option<Refused>>);

struct Refused {
    credentials: Read,
    times: usize,
    /// When they are tried again; `None`: at once.
    again: Option<Instant>,
}

impl Refusal {
    /// Whether these are still to be held back. Others never are.
    pub(crate) fn holds_back(&self, credentials: &Read, now: Instant) -> bool {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().is_some_and(|refused| refused.again > Some(now) && refused.credentials.same_as(credentials))
    }

    /// The server refused these.
    pub(crate) fn note(&self, credentials: Read, now: Instant) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = refused.take().filter(|refused| refused.credentials.same_as(&credentials));
        let times = before.map_or(0, |before| before.times);
        let wait = WAITS.get(times).or(WAITS.last()).copied().unwrap_or_default();
        *refused = Some(Refused { credentials, times: times + 1, again: Some(now + wait) });
    }

    /// A person may have put it right: the next that comes is let through.
    pub(crate) fn doubt(&self) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refused) = refused.as_mut() {
            refused.again = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn secret_id(text: &str) -> Read {
        Read::AppRole(Secret::new("role".to_owned()), Some(Secret::new(text.to_owned())))
    }

    #[test]
    fn the_same_are_tried_four_times_in_a_quarter_of_an_hour_and_others_at_once() {
        let (refusal, began) = (Refusal::default(), Instant::now());
        let mut tried = Vec::new();
        for second in 0..3600 {
            let now = began + Duration::from_secs(second);
            if !refusal.holds_back(&secret_id("wrong"), now) {
                tried.push(second);
                refusal.note(secret_id("wrong"), now);
            }
            assert!(!refusal.holds_back(&secret_id("right"), now));
        }
        assert_eq!(tried, [0, 5, 25, 325, 1225, 2125, 3025]);
        refusal.doubt();
        assert!(!refusal.holds_back(&secret_id("wrong"), began));
    }

    #[test]
    fn a_certificate_is_never_held_back() {
        let (refusal, now) = (Refusal::default(), Instant::now());
        refusal.note(Read::Nothing, now);
        assert!(!refusal.holds_back(&Read::Nothing, now), "the file may hold another one by now");
    }
}
