//! What the log says of reads: who was turned away, and, where that is wanted, who read what.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::access_token::Generation;
use crate::name::Name;
use crate::peer::Peer;

/// How often a user who is turned away is told of.
const AGAIN: Duration = Duration::from_mins(1);

/// What was told lately, by user.
#[derive(Debug, Default)]
pub(crate) struct Audit(Mutex<HashMap<u32, Instant>>);

impl Audit {
    /// `peer` may not read `token`.
    pub(crate) fn denied(&self, peer: &Peer, token: &Name) {
        if self.is_news(peer.uid(), Instant::now()) {
            let unit = peer.unit();
            info!(%token, %peer, unit = unit.as_deref(), "read denied: no reader of this token");
        }
    }

    /// `peer` has read `token`.
    pub(crate) fn read(peer: &Peer, token: &Name, generation: Generation) {
        let unit = peer.unit();
        info!(%token, %generation, %peer, unit = unit.as_deref(), "read");
    }

    fn is_news(&self, uid: u32, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.duration_since(*at) < AGAIN);
        let news = !told.contains_key(&uid);
        told.entry(uid).or_insert(now);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_is_turned_away_is_told_of_once_a_minute() {
        let audit = Audit::default();
        let began = Instant::now();
        let told = |uid, seconds| audit.is_news(uid, began + Duration::from_secs(seconds));
        assert_eq!([told(7, 0), told(7, 59), told(8, 59), told(7, 60), told(7, 61)], [true, false, true, true, false]);
    }
}
