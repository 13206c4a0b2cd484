//! One HTTP client: sends one request, once, and brings back a bounded answer.
//!
//! It follows no redirect, retries nothing, unpacks nothing, keeps no cookie and no connection
//! longer than ten seconds. It tells truthfully whether a request that failed had left. It knows
//! no provider and no token, and logs nothing.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where the network is")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response, Url};
use tokio::time::sleep;

use crate::failure::{Failure, Reach};
use crate::http::words::Peer;
use crate::preset::MAX_BODY;
use crate::secret::Secret;
use crate::settings::{Proxy, TlsFiles};

mod tls;
mod words;

pub use crate::http::words::words_of;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(10);
/// Clients beyond this are forgotten: a configuration that changes often must not add up.
const MAX_CLIENTS: usize = 64;
const USER_AGENT: &str = concat!("tokend/", env!("CARGO_PKG_VERSION"));

/// The client. Clones share connections and TLS settings.
#[derive(Clone, Default)]
pub struct Http {
    clients: Arc<Mutex<Clients>>,
}

/// How to connect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Profile {
    /// Own CA and client certificate.
    pub tls: TlsFiles,
    /// Which proxy to use.
    pub proxy: Proxy,
    /// Whether a connection may serve more than one request.
    pub connections: Connections,
}

/// Whether a connection may serve more than one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Connections {
    /// Each request has its own: one that was idle may be dead, and then nobody knows whether the
    /// request was acted on.
    Fresh,
    /// They are kept for ten seconds.
    Kept,
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// `POST`, `GET`, `PUT`.
    pub method: String,
    /// The whole URL.
    pub url: Secret,
    /// Names and values, in order.
    pub headers: Vec<(String, Secret)>,
    /// The body; `None` sends `Content-Length: 0` where the method may have a body.
    pub body: Option<Secret>,
    /// From connecting to the last byte.
    pub timeout: Duration,
}

/// What came back.
pub struct Incoming {
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body up to one byte beyond [`MAX_BODY`]; empty where only the status of an error came.
    pub body: Vec<u8>,
}

impl Http {
    /// A client that has not loaded anything yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends `outgoing` and reads the answer, whatever its status.
    ///
    /// Errors: `NotReady` before anything was tried, else `Unreachable`.
    pub async fn send(&self, profile: &Profile, outgoing: &Outgoing) -> Result<Incoming, Failure> {
        let request = request(outgoing).map_err(Failure::NotReady)?;
        let peer = Peer::new(request.url(), &profile.proxy, outgoing.timeout);
        let client = self.client(profile, request.url(), peer.connect_timeout).map_err(Failure::NotReady)?;
        let time_is_up = sleep(outgoing.timeout);
        tokio::pin!(time_is_up);
        let response = tokio::select! {
            biased;
            response = client.execute(request) => response.map_err(|error| self.failed(profile, &peer, &error))?,
            // Connecting ends sooner: by now the request has left.
            () = &mut time_is_up => return Err(peer.silent()),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = tokio::select! {
            biased;
            body = body(response) => body.map_err(|_| peer.broken_off()),
            () = time_is_up => Err(peer.silent()),
        };
        // The status of an error says all that matters.
        let body = if status.is_success() { body? } else { body.unwrap_or_default() };
        Ok(Incoming { status: status.as_u16(), headers, body })
    }

    /// A client for a library that speaks to one server by itself: over TLS if `encrypted`, through
    /// `socket` if there is one, and for at most `timeout` each time.
    ///
    /// Errors: what is missing on this host.
    pub fn for_server(
        &self,
        tls: &TlsFiles,
        encrypted: bool,
        (socket, timeout): (Option<&Path>, Duration),
    ) -> Result<Client, String> {
        let profile = Profile { tls: tls.clone(), proxy: Proxy::None, connections: Connections::Kept };
        let server = Some(Server { socket: socket.map(Path::to_path_buf), timeout });
        let key = Key { profile, encrypted, connect_timeout: timeout * 3 / 4, server };
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).client(key)
    }

