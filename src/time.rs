//! Moments and spans of time as data. Nothing here reads a clock: `now` is always a parameter.

use std::fmt;
use std::ops::{Add, Neg, Sub};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A moment on the wall clock, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Arithmetic saturates: a moment never wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z; used as "long ago": what is due then is due now.
    pub const EPOCH: Self = Self(0);
    /// Later than every moment that matters.
    pub const NEVER: Self = Self(i64::MAX);

    /// The moment `milliseconds` after the epoch.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// The moment `seconds` after the epoch.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How long it is from this moment until `later`; zero when that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        later.since(self)
    }

    /// The same moment after the wall clock was set by `step`. "Long ago" and "never" stay.
    #[must_use]
    pub fn moved(self, step: Step) -> Self {
        if self == Self::EPOCH || self == Self::NEVER { self } else { Self(self.0.saturating_add(step.0)) }
    }

    /// Reads RFC 3339, with or without a colon in the offset and with any fraction of a second.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let text = text.trim();
        DateTime::parse_from_rfc3339(text)
            .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
            .ok()
            .map(|moment| Self(moment.timestamp_millis()))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

/// RFC 3339 in UTC with whole seconds: `2026-11-21T08:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(moment) => f.write_str(&moment.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => f.write_str("never"),
        }
    }
}

/// By how much the wall clock was set: forward, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(i64);

impl Step {
    /// It was not set.
    pub const NONE: Self = Self(0);

    /// The step from what a clock showed to what it shows at the same moment.
    #[must_use]
    pub const fn between(before: Timestamp, after: Timestamp) -> Self {
        Self(after.0.saturating_sub(before.0))
    }

    /// This step, and then `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// How far it goes, whichever way.
    #[must_use]
    pub const fn size(self) -> Duration {
        Duration::from_millis(self.0.unsigned_abs())
    }
}

impl Neg for Step {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

/// For people, to the nearest second: `+1h`, `-1d 2h`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{}", for_people(self.size() + Duration::from_millis(500)))
    }
}

/// What saved moments are measured by: one boot of the machine, and what the wall clock showed then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Which boot.
    pub boot: Arc<str>,
    /// When it was, by the wall clock.
    pub booted_at: Timestamp,
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Reads a duration as the configuration writes it: `90s`, `5m`, `1h30m`, `1d`, `250ms`, `0s`.
///
/// Errors say what is wrong, without the place.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration; write it like \"90s\", \"5m\" or \"1h30m\"");
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = unit_in_millis(&rest[..unit_len]).ok_or_else(wrong)?;
        if unit >= smallest {
            return Err(wrong());
        }
        smallest = unit;
        rest = &rest[unit_len..];
        total += Duration::from_millis(number.checked_mul(unit).ok_or_else(wrong)?);
    }
    let longest = Duration::from_hours(100 * 366 * 24);
    if text.is_empty() || total > longest {
        return Err(wrong());
    }
    Ok(total)
}

fn unit_in_millis(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    }
}

/// A duration for people, in its two largest units: `59m 12s`, `23h 4m`, `0s`.
#[must_use]
pub fn for_people(span: Duration) -> String {
    let seconds = span.as_secs();
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => two(m, "m", s, "s"),
        (0, _, _) => two(h, "h", m, "m"),
        _ => two(d, "d", h, "h"),
    }
}

/// `1h 5m`, and `1h` where nothing is over.
fn two(large: u64, unit: &str, small: u64, below: &str) -> String {
    if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit} {small}{below}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_falling_units() {
        let read = |text| parse_duration(text).ok().map(|d| d.as_millis());
        assert_eq!(read("90s"), Some(90_000));
        assert_eq!(read("1h30m"), Some(5_400_000));
        assert_eq!(read("1d"), Some(86_400_000));
        assert_eq!(read("0s"), Some(0));
        assert_eq!(read("250ms"), Some(250));
        for wrong in ["", "5", "s", "5x", "-5s", "1.5h", "30m1h", "1s1s", " 5s", "5 s", "99999999999999999999s"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn rfc3339_is_read_with_and_without_a_colon_in_the_offset() {
        let at = Timestamp::from_secs(1_795_248_000);
        for text in ["2026-11-21T08:00:00Z", "2026-11-21T09:00:00+01:00", "2026-11-21T09:00:00.000000001+0100"] {
            assert_eq!(Timestamp::parse_rfc3339(text), Some(at), "{text}");
        }
        assert_eq!(at.to_string(), "2026-11-21T08:00:00Z");
        assert_eq!(Timestamp::parse_rfc3339("2026-11-21"), None);
    }

    #[test]
    fn spans_for_people_name_two_units() {
        let people = |secs| for_people(Duration::from_secs(secs));
        assert_eq!([people(0), people(59), people(3599)], ["0s", "59s", "59m 59s"]);
        assert_eq!([people(3600), people(90_061)], ["1h", "1d 1h"]);
    }

    #[test]
    fn a_step_of_the_clock_moves_every_moment_but_long_ago_and_never() {
        let (eight, nine) = (Timestamp::from_secs(8 * 3600), Timestamp::from_secs(9 * 3600));
        let step = Step::between(eight, nine);
        assert_eq!([eight.moved(step), nine.moved(-step)], [nine, eight]);
        assert_eq!([Timestamp::EPOCH.moved(step), Timestamp::NEVER.moved(-step)], [Timestamp::EPOCH, Timestamp::NEVER]);
        assert_eq!([step.to_string(), (-step).to_string()], ["+1h", "-1h"]);
        assert_eq!(Timestamp::from_secs(1).moved(Step(i64::MAX)), Timestamp::NEVER);
    }

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(Timestamp::NEVER + Duration::MAX, Timestamp::NEVER);
        assert_eq!(Timestamp::EPOCH.since(Timestamp::NEVER), Duration::ZERO);
    }
}
