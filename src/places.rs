//! Where the daemon keeps things, by the configuration, else by what the service manager and the
//! desktop say in the environment.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::env::var_os;
use std::path::PathBuf;

use crate::fatal::{CANNOT_CREATE, Fatal};
use crate::settings::{DaemonSettings, SocketSetting};

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
        let state_dir = settings.state_dir.clone().or_else(default_state_dir).ok_or_else(|| {
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

/// The first of a colon-separated list that systemd sets.
fn directory(variable: &str) -> Option<PathBuf> {
    let value = var_os(variable).filter(|value| !value.is_empty())?;
    std::env::split_paths(&value).next().filter(|path| path.is_absolute())
}

fn default_state_dir() -> Option<PathBuf> {
    let home = || directory("HOME").map(|home| home.join(".local/state"));
    directory("STATE_DIRECTORY").or_else(|| directory("XDG_STATE_HOME").or_else(home).map(|dir| dir.join("tokend")))
}

fn runtime_dir() -> Option<PathBuf> {
    directory("RUNTIME_DIRECTORY")
        .or_else(|| directory("XDG_RUNTIME_DIR").map(|dir| dir.join("tokend")))
        .or_else(|| rustix::process::geteuid().is_root().then(|| PathBuf::from(SYSTEM_RUNTIME_DIR)))
}
