//! Moves the bytes: HTTP/1.1 with keep-alive on loopback, and the broken ways of answering.

use std::convert::Infallible;
use std::fmt;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::now;
use crate::demo::standin::account::Account;
use crate::demo::standin::desk::{Desk, Outgoing};
use crate::demo::standin::exchange::{Asked, Reply};
use crate::demo::standin::fault::Fault;
use crate::demo::standin::oauth2;
use crate::demo::standin::vendor::Vendor;

const LARGEST_REQUEST: usize = 64 * 1024;
const ENDLESS_CHUNK: usize = 64 * 1024;
const ENDLESS_CHUNKS: usize = (1 << 30) / ENDLESS_CHUNK;

type Payload = UnsyncBoxBody<Bytes, Broken>;

/// The connection is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// By a reset.
    Reset,
    /// By an end in the middle.
    Cut,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// What the connections share.
pub(super) struct Shared {
    /// `http://127.0.0.1:PORT`
    pub(super) base: String,
    /// Rings at every change of the journal.
    pub(super) bell: watch::Sender<()>,
    desk: Mutex<Desk>,
}

impl Shared {
    pub(super) fn new(base: String, desk: Desk) -> Self {
        Self { base, bell: watch::Sender::new(()), desk: Mutex::new(desk) }
    }

    /// A desk is whole between statements, so that a panic elsewhere does not close it.
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a request as under way for as long as it lives.
struct Presence {
    shared: Arc<Shared>,
    account: Account,
}

impl Presence {
    fn new(shared: &Arc<Shared>, account: Account) -> Self {
        shared.desk().journal.enter(&account);
        shared.bell.send_replace(());
        Self { shared: Arc::clone(shared), account }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.shared.desk().journal.leave(&self.account);
        self.shared.bell.send_replace(());
    }
}

/// Serves until it is dropped.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(converse(stream, Arc::clone(&shared))); }
                // Out of file descriptors, most likely: some connection has to end first.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    // Only a delay is lost where this fails.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| Box::pin(respond(request, Arc::clone(&shared))));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if ended.is_err_and(|error| is_reset(&error)) {
        // Closing it now sends a reset; had this failed, an end would be sent instead.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

fn is_reset(error: &hyper::Error) -> bool {
    std::error::Error::source(error).and_then(|cause| cause.downcast_ref()) == Some(&Broken::Reset)
}

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Payload>, Broken> {
    let (head, body) = request.into_parts();
    let Some(vendor) = Vendor::at(head.uri.path()) else {
        return Ok(whole(elsewhere(head.uri.path(), &shared.base)));
    };
    let Ok(body) = Limited::new(body, LARGEST_REQUEST).collect().await else {
        return Ok(whole(Reply::new(413, "text/plain", String::new()).with("connection", "close")));
    };
    let body = body.to_bytes();
    let asked = Asked { method: &head.method, query: head.uri.query(), headers: &head.headers, body: &body };
    let presence = Presence::new(&shared, vendor.account(&asked));
    let account = &presence.account;
    let fault = shared.desk().script.next(account);
    if let Some(Fault::Slow(pause)) = fault {
        sleep(pause).await;
    }
    let outgoing = shared.desk().serve(&asked, account, fault.as_ref(), now());
    match outgoing {
        Outgoing::Whole(reply) => Ok(whole(reply)),
        Outgoing::Drip(reply, pause) => Ok(drip(reply, pause, presence)),
        Outgoing::Half(reply) => Ok(half(reply, presence)),
        Outgoing::Endless(reply) => Ok(endless(reply, presence)),
        Outgoing::Reset => Err(Broken::Reset),
        Outgoing::Silence => {
            shared.bell.send_replace(());
            pending().await
        }
    }
}

fn elsewhere(path: &str, base: &str) -> Reply {
    match path {
        oauth2::METADATA_PATH => oauth2::metadata(base),
        _ => Reply::new(404, "text/plain", "There is no token endpoint here.\n".into()),
    }
}

fn whole(reply: Reply) -> Response<Payload> {
    let body = Full::new(Bytes::from(reply.body)).map_err(|never| match never {}).boxed_unsync();
    dressed(reply.status, reply.headers, body)
}

fn drip(reply: Reply, pause: Duration, presence: Presence) -> Response<Payload> {
    let length = reply.body.len().to_string();
    let bytes = stream::unfold((Bytes::from(reply.body), presence), move |(mut rest, presence)| async move {
        if rest.is_empty() {
            return None;
        }
        sleep(pause).await;
        Some((Ok(Frame::data(rest.split_to(1))), (rest, presence)))
    });
    let mut response = dressed(reply.status, reply.headers, StreamBody::new(bytes).boxed_unsync());
    promise(&mut response, &length);
    response
}

fn half(reply: Reply, presence: Presence) -> Response<Payload> {
    let length = reply.body.len().to_string();
    let mut body = Bytes::from(reply.body);
    body.truncate(body.len() / 2);
    let bytes = stream::unfold(Some((body, presence)), |step| async move {
        let (mut rest, presence) = step?;
        if rest.is_empty() {
            // Only while it waits does the connection flush what it was given.
            sleep(Duration::from_millis(1)).await;
            return Some((Err(Broken::Cut), None));
        }
        let all = rest.split_off(0);
        Some((Ok(Frame::data(all)), Some((rest, presence))))
    });
    let mut response = dressed(reply.status, reply.headers, StreamBody::new(bytes).boxed_unsync());
    promise(&mut response, &length);
    response
}

fn endless(reply: Reply, presence: Presence) -> Response<Payload> {
    let chunk = Bytes::from(vec![b'a'; ENDLESS_CHUNK]);
    let bytes = stream::unfold((0, presence), move |(sent, presence)| {
        let chunk = if sent == 0 { Bytes::from_static(b"{\"access_token\":\"") } else { chunk.clone() };
        async move { (sent <= ENDLESS_CHUNKS).then_some((Ok(Frame::data(chunk)), (sent + 1, presence))) }
    });
    dressed(reply.status, reply.headers, StreamBody::new(bytes).boxed_unsync())
}

fn dressed(status: u16, headers: Vec<(&'static str, String)>, body: Payload) -> Response<Payload> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

fn promise(response: &mut Response<Payload>, length: &str) {
    if let Ok(length) = HeaderValue::from_str(length) {
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
}
