//! Where things are when the configuration does not say so, by variables that are handed in.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Where the state is when the configuration does not say so: where the service manager does, else the
/// desktop, by the variables that `find` knows.
pub fn default_state_dir(find: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let directory = |variable| first_directory(&find(variable)?);
    let home = || directory("HOME").map(|home| home.join(".local/state"));
    directory("STATE_DIRECTORY").or_else(|| directory("XDG_STATE_HOME").or_else(home).map(|dir| dir.join("tokend")))
}

/// The first of a colon-separated list, as systemd sets it.
#[must_use]
pub fn first_directory(list: &OsStr) -> Option<PathBuf> {
    let first = list.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
    Some(PathBuf::from(OsStr::from_bytes(first))).filter(|path| path.is_absolute())
}
