//! `POST /v1/tokens/NAME/invalidate`: a reader's API refused the access token that it was given.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tracing::info;

use crate::access_token::Generation;
use crate::clock::now;
use crate::inbox::Gone;
use crate::peer::Peer;
use crate::socket::desk::{Desk, stopping};
use crate::socket::pausing::is_paused;
use crate::socket::problem::Problem;
use crate::task::RefreshAnswer;

/// More than `{"generation": 18446744073709551615}` needs.
const LONGEST_BODY: usize = 4096;
/// How long a peer may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn invalidate(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    name: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let (name, item) = desk.find_for(&peer, name).await?;
    let generation = read(body).await?;
    let answer = desk.inbox.invalidate(name.clone(), generation).await.map_err(stopping)?;
    match answer {
        RefreshAnswer::Accepted => {
            info!(token = %name, %generation, %peer, "invalidated by a reader: its API refused it");
            let body = json!({ "name": name.as_str(), "slot": item.slot.id.to_string(), "generation": generation });
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
        RefreshAnswer::NotHeld(Some(held)) => {
            let text = format!("{name}: generation {held} is held, not {generation}: read it again");
            Err(Problem::new(StatusCode::CONFLICT, text).generation(held))
        }
        RefreshAnswer::NotHeld(None) => {
            let text = format!("{name}: no valid access token is held: read it again");
            Err(Problem::new(StatusCode::CONFLICT, text).generation(Generation::NONE))
        }
        RefreshAnswer::NotBefore(at, why) => {
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, format!("{name}: {why}")).retry_after(now().until(at)))
        }
        RefreshAnswer::Paused(since) => Err(Problem::new(StatusCode::CONFLICT, is_paused(&name, since))),
        _ => Err(stopping(Gone)),
    }
}

async fn read(body: Body) -> Result<Generation, Problem> {
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come");
    let bytes = timeout(PATIENCE, to_bytes(body, LONGEST_BODY)).await.map_err(late)?;
    let bytes = bytes.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long, or broke off"))?;
    generation_in(&bytes).ok_or_else(|| {
        let wrong = "generation: send {\"generation\": NUMBER} with the generation that was refused";
        Problem::new(StatusCode::BAD_REQUEST, wrong)
    })
}

fn generation_in(body: &[u8]) -> Option<Generation> {
    let object: Map<String, Value> =
        serde_json::from_slice(body).ok().filter(|object: &Map<_, _>| object.len() == 1)?;
    // `7.0` is an integer as well (JSON Schema, §4.2.3).
    let number = object.get("generation").filter(|value| value.is_number())?.to_string();
    number.strip_suffix(".0").unwrap_or(&number).parse().ok().map(Generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_a_whole_number_in_an_object_of_its_own() {
        let read = |body: &str| generation_in(body.as_bytes()).map(|generation| generation.0);
        for (body, generation) in [
            ("{\"generation\": 7}", Some(7)),
            ("{\"generation\": 7.0}", Some(7)),
            ("{\"generation\": 18446744073709551615}", Some(u64::MAX)),
            ("{\"generation\": 7.5}", None),
            ("{\"generation\": -1}", None),
            ("{\"generation\": \"7\"}", None),
            ("{\"generation\": 7, \"more\": 1}", None),
            ("[7]", None),
            ("7", None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(read(body), generation, "{body}");
        }
    }
}
