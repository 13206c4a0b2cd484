//! Vipps `MobilePay` for partners, `/miami/v1/token`: Basic authentication with id and secret as
//! they are (not form-encoded), and no subscription key.

use serde_json::json;

use crate::demo::standin::exchange::{Asked, Claims, Grant, Reply};
use crate::demo::standin::vendor::{Clients, Vendor};

/// The client id, right or wrong.
pub(super) fn client_id(asked: &Asked<'_>) -> String {
    asked.basic().map(|(id, _)| id).unwrap_or_default()
}

/// The documented request; everything else is refused.
pub(super) fn judge(asked: &Asked<'_>, clients: &Clients) -> Result<Grant, Reply> {
    if !asked.posts("application/x-www-form-urlencoded") {
        return Err(error(400, "invalid_request"));
    }
    let form = asked.form().filter(|form| form.has_only(&["grant_type", "scope"]));
    let form = form.ok_or_else(|| error(400, "invalid_request"))?;
    if asked.has("ocp-apim-subscription-key") {
        return Err(invalid_client());
    }
    let client = asked.basic().and_then(|(id, secret)| clients.check(Vendor::VippsPartner, &id, &secret));
    let client = client.ok_or_else(invalid_client)?;
    match form.one("grant_type") {
        Some("client_credentials") => {}
        Some(_) => return Err(error(400, "unsupported_grant_type")),
        None => return Err(invalid_client()),
    }
    let scope = form.one("scope");
    if scope.is_some_and(|scope| !scope.split(' ').all(|word| client.may_have(word))) {
        return Err(error(400, "invalid_scope"));
    }
    Ok(Grant { scope: scope.map(str::to_owned) })
}

/// `{"access_token", "token_type", "expires_in": 900}`, with the scope if one was asked for.
pub(super) fn answer(claims: &Claims<'_>) -> Reply {
    let mut body = json!({
        "access_token": claims.access_token, "token_type": "Bearer", "expires_in": claims.expires_in,
    });
    if let Some(scope) = claims.scope {
        body["scope"] = json!(scope);
    }
    reply(200, &body)
}

/// 401, because the client authenticates by header (RFC 6749 §5.2).
pub(super) fn invalid_client() -> Reply {
    error(401, "invalid_client").with("www-authenticate", "Basic")
}

/// `{"error": "invalid_client"}`
pub(super) fn error(status: u16, code: &str) -> Reply {
    reply(status, &json!({ "error": code })).called(code)
}

fn reply(status: u16, body: &serde_json::Value) -> Reply {
    Reply::new(status, "application/json;charset=UTF-8", body.to_string()).with("cache-control", "no-store")
}
