//! Where the daemon keeps things, by the configuration, else by what the service manager and the
//! desktop say in the environment.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::env::var_os;
use std::path::PathBuf;

use rustix::fs::{FsWord, statfs};

use crate::fatal::{CANNOT_CREATE, Fatal};
use crate::settings::{DaemonSettings, SocketSetting, default_state_dir, first_directory};

/// Where a packaged daemon's socket is.
const SYSTEM_RUNTIME_DIR: &str = "/run/tokend";

/// Where the daemon keeps things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The state directory.
    pub state_dir: PathBuf,
    /// The socket; `None`: off.
    pub socket: Option<PathBuf>,
    /// Below these, directories that are missing are made.
    pub own_roots: Vec<PathBuf>,
}

impl Places {
    /// Finds the places.
    ///
    /// Errors: nobody says where the state is to live (exit 73).
    pub fn find(settings: &DaemonSettings) -> Result<Self, Fatal> {
        let state_dir =
            settings.state_dir.clone().or_else(|| default_state_dir(|name| var_os(name))).ok_or_else(|| {
                let line = "nobody says where the state lives: set daemon.state_dir in the configuration, or run as a \
                        systemd service with StateDirectory=tokend";
                Fatal::new(CANNOT_CREATE, line)
            })?;
        let runtime_dir = runtime_dir();
        let socket = match &settings.socket {
            SocketSetting::Off => None,
            SocketSetting::At(path) => Some(path.clone()),
            SocketSetting::Default => runtime_dir.as_ref().map(|dir| dir.join("tokend.sock")),
        };
        let own_roots = std::iter::once(state_dir.clone()).chain(runtime_dir).collect();
        Ok(Self { state_dir, socket, own_roots })
    }

    /// What is wrong with the file system that the state directory is on, or will be: what is kept
    /// there must outlive the machine or the container.
    #[must_use]
    pub fn volatile_state(&self) -> Option<String> {
        let existing = self.state_dir.ancestors().find(|place| place.exists())?;
        let kind = volatile(statfs(existing).ok()?.f_type)?;
        Some(format!(
            "the state directory {} is on {kind}: what is there is lost with the machine or the container, and access \
             tokens are asked for again; put it on a disk or a volume",
            self.state_dir.display()
        ))
    }
}

/// A kind of file system that forgets, by its magic number (statfs(2)).
fn volatile(magic: FsWord) -> Option<&'static str> {
    match magic {
        0x0102_1994 => Some("a tmpfs"),
        0x8584_58f6 => Some("a ramfs"),
        0x794c_7630 => Some("an overlay, the writable layer of a container"),
        _ => None,
    }
}

/// Where the daemon's socket is when nobody says so.
#[must_use]
pub fn default_socket() -> PathBuf {
    let system = PathBuf::from(SYSTEM_RUNTIME_DIR).join("tokend.sock");
    match runtime_dir() {
        Some(dir) if !system.exists() => dir.join("tokend.sock"),
        _ => system,
    }
}

fn directory(variable: &str) -> Option<PathBuf> {
    first_directory(&var_os(variable)?)
}

fn runtime_dir() -> Option<PathBuf> {
    directory("RUNTIME_DIRECTORY")
        .or_else(|| directory("XDG_RUNTIME_DIR").map(|dir| dir.join("tokend")))
        .or_else(|| rustix::process::geteuid().is_root().then(|| PathBuf::from(SYSTEM_RUNTIME_DIR)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_that_is_made_yet_is_judged_by_where_it_will_be() {
        let places = |dir: &str| Places { state_dir: dir.into(), socket: None, own_roots: Vec::new() };
        let is_tmpfs = statfs("/dev/shm").is_ok_and(|found| volatile(found.f_type) == Some("a tmpfs"));
        if !is_tmpfs {
            return eprintln!("skipped: /dev/shm is no tmpfs here");
        }
        let said = places("/dev/shm/no/such").volatile_state().unwrap_or_default();
        assert!(said.starts_with("the state directory /dev/shm/no/such is on a tmpfs:"), "{said}");
        assert_eq!(places("/proc/no/such").volatile_state(), None);
    }
}
