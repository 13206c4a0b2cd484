//! How it stands with the hooks of a token.

use serde::{Deserialize, Serialize};

use crate::access_token::Generation;
use crate::job::Lane;
use crate::keeper::Case;
use crate::ledger::HookReceipt;
use crate::plan::hooks::failure_due;
use crate::plan::serves;
use crate::settings::{HookEvent, HookKind, TokenSettings};
use crate::slot::Slot;
use crate::time::Timestamp;

/// One hook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HookStatus {
    /// `on_change` or `on_failure`.
    pub hook: String,
    /// `idle`, `waiting`, `running` or `failing`.
    pub state: HookState,
    /// When it last ended well.
    pub last_run: Option<String>,
    /// What for: `changed`, `failing` or `expired`.
    pub last_event: Option<String>,
    /// The generation that it was told then.
    pub generation: Option<Generation>,
    /// Why the last run failed, and what to do.
    pub error: Option<String>,
    /// Since when it fails.
    pub failing_since: Option<String>,
    /// How many times in a row.
    pub attempts: u32,
    /// When it is run again.
    pub next_attempt: Option<String>,
}

/// How it stands with a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookState {
    /// It ran for what happened last, or nothing happened that it is for.
    Idle,
    /// It will be run: when all sinks of the token hold the newest access token, or if its trouble lasts.
    Waiting,
    /// A hook of the token is running.
    Running,
    /// The last run failed.
    Failing,
}

pub(super) fn hook_statuses(slot: &Slot, case: &Case, token: &TokenSettings, now: Timestamp) -> Vec<HookStatus> {
    token.hooks().map(|(kind, _)| hook_status(slot, case, (token, kind), now)).collect()
}

fn hook_status(slot: &Slot, case: &Case, (token, kind): (&TokenSettings, HookKind), now: Timestamp) -> HookStatus {
    let nothing = HookReceipt::default();
    let receipt = case.entry.hooks.get(&token.name).map_or(&nothing, |receipts| receipts.of(kind));
    let ran = receipt.ran.filter(|ran| ran.at.is_some());
    let retry = receipt.retry.as_ref();
    let is_wanted = is_wanted(slot, case, (token, kind), receipt, now);
    let state = match retry {
        _ if case.is_busy(&Lane::Hooks(token.name.clone())) && is_wanted => HookState::Running,
        Some(_) => HookState::Failing,
        None if is_wanted => HookState::Waiting,
        None => HookState::Idle,
    };
    HookStatus {
        hook: kind.to_string(),
        state,
        last_run: ran.and_then(|ran| ran.at).map(|at| at.to_string()),
        last_event: ran.map(|ran| ran.event.to_string()),
        generation: ran.map(|ran| ran.generation),
        error: retry.map(|retry| retry.reason.clone()),
        failing_since: retry.map(|retry| retry.since.to_string()),
        attempts: retry.map_or(0, |retry| retry.attempts),
        next_attempt: retry.filter(|_| is_wanted).map(|retry| retry.not_before.max(now).to_string()),
    }
}

/// Whether something happened that it has not been run for, or soon will have.
fn is_wanted(
    slot: &Slot,
    case: &Case,
    (token, kind): (&TokenSettings, HookKind),
    receipt: &HookReceipt,
    now: Timestamp,
) -> bool {
    match kind {
        HookKind::OnChange => {
            let live = case.entry.live(now).filter(|live| serves(slot, token, live));
            live.is_some_and(|live| !receipt.covers(live.generation, HookEvent::Changed))
        }
        HookKind::OnFailure => failure_due(slot, &case.entry, token, now).is_some(),
    }
}
