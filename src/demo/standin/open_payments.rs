//! Open Payments, `/connect/token`: an `IdentityServer`, which says every refusal with status 400
//! and a bare code. Scopes are API scopes and exactly one PSU context.

use serde_json::json;

use crate::demo::standin::exchange::{Asked, Claims, Grant, Reply};
use crate::demo::standin::vendor::{Client, Clients, OPEN_PAYMENTS_SCOPES, Vendor};

const CONTEXTS: [&str; 2] = ["private", "corporate"];
const FIELDS: [&str; 4] = ["client_id", "client_secret", "grant_type", "scope"];

/// Client id and PSU context, right or wrong.
pub(super) fn account(asked: &Asked<'_>) -> (String, String) {
    let form = asked.form();
    let field = |name| form.as_ref().and_then(|form| form.one(name)).unwrap_or_default();
    let contexts: Vec<&str> = field("scope").split(' ').filter(|word| CONTEXTS.contains(word)).collect();
    (field("client_id").to_owned(), contexts.join("+"))
}

/// The guide's request; everything else is refused.
pub(super) fn judge(asked: &Asked<'_>, clients: &Clients) -> Result<Grant, Reply> {
    let refused = |code| error(400, code);
    if !asked.posts("application/x-www-form-urlencoded") || !asked.takes_json() {
        return Err(refused("invalid_request"));
    }
    let form = asked.form().filter(|form| form.has_only(&FIELDS)).ok_or_else(|| refused("invalid_request"))?;
    if asked.has("authorization") {
        return Err(refused("invalid_client"));
    }
    let credentials = form.one("client_id").zip(form.one("client_secret"));
    let client = credentials
        .filter(|(id, secret)| id.len() <= 100 && secret.len() <= 100)
        .and_then(|(id, secret)| clients.check(Vendor::OpenPayments, id, secret))
        .ok_or_else(|| refused("invalid_client"))?;
    if form.one("grant_type") != Some("client_credentials") {
        return Err(refused("unsupported_grant_type"));
    }
    let scope =
        form.one("scope").filter(|scope| may_be_granted(scope, client)).ok_or_else(|| refused("invalid_scope"))?;
    Ok(Grant { scope: Some(scope.to_owned()) })
}

fn may_be_granted(scope: &str, client: &Client) -> bool {
    let words: Vec<&str> = scope.split(' ').collect();
    let (contexts, api): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| CONTEXTS.contains(word));
    let known = api.iter().all(|word| OPEN_PAYMENTS_SCOPES.contains(word) && client.may_have(word));
    let once = (1..words.len()).all(|at| !words[..at].contains(&words[at]));
    let enriched = !api.contains(&"bankgiroinformation") || api.contains(&"accountinformation");
    scope.len() <= 300 && contexts.len() == 1 && !api.is_empty() && known && once && enriched
}

/// `{"access_token", "expires_in": 3600, "token_type": "Bearer", "scope"}`
pub(super) fn answer(claims: &Claims<'_>) -> Reply {
    reply(
        200,
        &json!({
            "access_token": claims.access_token, "expires_in": claims.expires_in,
            "token_type": "Bearer", "scope": claims.scope,
        }),
    )
}

/// `{"error": "invalid_client"}`
pub(super) fn error(status: u16, code: &str) -> Reply {
    reply(status, &json!({ "error": code })).called(code)
}

fn reply(status: u16, body: &serde_json::Value) -> Reply {
    Reply::new(status, "application/json; charset=UTF-8", body.to_string())
        .with("cache-control", "no-store, no-cache, max-age=0")
        .with("pragma", "no-cache")
}
