//! What goes out to a provider and what comes back, as plain data.

use std::time::Duration;

use crate::preset::{Parameters, Secrets};
use crate::secret::Secret;
use crate::time::Timestamp;

/// A request ready to be sent. Holds secrets.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST`, `GET`, `PUT`.
    pub method: String,
    /// The whole URL.
    pub url: Secret,
    /// Names and values, in order.
    pub headers: Vec<(String, Secret)>,
    /// The body; `None` sends `Content-Length: 0` where the method may have a body.
    pub body: Option<Secret>,
}

/// What came back, as far as reading it needs.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, read up to one byte beyond [`MAX_BODY`](crate::preset::MAX_BODY).
    pub body: Vec<u8>,
    /// The `Date` header, read.
    pub date: Option<Timestamp>,
    /// `Retry-After`, read (seconds or HTTP date) and capped at one hour.
    pub retry_after: Option<Duration>,
    /// The host that `Location` names, for 3xx.
    pub location_host: Option<String>,
}

/// What a request is made for.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The token URL, already discovered.
    pub token_url: &'a str,
    /// The parameters that are not secret.
    pub parameters: &'a Parameters,
    /// The secret ones.
    pub secrets: &'a Secrets,
    /// The API scopes, without the context.
    pub scopes: &'a [String],
    /// The PSU context.
    pub context: Option<&'a str>,
    /// The provider's own word on how long tokens live whose answer names no expiry.
    pub ttl: Option<Duration>,
}