    fn client(&self, profile: &Profile, url: &Url, connect_timeout: Duration) -> Result<Client, String> {
        let encrypted = url.scheme() == "https" || profile.proxy != Proxy::None;
        let key = Key { profile: profile.clone(), encrypted, connect_timeout, server: None };
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).client(key)
    }

    /// A certificate that was not trusted may be trusted after the host's CA certificates changed:
    /// they are read again for the next request.
    fn failed(&self, profile: &Profile, peer: &Peer, error: &reqwest::Error) -> Failure {
        let failure = peer.failure(error);
        if matches!(failure, Failure::Unreachable { reach: Reach::NotSent, .. }) && words::is_about_tls(error) {
            self.clients.lock().unwrap_or_else(PoisonError::into_inner).forget(&profile.tls);
        }
        failure
    }
}

/// Clients by what they must have of their own.
#[derive(Default)]
struct Clients {
    made: BTreeMap<Key, Made>,
    tls: tls::Configs,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    profile: Profile,
    encrypted: bool,
    connect_timeout: Duration,
    server: Option<Server>,
}

/// What a client for one server has besides.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Server {
    socket: Option<PathBuf>,
    timeout: Duration,
}

struct Made {
    client: Client,
    tls: Arc<rustls::ClientConfig>,
}

impl Clients {
    fn client(&mut self, key: Key) -> Result<Client, String> {
        // Plain HTTP must work on a host without any CA certificate.
        let tls = if key.encrypted { self.tls.of(&key.profile.tls)? } else { self.tls.none()? };
        if let Some(made) = self.made.get(&key).filter(|made| Arc::ptr_eq(&made.tls, &tls)) {
            return Ok(made.client.clone());
        }
        let client = build(&key, &tls)?;
        if self.made.len() >= MAX_CLIENTS {
            self.made.clear();
        }
        self.made.insert(key, Made { client: client.clone(), tls });
        Ok(client)
    }

    fn forget(&mut self, tls: &TlsFiles) {
        self.tls.forget(tls);
    }
}

fn build(key: &Key, tls: &rustls::ClientConfig) -> Result<Client, String> {
    let Key { profile, connect_timeout, server, .. } = key;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(*connect_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(match profile.connections {
            Connections::Fresh => 0,
            Connections::Kept => 8,
        });
    if let Some(Server { socket, timeout }) = server {
        builder = builder.timeout(*timeout);
        if let Some(socket) = socket {
            builder = builder.unix_socket(socket.clone());
        }
    }
    let builder = match &profile.proxy {
        Proxy::None => builder.no_proxy(),
        Proxy::Environment => builder,
        Proxy::Url(url) => {
            builder.proxy(reqwest::Proxy::all(url).map_err(|_| "proxy: not the URL of a proxy".to_owned())?)
        }
    };
    builder.build().map_err(|error| format!("the HTTP client cannot be made: {}", words::innermost(&error)))
}

/// Errors never quote what was to be sent.
fn request(outgoing: &Outgoing) -> Result<Request, String> {
    let url = Url::parse(outgoing.url.expose()).map_err(|error| format!("the URL cannot be used: {error}"))?;
    let method = Method::from_bytes(outgoing.method.as_bytes()).map_err(|_| "not an HTTP method".to_owned())?;
    let may_have_body = method == Method::POST || method == Method::PUT;
    let mut request = Request::new(method, url);
    for (name, value) in &outgoing.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name} cannot be a header"))?;
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| format!("the header {name} would hold characters that cannot be sent"))?;
        value.set_sensitive(true);
        request.headers_mut().append(name, value);
    }
    match &outgoing.body {
        Some(body) => *request.body_mut() = Some(body.expose().to_owned().into()),
        // Some gateways answer 411 to a POST that does not say that it is empty.
        None if may_have_body => {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        None => {}
    }
    Ok(request)
}

/// The rest of a body that is too long stays unread.
async fn body(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY + 1 - body.len())]);
        if body.len() > MAX_BODY {
            break;
        }
    }
    Ok(body)
}
