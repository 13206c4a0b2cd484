//! Answers of token endpoints: status line, headers, an empty line, body; as each kind of provider
//! understands them.

use std::sync::LazyLock;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokend::access_token::Issued;
use tokend::config::{Config, Privacy, SourceText};
use tokend::failure::Failure;
use tokend::http::Incoming;
use tokend::preset::{Asking, Secrets};
use tokend::provider;
use tokend::settings::{Endpoint, SecretSource};
use tokend::time::Timestamp;

use super::leaks::{must_be_one_line, must_not_show};

const ASKED_AT: Timestamp = Timestamp::from_secs(1_795_244_400);
const ANSWERED_AT: Timestamp = Timestamp::from_secs(1_795_244_402);
const HUNDRED_YEARS: Duration = Duration::from_hours(36_525 * 24);
/// The longest message, in bytes: a code of 64, a description of 200 characters, words of ours.
const LONGEST: usize = 1200;

/// A provider of every built-in kind, and one of the operator's own that uses what those do not.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let text = include_str!("providers.toml").to_owned();
    let source = SourceText { path: "providers.toml".into(), text, privacy: Privacy::Private };
    Config::parse(&[source], &[]).unwrap_or_else(|problems| panic!("{problems:?}"))
});

/// Whatever is answered: an access token is fit for use and its life has an end, a failure is one
/// line, and neither shows a secret.
pub fn run(input: &[u8]) {
    let Some((status, headers, body)) = split(input) else { return };
    for slot in &CONFIG.slots {
        let provider = &slot.provider;
        let secrets = provider.secrets.iter().filter_map(|(name, sources)| match sources.first() {
            Some(SecretSource::Inline(secret)) => Some((name.clone(), secret.clone())),
            _ => None,
        });
        let secrets: Secrets = secrets.collect();
        let token_url = match &provider.endpoint {
            Endpoint::TokenUrl(url) => url,
            Endpoint::Issuer(_) | Endpoint::Followed(_) => "https://idp.example/token",
        };
        let (parameters, scopes, context) = (&provider.parameters, &slot.scopes, slot.context.as_deref());
        let asking = Asking { token_url, parameters, secrets: &secrets, others: &[], scopes, context, ttl: None };
        let incoming = Incoming { status, headers: headers.clone(), body: body.to_vec() };
        let shown = match provider::read(provider, &asking, incoming, ASKED_AT, ANSWERED_AT) {
            Ok(issued) => check_issued(status, &issued),
            Err(failure) => check_failure(status, &failure),
        };
        for secret in secrets.values() {
            must_not_show(&shown, secret.expose());
        }
    }
}

/// Status, headers and body; `None` where HTTP would have failed before us.
fn split(input: &[u8]) -> Option<(u16, HeaderMap, &[u8])> {
    let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (head, body) = (&input[..end], input.get(end + 2..).unwrap_or_default());
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = std::str::from_utf8(lines.next()?).ok()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    (100..1000).contains(&status).then_some((status, headers, body))
}

/// Gives all of it that is shown or handed on beside the access token.
fn check_issued(status: u16, issued: &Issued) -> String {
    assert!((200..300).contains(&status), "issued by HTTP {status}");
    let text = issued.secret.expose();
    assert!((1..=64 * 1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    assert_eq!(issued.issued_at, ASKED_AT, "its life counts from the request");
    let lifetime = issued.expires_at.since(issued.issued_at);
    assert!(!lifetime.is_zero() && lifetime <= HUNDRED_YEARS, "{lifetime:?}");
    let kind = &issued.token_type;
    assert!((1..=64).contains(&kind.len()) && kind.bytes().all(|byte| byte.is_ascii_graphic()), "{kind:?}");
    for scope in issued.scopes.iter().flatten() {
        assert!(!scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic()), "the scope {scope:?}");
    }
    if let Some(warning) = &issued.warning {
        must_be_one_line(warning, LONGEST);
    }
    let scopes = issued.scopes.clone().unwrap_or_default().join(" ");
    let extra = serde_json::to_string(&issued.extra).unwrap_or_default();
    format!("{kind} {scopes} {extra} {:?} {issued:?}", issued.warning)
}

/// Gives all of it that is shown.
fn check_failure(status: u16, failure: &Failure) -> String {
    must_be_one_line(&failure.to_string(), LONGEST);
    assert!(failure.retry_after().is_none_or(|wait| wait <= Duration::from_hours(1)));
    match failure {
        Failure::Malformed(_) => assert!((200..300).contains(&status), "HTTP {status}: {failure}"),
        Failure::Refused(refusal) => {
            assert_eq!(refusal.status, status);
            let description = refusal.description.as_deref().unwrap_or("x");
            assert!((1..=200).contains(&description.chars().count()), "{description}");
            assert!(refusal.code.as_ref().is_none_or(|code| code.len() <= 64), "{failure}");
        }
        Failure::Busy { .. } => {}
        Failure::Unreachable { .. } | Failure::NotReady(_) => panic!("an answer came: {failure}"),
    }
    format!("{failure} {failure:?}")
}
