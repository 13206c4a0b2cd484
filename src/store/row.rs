//! How an entry is written: the access token's text first, bare, so that it passes through no
//! parser that could leave a copy; then everything else as JSON, which holds no secret. A field may
//! be added when older rows read well without it; any other change is a new schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::access_token::{AccessToken, Clock, Generation};
use crate::job::{Ask, Fingerprint};
use crate::ledger::{
    Denied, Entry, Held, Honoured, Intention, Invalidated, Issue, IssueKind, Plea, Receipt, SecretChoice,
};
use crate::name::{Identity, SinkId};
use crate::secret::Secret;
use crate::settings::Persist;
use crate::store::row::hooks::{HookFacts, hook_facts, hook_receipts};
use crate::time::{Anchor, Timestamp};

mod hooks;

/// Before the access token: its length, little-endian; zero where there is none.
const LENGTH: usize = size_of::<u32>();

#[derive(Serialize, Deserialize)]
struct Facts {
    generation: Generation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token: Option<TokenFacts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    issues: Vec<IssueFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intention: Option<IntentionFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plea: Option<PleaFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    denied: Option<DeniedFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    granted: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invalidated: Option<InvalidatedFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    honoured: Option<HonouredFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    same_again: Option<Timestamp>,
    #[serde(default)]
    secret_worked: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    held: Vec<HeldFacts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    coming: Vec<SinkId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hooks: Vec<HookFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor: Option<Anchor>,
}

/// All of an access token but itself.
#[derive(Serialize, Deserialize)]
struct TokenFacts {
    r#type: String,
    scopes: Vec<String>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    generation: Generation,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "Clock::is_of_boot")]
    clock: Clock,
}

#[derive(Serialize, Deserialize)]
struct IssueFacts {
    at: Timestamp,
    #[serde(default)]
    possibly: bool,
}

#[derive(Serialize, Deserialize)]
struct IntentionFacts {
    at: Timestamp,
    scopes: Vec<String>,
    secret_choice: usize,
    #[serde(default)]
    forced: bool,
}

#[derive(Serialize, Deserialize)]
struct PleaFacts {
    at: Timestamp,
    until: Timestamp,
    #[serde(default)]
    of_endpoint: bool,
}

#[derive(Serialize, Deserialize)]
struct DeniedFacts {
    scopes: Vec<String>,
    at: Timestamp,
    outright: bool,
}

#[derive(Serialize, Deserialize)]
struct InvalidatedFacts {
    generation: Generation,
    at: Timestamp,
    in_a_row: u32,
}

#[derive(Serialize, Deserialize)]
struct HonouredFacts {
    schedule: String,
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct HeldFacts {
    sink: SinkId,
    generation: Generation,
    expires_at: Timestamp,
    fingerprint: String,
}

/// What of `entry` outlives the daemon, ready to be sealed.
pub fn encode(entry: &Entry, persist: Persist) -> Result<Zeroizing<Vec<u8>>, String> {
    let token = entry.access_token.as_ref().filter(|_| persist == Persist::Encrypted);
    let secret = token.map_or("", |token| token.secret.expose());
    let length = u32::try_from(secret.len()).map_err(|_| "an access token is too long to be saved".to_owned())?;
    let facts = serde_json::to_vec(&facts_of(entry, token)).map_err(|_| "an entry cannot be written".to_owned())?;
    let mut row = Zeroizing::new(Vec::with_capacity(LENGTH + secret.len() + facts.len()));
    row.extend_from_slice(&length.to_le_bytes());
    row.extend_from_slice(secret.as_bytes());
    row.extend_from_slice(&facts);
    Ok(row)
}

fn facts_of(entry: &Entry, token: Option<&Arc<AccessToken>>) -> Facts {
    let held = |sink: &SinkId, receipt: &Receipt| {
        let held = receipt.held?;
        let fingerprint = BASE64_STANDARD_NO_PAD.encode(held.fingerprint);
        Some(HeldFacts { sink: sink.clone(), generation: held.generation, expires_at: held.expires_at, fingerprint })
    };
    let issue = |issue: &Issue| IssueFacts { at: issue.at, possibly: issue.kind == IssueKind::Possibly };
    Facts {
        generation: entry.generation,
        access_token: token.map(|token| TokenFacts::of(token)),
        issues: entry.issues.iter().map(issue).collect(),
        intention: entry.intention.as_ref().map(IntentionFacts::of),
        plea: entry.plea.map(|Plea { at, until, of_endpoint }| PleaFacts { at, until, of_endpoint }),
        denied: entry.denied.as_ref().map(|denied| DeniedFacts {
            scopes: denied.scopes.clone(),
            at: denied.at,
            outright: denied.outright,
        }),
        granted: entry.granted.clone(),
        paused: entry.paused,
        invalidated: entry.invalidated.map(InvalidatedFacts::of),
        honoured: entry.honoured.clone().map(|Honoured { schedule, until }| HonouredFacts { schedule, until }),
        same_again: entry.same_again,
        secret_worked: entry.secret.worked,
        held: entry.receipts.iter().filter_map(|(sink, receipt)| held(sink, receipt)).collect(),
        coming: entry.receipts.iter().filter(|(_, it)| it.coming).map(|(sink, _)| sink.clone()).collect(),
        hooks: hook_facts(&entry.hooks),
        anchor: entry.anchor.clone(),
    }
}

impl TokenFacts {
    fn of(token: &AccessToken) -> Self {
        Self {
            r#type: token.token_type.clone(),
            scopes: token.scopes.clone(),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            generation: token.generation,
            extra: token.extra.clone(),
            clock: token.clock,
        }
    }

