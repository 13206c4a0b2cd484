//! Metrics over TCP, for a Prometheus that does not share the host or cannot speak to a Unix socket;
//! and whether the daemon is well, for probes. Whoever can reach the address may read: there is no
//! secret in it. A port that cannot be had keeps no token from being refreshed: it is told and
//! tried again.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{error, info};

use crate::inbox::Gone;
use crate::metrics::{Format, Metrics};
use crate::shelf::Shelf;

/// When a port that could not be had is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How many connections there may be; who comes beyond that waits at the door.
const MOST_CONNECTIONS: usize = 32;
/// How long one may last, from the first byte to the last: a scrape's text is held as long.
const LONGEST: Duration = Duration::from_secs(30);
/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait after accepting failed (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `metrics` on `address` until it is dropped.
pub async fn serve(address: SocketAddr, metrics: Metrics, shelf: Shelf) {
    let listener = listen(address, &metrics).await;
    info!(%address, "metrics are served");
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (metrics, shelf) = (metrics.clone(), shelf.clone());
                tokio::spawn(async move {
                    let _ = timeout(LONGEST, converse(stream, metrics, shelf)).await;
                    drop(place);
                });
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Waits until the address can be had.
async fn listen(address: SocketAddr, metrics: &Metrics) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                metrics.note_problem(None);
                return listener;
            }
            Err(wrong) => {
                let problem = words(address, &wrong);
                if metrics.note_problem(Some(problem.clone())).as_ref() != Some(&problem) {
                    error!(reason = problem, "metrics are not served; tried again every {} s", RETRY.as_secs());
                }
                sleep(RETRY).await;
            }
        }
    }
}

fn words(address: SocketAddr, wrong: &io::Error) -> String {
    let remedy = match wrong.kind() {
        io::ErrorKind::AddrInUse => "another program has the port; stop it, or name another port in daemon.metrics",
        io::ErrorKind::AddrNotAvailable => "this host does not have the address; name another in daemon.metrics",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are not for everybody; name a higher one in daemon.metrics"
        }
        _ => return format!("cannot listen on {address}: {wrong}"),
    };
    format!("cannot listen on {address}: {remedy}")
}

async fn converse(stream: TcpStream, metrics: Metrics, shelf: Shelf) {
    let service = service_fn(|request: Request<Incoming>| {
        let (metrics, shelf) = (metrics.clone(), shelf.clone());
        async move { Ok::<_, Infallible>(answer(&request, &metrics, &shelf).await) }
    });
    // One request each: who holds a place does not keep others from theirs.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 * 1024)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

async fn answer(request: &Request<Incoming>, metrics: &Metrics, shelf: &Shelf) -> Response {
    let path = request.uri().path();
    let known = matches!(path, "/metrics" | "/healthz" | "/readyz");
    if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response();
    }
    match path {
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
            scrape(metrics, accept.unwrap_or_default()).await.unwrap_or_else(stopping)
        }
        "/healthz" => match metrics.0.inbox.catch_up().await {
            Ok(()) => "healthy\n".into_response(),
            Err(gone) => stopping(gone),
        },
        "/readyz" if shelf.is_ready() => "ready\n".into_response(),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "not ready; see tokend status\n").into_response(),
        _ => (StatusCode::NOT_FOUND, "there is /metrics, /healthz and /readyz\n").into_response(),
    }
}

/// The answer to `GET /metrics` with this `Accept`.
///
/// Errors: the daemon is stopping.
pub async fn scrape(metrics: &Metrics, accept: &str) -> Result<Response, Gone> {
    let format = Format::wanted(accept);
    let text = metrics.text(format).await?;
    let head = [(CONTENT_TYPE, format.content_type()), (CACHE_CONTROL, "no-store"), (VARY, "Accept")];
    Ok((head, text).into_response())
}

fn stopping(gone: Gone) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{gone}\n")).into_response()
}
