//! Vipps `MobilePay`, `/accesstoken/get`: three credentials in headers and no body. Azure API
//! Management looks at the subscription key, Azure AD at the client; each refuses in its own shape.

use serde_json::json;

use crate::demo::standin::exchange::{Asked, Claims, Grant, Reply};
use crate::demo::standin::vendor::{Clients, Vendor};

const SUBSCRIPTION_KEY: &str = "ocp-apim-subscription-key";
const SYSTEM: [&str; 4] =
    ["vipps-system-name", "vipps-system-version", "vipps-system-plugin-name", "vipps-system-plugin-version"];
const JSON: &str = "application/json;charset=UTF-8";
const LENGTH_REQUIRED: &str = concat!(
    "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/strict.dtd\">\r\n",
    "<HTML><HEAD><TITLE>Length Required</TITLE>\r\n",
    "<META HTTP-EQUIV=\"Content-Type\" Content=\"text/html; charset=us-ascii\"></HEAD>\r\n",
    "<BODY><h2>Length Required</h2>\r\n",
    "<hr><p>HTTP Error 411. The request must be chunked or have a content length.</p>\r\n</BODY></HTML>\r\n",
);

/// The client id, right or wrong.
pub(super) fn client_id(asked: &Asked<'_>) -> String {
    asked.header("client_id").unwrap_or_default().to_owned()
}

/// The guide's request; everything else is refused, first by the gateway, then by Azure AD.
pub(super) fn judge(asked: &Asked<'_>, clients: &Clients) -> Result<Grant, Reply> {
    pass_gateway(asked, clients)?;
    let Some(id) = asked.header("client_id").filter(|id| !id.is_empty()) else {
        let text = "The request body must contain the following parameter: 'client_id'.";
        return Err(azure_ad(400, "invalid_request", 900_144, text));
    };
    let Some(client) = clients.find(Vendor::Vipps, id) else {
        let text = format!("Application with identifier '{id}' was not found in the directory 'VIPPS-TEST'.");
        return Err(azure_ad(400, "unauthorized_client", 700_016, &text));
    };
    let Some(secret) = asked.header("client_secret").filter(|secret| !secret.is_empty()) else {
        let text = "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant.";
        return Err(azure_ad(401, "invalid_client", 7_000_216, text));
    };
    if client.secret != secret {
        return Err(wrong_secret());
    }
    if !client.subscription_keys.iter().any(|key| asked.header(SUBSCRIPTION_KEY) == Some(key)) {
        return Err(invalid_subscription());
    }
    Ok(Grant { scope: None })
}

fn pass_gateway(asked: &Asked<'_>, clients: &Clients) -> Result<(), Reply> {
    if !asked.is_plain_post() {
        return Err(platform(404, "Something went wrong, please try again later."));
    }
    if !asked.has("content-length") {
        return Err(Reply::new(411, "text/html; charset=us-ascii", LENGTH_REQUIRED.into()).called("length_required"));
    }
    match asked.header(SUBSCRIPTION_KEY) {
        None | Some("") => return Err(missing_subscription()),
        Some(key) if !clients.know_subscription(key) => return Err(invalid_subscription()),
        Some(_) => {}
    }
    let serial_number = asked.header("merchant-serial-number").unwrap_or_default();
    let is_serial_number = (4..=6).contains(&serial_number.len()) && serial_number.bytes().all(|b| b.is_ascii_digit());
    if asked.has("merchant-serial-number") && !is_serial_number {
        return Err(platform(400, "Merchant-Serial-Number must match ^[0-9]{4,6}$."));
    }
    let too_long = |name: &&str| asked.has(name) && asked.header(name).is_none_or(|value| value.chars().count() > 30);
    if SYSTEM.iter().any(too_long) {
        return Err(platform(400, "Vipps-System headers have at most 30 characters."));
    }
    if !asked.body.is_empty() || asked.has("authorization") {
        return Err(platform(400, "The request has no body and no Authorization header."));
    }
    Ok(())
}

/// All numbers as strings; the fields of the guide, in its order of meaning.
pub(super) fn answer(claims: &Claims<'_>) -> Reply {
    let expires_in = claims.expires_in.as_str().map_or_else(|| claims.expires_in.to_string(), str::to_owned);
    let body = json!({
        "token_type": "Bearer",
        "expires_in": expires_in,
        "ext_expires_in": "0",
        "expires_on": claims.expires_at.as_secs().to_string(),
        "not_before": claims.issued_at.as_secs().to_string(),
        "resource": "00000002-0000-0000-c000-000000000000",
        "access_token": claims.access_token,
    });
    Reply::new(200, JSON, body.to_string()).with("set-cookie", "fpc=AnExampleCookie; HttpOnly; Secure; SameSite=None")
}

/// Azure AD on a wrong secret.
pub(super) fn wrong_secret() -> Reply {
    let text = "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                value, not the client secret ID.";
    azure_ad(401, "invalid_client", 7_000_215, text)
}

fn azure_ad(status: u16, error: &str, number: u32, text: &str) -> Reply {
    let body = json!({
        "error": error,
        "error_description": format!(
            "AADSTS{number}: {text}\r\nTrace ID: {TRACE}\r\nCorrelation ID: {TRACE}\r\nTimestamp: {TIMESTAMP}"
        ),
        "error_codes": [number],
        "timestamp": TIMESTAMP,
        "trace_id": TRACE,
        "correlation_id": TRACE,
        "error_uri": format!("https://login.windows.net/error?code={number}"),
    });
    Reply::new(status, JSON, body.to_string()).called(error)
}

const TRACE: &str = "1f3c6d2e-9a51-4d4b-8b0c-7f2a51c60c00";
const TIMESTAMP: &str = "2022-11-17 11:37:08Z";

fn missing_subscription() -> Reply {
    subscription_refused("missing", "Make sure to include subscription key when making requests to an API.")
}

fn invalid_subscription() -> Reply {
    subscription_refused("invalid", "Make sure to provide a valid key for an active subscription.")
}

fn subscription_refused(why: &str, remedy: &str) -> Reply {
    gateway(401, &format!("Access denied due to {why} subscription key. {remedy}"))
        .with("www-authenticate", "AzureApiManagementKey name=\"Ocp-Apim-Subscription-Key\",type=\"header\"")
        .called(&format!("{why}_subscription_key"))
}

/// The gateway's own shape: `{"statusCode", "message"}`.
pub(super) fn gateway(status: u16, message: &str) -> Reply {
    Reply::new(status, "application/json", json!({ "statusCode": status, "message": message }).to_string())
}

/// The platform's shape: `{"responseInfo", "result"}`.
fn platform(status: u16, message: &str) -> Reply {
    let body = json!({
        "responseInfo": { "responseCode": status, "responseMessage": message },
        "result": { "message": message },
    });
    Reply::new(status, JSON, body.to_string())
}
