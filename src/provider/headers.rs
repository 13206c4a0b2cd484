//! The few headers of an answer that matter.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};

use crate::time::Timestamp;

/// `Retry-After` is believed up to here (L11).
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// When the server wrote the answer, by its own clock.
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    moment(text(headers, &DATE)?)
}

/// How long the server wants to be left alone: seconds, or a date (by its own clock, where it tells).
pub fn retry_after(headers: &HeaderMap, answered_at: Timestamp) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?.trim();
    // Some send 6.5: that is not before 7.
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = match whole.parse::<u64>() {
        Ok(seconds) if is_number(part) => Duration::from_secs(seconds.saturating_add(u64::from(!part.is_empty()))),
        Err(_) if !whole.is_empty() && is_number(whole) && is_number(part) => LONGEST_WAIT,
        _ => moment(text)?.since(date(headers).unwrap_or(answered_at)),
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The host that a redirect names: nothing else of it may be shown.
pub fn location_host(headers: &HeaderMap, from: &str) -> Option<String> {
    let target = Url::parse(from).ok()?.join(text(headers, &LOCATION)?).ok()?;
    target.host_str().map(str::to_owned)
}

/// Whether the body is packed in a way that we did not ask for.
pub fn is_packed(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(CONTENT_ENCODING);
    encodings.iter().any(|encoding| !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn moment(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::EPOCH + since)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_believed_up_to_an_hour() {
        let now = Timestamp::parse_rfc3339("2026-11-21T08:00:00Z").unwrap();
        let wait = |text| retry_after(&headers(&[(RETRY_AFTER, text)]), now).map(|wait| wait.as_secs());
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("86400"), Some(3600));
        assert_eq!(wait("99999999999999999999999"), Some(3600));
        assert_eq!(wait("Sat, 21 Nov 2026 08:00:30 GMT"), Some(30));
        assert_eq!(wait("Sat, 21 Nov 2026 07:00:00 GMT"), Some(0));
        assert_eq!(wait("6.5"), Some(7));
        assert_eq!(wait("6.5s"), None);
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-5"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_date_in_retry_after_counts_by_the_clock_that_wrote_it() {
        let now = Timestamp::parse_rfc3339("2026-11-21T08:00:00Z").unwrap();
        let both = headers(&[(DATE, "Sat, 21 Nov 2026 09:00:00 GMT"), (RETRY_AFTER, "Sat, 21 Nov 2026 09:00:30 GMT")]);
        assert_eq!(retry_after(&both, now), Some(Duration::from_secs(30)));
    }

    #[test]
    fn of_a_redirect_only_the_host_is_kept() {
        let host = |location| location_host(&headers(&[(LOCATION, location)]), "https://a.example/token");
        assert_eq!(host("https://user:pw@b.example:8443/x?secret=1#y").as_deref(), Some("b.example"));
        assert_eq!(host("/login?next=1").as_deref(), Some("a.example"));
        assert_eq!(host("https://"), None);
    }

    #[test]
    fn identity_is_no_packing() {
        assert!(!is_packed(&HeaderMap::new()));
        assert!(!is_packed(&headers(&[(CONTENT_ENCODING, "Identity")])));
        assert!(is_packed(&headers(&[(CONTENT_ENCODING, "gzip")])));
    }
}
