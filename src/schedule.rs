//! `refresh.schedule`: moments by the wall clock at which a fresh access token is wanted besides (L10).
//! Pure: a cron line with seconds, in a time zone.
//!
//! Where a clock leaves an hour out, a fixed time in it counts at the hour's end; where an hour comes
//! twice, a fixed time counts at the first. A day of the month and a day of the week must both match.

mod zone;

use std::sync::Arc;

use chrono::{DateTime, FixedOffset, Offset, TimeDelta, Timelike, Utc};
use croner::parser::{CronParser, Seconds};
use croner::{Cron, JobType};

pub use crate::schedule::zone::{Zone, zone, zones};

use crate::time::Timestamp;

/// A cron line in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: Arc<str>,
    line: Arc<str>,
    cron: Cron,
    zone: Zone,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}

impl Schedule {
    /// Reads a cron line of six fields: second, minute, hour, day of the month, month, day of the week.
    ///
    /// Errors: what is wrong with it, in words.
    pub fn parse(line: &str, zone: Zone) -> Result<Self, String> {
        let six = "write six fields: second, minute, hour, day of the month, month, day of the week (\"0 0 6 * * *\")";
        if line.split_whitespace().count() != 6 {
            return Err(six.to_owned());
        }
        // The parser's own sign for what is so without it; with no day behind it, it looks for one for ages.
        if line.contains('+') {
            return Err(format!("{line:?} is no cron line; {six}"));
        }
        let parser = CronParser::builder().seconds(Seconds::Required).dom_and_dow(true).build();
        let cron = parser.parse(line).map_err(|_| format!("{line:?} is no cron line; {six}"))?;
        let line: Arc<str> = line.split_whitespace().collect::<Vec<_>>().join(" ").into();
        let text = format!("{line} {}", zone.name()).into();
        let schedule = Self { text, line, cron, zone };
        match schedule.next_after(Timestamp::from_secs(AN_EARLY_MOMENT)) {
            Some(_) => Ok(schedule),
            None => Err("it never comes: no day is like that".to_owned()),
        }
    }

    /// What makes it this one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The cron line.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The time zone.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone.clone()
    }

    /// The first of its moments after `moment`.
    #[must_use]
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        // Parts of a second would be carried over into what is found.
        let moment = DateTime::<Utc>::from_timestamp(moment.as_millis().div_euclid(1000), 0)?;
        let next = match self.cron.determine_job_type() {
            JobType::FixedTime => self.fixed_after(moment),
            JobType::IntervalWildcard => self.repeated_after(moment),
        }?;
        Some(Timestamp::from_millis(next.timestamp_millis()))
    }

    fn fixed_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut next = self.cron.find_next_occurrence(&moment.with_timezone(&self.zone), false).ok()?;
        // In an hour that comes twice the search may come back to where it started.
        while next <= moment {
            next = self.cron.find_next_occurrence(&next, false).ok().filter(|further| *further > next)?;
        }
        Some(next.to_utc())
    }

    /// Every so often goes on evenly over a change of the clocks: it is reckoned with the offset that
    /// holds, from the change on with the new one.
    fn repeated_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(moment);
        let next = self.cron.find_next_occurrence(&moment.with_timezone(&offset), false).ok()?.to_utc();
        if self.offset(next) == offset {
            return Some(next);
        }
        let (mut before, mut change) = (moment, next);
        while change - before > TimeDelta::seconds(1) {
            let middle = before + (change - before) / 2;
            if self.offset(middle) == offset { before = middle } else { change = middle }
        }
        let change = change.with_nanosecond(0)?;
        self.cron.find_next_occurrence(&change.with_timezone(&self.offset(change)), true).ok().map(|next| next.to_utc())
    }

    fn offset(&self, moment: DateTime<Utc>) -> FixedOffset {
        moment.with_timezone(&self.zone).offset().fix()
    }
}

