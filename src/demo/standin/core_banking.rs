//! The core banking API, `/api/auth/v1/authenticate`: a JSON object with two strings of at most
//! 100 characters, and nothing else. The vendor's table says `clientID`, its example and every
//! client that works say `clientId`.

use serde::Deserialize;
use serde_json::json;

use crate::demo::standin::exchange::{Asked, Claims, Grant, Reply};
use crate::demo::standin::vendor::{Clients, Vendor};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Credentials {
    client_id: String,
    client_secret: String,
}

/// The client id, right or wrong.
pub(super) fn client_id(asked: &Asked<'_>) -> String {
    serde_json::from_slice::<Credentials>(asked.body).map(|credentials| credentials.client_id).unwrap_or_default()
}

/// The guide's request; everything else is refused.
pub(super) fn judge(asked: &Asked<'_>, clients: &Clients) -> Result<Grant, Reply> {
    if !asked.is_plain_post() {
        return Err(error(405, "METHOD_NOT_ALLOWED", "Request method is not supported."));
    }
    if !asked.posts("application/json") {
        return Err(error(415, "UNSUPPORTED_MEDIA_TYPE", "Content type must be application/json."));
    }
    let credentials: Credentials = serde_json::from_slice(asked.body)
        .map_err(|_| error(400, "INVALID_REQUEST", "Exactly clientId and clientSecret are expected, as strings."))?;
    let fits = |text: &str| (1..=100).contains(&text.chars().count());
    if !fits(&credentials.client_id) || !fits(&credentials.client_secret) {
        return Err(error(400, "INVALID_LENGTH", "clientId and clientSecret have 1 to 100 characters."));
    }
    clients
        .check(Vendor::CoreBanking, &credentials.client_id, &credentials.client_secret)
        .map(|_| Grant { scope: None })
        .ok_or_else(wrong_secret)
}

/// `{"accessToken", "tokenType", "expirationTime": epoch in ms, "tokenValiditySec"}`
pub(super) fn answer(claims: &Claims<'_>) -> Reply {
    let body = json!({
        "accessToken": claims.access_token, "tokenType": "Bearer",
        "expirationTime": claims.expires_at.as_millis(), "tokenValiditySec": claims.expires_in,
    });
    Reply::new(200, "application/json", body.to_string())
}

/// 401 in the vendor's words.
pub(super) fn wrong_secret() -> Reply {
    error(401, "INVALID_CREDENTIALS", "Client ID or client secret is wrong.")
}

/// `{"errors": [{"statusCode", "errorCode", "errorMessage"}]}`
pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "errors": [{ "statusCode": status, "errorCode": code, "errorMessage": message }] });
    Reply::new(status, "application/json", body.to_string()).called(code)
}
