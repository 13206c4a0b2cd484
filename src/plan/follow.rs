//! When to look at the place where another tokend writes: the whole plan of a slot that asks nobody.
//! Rarely while its access token is fresh, more and more often the nearer its end, and ever more
//! rarely again when the issuer lets it expire.

use std::time::Duration;

use crate::access_token::AccessToken;
use crate::ledger::{Entry, Looked, Standing};
use crate::slot::Slot;
use crate::spread::share;
use crate::time::Timestamp;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
/// How often at least: an issuer may have asked before it was due.
const AT_REST: Duration = Duration::from_mins(5);
/// A look is so much nearer than the expiry.
const STEPS: u32 = 12;

/// When to look next.
pub(super) fn next_look(slot: &Slot, entry: &Entry, now: Timestamp) -> Timestamp {
    let Some(looked) = &entry.looked else { return Timestamp::EPOCH };
    if let Standing::Failing(retry) = &entry.standing {
        return retry.not_before;
    }
    if entry.forced {
        return looked.at + SECOND;
    }
    match entry.live(now) {
        // What failed to come was a failure of the look.
        None => looked.at + SECOND,
        Some(held) => {
            let wait = wait(slot, held, looked);
            let is_refused = entry.invalidated.is_some_and(|last| last.generation == held.generation);
            looked.at + wait.min(if is_refused { MINUTE } else { AT_REST })
        }
    }
}

/// How long after a look that found nothing newer than `held` the next one comes.
fn wait(slot: &Slot, held: &AccessToken, looked: &Looked) -> Duration {
    let opens = held.expires_at - window(slot, held);
    if looked.at < opens {
        return looked.at.until(opens);
    }
    let shortest = (held.lifetime() / 20).clamp(SECOND, 5 * SECOND);
    let whole = (looked.at.until(held.expires_at) / STEPS).clamp(shortest, MINUTE);
    // Thousands that follow one issuer do not all look at once.
    whole.mul_f64(1.0 - share(slot.identity.as_str(), looked.at.as_millis().unsigned_abs()) / 4.0)
}

/// How long before the end of `held` the issuer may have its successor: whatever its lead is.
fn window(slot: &Slot, held: &AccessToken) -> Duration {
    let lifetime = held.lifetime();
    let longest = (lifetime / 10).clamp(MINUTE, 10 * MINUTE);
    longest.max(slot.policy.lead.unwrap_or_default()).min(lifetime / 2)
}

/// When the issuer renews `held` if nothing goes wrong: with the lead of an exclusive slot, unless
/// another is given. Until it is late half of the lead has to pass.
pub(super) fn expected_at(slot: &Slot, held: &AccessToken) -> Timestamp {
    let lifetime = held.lifetime();
    let lead = slot.policy.lead.unwrap_or_else(|| (lifetime / 10).min(MINUTE));
    held.expires_at - lead.min(lifetime / 2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
