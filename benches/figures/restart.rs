//! A restart with 10,000 slots: from before the process is made until READY=1 has arrived, when
//! every file has been compared with the saved access token. The other side is `plain`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::read_dir;
use std::os::unix::fs::MetadataExt;

use crate::fleet::{Fleet, Kind};
use crate::process::{Daemon, run_once};
use crate::report::{Report, median_ratio, median_seconds};
use crate::{Outcome, plain};

const SLOTS: usize = 10_000;
const ROUNDS: usize = 11;

pub fn measure(report: &mut Report) -> Outcome<()> {
    let fleet = Fleet::new(Kind::OneAccount, SLOTS)?;
    run_once(&fleet)?;
    let expected = plain::note(&fleet)?;
    let before = inodes(&fleet)?;
    let (mut plain, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(plain::run(&expected, &fleet)?);
        let daemon = Daemon::start(&fleet)?;
        ours.push(daemon.ready_after);
        daemon.stop()?;
    }
    if inodes(&fleet)? != before || fleet.standin.journal().entries().len() != SLOTS {
        return Err("a restart wrote a file or asked for an access token".into());
    }
    report.tell("10,000 slots: start to ready", format!("{:.0} ms", median_seconds(&ours) * 1e3));
    report.tell("10,000 slots: plain loop", format!("{:.0} ms", median_seconds(&plain) * 1e3));
    report.at_most("10,000 slots: start to ready, by the plain loop", median_ratio(&ours, &plain), 1.5, "");
    Ok(())
}

/// A file that is replaced gets another.
fn inodes(fleet: &Fleet) -> Outcome<BTreeMap<OsString, u64>> {
    let mut inodes = BTreeMap::new();
    for entry in read_dir(fleet.tokens())? {
        let entry = entry?;
        inodes.insert(entry.file_name(), entry.metadata()?.ino());
    }
    Ok(inodes)
}
