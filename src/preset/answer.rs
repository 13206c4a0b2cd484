//! What an answer means: an access token, or which failure (L6, L11, L14).
//!
//! Members that are not known are ignored; of a name given twice the last counts, as in most
//! parsers. An error of the JSON parser is never passed on: it quotes the answer.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::access_token::Issued;
use crate::failure::Failure;
use crate::preset::expiry::Timing;
use crate::preset::program::Program;
use crate::preset::redact::Redactor;
use crate::preset::{Answer, Asking, MAX_BODY, Preset, expiry, refusal};
use crate::secret::Secret;

/// The longest access token, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

pub(crate) fn read(preset: &Preset, asking: &Asking<'_>, answer: &Answer, timing: Timing) -> Result<Issued, Failure> {
    let redactor = Redactor::new(asking);
    let success = (200..300).contains(&answer.status);
    let document = document(&answer.body);
    if !success || document.as_ref().is_ok_and(|document| says_no(preset, answer.status, document)) {
        return Err(refusal::read(&preset.program, answer, document.as_ref().ok(), &redactor));
    }
    let told = |wrong: String| Failure::Malformed(format!("HTTP {} {wrong}", answer.status));
    let document = document.map_err(|wrong| told(format!("with {wrong}")))?;
    let token = access_token(&preset.program, &document, &redactor).map_err(told)?;
    // Rules that cannot be read are a problem of the configuration, not of this answer.
    let ttl = asking.ttl.or_else(|| preset.refresh_rules(asking.parameters).ok()?.ttl);
    let plan = &preset.program.answer;
    let expiry = expiry::read(plan, &document, token.expose(), ttl, timing)
        .map_err(|wrong| told(format!("with an expiry that cannot be used: {wrong}")))?;
    Ok(Issued {
        secret: token,
        token_type: token_type(&preset.program, &document, &redactor),
        scopes: scopes(document.pointer(&plan.scope), asking, &redactor),
        issued_at: timing.asked_at,
        expires_at: expiry.at,
        extra: extra(&preset.program, asking, &document, &redactor),
        warning: expiry.warning,
    })
}

/// Whether a 2xx answer is an error all the same: a rule of the preset, or no success by its word.
fn says_no(preset: &Preset, status: u16, document: &Value) -> bool {
    let program = &preset.program;
    refusal::rule(program, status, Some(document)).is_some()
        || !program.answer.success.iter().all(|condition| condition.holds(document))
}

/// The JSON document in `body`, or what stands there instead.
fn document(body: &[u8]) -> Result<Value, &'static str> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    if body.len() > MAX_BODY {
        return Err("more than 1 MiB of body");
    }
    if text.is_empty() {
        return Err("an empty body");
    }
    if text.starts_with(b"<?xml") {
        return Err("an XML document instead of JSON");
    }
    if text.starts_with(b"<") {
        return Err("an HTML page instead of JSON: is the URL right, or a proxy in the way?");
    }
    match serde_json::from_slice(text) {
        Ok(document @ Value::Object(_)) => Ok(document),
        Ok(_) => Err("JSON that is not an object"),
        Err(error) if error.is_eof() => Err("half a JSON document"),
        Err(_) => Err("a body that is not JSON"),
    }
}

fn access_token(program: &Program, document: &Value, redactor: &Redactor) -> Result<Secret, String> {
    let pointer = &program.answer.access_token;
    let Some(token) = document.pointer(pointer) else {
        let code = refusal::code(program, document, redactor);
        let instead = code.map(|code| format!(", but with the error {code}")).unwrap_or_default();
        return Err(format!("without an access token at {pointer}{instead}"));
    };
    let unfit = match token.as_str() {
        None => "is not a text",
        Some("") => "is empty",
        Some(token) if token.len() > MAX_TOKEN => "is longer than 64 KiB",
        Some(token) if redactor.is_one(token) => "is a secret of ours, which was sent with the request",
        Some(token) if !is_visible(token) => "holds a space, a line break or another character that no token has",
        Some(token) => return Ok(Secret::new(token.to_owned())),
    };
    Err(format!("with an access token that {unfit}"))
}

