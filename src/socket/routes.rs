//! What can be asked on the socket.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::access_token::AccessToken;
use crate::clock::now;
use crate::failure::Class;
use crate::inbox::Gone;
use crate::metrics::tcp::scrape;
use crate::name::Name;
use crate::peer::Peer;
use crate::plan::serves;
use crate::reloading::{NotTaken, Origin};
use crate::shelf::Item;
use crate::socket::desk::{Desk, find, stopping};
use crate::socket::invalidating::invalidate;
use crate::socket::pausing::{is_paused, pause, resume};
use crate::socket::problem::Problem;
use crate::socket::tokens::{Metadata, list, next_refresh, read};
use crate::task::RefreshAnswer;

/// All that can be asked.
pub fn router(desk: Desk) -> Router {
    Router::new()
        .route("/v1/tokens", get(list))
        .route("/v1/tokens/{name}", get(read))
        .route("/v1/tokens/{name}/invalidate", post(invalidate))
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
        .with_state(Arc::new(desk))
}

async fn refresh(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    desk.admit_admin(&peer).await?;
    let (name, item) = find(&desk.shelf, name)?;
    let answer = desk.inbox.refresh(name.clone()).await.map_err(stopping)?;
    let now = now();
    match answer {
        RefreshAnswer::Held(token) if !is_served(&item, &name, &token) => {
            let (_, reason) = next_refresh(&desk.inbox, &name).await;
            let reason = reason.unwrap_or_else(|| "the provider granted something else".into());
            Err(Problem::of_cause(Class::Refused, reason))
        }
        RefreshAnswer::Held(token) => {
            let item = Item::new(item.slot, Some(token));
            Ok(Json(Metadata::of(&name, &item, now)).into_response())
        }
        RefreshAnswer::NotBefore(at, why) => {
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, why).retry_after(now.until(at)))
        }
        RefreshAnswer::Failed(failure) => Err(Problem::of_failure(&failure)),
        RefreshAnswer::Paused(since) => Err(Problem::new(StatusCode::CONFLICT, is_paused(&name, since))),
        _ => Err(stopping(Gone)),
    }
}

/// Whether `token` may serve the readers of `name`.
fn is_served(item: &Item, name: &Name, token: &AccessToken) -> bool {
    item.slot
        .tokens
        .iter()
        .filter(|settings| settings.name == *name)
        .all(|settings| serves(&item.slot, settings, token))
}

async fn reload(State(desk): State<Arc<Desk>>, Extension(peer): Extension<Peer>) -> Result<Response, Problem> {
    desk.admit_admin(&peer).await?;
    match desk.reloads.reload(Origin::Asked(format!("uid {}", peer.uid()))).await {
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

async fn status(State(desk): State<Arc<Desk>>, Extension(peer): Extension<Peer>) -> Result<Response, Problem> {
    if desk.is_admin(&peer).await {
        return Ok(Json(desk.inbox.status().await.map_err(stopping)?).into_response());
    }
    let names: BTreeSet<String> = desk.readable(&peer).await.iter().map(|(name, _)| name.to_string()).collect();
    let status = desk.recent_status().await.map_err(stopping)?;
    Ok(Json(status.only(|name| names.contains(name))).into_response())
}

/// For those who may see the whole status: it names all tokens and where they are delivered.
async fn metrics(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    desk.admit_admin(&peer).await?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    scrape(&desk.metrics, accept.unwrap_or_default()).await.map_err(stopping)
}

async fn healthy(State(desk): State<Arc<Desk>>) -> Result<Response, Problem> {
    desk.inbox.catch_up().await.map_err(stopping)?;
    Ok(Json(json!({ "healthy": true })).into_response())
}

async fn ready(State(desk): State<Arc<Desk>>, Extension(peer): Extension<Peer>) -> Result<Response, Problem> {
    if !desk.is_admin(&peer).await {
        // What everybody may ask costs the loop nothing.
        let ready = desk.shelf.is_ready();
        let reasons: &[&str] = if ready { &[] } else { &[NOT_FOR_EVERYBODY] };
        return Ok((readiness_code(ready), Json(json!({ "ready": ready, "reasons": reasons }))).into_response());
    }
    let status = desk.inbox.status().await.map_err(stopping)?;
    // The last one costs no readiness: readers go on from memory (L16).
    let state = status.state_error.as_ref().map(ToString::to_string);
    let reasons: Vec<&String> = status.reasons.iter().chain(&state).collect();
    let body = json!({ "ready": status.ready, "state_writable": status.state_writable, "reasons": reasons });
    Ok((readiness_code(status.ready), Json(body)).into_response())
}

/// Why it is not ready, for those who may not see which tokens there are.
const NOT_FOR_EVERYBODY: &str = "a required token is not valid in all its required sinks; root, the daemon's own user \
     and those whom daemon.admins names see which";

fn readiness_code(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
