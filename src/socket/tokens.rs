//! What readers ask of tokens: which there are, and one of them, now or when it comes.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::access_token::{AccessToken, Generation};
use crate::clock::now;
use crate::document::Document;
use crate::inbox::{Gone, Inbox};
use crate::metrics::counts::Read;
use crate::name::Name;
use crate::peer::Peer;
use crate::settings::FileFormat;
use crate::shelf::Item;
use crate::socket::accept::wanted_format;
use crate::socket::audit::Audit;
use crate::socket::conditions::{Conditions, Verdict, etag};
use crate::socket::desk::{Desk, find_named, stopping};
use crate::socket::problem::Problem;
use crate::task::RefreshAnswer;
use crate::time::Timestamp;

/// The shortest time after which a waiting reader asks the loop again.
const BREATH: Duration = Duration::from_secs(1);
/// When to come again where the plan does not know.
const SOME_TIME: Duration = Duration::from_secs(30);

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

pub(crate) async fn list(State(desk): State<Arc<Desk>>, Extension(peer): Extension<Peer>) -> Response {
    let readable = desk.readable(&peer).await;
    let now = now();
    let tokens: Vec<Metadata> = readable.iter().map(|(name, item)| Metadata::of(name, item, now)).collect();
    Json(json!({ "tokens": tokens })).into_response()
}

pub(crate) async fn read(
    State(desk): State<Arc<Desk>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // Nothing of it is copied: this is asked far more often than all else.
    let mut request = request.into_parts().0;
    let Some(peer) = request.extensions.remove::<Peer>() else { return StatusCode::FORBIDDEN.into_response() };
    let answer = answer(&desk, &peer, name, request).await.into_response();
    let read = match answer.status() {
        StatusCode::OK => Read::Served,
        StatusCode::NOT_MODIFIED => Read::NotModified,
        StatusCode::FORBIDDEN => Read::Forbidden,
        StatusCode::NOT_FOUND => Read::Unknown,
        // It asked for nothing that there is.
        StatusCode::BAD_REQUEST => return answer,
        _ => Read::Unavailable,
    };
    desk.metrics.counts().read(read);
    answer
}

async fn answer(
    desk: &Desk,
    peer: &Peer,
    name: Result<Path<String>, PathRejection>,
    request: Parts,
) -> Result<Response, Problem> {
    let (name, item) = desk.find_for(peer, name).await?;
    let conditions = Conditions::parse(request.uri.query(), &request.headers)?;
    let format = wanted_format(&request.headers);
    // A long wait does not hold on to what the request came in.
    drop(request);
    let (item, verdict) = match conditions.judge(&item, now()) {
        Verdict::Holds(token) => return Ok(serve(desk, peer, (&name, &item, &token), format)),
        _ => wait(desk, peer, &name, (item, &conditions)).await?,
    };
    match verdict {
        Verdict::Holds(token) => Ok(serve(desk, peer, (&name, &item, &token), format)),
        Verdict::SameAgain(generation) => Ok(([(ETAG, etag(generation))], StatusCode::NOT_MODIFIED).into_response()),
        _ if desk.shelf.is_closing() => Err(stopping(Gone)),
        Verdict::NeverSoLong(why) => Err(unavailable(&name, &why, next_refresh(&desk.inbox, &name).await.0)),
        Verdict::TooShort => {
            let why = format!("{}; the next is on its way or not yet due", too_short(&item, now()));
            let next = want_longer(desk, &name, &conditions).await?;
            Err(unavailable(&name, &why, Some(next)))
        }
        Verdict::Missing => {
            let (next, why) = next_refresh(&desk.inbox, &name).await;
            Err(unavailable(&name, &why.unwrap_or_else(|| "it has no valid access token".into()), next))
        }
    }
}

