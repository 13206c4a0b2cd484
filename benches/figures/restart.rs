//! A restart with 10,000 slots: from before the process is made until READY=1 has arrived, when
//! configuration and state were read and every file has been compared with the saved access token.
//! The other side is `plain`. Measured as after an upgrade, with all files in the page cache; with
//! none of their content in it; and, where the kernel lets us, as after a boot, with nothing in memory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, read_dir, write};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Advice, fadvise, sync};

use crate::fleet::{Fleet, Kind};
use crate::process::{Daemon, run_once};
use crate::report::{Report, median_ratio, median_seconds};
use crate::{Outcome, plain};

const SLOTS: usize = 10_000;
const ROUNDS: usize = 11;
/// Takes a 3 from root alone.
const ALL_CACHES: &str = "/proc/sys/vm/drop_caches";

pub fn measure(report: &mut Report) -> Outcome<()> {
    let fleet = Fleet::new(Kind::OneAccount, SLOTS)?;
    run_once(&fleet)?;
    let expected = plain::note(&fleet)?;
    let before = inodes(&fleet)?;
    of("in the cache", &fleet, &expected, || Ok(()), report)?;
    of("on the disk", &fleet, &expected, || forget_content(&fleet), report)?;
    match forget_all() {
        Ok(()) => of("after a boot", &fleet, &expected, || Ok(forget_all()?), report)?,
        Err(why) => report.tell("10,000 files after a boot: skipped", format!("{ALL_CACHES}: {why}")),
    }
    if inodes(&fleet)? != before || fleet.standin.journal().entries().len() != SLOTS {
        return Err("a restart wrote a file or asked for an access token".into());
    }
    Ok(())
}

fn of(
    place: &str,
    fleet: &Fleet,
    expected: &Path,
    prepare: impl Fn() -> Outcome<()>,
    report: &mut Report,
) -> Outcome<()> {
    let (mut plain, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        prepare()?;
        plain.push(plain::run(expected, fleet)?);
        prepare()?;
        let daemon = Daemon::start(fleet)?;
        ours.push(daemon.ready_after);
        daemon.stop()?;
    }
    let name = format!("10,000 files {place}");
    report.tell(&format!("{name}: start to ready"), format!("{:.0} ms", median_seconds(&ours) * 1e3));
    report.tell(&format!("{name}: plain loop"), format!("{:.0} ms", median_seconds(&plain) * 1e3));
    report.at_most(&format!("{name}: start to ready, by the plain loop"), median_ratio(&ours, &plain), 1.5, "");
    Ok(())
}

/// Takes everything that the fleet has on disk out of the page cache. Names and inodes stay there.
fn forget_content(fleet: &Fleet) -> Outcome<()> {
    for directory in [fleet.tokens(), fleet.beside("state"), fleet.beside("")] {
        for entry in read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let file = File::open(entry.path())?;
                // What is not yet on disk cannot be forgotten.
                file.sync_data()?;
                fadvise(&file, 0, None, Advice::DontNeed)?;
            }
        }
    }
    Ok(())
}

/// Takes everything out of memory that is on disk as well: of all processes, names and inodes too.
fn forget_all() -> io::Result<()> {
    sync();
    write(ALL_CACHES, "3")
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
