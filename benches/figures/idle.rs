//! What it costs while nothing is to be done: memory, wake-ups, processor time, disk.

use std::fs::{metadata, read_to_string};
use std::thread::sleep;
use std::time::Duration;

use crate::Outcome;
use crate::fleet::{Fleet, Kind};
use crate::process::{BINARY, Daemon};
use crate::report::Report;

const FEW: usize = 5;
const MANY: usize = 10_000;
/// After this the threads that brought files have ended, and what may be saved lazily is saved.
const SETTLE: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_mins(1);
const TEN_SECONDS: Duration = Duration::from_secs(10);

pub fn measure(report: &mut Report) -> Outcome<()> {
    report.at_most("the binary", megabytes(metadata(BINARY)?.len()), 9.0, " MB");
    let few = few(report)?;
    many(report, few)
}

/// Says how many kB are resident.
fn few(report: &mut Report) -> Outcome<u64> {
    let fleet = Fleet::new(Kind::OneAccount, FEW)?;
    let daemon = Daemon::start(&fleet)?;
    sleep(SETTLE);
    let before = daemon.sleeps()?;
    sleep(MINUTE);
    let wakes = daemon.sleeps()?.saturating_sub(before);
    let resident = daemon.resident()?;
    report.at_most("5 tokens: resident", megabytes(resident * 1024), 10.0, " MB");
    report.at_most("5 tokens: wake-ups in a minute", real(wakes), 60.0, "");
    daemon.stop()?;
    Ok(resident)
}

fn many(report: &mut Report, few: u64) -> Outcome<()> {
    let fleet = Fleet::new(Kind::OneAccount, MANY)?;
    for (name, start) in [("first start", "first"), ("restart", "again")] {
        let daemon = Daemon::start(&fleet)?;
        sleep(SETTLE);
        let before = daemon.ticks()?;
        sleep(TEN_SECONDS);
        let ticks = daemon.ticks()? - before;
        let (resident, most) = (daemon.resident()?, daemon.most_resident()?);
        let token = read_to_string(fleet.tokens().join("t0"))?.len();
        let each = real((resident - few) * 1024) / real(MANY as u64) - real(token as u64);
        daemon.stop()?;
        if start == "again" {
            report.at_most("10,000 slots: processor time in 10 s", real(ticks * 10), 10.0, " ms");
        }
        report.tell(&format!("10,000 slots, {name}: resident"), format!("{:.1} MB", megabytes(resident * 1024)));
        report.tell(&format!("10,000 slots, {name}: at most"), format!("{:.1} MB", megabytes(most * 1024)));
        report.tell(
            &format!("10,000 slots, {name}: a slot, beyond its token of {token} bytes"),
            format!("{each:.0} bytes"),
        );
    }
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    real(bytes) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn real(number: u64) -> f64 {
    number as f64
}
