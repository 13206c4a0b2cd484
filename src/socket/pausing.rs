//! `POST /v1/tokens/NAME/pause` and `…/resume`: whether requests are made for the token's slot.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use serde::Serialize;

use crate::inbox::Gone;
use crate::name::Name;
use crate::peer::Peer;
use crate::shelf::Item;
use crate::socket::desk::{Desk, find, stopping};
use crate::socket::problem::Problem;
use crate::task::RefreshAnswer;
use crate::time::Timestamp;

/// How it stands with a slot's requests.
#[derive(Serialize)]
pub(crate) struct Pause {
    name: String,
    slot: String,
    /// Since when none are made; absent while they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_since: Option<String>,
}

pub(crate) async fn pause(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Pause>, Problem> {
    desk.admit_admin(&peer).await?;
    let (name, item) = find(&desk.shelf, name)?;
    said(&name, &item, desk.inbox.pause(name.clone()).await)
}

pub(crate) async fn resume(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Pause>, Problem> {
    desk.admit_admin(&peer).await?;
    let (name, item) = find(&desk.shelf, name)?;
    said(&name, &item, desk.inbox.resume(name.clone()).await)
}

fn said(name: &Name, item: &Item, answer: Result<RefreshAnswer, Gone>) -> Result<Json<Pause>, Problem> {
    let paused_since = match answer.map_err(stopping)? {
        RefreshAnswer::Paused(since) => Some(since.to_string()),
        RefreshAnswer::Resumed => None,
        _ => return Err(stopping(Gone)),
    };
    Ok(Json(Pause { name: name.to_string(), slot: item.slot.id.to_string(), paused_since }))
}

/// Why nothing can be refreshed.
pub(crate) fn is_paused(name: &Name, since: Timestamp) -> String {
    format!("{name} is paused since {since}: no requests are made until `tokend resume {name}`")
}
