//! The socket: HTTP/1.1 over a Unix socket, for those whom the configuration names.
//!
//! It reads the shelf and asks the loop; it decides nothing about tokens and keeps none.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, VARY};
use axum::http::{HeaderMap, HeaderValue};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::shelf::Shelf;
use crate::socket::door::{Bell, Door};
use crate::socket::stream::PeerStream;

mod accept;
mod admission;
mod audit;
mod binding;
mod conditions;
mod desk;
mod door;
mod invalidating;
mod pausing;
mod problem;
mod routes;
mod stream;
mod tokens;
mod unit_credentials;

pub use crate::peer::Peer;
pub use crate::socket::binding::bind;
pub use crate::socket::desk::Desk;
pub use crate::socket::routes::router;
pub use crate::socket::unit_credentials::serve_credentials;

/// How long a peer may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections there may be, where half of the file descriptors allows for so many.
const MOST_CONNECTIONS: usize = 4096;
/// How long to wait after accepting failed (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long answers under way are waited for at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Serves `listener` until the shelf is taken away, and brings the answers under way to their end.
pub async fn serve(listener: UnixListener, desk: Desk) {
    let shelf = desk.shelf.clone();
    let app = router(desk);
    let door = Door::new(places());
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    conversations.spawn(receive(stream, door.clone(), app.clone(), shelf.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            () = shelf.is_taken_away() => break,
        }
        while conversations.try_join_next().is_some() {}
    }
    drop(listener);
    let _ = timeout(LAST_ANSWERS, async { while conversations.join_next().await.is_some() {} }).await;
}

/// One peer, until it goes, has to go, or the end.
async fn receive(stream: UnixStream, door: Door, app: Router, shelf: Shelf) {
    let stream = Arc::new(stream);
    let Some(peer) = Peer::of(&stream) else { return };
    let place = door.enter(&peer);
    let bell = place.bell();
    let stream = PeerStream::new(stream, bell.clone());
    let conversation = talk(stream, (peer, Some(bell)), app, shelf.is_taken_away());
    tokio::select! {
        () = conversation => {}
        () = place.is_wanted() => {}
    }
}

/// No cache may hold an answer: it may be an access token.
fn never_kept(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
}

/// How many connections there may be: anybody may connect, and must not take the file descriptors
/// that requests to providers and files need.
fn places() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    descriptors.map_or(MOST_CONNECTIONS, |limit| (limit / 2).clamp(1, MOST_CONNECTIONS))
}

/// Answers the requests that `peer` sends over `stream`; what goes wrong with it is the peer's
/// business.
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, peer: Peer, app: Router) {
    talk(stream, (peer, None), app, std::future::pending()).await;
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    (peer, bell): (Peer, Option<Bell>),
    app: Router,
    end: impl Future<Output = ()>,
) {
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let bell = bell.clone();
        bell.iter().for_each(Bell::asking);
        let answer = app.call(request);
        async move {
            let Ok(mut answer) = answer.await;
            never_kept(answer.headers_mut());
            bell.iter().for_each(Bell::answered);
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let (mut connection, mut end) = (pin!(connection), pin!(end));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = &mut end => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_file_descriptors_for_refreshing() {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(places() >= 1 && places() as u64 <= limit / 2);
    }
}
