//! Counts for metrics what is told: every outcome once, also those that make no line.

use super::Arrived;
use crate::keeper::Case;
use crate::ledger::Standing;
use crate::metrics::counts::{self, Counts};

/// Counts what arrived and was recorded in `case`.
pub(super) fn count(arrived: &Arrived, case: &Case, counts: &Counts) {
    // What left the configuration has no series any more.
    let Some(slot) = case.slot.as_ref().filter(|_| case.wanted) else { return };
    match arrived {
        // Nobody was asked.
        Arrived::Issue { .. } if slot.follows().is_some() => {}
        Arrived::Issue { failed: Some(class), .. } => counts.issue(&slot.id, (*class).into()),
        Arrived::Issue { generation, .. } if case.entry.generation.0 > *generation => {
            counts.issue(&slot.id, counts::Issue::Issued);
        }
        Arrived::Issue { .. } if matches!(case.entry.standing, Standing::Good) => {
            counts.issue(&slot.id, counts::Issue::Unchanged);
        }
        // It was an access token that could not be used after all.
        Arrived::Issue { .. } => counts.issue(&slot.id, counts::Issue::Unreachable),
        Arrived::Delivery { sink, result, .. } => {
            counts.delivery(sink, *result.as_ref().unwrap_or(&counts::Delivery::Failed));
        }
        Arrived::Withdrawal { .. } | Arrived::Overtaken { .. } | Arrived::Hook { .. } | Arrived::Recall => {}
    }
}
