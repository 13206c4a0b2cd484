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

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// It holds what it should.
    Done(Delivered),
    /// It holds a higher generation of the same slot: another tokend writes there.
    Overtaken {
        /// That generation.
        generation: Generation,
        /// When that expires, as it says, or as far as can be told.
        expires_at: Option<Timestamp>,
    },
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
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).map(Generation)
}

fn done(put: &VaultPut<'_>, written: bool) -> Delivered {
    let text = Zeroizing::new(serde_json::to_vec(&put.fields).unwrap_or_default());
    Delivered { written, fingerprint: fingerprint(&text) }
}
