//! Where an issuer has its token endpoint: RFC 8414, and `OpenID` Connect Discovery where that is
//! not served. Nothing can be issued on the way, whatever goes wrong.

use std::time::Duration;

use reqwest::Url;
use serde_json::Value;
use url::Host;

use crate::failure::{Failure, Reach, Refusal};
use crate::http::{Http, Incoming, Outgoing, Profile};
use crate::provider::headers::{is_packed, location_host, retry_after};
use crate::secret::Secret;
use crate::time::Timestamp;

/// The token endpoint that the metadata of `issuer` names.
///
/// Errors: the first one, where neither document can be used.
pub(crate) async fn discover(
    http: &Http,
    profile: &Profile,
    issuer: &str,
    timeout: Duration,
    now: &(dyn Fn() -> Timestamp + Sync),
) -> Result<String, Failure> {
    let url = Url::parse(issuer).map_err(|error| Failure::NotReady(format!("issuer: {error}")))?;
    let mut first = None;
    for place in places(&url) {
        let outgoing = Outgoing {
            method: "GET".into(),
            url: Secret::new(place.into()),
            headers: vec![("Accept".into(), Secret::new("application/json".into()))],
            body: None,
            timeout,
        };
        let incoming = http.send(profile, &outgoing).await.map_err(nothing_issued)?;
        match token_endpoint(&url, &incoming, now()) {
            Ok(endpoint) => return Ok(endpoint),
            Err(failure) => first = first.or(Some(failure)),
        }
    }
    Err(first.unwrap_or_else(|| unusable(&url, "cannot be found")))
}

/// RFC 8414 puts its path before the issuer's, `OpenID` Connect behind it.
fn places(issuer: &Url) -> [Url; 2] {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        url
    };
    [
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ]
}

fn token_endpoint(issuer: &Url, incoming: &Incoming, now: Timestamp) -> Result<String, Failure> {
    match incoming.status {
        200..=299 => {}
        408 | 425 | 429 | 500.. | 300..=399 => return Err(busy(issuer, incoming, now)),
        status => {
            let description = Some(format!("no metadata of the issuer {}", named(issuer)));
            let retry_after = retry_after(&incoming.headers, now);
            return Err(Failure::Refused(Refusal { status, code: None, description, credentials: false, retry_after }));
        }
    }
    if is_packed(&incoming.headers) {
        return Err(unusable(issuer, "is compressed, which was not asked for"));
    }
    let metadata: Value = serde_json::from_slice(&incoming.body).map_err(|_| unusable(issuer, "is not JSON"))?;
    let member = |name: &str| metadata.get(name).and_then(Value::as_str);
    if !member("issuer").and_then(|named| Url::parse(named).ok()).is_some_and(|named| same(&named, issuer)) {
        return Err(unusable(issuer, "is of another issuer"));
    }
    let endpoint = member("token_endpoint").ok_or_else(|| unusable(issuer, "names no token_endpoint"))?;
    match Url::parse(endpoint) {
        Ok(url) if is_private(&url) => Ok(url.into()),
        _ => Err(unusable(issuer, "names a token_endpoint that is not https")),
    }
}

/// A trailing slash is no difference: the configuration's normal form may have dropped it.
fn same(a: &Url, b: &Url) -> bool {
    a.as_str().trim_end_matches('/') == b.as_str().trim_end_matches('/')
}

/// Whether nobody else can read what is sent there: `https`, or this host itself.
fn is_private(url: &Url) -> bool {
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && local)
}

/// The issuer for a message: neither user nor query.
fn named(issuer: &Url) -> String {
    format!("{}{}", issuer.host_str().unwrap_or_default(), issuer.path().trim_end_matches('/'))
}

fn busy(issuer: &Url, incoming: &Incoming, now: Timestamp) -> Failure {
    let status = incoming.status;
    let whereto = location_host(&incoming.headers, issuer.as_str()).map(|host| format!(", a redirect to {host},"));
    Failure::Busy {
        reason: format!(
            "HTTP {status}{} for the metadata of the issuer {}",
            whereto.unwrap_or_default(),
            named(issuer)
        ),
        status,
        retry_after: retry_after(&incoming.headers, now),
    }
}

fn unusable(issuer: &Url, wrong: &str) -> Failure {
    let reason = format!("the metadata of the issuer {} {wrong}", named(issuer));
    Failure::Unreachable { reason, reach: Reach::NotSent }
}

/// The request for a token had not even been made.
fn nothing_issued(failure: Failure) -> Failure {
    match failure {
        Failure::Unreachable { reason, .. } => Failure::Unreachable { reason, reach: Reach::NotSent },
        other => other,
    }
}
