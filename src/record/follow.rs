//! Notes what was found where another tokend writes. Its number is the issuer's and never goes back;
//! what has expired or is older than what is held stays where it is, and is said.

use std::sync::Arc;

use crate::access_token::{AccessToken, Clock, Found, Generation};
use crate::failure::Failure;
use crate::job::Ask;
use crate::ledger::{Entry, Looked, Standing};
use crate::plan::hooks::half_of_lead;
use crate::record::demand::is_invalidated;
use crate::record::{Durability, fail};
use crate::slot::Slot;
use crate::time::Timestamp;

/// Notes what a look brought.
pub(crate) fn record_look(
    slot: &Slot,
    entry: &mut Entry,
    (ask, looked_at): (&Ask, Timestamp),
    found: Result<Found, Failure>,
    now: Timestamp,
) -> Durability {
    let there = found.as_ref().ok().map(|found| (found.generation, found.issued.expires_at));
    entry.looked = Some(Looked { at: looked_at, found: there });
    // What a reader's API refused is looked for until it was looked for.
    entry.forced = ask.forced && found.is_err() && is_invalidated(entry);
    let found = match found {
        Ok(found) => found,
        Err(failure) => {
            fail(slot, entry, failure, now);
            return Durability::None;
        }
    };
    match judge(entry, &found, now) {
        Verdict::Newer => {
            take(entry, found);
            return Durability::Token;
        }
        Verdict::Same => {
            entry.warning = None;
            let changed = restate(entry, &found);
            settle(slot, entry, &found, now);
            return changed;
        }
        Verdict::Older => entry.warning = Some(older(slot, entry, &found)),
        Verdict::Another => entry.warning = Some(another(slot, &found)),
        Verdict::Expired => entry.warning = None,
    }
    settle(slot, entry, &found, now);
    Durability::None
}

/// The place is to be looked at now, whatever came of the last look.
pub fn look_at_once(entry: &mut Entry, now: Timestamp) {
    entry.looked = None;
    if let Standing::Failing(retry) = &mut entry.standing {
        retry.not_before = now;
    }
}

enum Verdict {
    /// It lives, and is not held yet.
    Newer,
    /// It is held.
    Same,
    /// A newer one was held already.
    Older,
    /// It has the number of the one held, and is not that.
    Another,
    /// It is not held, and has expired.
    Expired,
}

fn judge(entry: &Entry, found: &Found, now: Timestamp) -> Verdict {
    let held = entry.access_token.as_deref();
    let is_held = || held.is_some_and(|held| held.secret.same_as(&found.issued.secret));
    if found.generation < entry.generation {
        Verdict::Older
    } else if found.generation == entry.generation && is_held() {
        Verdict::Same
    } else if found.issued.expires_at <= now {
        Verdict::Expired
    } else if found.generation == entry.generation && held.is_some() {
        Verdict::Another
    } else {
        Verdict::Newer
    }
}

fn take(entry: &mut Entry, found: Found) {
    let Found { issued, generation } = found;
    entry.standing = Standing::Good;
    entry.recalled = true;
    entry.generation = generation;
    entry.warning = issued.warning;
    entry.access_token = Some(Arc::new(AccessToken {
        secret: issued.secret,
        token_type: issued.token_type,
        scopes: issued.scopes.unwrap_or_default(),
        issued_at: issued.issued_at,
        expires_at: issued.expires_at,
        generation,
        extra: issued.extra,
        // The issuer's moments: no clock here tells them.
        clock: Clock::Wall,
    }));
}

/// The issuer may have learned more of the access token held; and it is right about the time also
/// where the clock here was not.
fn restate(entry: &mut Entry, found: &Found) -> Durability {
    let Some(held) = entry.access_token.as_deref() else { return Durability::None };
    let scopes = found.issued.scopes.clone().unwrap_or_default();
    if held.expires_at == found.issued.expires_at && held.scopes == scopes {
        return Durability::None;
    }
    let (issued_at, expires_at) = (found.issued.issued_at, found.issued.expires_at);
    entry.access_token = Some(Arc::new(AccessToken { scopes, issued_at, expires_at, ..held.clone() }));
    entry.receipts.values_mut().for_each(|receipt| receipt.restate = true);
    Durability::Token
}

/// Nothing newer was there: well while there is time, and a failure of the issuer's when there is none.
fn settle(slot: &Slot, entry: &mut Entry, found: &Found, now: Timestamp) {
    let late = entry.live(now).is_none_or(|held| half_of_lead(slot, held) <= now);
    if late {
        let words = match judge(entry, found, now) {
            Verdict::Older => older(slot, entry, found),
            Verdict::Another => another(slot, found),
            _ => late_words(slot, found.generation, found.issued.expires_at, now),
        };
        entry.warning = None;
        fail(slot, entry, Failure::NotReady(words), now);
    } else {
        entry.standing = Standing::Good;
    }
}

fn place(slot: &Slot) -> &str {
    slot.endpoint().as_str()
}

fn late_words(slot: &Slot, generation: Generation, expires_at: Timestamp, now: Timestamp) -> String {
    let place = place(slot);
    let verb = if expires_at <= now { "expired" } else { "expires" };
    format!(
        "the issuer is late: {place} holds generation {generation}, which {verb} at {expires_at}; look at `tokend \
         status` on the host that writes there"
    )
}

fn older(slot: &Slot, entry: &Entry, found: &Found) -> String {
    let (place, generation, held) = (place(slot), found.generation, entry.generation);
    format!(
        "{place} holds generation {generation}, and {held} was held here already: it is not taken; if the issuer \
         began anew, give the token another name here, or write its state back there"
    )
}

fn another(slot: &Slot, found: &Found) -> String {
    let (place, generation) = (place(slot), found.generation);
    format!(
        "{place} holds another access token than the one held here, both numbered {generation}: it is not taken; do \
         two tokends write there? Keep one"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