/// From here on a line is looked for that never comes: every kind of day is within a few years.
const AN_EARLY_MOMENT: i64 = 1_600_000_000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The moments of `line` in `zone_name` from `from` on, in UTC.
    fn moments(line: &str, zone_name: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(line, zone(zone_name).unwrap()).unwrap();
        let mut at = Timestamp::parse_rfc3339(from).unwrap();
        let mut next = || {
            at = schedule.next_after(at).unwrap();
            at.to_string()
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_moment_is_one_of_the_wall_clock_in_its_zone() {
        let daily = moments("0 0 6 * * *", "Europe/Oslo", "2026-11-24T04:59:59Z", 2);
        assert_eq!(daily, ["2026-11-24T05:00:00Z", "2026-11-25T05:00:00Z"]);
        let weekdays = moments("30 15 8 * * MON-FRI", "America/New_York", "2026-11-27T14:00:00Z", 1);
        assert_eq!(weekdays, ["2026-11-30T13:15:30Z"]);
        assert_eq!(moments("0 0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
    }

    #[test]
    fn the_moment_itself_is_not_after_it() {
        assert_eq!(moments("0 0 6 * * *", "UTC", "2026-11-24T06:00:00Z", 1), ["2026-11-25T06:00:00Z"]);
    }

    #[test]
    fn a_moment_is_a_whole_second_also_when_asked_for_in_the_middle_of_one() {
        for line in ["*/7 * * * * *", "7 0 0 * * *"] {
            let schedule = Schedule::parse(line, zone("UTC").unwrap()).unwrap();
            let next = schedule.next_after(Timestamp::from_millis(1_795_564_803_500)).unwrap();
            assert_eq!(next, Timestamp::from_secs(1_795_564_807), "{line}");
        }
    }

    #[test]
    fn a_time_in_the_hour_that_is_left_out_counts_at_its_end() {
        // Oslo: 02:00 → 03:00 on 29 March 2026; New York: 02:00 → 03:00 on 8 March 2026.
        let oslo = moments("0 30 2 * * *", "Europe/Oslo", "2026-03-28T00:00:00Z", 3);
        assert_eq!(oslo, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        let new_york = moments("0 30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", 3);
        assert_eq!(new_york, ["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]);
    }

    #[test]
    fn a_time_in_the_hour_that_comes_twice_counts_once() {
        // Oslo: 03:00 → 02:00 on 25 October 2026; New York: 02:00 → 01:00 on 1 November 2026.
        let oslo = moments("0 30 2 * * *", "Europe/Oslo", "2026-10-24T12:00:00Z", 2);
        assert_eq!(oslo, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let new_york = moments("0 30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2);
        assert_eq!(new_york, ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
    }

    #[test]
    fn a_day_in_which_the_clocks_change_neither_skips_nor_doubles_other_times() {
        for (day, utc) in [("2026-03-29", "04"), ("2026-10-25", "05")] {
            let at = moments("0 0 6 * * *", "Europe/Oslo", &format!("{day}T00:00:00Z"), 1);
            assert_eq!(at, [format!("{day}T{utc}:00:00Z")]);
        }
        let hourly = moments("0 0 * * * *", "Europe/Oslo", "2026-10-24T23:30:00Z", 4);
        assert_eq!(
            hourly,
            ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"]
        );
        let hourly = moments("0 0 * * * *", "Europe/Oslo", "2026-03-28T23:30:00Z", 3);
        assert_eq!(hourly, ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]);
    }

    #[test]
    fn what_is_no_schedule_says_what_is_wrong() {
        let wrong = |line: &str| Schedule::parse(line, zone("UTC").unwrap()).unwrap_err();
        for line in ["", "0 6 * * *", "@daily", "0 0 6 * * * 2026"] {
            assert!(wrong(line).contains("write six fields"), "{line:?}");
        }
        for line in ["0 0 25 * * *", "x 0 6 * * *", "0 0 6 * * FOO", "1 1 * 1 * +", "0 0 6 * * +1"] {
            assert!(wrong(line).contains("six fields"), "{line:?}: {}", wrong(line));
        }
        assert_eq!(wrong("0 0 6 30 2 *"), "it never comes: no day is like that");
    }
}
