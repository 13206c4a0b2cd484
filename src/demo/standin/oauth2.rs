//! A plain OAuth 2 server: client credentials (RFC 6749 §4.4) by Basic authentication with form
//! encoding or in the body, never both; metadata as RFC 8414 has it. Unknown parameters are
//! ignored and empty ones count as left out, as the RFC demands; repeated ones are refused.

use serde_json::json;

use crate::demo::standin::exchange::{Asked, Claims, Form, Grant, Reply, form_decoded};
use crate::demo::standin::vendor::{Client, Clients, Vendor};

/// Where the metadata is.
pub(super) const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// The client id, right or wrong.
pub(super) fn client_id(asked: &Asked<'_>) -> String {
    let in_header = asked.basic().and_then(|(id, _)| form_decoded(&id));
    in_header.or_else(|| asked.form()?.one("client_id").map(str::to_owned)).unwrap_or_default()
}

/// A request of RFC 6749 §4.4.2; everything else is refused.
pub(super) fn judge(asked: &Asked<'_>, clients: &Clients) -> Result<Grant, Reply> {
    if asked.method != hyper::Method::POST {
        return Err(error(405, "invalid_request").with("allow", "POST"));
    }
    // Only `resource` may be repeated (RFC 8707 §2).
    let is_form = asked.posts("application/x-www-form-urlencoded");
    let form = asked.form().filter(|form| is_form && !form.repeats(&["resource"]));
    let form = form.ok_or_else(|| error(400, "invalid_request"))?;
    let client = authenticate(asked, &form, clients)?;
    match form.one("grant_type") {
        Some("client_credentials") => {}
        Some(_) => return Err(error(400, "unsupported_grant_type")),
        None => return Err(error(400, "invalid_request")),
    }
    let scope = form.one("scope");
    if scope.is_some_and(|scope| !scope.split(' ').all(|word| !word.is_empty() && client.may_have(word))) {
        return Err(error(400, "invalid_scope"));
    }
    Ok(Grant { scope: scope.map(str::to_owned) })
}

fn authenticate<'a>(asked: &Asked<'_>, form: &Form, clients: &'a Clients) -> Result<&'a Client, Reply> {
    if !asked.has("authorization") {
        let secret = form.one("client_secret").unwrap_or_default();
        let client = form.one("client_id").and_then(|id| clients.check(Vendor::OAuth2, id, secret));
        return client.ok_or_else(|| invalid_client(400));
    }
    if form.one("client_secret").is_some() {
        return Err(error(400, "invalid_request"));
    }
    asked
        .basic()
        .and_then(|(id, secret)| Some((form_decoded(&id)?, form_decoded(&secret)?)))
        .and_then(|(id, secret)| clients.check(Vendor::OAuth2, &id, &secret))
        .ok_or_else(|| invalid_client(401))
}

/// RFC 6749 §5.1; the scope is repeated.
pub(super) fn answer(claims: &Claims<'_>) -> Reply {
    let mut body = json!({
        "access_token": claims.access_token, "token_type": "Bearer", "expires_in": claims.expires_in,
    });
    if let Some(scope) = claims.scope {
        body["scope"] = json!(scope);
    }
    reply(200, &body)
}

/// 401 to a client that authenticated by header, 400 to one that did so in the body (RFC 6749 §5.2).
pub(super) fn invalid_client(status: u16) -> Reply {
    let reply = error(status, "invalid_client");
    if status == 401 { reply.with("www-authenticate", "Basic realm=\"oauth2\"") } else { reply }
}

/// RFC 6749 §5.2.
pub(super) fn error(status: u16, code: &str) -> Reply {
    reply(status, &json!({ "error": code })).called(code)
}

/// RFC 8414 §3.2 for the issuer at `base`.
pub(super) fn metadata(base: &str) -> Reply {
    let body = json!({
        "issuer": base,
        "token_endpoint": format!("{base}{}", Vendor::OAuth2.path()),
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    });
    Reply::new(200, "application/json", body.to_string())
}

fn reply(status: u16, body: &serde_json::Value) -> Reply {
    Reply::new(status, "application/json", body.to_string())
        .with("cache-control", "no-store")
        .with("pragma", "no-cache")
}
