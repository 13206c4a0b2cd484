//! The socket: HTTP/1.1 over a Unix socket, for those whom the configuration names.
//!
//! It reads the shelf and asks the loop; it decides nothing about tokens and keeps none.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::inbox::Inbox;
use crate::reloading::Reloads;
use crate::shelf::Shelf;

mod admission;
mod audit;
mod desk;
mod pausing;
mod problem;
mod routes;
mod stream;
mod tokens;

pub use crate::peer::Peer;
pub use crate::socket::desk::Desk;
pub use crate::socket::routes::router;

use crate::socket::stream::PeerStream;

/// How long a peer may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections there may be, where half of the file descriptors allows for so many.
const MOST_CONNECTIONS: usize = 4096;
/// How long to wait after accepting failed (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Makes the socket at `path` with `mode`. It appears whole: bound under another name, then renamed.
///
/// Errors: what is wrong, in words, naming the path.
pub async fn bind(path: &Path, mode: u32) -> Result<UnixListener, String> {
    let wrong = |what: &str, error: io::Error| format!("cannot {what} the socket {}: {error}", path.display());
    if UnixStream::connect(path).await.is_ok() {
        return Err(format!("another program already answers on the socket {}", path.display()));
    }
    let hidden = hidden_name(path);
    let _ = std::fs::remove_file(&hidden);
    let listener = UnixListener::bind(&hidden).map_err(|error| wrong("bind", error))?;
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(mode))
        .map_err(|e| wrong("set the mode of", e))?;
    std::fs::rename(&hidden, path).map_err(|error| wrong("put in place", error))?;
    Ok(listener)
}

/// Short: a socket's path has room for about a hundred bytes.
fn hidden_name(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}", std::process::id()))
}

/// Serves `listener` until it is dropped with the task. Who comes when all places are taken waits
/// at the door.
pub async fn serve(listener: UnixListener, shelf: Shelf, inbox: Inbox, reloads: Reloads) {
    let app = router(Desk::new(shelf, inbox, reloads));
    let places = Arc::new(Semaphore::new(places()));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let app = app.clone();
                tokio::spawn(async move {
                    let stream = Arc::new(stream);
                    if let Some(peer) = Peer::of(&stream) {
                        converse(PeerStream(stream), peer, app).await;
                    }
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
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
    let service = tower_service(app, peer);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let _ = connection.await;
}

fn tower_service(app: Router, peer: Peer) -> Router {
    app.layer(axum::middleware::from_fn(move |mut request: Request, next: axum::middleware::Next| {
        request.extensions_mut().insert(peer.clone());
        next.run(request)
    }))
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
