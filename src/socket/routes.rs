//! What can be asked on the socket, and by whom.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;

use crate::access_token::{AccessToken, Generation};
use crate::clock::now;
use crate::document::Document;
use crate::inbox::{Gone, Inbox};
use crate::metrics::Metrics;
use crate::metrics::counts::Read;
use crate::metrics::tcp::scrape;
use crate::name::Name;
use crate::reloading::{NotTaken, Origin, Reloads};
use crate::shelf::{Item, Shelf};
use crate::socket::admission::{Admission, Peer};
use crate::socket::pausing::{is_paused, pause, resume};
use crate::socket::problem::Problem;
use crate::task::RefreshAnswer;
use crate::time::Timestamp;

/// What the routes need.
#[derive(Clone)]
pub struct Desk {
    pub(crate) shelf: Shelf,
    pub(crate) inbox: Inbox,
    pub(crate) reloads: Reloads,
    pub(crate) metrics: Metrics,
    admission: Arc<Admission>,
}

impl Desk {
    /// Serves what is on `shelf`, and passes on what is asked of the loop and of the configuration.
    #[must_use]
    pub fn new(shelf: Shelf, inbox: Inbox, reloads: Reloads, metrics: Metrics) -> Self {
        Self { shelf, inbox, reloads, metrics, admission: Arc::default() }
    }

    async fn is_admin(&self, peer: &Peer) -> bool {
        peer.is_ours() || self.admission.admits(peer, self.reloads.admins()).await
    }

    /// Lets only admins pass.
    pub(crate) async fn admit_admin(&self, peer: &Peer) -> Result<(), Problem> {
        let why = "only root, the daemon's own user and those whom daemon.admins names may ask this";
        if self.is_admin(peer).await { Ok(()) } else { Err(Problem::new(StatusCode::FORBIDDEN, why)) }
    }
}

/// Lets only root and the daemon's own user pass.
fn admit_reader(peer: &Peer) -> Result<(), Problem> {
    let why = "only root and the daemon's own user may ask this";
    if peer.is_ours() { Ok(()) } else { Err(Problem::new(StatusCode::FORBIDDEN, why)) }
}

/// All that can be asked.
pub fn router(desk: Desk) -> Router {
    Router::new()
        .route("/v1/tokens", get(list))
        .route("/v1/tokens/{name}", get(read))
        .route("/v1/tokens/{name}/refresh", post(refresh))
        .route("/v1/tokens/{name}/pause", post(pause))
        .route("/v1/tokens/{name}/resume", post(resume))
        .route("/v1/reload", post(reload))
        .route("/v1/status", get(status))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
        .layer(axum::middleware::map_response(async |mut response: Response| {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
            response
        }))
        .with_state(desk)
}

