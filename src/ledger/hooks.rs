//! What the hooks of a token were run for. Kept over restarts, so that one runs none again (L15).

use crate::access_token::Generation;
use crate::settings::{HookEvent, HookKind};
use crate::time::Timestamp;

/// What the hooks of one token were run for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookReceipts {
    /// Of `on_change`.
    pub change: HookReceipt,
    /// Of `on_failure`.
    pub failure: HookReceipt,
}

impl HookReceipts {
    /// The receipt of the hook of this kind.
    #[must_use]
    pub fn of(&self, kind: HookKind) -> &HookReceipt {
        match kind {
            HookKind::OnChange => &self.change,
            HookKind::OnFailure => &self.failure,
        }
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, kind: HookKind) -> &mut HookReceipt {
        match kind {
            HookKind::OnChange => &mut self.change,
            HookKind::OnFailure => &mut self.failure,
        }
    }
}

/// What one hook was run for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookReceipt {
    /// What needs no run any more; `None` for a hook that is new.
    pub ran: Option<Ran>,
    /// Why it failed last, and when it is tried again.
    pub retry: Option<HookRetry>,
}

impl HookReceipt {
    /// Whether what happened to `generation` needs no run any more.
    #[must_use]
    pub fn covers(&self, generation: Generation, event: HookEvent) -> bool {
        self.ran.is_some_and(|ran| (ran.generation, ran.event) >= (generation, event))
    }

    /// Not run before this.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.retry.as_ref().map_or(Timestamp::EPOCH, |retry| retry.not_before)
    }
}

/// What a hook was run for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What had happened.
    pub event: HookEvent,
    /// The generation that was held.
    pub generation: Generation,
    /// When it ended well; `None` where that generation was delivered before the hook was wanted.
    pub at: Option<Timestamp>,
}

/// A hook failed and will be run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRetry {
    /// What is wrong, in words for a person.
    pub reason: String,
    /// How many times in a row.
    pub attempts: u32,
    /// Since when.
    pub since: Timestamp,
    /// Not run again before this.
    pub not_before: Timestamp,
}
