//! Errors as `application/problem+json` (RFC 9457).

use std::time::Duration;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::access_token::Generation;
use crate::failure::{Class, Failure};

/// An error as the socket tells it.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: Box<str>,
    #[serde(flatten)]
    cause: Option<Box<Cause>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    problems: Box<[String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<Generation>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

/// Why no access token came.
#[derive(Debug, Serialize)]
struct Cause {
    class: String,
    reason: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into().into(),
            cause: None,
            problems: Box::default(),
            generation: None,
            retry_after: None,
        }
    }

    pub(crate) fn retry_after(mut self, patience: Duration) -> Self {
        self.retry_after = Some(patience);
        self
    }

    pub(crate) fn problems(mut self, problems: Vec<String>) -> Self {
        self.problems = problems.into();
        self
    }

    pub(crate) fn generation(mut self, held: Generation) -> Self {
        self.generation = Some(held);
        self
    }

    /// What came of asking a provider.
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        Self::of_cause(failure.class(), failure.to_string())
    }

    /// The provider gave something else than what was wanted.
    pub(crate) fn of_cause(class: Class, reason: String) -> Self {
        let cause = Cause { class: class.to_string(), reason: reason.clone() };
        Self { cause: Some(Box::new(cause)), ..Self::new(StatusCode::BAD_GATEWAY, reason) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after.map(|patience| patience.as_millis().div_ceil(1000).max(1));
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(value) = retry_after.and_then(|seconds| HeaderValue::from_str(&seconds.to_string()).ok()) {
            headers.insert(RETRY_AFTER, value);
        }
        response
    }
}
