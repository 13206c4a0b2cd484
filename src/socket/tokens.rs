//! What readers ask of tokens: which there are, and one of them.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::access_token::{AccessToken, Generation};
use crate::clock::now;
use crate::document::Document;
use crate::inbox::Inbox;
use crate::name::Name;
use crate::peer::Peer;
use crate::shelf::Item;
use crate::socket::audit::Audit;
use crate::socket::desk::Desk;
use crate::socket::problem::Problem;
use crate::time::Timestamp;

/// A token, where it lies, and what is served of it.
type Served<'s> = (&'s Name, &'s Item, &'s AccessToken);

/// A token without its secret.
#[derive(Serialize)]
pub(crate) struct Metadata {
    name: String,
    slot: String,
    valid: bool,
    generation: Generation,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
}

impl Metadata {
    pub(crate) fn of(name: &Name, item: &Item, now: Timestamp) -> Self {
        let held = item.access_token.as_deref();
        Self {
            name: name.to_string(),
            slot: item.slot.id.to_string(),
            valid: held.is_some_and(|token| token.is_live(now)),
            generation: held.map_or(Generation::NONE, |token| token.generation),
            token_type: held.map(|token| token.token_type.clone()),
            scope: held.map(|token| token.scopes.join(" ")),
            issued_at: held.map(|token| token.issued_at.to_string()),
            expires_at: held.map(|token| token.expires_at.to_string()),
            expires_in: held.map(|token| now.until(token.expires_at).as_secs()),
        }
    }
}

pub(crate) async fn list(State(desk): State<Desk>, Extension(peer): Extension<Peer>) -> Response {
    let readable = desk.readable(&peer).await;
    let now = now();
    let tokens: Vec<Metadata> = readable.iter().map(|(name, item)| Metadata::of(name, item, now)).collect();
    Json(json!({ "tokens": tokens })).into_response()
}

pub(crate) async fn read(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (name, item) = desk.find_for(&peer, name).await?;
    let now = now();
    match item.access_token.as_ref().filter(|token| token.is_live(now)) {
        Some(token) => Ok(serve_token(&desk, &peer, (&name, &item, token), &headers)),
        None => Err(no_valid_token(&desk.inbox, name, now).await),
    }
}

fn serve_token(desk: &Desk, peer: &Peer, (name, item, token): Served<'_>, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", token.generation);
    if is_known(&etag, headers) {
        return ([(ETAG, etag)], StatusCode::NOT_MODIFIED).into_response();
    }
    if desk.reloads.audits_reads() {
        Audit::read(peer, name, token.generation);
    }
    let mut document = Document::new(name, &item.slot.id, token);
    document.expires_in = now().until(token.expires_at).as_secs();
    if wants_text(headers) {
        let text = (CONTENT_TYPE, "text/plain; charset=utf-8".to_owned());
        return ([text, (ETAG, etag)], document.access_token).into_response();
    }
    ([(ETAG, etag)], Json(document)).into_response()
}

/// Whether `If-None-Match` names `etag`, weakly or not (RFC 9110 §13.1.2).
fn is_known(etag: &str, headers: &HeaderMap) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Whether `Accept` names plain text and does not name JSON before it.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds
        .find(|kind| matches!(*kind, "text/plain" | "text/*" | "application/json"))
        .is_some_and(|k| k.starts_with("text"))
}

/// Why there is none, and when to ask again: the next refresh in the plan.
async fn no_valid_token(inbox: &Inbox, name: Name, now: Timestamp) -> Problem {
    let status = inbox.status_of(name.clone()).await.ok();
    let slot = status.as_ref().and_then(|status| status.slots.first());
    let token = slot.and_then(|slot| slot.tokens.iter().find(|token| token.name == name.as_str()));
    let reason = token.and_then(|token| token.reason.clone()).unwrap_or_else(|| "it has no valid access token".into());
    let next = slot.and_then(|slot| slot.next_refresh.as_deref()).and_then(Timestamp::parse_rfc3339);
    let patience = next.map_or(Duration::from_secs(30), |next| now.until(next));
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{name}: {reason}")).retry_after(patience)
}
