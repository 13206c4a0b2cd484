//! When something is tried again: how long each wait is (L11), and what ends one.

use std::time::Duration;

use crate::failure::{Class, Failure, Reach};
use crate::ledger::{Entry, Standing};
use crate::record::{HOUR, MINUTE, SECOND};
use crate::spread::share;
use crate::time::Timestamp;

/// 1 s, doubling to 60 s, each shortened by up to half.
pub(crate) fn unreachable_wait(name: &str, attempt: u32, now: Timestamp) -> Duration {
    let whole = (SECOND * 2_u32.pow(attempt.saturating_sub(1).min(6))).min(MINUTE);
    whole.mul_f64(1.0 - share(name, now.as_millis().unsigned_abs()) / 2.0)
}

/// 5 s, 20 s, then 1 min doubling to 1 h.
pub(crate) fn refused_wait(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => 5 * SECOND,
        2 => 20 * SECOND,
        more => (MINUTE * 2_u32.pow((more - 3).min(6))).min(HOUR),
    }
}

/// Another configuration may be the answer to a refusal, or name the secret that was missing: both
/// are tried again at once, but not sooner than the far side asked for (L1, L11).
pub fn try_refused_again(entry: &mut Entry, now: Timestamp) {
    if let Standing::Failing(retry) = &mut entry.standing
        && retry.failure.class() != Class::Unreachable
    {
        retry.not_before = now.max(retry.asked_until.unwrap_or(now));
        (entry.secret.refused, entry.secret.again) = (0, None);
    }
}

/// Another CA or client certificate may be the answer to a handshake that failed: it is tried again
/// at once, but not sooner than the far side asked for.
pub fn try_unreached_again(entry: &mut Entry, now: Timestamp) {
    if let Standing::Failing(retry) = &mut entry.standing
        && matches!(retry.failure, Failure::Unreachable { reach: Reach::NotSent, .. })
    {
        retry.not_before = now.max(retry.asked_until.unwrap_or(now));
    }
}

/// What was missing may be there now: it is looked for at once. Says whether it was waited for.
pub fn try_unready_again(entry: &mut Entry, now: Timestamp) -> bool {
    match &mut entry.standing {
        Standing::Failing(retry) if retry.failure.class() == Class::NotReady && retry.not_before > now => {
            retry.not_before = now;
            true
        }
        _ => false,
    }
}

/// Another configuration may be the answer to a denial: it is tried again at once (L1).
pub fn try_denied_again(entry: &mut Entry) {
    if let Some(denied) = entry.denied.as_mut().filter(|denied| denied.outright) {
        denied.at = Timestamp::EPOCH;
    }
}
