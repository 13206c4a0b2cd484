//! Notes what the hooks of tokens were run for. A hook that fails is tried again as a sink is; one
//! that a restart finds done stays done (L15).

use std::collections::BTreeMap;

use crate::access_token::Generation;
use crate::ledger::{Entry, HookReceipt, HookReceipts, HookRetry, Ran};
use crate::name::Name;
use crate::record::{Durability, unreachable_wait};
use crate::settings::{HookEvent, HookKind, TokenSettings};
use crate::slot::Slot;
use crate::time::Timestamp;

/// What a hook was run for.
pub(crate) struct Run {
    pub(crate) token: Name,
    pub(crate) event: HookEvent,
    pub(crate) generation: Generation,
}

/// Notes what came of a hook. One that left the configuration meanwhile is forgotten.
pub(crate) fn record_hook(
    slot: &Slot,
    entry: &mut Entry,
    run: Run,
    result: Result<(), String>,
    now: Timestamp,
) -> Durability {
    let Run { token, event, generation } = run;
    if slot.token(&token).and_then(|settings| settings.hook(event.kind())).is_none() {
        return Durability::None;
    }
    let receipt = entry.hooks.entry(token.clone()).or_default().of_mut(event.kind());
    match result {
        Ok(()) => {
            receipt.retry = None;
            if !receipt.covers(generation, event) {
                receipt.ran = Some(Ran { event, generation, at: Some(now) });
            }
            Durability::Now
        }
        Err(reason) => {
            let (attempts, since) = receipt.retry.as_ref().map_or((0, now), |retry| (retry.attempts, retry.since));
            let attempts = attempts + 1;
            let not_before = now + unreachable_wait(token.as_str(), attempts, now);
            receipt.retry = Some(HookRetry { reason, attempts, since, not_before });
            Durability::None
        }
    }
}

/// The hooks of `slot` are wanted. One that is new is not run for an access token that all sinks
/// of its token had already; the receipt of one that is gone is kept while it could run again for
/// the same. Says whether anything changed.
pub fn adopt_hooks(slot: &Slot, entry: &mut Entry) -> bool {
    let wanted: BTreeMap<&Name, &TokenSettings> =
        slot.tokens.iter().filter(|token| token.hooks().next().is_some()).map(|token| (&token.name, token)).collect();
    let mut hooks = std::mem::take(&mut entry.hooks);
    let before = hooks.clone();
    hooks.retain(|name, receipts| {
        for kind in [HookKind::OnChange, HookKind::OnFailure] {
            let is_wanted = wanted.get(name).is_some_and(|token| token.hook(kind).is_some());
            let receipt = receipts.of_mut(kind);
            if !is_wanted {
                let ran = receipt.ran.filter(|ran| ran.generation == entry.held_generation());
                *receipt = HookReceipt { ran, retry: None };
            }
        }
        *receipts != HookReceipts::default()
    });
    for (name, token) in wanted.into_iter().filter(|(_, token)| token.on_change.is_some()) {
        let generation = if had_everywhere(entry, token) { entry.held_generation() } else { Generation::NONE };
        let receipts = hooks.entry(name.clone()).or_default();
        receipts.change.ran.get_or_insert(Ran { event: HookEvent::Changed, generation, at: None });
    }
    let changed = hooks != before;
    entry.hooks = hooks;
    changed
}

/// Whether every sink of `token` was brought the newest access token, also before a restart.
fn had_everywhere(entry: &Entry, token: &TokenSettings) -> bool {
    token.sinks.iter().all(|sink| {
        let held = entry.receipts.get(&sink.id).and_then(|receipt| receipt.held);
        held.is_some_and(|held| held.generation == entry.held_generation())
    })
}

/// Hooks that say something else than `before` are tried again at once.
pub fn try_hooks_again(slot: &Slot, before: &Slot, entry: &mut Entry) {
    for (name, receipts) in &mut entry.hooks {
        for kind in [HookKind::OnChange, HookKind::OnFailure] {
            let hook = |slot: &Slot| slot.token(name).and_then(|token| token.hook(kind)).cloned();
            if receipts.of(kind).retry.is_some() && hook(slot) != hook(before) {
                receipts.of_mut(kind).retry = None;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
