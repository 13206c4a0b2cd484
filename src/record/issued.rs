//! Notes an access token that arrived: a new one, or the one that is held already (L8).

use std::sync::Arc;

use crate::access_token::{AccessToken, Clock, Issued};
use crate::failure::Failure;
use crate::job::Ask;
use crate::ledger::{Denied, Entry, Issue, IssueKind, SecretChoice, Standing};
use crate::record::receipt::name_coming;
use crate::record::{SECOND, fail};
use crate::slot::Slot;
use crate::time::Timestamp;

/// Notes what the provider answered to `ask`.
pub(crate) fn record_issued(slot: &Slot, entry: &mut Entry, ask: &Ask, issued: Issued, now: Timestamp) {
    entry.secret = SecretChoice { worked: ask.secret_choice, ..SecretChoice::default() };
    entry.recalled = true;
    // With less to live it would be asked for sooner than what is the same may be (L8).
    let may_live_on = issued.expires_at >= now + 20 * SECOND;
    let is_same = |held: &&Arc<AccessToken>| held.secret.same_as(&issued.secret) && (held.is_live(now) || may_live_on);
    let same = entry.access_token.as_ref().filter(is_same).cloned();
    if same.is_none() {
        entry.issues.push(Issue { at: now, kind: IssueKind::Issued });
    }
    if issued.expires_at <= now {
        fail(slot, entry, Failure::Malformed("the access token had expired before it arrived".into()), now);
        return;
    }
    let as_asked = || ask.scopes.iter().chain(&slot.context).cloned().collect();
    let scopes = issued.scopes.clone().unwrap_or_else(as_asked);
    entry.standing = Standing::Good;
    entry.granted = Some(granted_of(slot, ask, &scopes));
    entry.denied = denial_after(slot, entry.denied.take(), ask, &scopes, now);
    entry.warning = issued.warning.clone().or_else(|| granted_less(slot, ask, issued.scopes.as_deref()?));
    match same {
        Some(held) if held.is_live(now) => keep_same_token(entry, &held, (scopes, issued.expires_at), now),
        Some(held) => revive_token(entry, &held, &issued, scopes),
        None => take_new_token(entry, issued, scopes),
    }
    name_coming(slot, entry);
}

/// What to say where the provider answers with some of the scopes that were asked for, in their names, and
/// readers get the access token all the same.
fn granted_less(slot: &Slot, ask: &Ask, granted: &[String]) -> Option<String> {
    let (held, missing): (Vec<&str>, Vec<&str>) =
        ask.scopes.iter().map(String::as_str).partition(|scope| granted.iter().any(|granted| granted == scope));
    let some_are_missing = !held.is_empty() && !missing.is_empty() && !slot.policy.exclusive;
    some_are_missing.then(|| format!("the provider granted less than was asked for: {} is missing", missing.join(" ")))
}

fn take_new_token(entry: &mut Entry, issued: Issued, scopes: Vec<String>) {
    entry.generation = entry.generation.next();
    entry.same_again = None;
    entry.access_token = Some(Arc::new(AccessToken {
        secret: issued.secret,
        token_type: issued.token_type,
        scopes,
        issued_at: issued.issued_at,
        expires_at: issued.expires_at,
        generation: entry.generation,
        extra: issued.extra,
        clock: Clock::Boot,
    }));
}

/// The provider answered with the token already held (L8): nothing is new but perhaps what it may
/// do, and the next request comes when half of what is left has passed.
fn keep_same_token(entry: &mut Entry, held: &AccessToken, said: (Vec<String>, Timestamp), now: Timestamp) {
    let (scopes, expires_at) = said;
    let expires_at = held.expires_at.min(expires_at);
    let last_moment = expires_at - (held.lifetime() / 50).min(10 * SECOND);
    let half_way = now + now.until(expires_at) / 2;
    entry.same_again = Some(half_way.min(last_moment).max(now + 10 * SECOND));
    entry.access_token = Some(Arc::new(AccessToken { scopes, expires_at, ..held.clone() }));
}

/// The provider hands out again what had expired by what it said before: it lives on, and is no new one.
fn revive_token(entry: &mut Entry, held: &AccessToken, issued: &Issued, scopes: Vec<String>) {
    let (issued_at, expires_at) = (issued.issued_at, issued.expires_at);
    entry.same_again = None;
    entry.access_token =
        Some(Arc::new(AccessToken { scopes, issued_at, expires_at, clock: Clock::Boot, ..held.clone() }));
    // What some of them say of its end is to be said anew.
    entry.receipts.values_mut().for_each(|receipt| receipt.restate = true);
}

/// The API scopes to fall back to when a wider union is refused: those asked for that were granted.
/// Without a shared slot, or where the provider names scopes in its own way, what was asked counts.
fn granted_of(slot: &Slot, ask: &Ask, scopes: &[String]) -> Vec<String> {
    let granted: Vec<String> = ask.scopes.iter().filter(|scope| scopes.contains(scope)).cloned().collect();
    if slot.policy.exclusive && !granted.is_empty() { granted } else { ask.scopes.clone() }
}

/// What is denied after an access token with `scopes` arrived.
fn denial_after(slot: &Slot, before: Option<Denied>, ask: &Ask, scopes: &[String], now: Timestamp) -> Option<Denied> {
    let asked_all = slot.scopes.iter().all(|scope| ask.scopes.contains(scope));
    if !asked_all {
        return before;
    }
    let missing = slot.scopes.iter().any(|scope| !scopes.contains(scope));
    missing.then(|| Denied { scopes: slot.scopes.clone(), at: now, outright: false })
}