/// Waits until the conditions hold, can never hold, or the time is up; says how it is then.
async fn wait(
    desk: &Desk,
    peer: &Peer,
    name: &Name,
    (mut item, conditions): (Item, &Conditions),
) -> Result<(Item, Verdict), Problem> {
    let deadline = Instant::now() + conditions.wait;
    let mut ask_at = Instant::now();
    let news = desk.shelf.news(name);
    loop {
        // Listens before it looks: what is put in between is heard.
        let heard = news.heard();
        tokio::pin!(heard);
        heard.as_mut().enable();
        let slot = item.slot;
        item = find_named(&desk.shelf, name)?;
        if !Arc::ptr_eq(&slot, &item.slot) {
            desk.admit_reader(peer, name, &item).await?;
        }
        let verdict = conditions.judge(&item, now());
        let is_over = desk.shelf.is_closing() || Instant::now() >= deadline;
        if is_over || matches!(verdict, Verdict::Holds(_) | Verdict::NeverSoLong(_)) {
            return Ok((item, verdict));
        }
        let wants_longer = matches!(verdict, Verdict::TooShort);
        if wants_longer && Instant::now() >= ask_at {
            let next = want_longer(desk, name, conditions).await?;
            ask_at = Instant::now() + now().until(next).max(BREATH);
        }
        let until = if wants_longer { deadline.min(ask_at) } else { deadline };
        tokio::select! {
            () = heard => {}
            () = sleep_until(until) => {}
        }
    }
}

/// Says that a longer life is wanted; when the next access token may come.
async fn want_longer(desk: &Desk, name: &Name, conditions: &Conditions) -> Result<Timestamp, Problem> {
    match desk.inbox.want_longer(name.clone(), conditions.min_valid).await.map_err(stopping)? {
        RefreshAnswer::NotBefore(at, _) => Ok(at),
        _ => Err(stopping(Gone)),
    }
}

fn too_short(item: &Item, now: Timestamp) -> String {
    let left = item.access_token.as_ref().map(|token| now.until(token.expires_at)).unwrap_or_default();
    format!("min_valid: its access token lives {} more", crate::time::for_people(left))
}

/// A token, where it lies, and what is served of it.
type Served<'s> = (&'s Name, &'s Item, &'s AccessToken);

fn serve(desk: &Desk, peer: &Peer, (name, item, token): Served<'_>, format: FileFormat) -> Response {
    if desk.reloads.audits_reads() {
        Audit::read(peer, name, token.generation);
    }
    let etag = (ETAG, etag(token.generation));
    let kind = |kind| (CONTENT_TYPE, HeaderValue::from_static(kind));
    if format != FileFormat::Json {
        let scheme = &item.slot.provider.preset.scheme;
        let text = Document::new(name, &item.slot.id, token).render(format, scheme);
        return ([kind("text/plain; charset=utf-8")], [etag], text).into_response();
    }
    let expires_in = now().until(token.expires_at).as_secs();
    let page = item.page(expires_in, || {
        let document = Document { expires_in, ..Document::new(name, &item.slot.id, token) };
        serde_json::to_vec(&document).unwrap_or_default()
    });
    ([kind("application/json")], [etag], page).into_response()
}

/// When the plan asks the provider next, and why there is no valid access token.
pub(crate) async fn next_refresh(inbox: &Inbox, name: &Name) -> (Option<Timestamp>, Option<String>) {
    let status = inbox.status_of(name.clone()).await.ok();
    let slot = status.as_ref().and_then(|status| status.slots.first());
    let token = slot.and_then(|slot| slot.tokens.iter().find(|token| token.name == name.as_str()));
    let next = slot.and_then(|slot| slot.next_refresh.as_deref()).and_then(Timestamp::parse_rfc3339);
    (next, token.and_then(|token| token.reason.clone()))
}

fn unavailable(name: &Name, why: &str, next: Option<Timestamp>) -> Problem {
    let patience = next.map_or(SOME_TIME, |next| now().until(next));
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{name}: {why}")).retry_after(patience)
}
