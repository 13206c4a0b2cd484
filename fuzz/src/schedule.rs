//! Schedules: a cron line with seconds, and in the next line a time zone.

use tokend::schedule::{Schedule, zone};
use tokend::time::Timestamp;

use super::leaks::must_be_one_line;

/// Before, in and after hours that a clock leaves out or shows twice; and at the ends of time.
const MOMENTS: [Timestamp; 7] = [
    Timestamp::EPOCH,
    Timestamp::from_secs(1_774_746_000), // 2026-03-29T01:00:00Z, Oslo leaves an hour out
    Timestamp::from_secs(1_792_890_000), // 2026-10-25T01:00:00Z, Oslo shows one twice
    Timestamp::from_secs(1_793_512_800), // 2026-11-01T06:00:00Z, New York does
    Timestamp::from_secs(1_795_244_400),
    Timestamp::from_secs(253_402_300_799), // the end of the year 9999
    Timestamp::NEVER,
];
/// How many moments in a row are looked at.
const IN_A_ROW: usize = 20;

/// Whatever the line: what is refused is refused in one line; what is taken can be written and read
/// again, and its moments come one after the other, whenever it is asked for them.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (line, name) = text.split_once('\n').unwrap_or((text, "UTC"));
    let Some(zone) = zone(name) else { return };
    let schedule = match Schedule::parse(line, zone) {
        Ok(schedule) => schedule,
        Err(wrong) => return must_be_one_line(&wrong, 200 + 10 * line.len()),
    };
    assert_eq!(Schedule::parse(schedule.line(), schedule.zone()).as_ref(), Ok(&schedule), "{line:?}");
    for moment in MOMENTS {
        must_go_on(&schedule, moment);
    }
}

fn must_go_on(schedule: &Schedule, moment: Timestamp) {
    let mut before = moment;
    for _ in 0..IN_A_ROW {
        let Some(next) = schedule.next_after(before) else { return };
        assert!(next > before, "{}: {next} comes after {before}", schedule.as_str());
        let half_way = before + before.until(next) / 2;
        let then = schedule.next_after(half_way);
        assert_eq!(then, Some(next), "{}: after {before}, asked again at {half_way}", schedule.as_str());
        before = next;
    }
}
