//! Why something did not succeed, named by what it means to us. No variant can hold a body, a
//! header or a secret.

use std::fmt;
use std::time::Duration;

/// How far a request had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It had not left whole (DNS, connect, TLS, proxy): nothing can have been issued.
    NotSent,
    /// It had left whole: an access token may have been issued that we never saw.
    Sent,
}

/// An attempt to fetch an access token did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody answered. `reason` is for people and ours alone: never a URL's query, never a body.
    #[error("{reason}")]
    Unreachable {
        /// What went wrong, in words: "connection refused", "no answer within 10s".
        reason: String,
        /// Whether the request may have been acted on.
        reach: Reach,
    },
    /// The far side asked for patience, or is in trouble: 3xx, 408, 425, 429, 5xx.
    #[error("{reason}")]
    Busy {
        /// What it said, in words: "HTTP 503 Service Unavailable".
        reason: String,
        /// The HTTP status.
        status: u16,
        /// How long it asked us to wait (`Retry-After`), already capped at one hour.
        retry_after: Option<Duration>,
    },
    /// A 2xx answer that could not be used; an access token may have been issued.
    #[error("{0}")]
    Malformed(String),
    /// The far side understood and said no.
    #[error("{}", said(.0))]
    Refused(Refusal),
    /// Something on this host is missing: a secret's file, a certificate. Nothing was sent.
    #[error("{0}")]
    NotReady(String),
}

/// A no, as the provider put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The OAuth `error` code or the vendor's own, as the preset reads it.
    pub code: Option<String>,
    /// The first 200 printable characters of `error_description`, known secrets blanked.
    pub description: Option<String>,
    /// Whether it was the credentials that were refused, so that another secret may help.
    pub credentials: bool,
    /// How long it asked us to wait (`Retry-After`), already capped at one hour.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether the provider said that it does not grant the scopes asked for.
    #[must_use]
    pub fn is_about_scope(&self) -> bool {
        self.code.as_deref() == Some("invalid_scope")
    }
}

/// What a failure means for the schedule (L11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Time may help: tried again after 1 s, doubling to 60 s.
    Unreachable,
    /// A person may have to help: 5 s, 20 s, then 1 min doubling to 1 h.
    Refused,
    /// Something on this host is missing; tried again in the rhythm of `Unreachable`.
    NotReady,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable or busy",
            Self::Refused => "refused",
            Self::NotReady => "not ready",
        })
    }
}

impl Failure {
    /// The one place that says which rhythm of retries a failure gets.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused(_) => Class::Refused,
            Self::NotReady(_) => Class::NotReady,
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Malformed(_) => Class::Unreachable,
        }
    }

    /// Whether an access token may have been issued all the same (L5, *possibly issued*).
    #[must_use]
    pub fn possibly_issued(&self) -> bool {
        match self {
            Self::Unreachable { reach, .. } => *reach == Reach::Sent,
            Self::Malformed(_) => true,
            Self::Busy { .. } | Self::Refused(_) | Self::NotReady(_) => false,
        }
    }

    /// How long the far side asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } | Self::Refused(Refusal { retry_after, .. }) => *retry_after,
            Self::Unreachable { .. } | Self::Malformed(_) | Self::NotReady(_) => None,
        }
    }
}

fn said(refusal: &Refusal) -> String {
    let code = refusal.code.as_ref().map(|code| format!(", {code}")).unwrap_or_default();
    let description = refusal.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    format!("refused with HTTP {}{code}{description}{}", refusal.status, remedy(refusal))
}

/// What a person can look at, where the refusal tells.
fn remedy(refusal: &Refusal) -> &'static str {
    if refusal.credentials {
        "; are client_id and client_secret right?"
    } else if refusal.is_about_scope() {
        "; are these scopes granted to this client?"
    } else {
        ""
    }
}
