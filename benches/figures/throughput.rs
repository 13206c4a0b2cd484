//! How fast 1,000 slots are fetched. Our side is the whole life of `tokend run --once` without a
//! state: the process, its configuration, the key and the database made anew, every access token
//! saved before it is shown, every file synced. The other side is `bare`.

use std::fs::read_dir;
use std::time::Duration;

use crate::Outcome;
use crate::bare;
use crate::fleet::{Fleet, Kind};
use crate::process::run_once;
use crate::report::{Report, median_ratio, median_seconds};

const SLOTS: u32 = 1_000;
const ROUNDS: usize = 7;

pub fn measure(report: &mut Report) -> Outcome<()> {
    of(Kind::OneAccount, "1,000 slots of one account", report)?;
    of(Kind::Exclusive, "1,000 exclusive accounts", report)
}

fn of(kind: Kind, name: &str, report: &mut Report) -> Outcome<()> {
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(round(kind, bare::run)?);
        ours.push(round(kind, run_once)?);
    }
    let rate = |times: &[Duration]| format!("{:.0}/s", f64::from(SLOTS) / median_seconds(times));
    report.tell(&format!("{name}: refreshes"), rate(&ours));
    report.tell(&format!("{name}: bare loop"), rate(&bare));
    report.at_least(&format!("{name}: refreshes, of the bare loop"), median_ratio(&bare, &ours), 0.7);
    Ok(())
}

/// One side, with everything fresh.
fn round(kind: Kind, side: impl FnOnce(&Fleet) -> Outcome<Duration>) -> Outcome<Duration> {
    let fleet = Fleet::new(kind, SLOTS as usize)?;
    let took = side(&fleet)?;
    let files = read_dir(fleet.tokens())?.count();
    if files == fleet.count { Ok(took) } else { Err(format!("{files} files instead of {}", fleet.count).into()) }
}
