//! Time zones as the IANA database has them, of which the program carries its own copy: what a
//! configuration means does not depend on the host. It knows offsets, and no clock.

use std::fmt;
use std::sync::LazyLock;

use chrono::{Datelike, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike, Utc};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{self, AmbiguousOffset, TimeZoneDatabase};

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| DATABASE.available().map(|name| name.to_string()).collect());

/// A time zone. Cheap to clone.
#[derive(Clone)]
pub struct Zone(tz::TimeZone);

/// What a zone's clocks add to UTC at some moment.
#[derive(Clone)]
pub struct ZoneOffset {
    zone: Zone,
    fixed: FixedOffset,
}

/// Reads the name of a time zone. `None`: there is none of that name.
#[must_use]
pub fn zone(name: &str) -> Option<Zone> {
    let zone = DATABASE.get(name).ok()?;
    (zone.iana_name() == Some(name)).then_some(Zone(zone))
}

/// The names of all time zones.
pub fn zones() -> impl Iterator<Item = &'static str> + Clone {
    NAMES.iter().map(String::as_str)
}

impl Zone {
    /// Its name in the database.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    fn with(&self, offset: tz::Offset) -> ZoneOffset {
        let fixed = FixedOffset::east_opt(offset.seconds()).unwrap_or(Utc.fix());
        ZoneOffset { zone: self.clone(), fixed }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.fixed, f)
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.fixed, f)
    }
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        self.fixed
    }
}

impl TimeZone for Zone {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone.clone()
    }

    fn offset_from_local_date(&self, date: &NaiveDate) -> MappedLocalTime<ZoneOffset> {
        self.offset_from_local_datetime(&date.and_time(chrono::NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<ZoneOffset> {
        let Some(local) = civil_time(local) else { return MappedLocalTime::None };
        match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => MappedLocalTime::Single(self.with(offset)),
            AmbiguousOffset::Gap { .. } => MappedLocalTime::None,
            AmbiguousOffset::Fold { before, after } => MappedLocalTime::Ambiguous(self.with(before), self.with(after)),
        }
    }

    fn offset_from_utc_date(&self, date: &NaiveDate) -> ZoneOffset {
        self.offset_from_utc_datetime(&date.and_time(chrono::NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        // Years beyond 9999 are counted as the last one that is known.
        let moment = Timestamp::from_second(utc.and_utc().timestamp());
        self.with(self.0.to_offset(moment.unwrap_or(Timestamp::MAX)))
    }
}

/// `None` for a year that has more than four digits.
fn civil_time(local: &NaiveDateTime) -> Option<civil::DateTime> {
    let small = |number: u32| i8::try_from(number).ok();
    civil::DateTime::new(
        i16::try_from(local.year()).ok()?,
        small(local.month())?,
        small(local.day())?,
        small(local.hour())?,
        small(local.minute())?,
        small(local.second())?,
        0,
    )
    .ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn local(name: &str, text: &str) -> MappedLocalTime<i32> {
        let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        zone(name).unwrap().offset_from_local_datetime(&local).map(|offset| offset.fix().local_minus_utc() / 60)
    }

    #[test]
    fn a_local_time_is_once_or_twice_or_never() {
        assert_eq!(local("Europe/Oslo", "2026-11-24 06:00"), MappedLocalTime::Single(60));
        assert_eq!(local("Europe/Oslo", "2026-03-29 02:30"), MappedLocalTime::None);
        assert_eq!(local("Europe/Oslo", "2026-10-25 02:30"), MappedLocalTime::Ambiguous(120, 60));
        assert_eq!(local("Asia/Kathmandu", "2026-01-01 00:00"), MappedLocalTime::Single(345));
        // Beyond the last change that the database spells out its rule goes on.
        assert_eq!(local("Europe/Oslo", "2500-07-01 12:00"), MappedLocalTime::Single(120));
    }

    #[test]
    fn a_moment_has_the_offset_that_holds_then() {
        let offset = |text: &str| {
            let utc = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap();
            zone("America/New_York").unwrap().offset_from_utc_datetime(&utc).to_string()
        };
        assert_eq!(offset("2026-03-08 06:59:59"), "-05:00");
        assert_eq!(offset("2026-03-08 07:00:00"), "-04:00");
    }

    #[test]
    fn every_name_is_a_zone_and_nothing_else_is() {
        assert!(zones().count() > 500);
        for name in zones() {
            assert_eq!(zone(name).unwrap().name(), name);
        }
        for name in ["", "Europe/Olso", "europe/oslo", "Etc/Unknown", "+02:00"] {
            assert!(zone(name).is_none(), "{name}");
        }
    }
}