/// `Bearer` where the answer says nothing that could be a type.
fn token_type(program: &Program, document: &Value, redactor: &Redactor) -> String {
    let fits = |kind: &&str| (1..=64).contains(&kind.len()) && is_visible(kind) && !redactor.occurs_in(kind);
    let given = document.pointer(&program.answer.token_type).and_then(Value::as_str);
    given.filter(fits).unwrap_or("Bearer").to_owned()
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Separated by spaces (RFC 6749 section 3.3) or a list. An empty one says nothing. What was not
/// asked for may be anything: kept is what can be a scope and shows no secret.
fn scopes(value: Option<&Value>, asking: &Asking<'_>, redactor: &Redactor) -> Option<Vec<String>> {
    let scopes: Vec<String> = match value? {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => return None,
    };
    let asked = |scope: &String| asking.scopes.contains(scope) || asking.context == Some(scope);
    let fits = |scope: &String| !scope.is_empty() && is_visible(scope) && !redactor.occurs_in(scope);
    let scopes: Vec<String> = scopes.into_iter().filter(|scope| asked(scope) || fits(scope)).collect();
    Some(scopes).filter(|scopes| !scopes.is_empty())
}

fn extra(program: &Program, asking: &Asking<'_>, document: &Value, redactor: &Redactor) -> BTreeMap<String, Value> {
    let answered = program.answer.export.iter().filter_map(|(name, pointer)| {
        let value = document.pointer(pointer)?;
        (!redactor.occurs_in(&value.to_string())).then(|| (name.clone(), value.clone()))
    });
    let own = program.answer.export_parameters.iter();
    let own = own.filter_map(|name| Some((name.clone(), asking.parameters.get(name)?.clone())));
    answered.chain(own).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::preset::{Parameters, Secrets};
    use crate::time::Timestamp;
    use serde_json::json;

    /// What plain OAuth 2 makes of `document`, which took eight seconds.
    fn read(document: &Value) -> Result<Issued, Failure> {
        let asked_at = Timestamp::from_secs(1_800_000_000);
        let (parameters, secrets) = (Parameters::new(), Secrets::new());
        let token_url = "https://idp.example/token";
        let asking = Asking {
            token_url,
            parameters: &parameters,
            secrets: &secrets,
            others: &[],
            scopes: &[],
            context: None,
            ttl: None,
        };
        let body = document.to_string().into();
        let answer = Answer { status: 200, body, date: None, retry_after: None, location_host: None };
        let answered_at = Timestamp::from_secs(1_800_000_008);
        Preset::built_in("oauth2").unwrap().read(&asking, &answer, asked_at, answered_at)
    }

    #[test]
    fn the_life_of_an_access_token_counts_from_the_sending_of_the_request() {
        for expiry in [json!({ "expires_in": 3600 }), json!({ "expires_in": "3600.0" })] {
            let mut document = expiry;
            document["access_token"] = "abc".into();
            let issued = read(&document).unwrap();
            assert_eq!(issued.issued_at, Timestamp::from_secs(1_800_000_000));
            assert_eq!(issued.expires_at, Timestamp::from_secs(1_800_003_600), "{document}");
        }
    }

    #[test]
    fn a_secret_that_was_sent_is_no_access_token() {
        let asked_at = Timestamp::from_secs(1_800_000_000);
        let (parameters, token_url) = (Parameters::new(), "https://idp.example/token");
        let secrets = Secrets::from([("client_secret".to_owned(), Secret::new("hunter2".into()))]);
        let asking = Asking {
            token_url,
            parameters: &parameters,
            secrets: &secrets,
            others: &[],
            scopes: &[],
            context: None,
            ttl: None,
        };
        let read = |token: &str| {
            let body = json!({ "access_token": token, "expires_in": 60 }).to_string().into();
            let answer = Answer { status: 200, body, date: None, retry_after: None, location_host: None };
            Preset::built_in("oauth2").unwrap().read(&asking, &answer, asked_at, asked_at)
        };
        for echo in ["hunter2", "aHVudGVyMg=="] {
            let failure = read(echo).unwrap_err();
            assert!(matches!(failure, Failure::Malformed(_)), "{failure:?}");
            assert!(!failure.to_string().contains(echo), "{failure}");
        }
        assert!(read("hunter22").is_ok(), "it only begins like one");
    }

    #[test]
    fn only_visible_ascii_of_up_to_64_kib_is_an_access_token() {
        let longest = "x".repeat(MAX_TOKEN);
        for fit in ["a", "!~", &longest] {
            let issued = read(&json!({ "access_token": fit, "expires_in": 60 })).unwrap();
            assert_eq!(issued.secret.expose(), fit);
        }
        let unfit = ["", "a\n", "\na", "a\nb", "a\r\n", "a b", "a\t", "a\0", "a\u{7f}", "é", "a\u{2028}"];
        let too_long = longest + "x";
        let texts = unfit.into_iter().chain([too_long.as_str()]).map(Value::from);
        for token in texts.chain([json!(7), json!(null), json!(["a"]), json!({ "a": "b" })]) {
            let failure = read(&json!({ "access_token": token, "expires_in": 60 })).unwrap_err();
            assert!(matches!(failure, Failure::Malformed(_)), "{token}: {failure:?}");
        }
    }
}