    fn with(self, secret: Secret) -> AccessToken {
        AccessToken {
            secret,
            token_type: self.r#type,
            scopes: self.scopes,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            generation: self.generation,
            extra: self.extra,
            clock: self.clock,
        }
    }
}

impl IntentionFacts {
    fn of(intention: &Intention) -> Self {
        let Ask { scopes, secret_choice, forced, .. } = intention.ask.clone();
        Self { at: intention.at, scopes, secret_choice, forced }
    }

    fn intention(self) -> Intention {
        let Self { at, scopes, secret_choice, forced } = self;
        Intention { at, ask: Ask { scopes, secret_choice, refused: 0, forced } }
    }
}

impl InvalidatedFacts {
    fn of(Invalidated { generation, at, in_a_row }: Invalidated) -> Self {
        Self { generation, at, in_a_row }
    }

    fn invalidated(self) -> Invalidated {
        Invalidated { generation: self.generation, at: self.at, in_a_row: self.in_a_row }
    }
}

/// The entry that `row` was made of, but nothing is known any more of failures. `None` where the row
/// does not make sense.
pub fn decode(identity: Identity, row: &[u8]) -> Option<Entry> {
    let (length, rest) = row.split_first_chunk::<LENGTH>()?;
    let (secret, facts) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let facts: Facts = serde_json::from_slice(facts).ok()?;
    let access_token = match facts.access_token {
        Some(token) => Some(Arc::new(token.with(Secret::new(std::str::from_utf8(secret).ok()?.to_owned())))),
        None => None,
    };
    Some(Entry {
        access_token,
        generation: facts.generation,
        recalled: facts.generation > Generation::NONE,
        issues: facts.issues.into_iter().map(issue).collect(),
        intention: facts.intention.map(IntentionFacts::intention),
        plea: facts.plea.map(|PleaFacts { at, until, of_endpoint }| Plea { at, until, of_endpoint }),
        denied: facts.denied.map(|DeniedFacts { scopes, at, outright }| Denied { scopes, at, outright }),
        granted: facts.granted,
        paused: facts.paused,
        invalidated: facts.invalidated.map(InvalidatedFacts::invalidated),
        honoured: facts.honoured.map(|HonouredFacts { schedule, until }| Honoured { schedule, until }),
        same_again: facts.same_again,
        secret: SecretChoice { worked: facts.secret_worked, ..SecretChoice::default() },
        receipts: receipts(facts.held, facts.coming)?,
        hooks: hook_receipts(facts.hooks)?,
        anchor: facts.anchor,
        ..Entry::new(identity)
    })
}

fn issue(IssueFacts { at, possibly }: IssueFacts) -> Issue {
    Issue { at, kind: if possibly { IssueKind::Possibly } else { IssueKind::Issued } }
}

fn receipts(held: Vec<HeldFacts>, coming: Vec<SinkId>) -> Option<BTreeMap<SinkId, Box<Receipt>>> {
    let coming = coming.into_iter().map(|sink| Some((sink, Box::new(Receipt { coming: true, ..Receipt::default() }))));
    coming.chain(held.into_iter().map(receipt)).collect()
}

fn receipt(held: HeldFacts) -> Option<(SinkId, Box<Receipt>)> {
    let fingerprint: Fingerprint = BASE64_STANDARD_NO_PAD.decode(held.fingerprint).ok()?.try_into().ok()?;
    let held_now = Held { generation: held.generation, expires_at: held.expires_at, fingerprint };
    Some((held.sink, Box::new(Receipt { held: Some(held_now), ..Receipt::default() })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ledger::{HookReceipt, HookReceipts, HookRetry, Ran};
    use crate::name::Name;
    use crate::settings::HookEvent;

    /// As version 0.1 wrote it: what reads this must go on reading it.
    const ROW: &[u8] = b"\x03\0\0\0tok{\"generation\":7,\
        \"access_token\":{\"type\":\"Bearer\",\"scopes\":[\"a\"],\"issued_at\":1000,\"expires_at\":2000,\
        \"generation\":7,\"extra\":{\"k\":1}},\
        \"issues\":[{\"at\":1000,\"possibly\":false}],\
        \"intention\":{\"at\":1500,\"scopes\":[\"a\"],\"secret_choice\":1,\"forced\":false},\
        \"denied\":{\"scopes\":[\"b\"],\"at\":900,\"outright\":true},\
        \"granted\":[\"a\"],\"same_again\":1700,\"secret_worked\":1,\
        \"held\":[{\"sink\":\"/run/a\",\"generation\":6,\"expires_at\":1100,\
        \"fingerprint\":\"MDEyMzQ1Njc4OWFiY2RlZg\"}]}";

    #[test]
    fn rows_stay_readable_over_versions() {
        let entry = decode(Identity::stored("a"), ROW).unwrap();
        assert_eq!(entry.access_token.as_ref().unwrap().secret.expose(), "tok");
        assert_eq!(encode(&entry, Persist::Encrypted).unwrap().as_slice(), ROW);
    }

    #[test]
    fn a_pause_an_invalidation_and_how_far_a_schedule_was_honoured_outlive_the_daemon() {
        let seven = Timestamp::from_secs(7);
        let honoured = Some(Honoured { schedule: "0 0 6 * * * UTC".into(), until: seven });
        let plea = Some(Plea { at: seven, until: seven + std::time::Duration::from_secs(30), of_endpoint: true });
        let invalidated = Some(Invalidated { generation: Generation(3), at: seven, in_a_row: 2 });
        let entry = Entry { paused: Some(seven), invalidated, honoured, plea, ..Entry::new(Identity::stored("a")) };
        let row = encode(&entry, Persist::Off).unwrap();
        let read = decode(Identity::stored("a"), &row).unwrap();
        assert_eq!((read.paused, read.invalidated, read.honoured), (entry.paused, invalidated, entry.honoured));
        assert_eq!(read.plea, entry.plea);
    }

    #[test]
    fn what_hooks_were_run_for_outlives_the_daemon_and_why_they_failed_does_not() {
        let seven = Timestamp::from_secs(7);
        let ran = |event, at| Some(Ran { event, generation: Generation(3), at });
        let retry = HookRetry { reason: "no".into(), attempts: 1, since: seven, not_before: seven };
        let change = HookReceipt { ran: ran(HookEvent::Changed, None), retry: Some(retry) };
        let failure = HookReceipt { ran: ran(HookEvent::Expired, Some(seven)), retry: None };
        let name = Name::parse("accounts").unwrap();
        let hooks = BTreeMap::from([(name.clone(), HookReceipts { change, failure })]);
        let mut entry = Entry { hooks, ..Entry::new(Identity::stored("a")) };
        let read = decode(Identity::stored("a"), &encode(&entry, Persist::Off).unwrap()).unwrap();
        entry.hooks.get_mut(&name).unwrap().change.retry = None;
        assert_eq!(read.hooks, entry.hooks);
        let unknown = b"\0\0\0\0{\"generation\":0,\"hooks\":[{\"token\":\"a\",\"event\":\"?\",\"generation\":1}]}";
        assert!(decode(Identity::stored("a"), unknown).is_none(), "an event that is not known");
    }

    #[test]
    fn the_sinks_that_are_about_to_get_an_access_token_outlive_the_daemon() {
        let receipts =
            BTreeMap::from([(SinkId::new("/run/a"), Box::new(Receipt { coming: true, ..Receipt::default() }))]);
        let entry = Entry { receipts, ..Entry::new(Identity::stored("a")) };
        let row = encode(&entry, Persist::Encrypted).unwrap();
        let read = decode(Identity::stored("a"), &row).unwrap();
        assert!(read.receipts[&SinkId::new("/run/a")].coming);
    }

    #[test]
    fn a_row_says_what_its_moments_are_measured_by() {
        let anchor = Some(Anchor { boot: "this one".into(), booted_at: Timestamp::from_secs(7) });
        let entry = Entry { anchor: anchor.clone(), ..Entry::new(Identity::stored("a")) };
        let row = encode(&entry, Persist::Encrypted).unwrap();
        assert_eq!(decode(Identity::stored("a"), &row).unwrap().anchor, anchor);
    }

    #[test]
    fn a_number_that_was_exported_stays_the_same_over_every_save() {
        let number = "118446744073709551615";
        let token =
            "{\"type\":\"B\",\"scopes\":[],\"issued_at\":0,\"expires_at\":1,\"generation\":1,\"extra\":{\"k\":@}}";
        let facts = format!("{{\"generation\":1,\"access_token\":{}}}", token.replace('@', number));
        let entry = decode(Identity::stored("a"), format!("\0\0\0\0{facts}").as_bytes()).unwrap();
        let row = encode(&entry, Persist::Encrypted).unwrap();
        let again = encode(&decode(Identity::stored("a"), &row).unwrap(), Persist::Encrypted).unwrap();
        assert_eq!(*row, *again);
    }

    #[test]
    fn the_smallest_row_is_an_entry() {
        let entry = decode(Identity::stored("a"), b"\0\0\0\0{\"generation\":0}").unwrap();
        assert_eq!(format!("{entry:?}"), format!("{:?}", Entry::new(Identity::stored("a"))));
    }

    #[test]
    fn a_row_that_makes_no_sense_is_none() {
        for row in [&b""[..], b"\0\0", b"\xff\0\0\0{}", b"\0\0\0\0", b"\0\0\0\0[]", b"\x01\0\0\0{}"] {
            assert!(decode(Identity::stored("a"), row).is_none(), "{row:?}");
        }
    }
}
