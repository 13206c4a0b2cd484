//! A token in a secret of Vault's KV engine. The same is not written again, a higher generation of the
//! same slot that still lives is left alone, and nothing that somebody else wrote is overwritten
//! unread: what is there is read first, or the version that we wrote ourselves is named.
//!
//! It is given a way to the server, with a token; it knows neither logins nor formats.

use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::access_token::Generation;
use crate::job::Delivered;
use crate::settings::VaultPlace;
use crate::sink::fingerprint;
use crate::time::Timestamp;
use crate::vault::{Found, Trouble, Vault};

pub use crate::sink::Put;

/// How often what others write at the same moment is read again.
const CONFLICTS: usize = 4;

/// What a secret is to hold.
pub struct VaultPut<'a> {
    /// Where.
    pub place: &'a VaultPlace,
    /// All its fields.
    pub fields: Map<String, Value>,
    /// The slot whose token it is.
    pub slot: &'a str,
    /// Its number.
    pub generation: Generation,
    /// How long it lives from its issue: what else writes there is taken to live as long, where it
    /// does not say.
    pub lifetime: Duration,
}

/// What we wrote to a secret last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    version: u32,
    generation: Generation,
}

/// Makes the secret hold what it should. Over what we wrote `last`, a higher generation goes with one
/// request; whoever wrote there since makes that a conflict.
///
/// Errors: what the server said, or that others write there all the time.
pub async fn put(vault: &Vault, put: &VaultPut<'_>, last: Option<Written>) -> Result<(Put, Option<Written>), Trouble> {
    let mut ours = last.filter(|last| last.generation < put.generation);
    for _ in 0..CONFLICTS {
        let version = if let Some(last) = ours.take() {
            Some(last.version)
        } else {
            let found = vault.read(put.place).await?;
            let same = || found.version.map(|version| Written { version, generation: put.generation });
            match judge(&found, put) {
                Verdict::Same => return Ok((Put::Done(done(put, false)), same())),
                Verdict::Ahead(generation, expires_at) => {
                    return Ok((Put::Overtaken { generation, expires_at }, None));
                }
                Verdict::Older => found.version,
            }
        };
        match vault.write(put.place, &put.fields, version).await {
            Ok(version) => {
                let written = version.map(|version| Written { version, generation: put.generation });
                return Ok((Put::Done(done(put, true)), written));
            }
            Err(Trouble::Conflict) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    Err(Trouble::Failed(format!("{}: others write there all the time", put.place)))
}

/// The generation in what was found, if it is of a token of `slot`.
#[must_use]
pub fn generation(found: &Found, slot: &str) -> Option<Generation> {
    found.fields.as_ref().filter(|fields| is_of(fields, slot)).and_then(generation_in)
}

enum Verdict {
    Same,
    Ahead(Generation, Option<Timestamp>),
    Older,
}

fn judge(found: &Found, put: &VaultPut<'_>) -> Verdict {
    let Some(fields) = &found.fields else { return Verdict::Older };
    if *fields == put.fields {
        return Verdict::Same;
    }
    let ahead = generation_in(fields).filter(|held| *held > put.generation && is_of(fields, put.slot));
    let Some(generation) = ahead else { return Verdict::Older };
    let said = fields.get("expires_at").and_then(Value::as_str).and_then(Timestamp::parse_rfc3339);
    // Fields of one's own need not say it. Two that write such fields would else outbid each other.
    let expires_at = said.or_else(|| Some(found.written_at? + put.lifetime));
    // Also where that has expired: ours must be numbered above it first.
    Verdict::Ahead(generation, expires_at)
}

/// Generations of different slots are never compared. One that does not say whose it is, is ours:
/// it has the fields that the configuration chose.
fn is_of(fields: &Map<String, Value>, slot: &str) -> bool {
    fields.get("slot").and_then(Value::as_str).is_none_or(|held| held == slot)
}

fn generation_in(fields: &Map<String, Value>) -> Option<Generation> {
    let value = fields.get("generation")?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).and_then(Generation::read)
}

fn done(put: &VaultPut<'_>, written: bool) -> Delivered {
    let text = Zeroizing::new(serde_json::to_vec(&put.fields).unwrap_or_default());
    Delivered { written, fingerprint: fingerprint(&text) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::name::Name;

    /// What is to be done where `fields` are found, when generation 5 of `bank/corporate` is to be put.
    fn verdict(fields: Option<Value>, written_at: Option<Timestamp>) -> &'static str {
        let server = Name::parse("main").unwrap();
        let place = VaultPlace { server, mount: "secret".into(), path: "api".into() };
        let ours = json!({ "access_token": "ours", "generation": 5, "slot": "bank/corporate" });
        let fields_of = |value: Value| value.as_object().unwrap().clone();
        let put = VaultPut {
            place: &place,
            fields: fields_of(ours),
            slot: "bank/corporate",
            generation: Generation(5),
            lifetime: Duration::from_hours(1),
        };
        match judge(&Found { fields: fields.map(fields_of), version: None, written_at }, &put) {
            Verdict::Same => "same",
            Verdict::Ahead(Generation(6), Some(_)) => "ahead",
            Verdict::Ahead(..) => "ahead of an unknown end",
            Verdict::Older => "older",
        }
    }

    #[test]
    fn what_is_found_is_left_alone_exactly_when_it_is_the_same_or_ahead_in_the_same_slot() {
        let found = |generation: Value, slot: &str, expires_at: &str| {
            Some(json!({ "generation": generation, "slot": slot, "expires_at": expires_at }))
        };
        let later = "2100-01-01T00:00:00Z";
        for (fields, expected) in [
            (None, "older"),
            (Some(json!({ "access_token": "ours", "generation": 5, "slot": "bank/corporate" })), "same"),
            (found(json!(5), "bank/corporate", later), "older"),
            (found(json!(4), "bank/corporate", later), "older"),
            (found(json!(6), "bank/corporate", later), "ahead"),
            (found(json!("6"), "bank/corporate", later), "ahead"),
            (found(json!(6), "bank/corporate", "2020-01-01T00:00:00Z"), "ahead"),
            (found(json!(6), "bank/private", later), "older"),
            (Some(json!({ "generation": 6 })), "ahead of an unknown end"),
            (Some(json!({ "generation": "many", "slot": "bank/corporate" })), "older"),
            (Some(json!({ "password": "somebody's" })), "older"),
        ] {
            assert_eq!(verdict(fields.clone(), None), expected, "{fields:?}");
        }
        let silent = || Some(json!({ "generation": 6 }));
        assert_eq!(verdict(silent(), Some(Timestamp::from_secs(0))), "ahead", "it lives as long as ours would");
    }
}
