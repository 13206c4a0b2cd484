//! The other side of a restart: a process of its own, with nothing to start, that is given what
//! 10,000 files must hold, and opens, checks the mode of, reads and compares one after the other.
//! It parses no configuration, opens no seal and tells nobody.

use std::fs::{File, read_dir, read_to_string, write};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::fleet::Fleet;

/// The first argument of the process that compares.
pub const WORD: &str = "--plain-compare";

/// Notes what the files of `fleet` hold, a line each: a name, a tab, the content.
pub fn note(fleet: &Fleet) -> Outcome<PathBuf> {
    let mut text = String::new();
    for entry in read_dir(fleet.tokens())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a file with a strange name")?;
        text.extend([name, "\t", &read_to_string(&path)?, "\n"]);
    }
    let expected = fleet.beside("expected");
    write(&expected, text)?;
    Ok(expected)
}

/// Runs the process; says how long it lived. An error where a file is not as noted.
pub fn run(expected: &Path, fleet: &Fleet) -> Outcome<Duration> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(expected).arg(fleet.tokens());
    let began = Instant::now();
    let status = command.status()?;
    if status.success() { Ok(began.elapsed()) } else { Err("a file is not what it was".into()) }
}

/// What the process does.
pub fn compare(expected: &Path, directory: &Path) -> Outcome<ExitCode> {
    let mut content = String::new();
    for line in read_to_string(expected)?.lines() {
        let (name, wanted) = line.split_once('\t').ok_or("a line without a tab")?;
        let mut file = File::open(directory.join(name))?;
        let mode = file.metadata()?.mode() & 0o7777;
        content.clear();
        file.read_to_string(&mut content)?;
        if mode != 0o600 || content != wanted {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
