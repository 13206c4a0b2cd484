//! `PlainID`, `/api/1.0/api-key/token`: a form with three fields. The guide knows 200 and 401; the
//! body of the 401 has the shape of the vendor's management API.

use serde_json::json;

use crate::demo::standin::exchange::{Asked, Claims, Grant, Reply};
use crate::demo::standin::vendor::{Clients, Vendor};

/// The client id, right or wrong.
pub(super) fn client_id(asked: &Asked<'_>) -> String {
    asked.form().and_then(|form| form.one("client_id").map(str::to_owned)).unwrap_or_default()
}

/// The guide's request; everything else is 401.
pub(super) fn judge(asked: &Asked<'_>, clients: &Clients) -> Result<Grant, Reply> {
    if !asked.posts("application/x-www-form-urlencoded") || asked.has("authorization") {
        return Err(unauthorized());
    }
    let form = asked.form().filter(|form| form.has_only(&["grant_type", "client_id", "client_secret"]));
    let form = form.filter(|form| form.one("grant_type") == Some("client_credentials")).ok_or_else(unauthorized)?;
    let (Some(id), Some(secret)) = (form.one("client_id"), form.one("client_secret")) else {
        return Err(unauthorized());
    };
    clients.check(Vendor::PlainId, id, secret).map(|_| Grant { scope: None }).ok_or_else(unauthorized)
}

/// `{"access_token", "token_type", "expires_in": 86400}`
pub(super) fn answer(claims: &Claims<'_>) -> Reply {
    let body = json!({
        "access_token": claims.access_token, "token_type": "Bearer", "expires_in": claims.expires_in,
    });
    Reply::new(200, "application/json", body.to_string())
}

/// The one refusal there is.
pub(super) fn unauthorized() -> Reply {
    error(401, "unauthorized", "Unauthorized")
}

/// `{"id", "status", "name", "message"}`
pub(super) fn error(status: u16, name: &str, message: &str) -> Reply {
    let body = json!({ "id": "EW60XA", "status": status, "name": name, "message": message });
    Reply::new(status, "application/json", body.to_string()).called(name)
}
