//! What of the status is for those who may not see all of it.

use crate::status::{SlotStatus, Status};

impl Status {
    /// The same with only those tokens of which `may_see` says so, and their slots; the counts stay.
    /// What concerns the configuration and the state is left out: it names files.
    #[must_use]
    pub fn only(&self, may_see: impl Fn(&str) -> bool) -> Self {
        let slots = self.slots.iter().filter_map(|slot| {
            let tokens: Vec<_> = slot.tokens.iter().filter(|token| may_see(&token.name)).cloned().collect();
            (!tokens.is_empty()).then(|| SlotStatus { tokens, ..slot.clone() })
        });
        // A reason begins with the name of its token, which holds no space.
        let concerns = |reason: &&String| reason.split_once(' ').is_some_and(|(name, _)| may_see(name));
        Self {
            version: self.version.clone(),
            now: self.now.clone(),
            ready: self.ready,
            reasons: self.reasons.iter().filter(concerns).cloned().collect(),
            state_writable: self.state_writable,
            state_error: None,
            state_notice: None,
            metrics_problem: None,
            config: None,
            counts: self.counts,
            slots: slots.collect(),
        }
    }
}