/// A token without its secret.
#[derive(Serialize)]
struct Metadata {
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
    fn of(name: &Name, item: &Item, now: Timestamp) -> Self {
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

async fn list(State(desk): State<Desk>, Extension(peer): Extension<Peer>) -> Result<Response, Problem> {
    admit_reader(&peer)?;
    let now = now();
    let tokens: Vec<Metadata> = desk.shelf.all().iter().map(|(name, item)| Metadata::of(name, item, now)).collect();
    Ok(Json(json!({ "tokens": tokens })).into_response())
}

async fn read(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let answer = find_token(&desk, &peer, name, &headers).await.into_response();
    desk.metrics.counts().read(match answer.status() {
        StatusCode::OK => Read::Served,
        StatusCode::NOT_MODIFIED => Read::NotModified,
        StatusCode::FORBIDDEN => Read::Forbidden,
        StatusCode::NOT_FOUND => Read::Unknown,
        _ => Read::Unavailable,
    });
    answer
}

async fn find_token(
    desk: &Desk,
    peer: &Peer,
    name: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    admit_reader(peer)?;
    let (name, item) = find(&desk.shelf, name)?;
    let now = now();
    match item.access_token.as_ref().filter(|token| token.is_live(now)) {
        Some(token) => Ok(serve_token(&name, &item, token, headers)),
        None => Err(no_valid_token(&desk.inbox, name, now).await),
    }
}

pub(crate) fn find(shelf: &Shelf, name: Result<Path<String>, PathRejection>) -> Result<(Name, Item), Problem> {
    let Path(name) = name.map_err(|_| Problem::new(StatusCode::NOT_FOUND, "that is no token's name"))?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("there is no token {name:?} in the configuration"));
    let name = Name::parse(&name).map_err(|_| unknown())?;
    let item = shelf.find(&name).ok_or_else(unknown)?;
    Ok((name, item))
}

fn serve_token(name: &Name, item: &Item, token: &AccessToken, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", token.generation);
    if is_known(&etag, headers) {
        return ([(ETAG, etag)], StatusCode::NOT_MODIFIED).into_response();
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

async fn refresh(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    desk.admit_admin(&peer).await?;
    let (name, item) = find(&desk.shelf, name)?;
    let answer = desk.inbox.refresh(name.clone()).await.map_err(stopping)?;
    let now = now();
    match answer {
        RefreshAnswer::Held(token) => {
            let item = Item { access_token: Some(token), ..item };
            Ok(Json(Metadata::of(&name, &item, now)).into_response())
        }
        RefreshAnswer::NotBefore(at, why) => {
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, why).retry_after(now.until(at)))
        }
        RefreshAnswer::Failed(failure) => {
            let class = failure.class().to_string();
            Err(Problem::new(StatusCode::BAD_GATEWAY, failure.to_string()).class(class))
        }
        RefreshAnswer::Paused(since) => Err(Problem::new(StatusCode::CONFLICT, is_paused(&name, since))),
        RefreshAnswer::Resumed | RefreshAnswer::Abandoned => Err(stopping(Gone)),
    }
}

async fn reload(State(desk): State<Desk>, Extension(peer): Extension<Peer>) -> Result<Response, Problem> {
    desk.admit_admin(&peer).await?;
    match desk.reloads.reload(Origin::Asked(peer.name())).await {
        Ok(report) => Ok(Json(json!({
            "fingerprint": report.fingerprint,
            "tokens": report.tokens,
            "changed": report.changes,
            "restart_needed": report.restart_needed,
        }))
        .into_response()),
        Err(NotTaken::Refused(problems)) => {
            let detail = "the configuration was not taken; the old one stays";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).problems(problems))
        }
        Err(NotTaken::Gone) => Err(stopping(Gone)),
    }
}

async fn status(State(desk): State<Desk>, Extension(peer): Extension<Peer>) -> Result<Response, Problem> {
    desk.admit_admin(&peer).await?;
    let status = desk.inbox.status().await.map_err(stopping)?;
    Ok(Json(status).into_response())
}

/// For those who may see the whole status: it names all tokens and where they are delivered.
async fn metrics(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    desk.admit_admin(&peer).await?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    scrape(&desk.metrics, accept.unwrap_or_default()).await.map_err(stopping)
}

async fn healthy(State(desk): State<Desk>) -> Result<Response, Problem> {
    desk.inbox.catch_up().await.map_err(stopping)?;
    Ok(Json(json!({ "healthy": true })).into_response())
}

async fn ready(State(desk): State<Desk>, Extension(peer): Extension<Peer>) -> Result<Response, Problem> {
    if !desk.is_admin(&peer).await {
        // What everybody may ask costs the loop nothing.
        let ready = desk.shelf.is_ready();
        return Ok((readiness_code(ready), Json(json!({ "ready": ready }))).into_response());
    }
    let status = desk.inbox.status().await.map_err(stopping)?;
    // The last one costs no readiness: readers go on from memory (L16).
    let state = status.state_error.as_ref().map(ToString::to_string);
    let reasons: Vec<&String> = status.reasons.iter().chain(&state).collect();
    let body = json!({ "ready": status.ready, "state_writable": status.state_writable, "reasons": reasons });
    Ok((readiness_code(status.ready), Json(body)).into_response())
}

fn readiness_code(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

pub(crate) fn stopping(_: Gone) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping").retry_after(Duration::from_secs(1))
}
