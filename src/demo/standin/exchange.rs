//! What comes in and what goes out, before any vendor's rules: reading is strict, nothing is
//! guessed or repaired.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{HeaderMap, Method};
use serde_json::Value;

use crate::time::Timestamp;

/// A request that arrived whole.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl Asked<'_> {
    /// Whether it is a `POST` without a query and with a body of this media type.
    pub(super) fn posts(&self, media_type: &str) -> bool {
        self.is_plain_post() && self.media_type().is_some_and(|given| given.eq_ignore_ascii_case(media_type))
    }

    /// Whether it is a `POST` without a query.
    pub(super) fn is_plain_post(&self) -> bool {
        self.method == Method::POST && self.query.is_none()
    }

    /// Whether an answer in JSON is acceptable.
    pub(super) fn takes_json(&self) -> bool {
        let fits = |given: &str| matches!(given.trim(), "application/json" | "application/*" | "*/*");
        let listed = |accept: &str| accept.split(',').any(|part| fits(part.split(';').next().unwrap_or_default()));
        !self.headers.contains_key("accept") || self.header("accept").is_some_and(listed)
    }

    /// The value of a header that is there once and is readable.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(first)
    }

    /// Whether a header is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    fn media_type(&self) -> Option<&str> {
        self.header(CONTENT_TYPE.as_str())?.split(';').next().map(str::trim)
    }

    /// The fields of the body; `None` when it is not a well-formed form.
    pub(super) fn form(&self) -> Option<Form> {
        let text = std::str::from_utf8(self.body).ok()?;
        let fields = text.split('&').filter(|field| !field.is_empty()).map(|field| {
            let (name, value) = field.split_once('=')?;
            Some((form_decoded(name)?, form_decoded(value)?))
        });
        fields.collect::<Option<_>>().map(Form)
    }

    /// Client id and secret of Basic authentication (RFC 7617), as they stand there.
    pub(super) fn basic(&self) -> Option<(String, String)> {
        let (scheme, credentials) = self.header(AUTHORIZATION.as_str())?.split_once(' ')?;
        let decoded = STANDARD.decode(credentials.trim()).ok()?;
        let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        scheme.eq_ignore_ascii_case("basic").then(|| (id.to_owned(), secret.to_owned()))
    }
}

/// Decodes one name or value of a form. A `%` without two hexadecimal digits is refused.
pub(super) fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => 16 * hexadecimal(rest.next()?)? + hexadecimal(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The fields of a form, in order.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// The value of a field that is there once and not empty.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = values.next()?;
        (values.next().is_none() && !first.is_empty()).then_some(first)
    }

    /// Whether there are no other fields than these, and none twice.
    pub(super) fn has_only(&self, names: &[&str]) -> bool {
        self.0.iter().all(|(given, _)| names.contains(&given.as_str())) && !self.repeats(&[])
    }

    /// Whether a field is there twice, other than those that may be.
    pub(super) fn repeats(&self, allowed: &[&str]) -> bool {
        let name = |at: usize| self.0[at].0.as_str();
        let again = |at: usize| !allowed.contains(&name(at)) && (0..at).any(|before| name(before) == name(at));
        (0..self.0.len()).any(again)
    }
}

/// What is granted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// The scope, as the answer would repeat it.
    pub(super) scope: Option<String>,
}

/// What an answer says about the access token in it.
pub(super) struct Claims<'a> {
    pub(super) access_token: &'a str,
    /// By the clock that the answer shows.
    pub(super) issued_at: Timestamp,
    /// By the same clock.
    pub(super) expires_at: Timestamp,
    /// What the relative field says: a number, or whatever a fault puts there.
    pub(super) expires_in: &'a Value,
    pub(super) scope: Option<&'a str>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    /// One word for the journal.
    pub(super) code: String,
}

impl Reply {
    /// An answer with a body of one content type.
    pub(super) fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body, code: status.to_string() }
    }

    /// The same answer with one more header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same answer under this word.
    pub(super) fn called(self, code: &str) -> Self {
        Self { code: code.to_owned(), ..self }
    }
}
