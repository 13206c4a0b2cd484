//! What the first process of a container has to do besides: end when it is told to, and bury
//! processes whose parents died, such as what a secret's `command` left behind. The daemon itself
//! runs as its child, and does not know.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::fatal::{Fatal, SOFTWARE};

/// Whether this process is the first of its container.
#[must_use]
pub fn is_first() -> bool {
    getpid() == Pid::INIT
}

/// Runs this program with the same arguments as a child, passes on the signals that mean it, and
/// returns its exit code: 128 and the signal's number where a signal ended it.
///
/// Errors: it cannot be started.
pub fn run() -> Result<u8, Fatal> {
    let cannot = |error| Fatal::new(SOFTWARE, format!("cannot start as the first process: {error}"));
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1]).map_err(cannot)?;
    let program = std::env::current_exe().map_err(cannot)?;
    // In a group of its own: a terminal's Ctrl-C would reach it twice, and twice means at once.
    let child = Command::new(program).args(std::env::args_os().skip(1)).process_group(0).spawn().map_err(cannot)?;
    let daemon = Pid::from_child(&child);
    for signal in signals.forever() {
        if signal != SIGCHLD {
            if let Some(signal) = Signal::from_named_raw(signal) {
                let _ = kill_process(daemon, signal);
            }
        } else if let Some(status) = bury(daemon) {
            return Ok(exit_code(status));
        }
    }
    Err(Fatal::new(SOFTWARE, "no more signals arrive"))
}

/// Waits for all that have ended; says how `daemon` did, if it is among them.
fn bury(daemon: Pid) -> Option<WaitStatus> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == daemon => return Some(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

fn exit_code(status: WaitStatus) -> u8 {
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(SOFTWARE)
}
