//! How it is written what hooks were run for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access_token::Generation;
use crate::ledger::{HookReceipts, Ran};
use crate::name::Name;
use crate::settings::{HookEvent, HookKind};
use crate::time::Timestamp;

/// One hook that was run; which, its event says.
#[derive(Serialize, Deserialize)]
pub(super) struct HookFacts {
    token: String,
    event: String,
    generation: Generation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

pub(super) fn hook_facts(hooks: &BTreeMap<Name, HookReceipts>) -> Vec<HookFacts> {
    let fact = |name: &Name, ran: Ran| HookFacts {
        token: name.to_string(),
        event: ran.event.as_str().to_owned(),
        generation: ran.generation,
        at: ran.at,
    };
    let of_token = |(name, receipts): (&Name, &HookReceipts)| {
        let ran = [HookKind::OnChange, HookKind::OnFailure].map(|kind| receipts.of(kind).ran);
        ran.into_iter().flatten().map(|ran| fact(name, ran)).collect::<Vec<_>>()
    };
    hooks.iter().flat_map(of_token).collect()
}

/// `None`: one of them makes no sense.
pub(super) fn hook_receipts(facts: Vec<HookFacts>) -> Option<BTreeMap<Name, HookReceipts>> {
    let mut hooks: BTreeMap<Name, HookReceipts> = BTreeMap::new();
    for HookFacts { token, event, generation, at } in facts {
        let event = HookEvent::parse(&event)?;
        let receipts = hooks.entry(Name::parse(&token).ok()?).or_default();
        receipts.of_mut(event.kind()).ran = Some(Ran { event, generation, at });
    }
    Some(hooks)
}
