//! The headers of an answer that matter: `Retry-After`, `Date`, `Location` and `Content-Encoding`,
//! one a line, in this order.

use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use tokend::provider::headers::{date, is_packed, location_host, retry_after};
use tokend::time::Timestamp;

const ANSWERED_AT: Timestamp = Timestamp::from_secs(1_795_244_402);
const HOUR: Duration = Duration::from_hours(1);
/// 10000-01-01T00:00:00Z: no HTTP date is so late.
const YEAR_10000: Timestamp = Timestamp::from_secs(253_402_300_800);

/// Whatever they say: patience is believed up to an hour, a date is a date, and of a redirect
/// nothing but the host is kept.
pub fn run(input: &[u8]) {
    let mut headers = HeaderMap::new();
    let lines = input.split(|byte| *byte == b'\n');
    for (name, line) in [RETRY_AFTER, DATE, LOCATION, CONTENT_ENCODING].iter().zip(lines) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.insert(name, value);
        }
    }
    let wait = retry_after(&headers, ANSWERED_AT);
    assert!(wait.is_none_or(|wait| wait <= HOUR), "{wait:?}");
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = asked.parse().map_or(HOUR, Duration::from_secs);
        assert_eq!(wait, Some(seconds.min(HOUR)), "a number of seconds is taken as it is");
    }
    if let Some(date) = date(&headers) {
        assert!((Timestamp::EPOCH..YEAR_10000).contains(&date), "{date}");
        assert_eq!(Timestamp::parse_rfc3339(&date.to_string()), Some(date));
    }
    if let Some(host) = location_host(&headers, "https://idp.example/token?s3cret") {
        let foreign = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | '?' | '#' | '@' | '\\');
        assert!(!host.is_empty() && !host.contains(foreign), "{host:?}");
    }
    if !headers.contains_key(CONTENT_ENCODING) {
        assert!(!is_packed(&headers));
    }
}
