//! Reads back what another tokend wrote: the `json` object in a file, or the fields of a secret in
//! Vault, also when only some of them were chosen. Messages name fields and never quote a value.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::access_token::{Found, Generation, Issued};
use crate::secret::Secret;
use crate::time::Timestamp;

/// The longest access token, in bytes (L14).
const LONGEST: usize = 64 << 10;
/// Nobody's access tokens live so long (L6).
const LONGEST_LIFE: Duration = Duration::from_hours(100 * 365 * 24);
/// Clocks of two hosts may be so far apart before that is said.
const APART: Duration = Duration::from_secs(5);

/// The access token in `fields`, which were read at `now`.
///
/// Errors: which field is missing or wrong, and what to do.
pub fn found_in(fields: &Map<String, Value>, now: Timestamp) -> Result<Found, String> {
    let secret = access_token(text(fields, "access_token")?)?;
    let generation = generation(fields)?;
    let moment = |name: &str, text: &str| {
        Timestamp::parse_rfc3339(text).ok_or_else(|| format!("its {name} is no time such as 2026-11-21T08:00:00Z"))
    };
    let expires_at = moment("expires_at", text(fields, "expires_at")?)?;
    if expires_at > now + LONGEST_LIFE {
        return Err("its expires_at is more than 100 years away".into());
    }
    let issued_at = match fields.get("issued_at").and_then(Value::as_str) {
        Some(text) => moment("issued_at", text)?,
        None => now.min(expires_at),
    };
    let ahead = now.until(issued_at);
    let apart = || {
        let seconds = ahead.as_secs();
        format!("it was issued {seconds} s in the future of this host's clock: are both hosts' clocks right?")
    };
    let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let token_type = if word("token_type").is_empty() { "Bearer" } else { word("token_type") };
    let extra = fields.get("extra").and_then(Value::as_object).cloned().unwrap_or_default();
    let issued = Issued {
        secret,
        token_type: token_type.to_owned(),
        scopes: Some(word("scope").split_whitespace().map(str::to_owned).collect()),
        issued_at,
        expires_at,
        extra: extra.into_iter().collect(),
        warning: (ahead > APART).then(apart),
    };
    Ok(Found { issued, generation })
}

fn text<'f>(fields: &'f Map<String, Value>, name: &str) -> Result<&'f str, String> {
    let missing = || format!("it has no text called {name}; {}", remedy(name));
    fields.get(name).and_then(Value::as_str).ok_or_else(missing)
}

fn remedy(name: &str) -> String {
    let template = format!("{{{{ {name} }}}}");
    format!(
        "let the other tokend write it: format = \"json\" for a file, and in `fields` of a Vault sink {name} = \"{template}\""
    )
}

/// 1 to 64 KiB of visible ASCII.
fn access_token(text: &str) -> Result<Secret, String> {
    let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Secret::new(text.to_owned()))
        .ok_or_else(|| "its access_token is none: 1 to 64 KiB of visible ASCII".into())
}

/// Vault's own tools write numbers as text.
fn generation(fields: &Map<String, Value>) -> Result<Generation, String> {
    let value = fields.get("generation").ok_or_else(|| {
        "it has no generation: only a tokend writes one; follow what a sink of another tokend wrote".to_owned()
    })?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok()).filter(|number| *number > 0);
    number.and_then(Generation::read).ok_or_else(|| "its generation is no number of at least 1 and below 2^53".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::document::Document;
    use crate::name::{Name, SlotId};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn fields(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn told(change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut fields =
            fields(&json!({ "access_token": "one", "expires_at": "2027-01-15T09:00:00Z", "generation": 7 }));
        change(&mut fields);
        found_in(&fields, NOW).map_or_else(|why| why, |found| format!("generation {}", found.generation))
    }

    #[test]
    fn what_a_tokend_wrote_is_read_back_whole() {
        let name = Name::parse("accounts").unwrap();
        let token = crate::access_token::AccessToken {
            secret: Secret::new("eyJ.one".into()),
            token_type: "BearerToken".into(),
            scopes: vec!["accountinformation".into(), "corporate".into()],
            issued_at: NOW - Duration::from_mins(1),
            expires_at: NOW + Duration::from_mins(59),
            generation: Generation(7),
            extra: BTreeMap::from([("region".into(), json!("eu1"))]),
            clock: crate::access_token::Clock::Wall,
        };
        let document = Document::new(&name, &SlotId::new(&name, "corporate"), &token);
        let found = found_in(&document.fields(&BTreeMap::new()).unwrap(), NOW).unwrap();
        assert!(found.issued.secret.same_as(&token.secret));
        assert_eq!(found.generation, token.generation);
        assert_eq!(found.issued.token_type, token.token_type);
        assert_eq!(found.issued.scopes.as_ref(), Some(&token.scopes));
        assert_eq!((found.issued.issued_at, found.issued.expires_at), (token.issued_at, token.expires_at));
        assert_eq!((found.issued.extra, found.issued.warning), (token.extra, None));
    }

    #[test]
    fn three_fields_are_enough_and_numbers_may_be_texts() {
        assert_eq!(told(|_| {}), "generation 7");
        assert_eq!(told(|fields| drop(fields.insert("generation".into(), json!("8")))), "generation 8");
    }

    #[test]
    fn what_is_missing_or_junk_is_named_and_never_quoted() {
        for name in ["access_token", "expires_at"] {
            let said = told(|fields| drop(fields.remove(name)));
            assert!(
                said.starts_with(&format!("it has no text called {name}; let the other tokend write it")),
                "{said}"
            );
        }
        assert!(told(|fields| drop(fields.remove("generation"))).starts_with("it has no generation: only a tokend"));
        for (name, value, said) in [
            ("access_token", json!(""), "its access_token is none"),
            ("access_token", json!("two\nlines"), "its access_token is none"),
            ("access_token", json!("é"), "its access_token is none"),
            ("access_token", json!("x".repeat(LONGEST + 1)), "its access_token is none"),
            ("access_token", json!(5), "it has no text called access_token"),
            ("expires_at", json!("hunter2"), "its expires_at is no time"),
            ("expires_at", json!("2999-01-01T00:00:00Z"), "its expires_at is more than 100 years away"),
            ("issued_at", json!("hunter2"), "its issued_at is no time"),
            ("generation", json!(0), "its generation is no number"),
            ("generation", json!(-1), "its generation is no number"),
            ("generation", json!("hunter2"), "its generation is no number"),
        ] {
            let told = told(|fields| drop(fields.insert(name.into(), value.clone())));
            assert!(told.starts_with(said) && !told.contains("hunter2"), "{name} {value}: {told}");
        }
    }

    #[test]
    fn clocks_that_are_apart_are_noticed() {
        let issued = |seconds: u64| {
            let issued_at = (NOW + Duration::from_secs(seconds)).to_string();
            let value = json!({ "access_token": "one", "expires_at": "2027-01-15T09:00:00Z", "issued_at": issued_at,
                "generation": 7 });
            found_in(&fields(&value), NOW).unwrap().issued.warning
        };
        assert_eq!(issued(5), None);
        assert!(issued(90).unwrap().starts_with("it was issued 90 s in the future of this host's clock"));
    }
}
