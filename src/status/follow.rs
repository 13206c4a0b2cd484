//! How it stands with a slot that asks nobody: what the other tokend wrote, as it was seen last.

use crate::access_token::Generation;
use crate::ledger::Entry;
use crate::plan::hooks::half_of_lead;
use crate::slot::Slot;
use crate::time::Timestamp;

use serde::{Deserialize, Serialize};

/// What another tokend wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowStatus {
    /// Where it writes.
    pub place: String,
    /// When that was looked at last; `None`: not since the start, or since the clock was set.
    pub looked_at: Option<String>,
    /// The generation that was there; `None` where there was nothing usable.
    pub generation: Option<Generation>,
    /// When that expires.
    pub expires_at: Option<String>,
    /// Since when its successor is overdue: the issuer is late, or this host does not see what it wrote.
    pub late_since: Option<String>,
}

pub(super) fn follow_status(slot: &Slot, entry: &Entry, now: Timestamp) -> Option<FollowStatus> {
    let followed = slot.follows()?;
    let found = entry.looked.and_then(|looked| looked.found);
    let late = entry.access_token.as_deref().map(|held| half_of_lead(slot, held)).filter(|late| *late <= now);
    Some(FollowStatus {
        place: followed.id.to_string(),
        looked_at: entry.looked.map(|looked| looked.at.to_string()),
        generation: found.map(|(generation, _)| generation),
        expires_at: found.map(|(_, expires_at)| expires_at.to_string()),
        late_since: late.map(|late| late.to_string()),
    })
}
