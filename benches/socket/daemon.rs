//! The real daemon, as a process of its own.

use std::fs::{read_to_string, write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use tokend::demo::standin::{Client, Standin, StandinConfig, Vendor};

use crate::load::{ask, rest, wait_each};
use crate::{Outcome, SERVER, pin};

/// Nothing is renewed while something is measured.
const LIFETIME: Duration = Duration::from_hours(4);

pub struct Daemon {
    child: Child,
    pub socket: PathBuf,
    _standin: Standin,
}

impl Daemon {
    /// Starts it with one token, and waits until that is served.
    pub fn start(directory: &Path) -> Outcome<Self> {
        let clients = vec![Client::new(Vendor::OAuth2, "a", "secret")];
        let config = StandinConfig { lifetime: LIFETIME, clients, ..StandinConfig::default() };
        let standin = Standin::start_on_thread(config)?;
        let (file, socket) = (directory.join("tokend.toml"), directory.join("tokend.sock"));
        let (dir, url) = (directory.display(), standin.url(Vendor::OAuth2));
        write(
            &file,
            format!(
                "[daemon]\nstate_dir = \"{dir}/state\"\nsocket = \"{dir}/tokend.sock\"\n[providers.p]\npreset = \"oauth2\"\n\
                 client_id = \"a\"\nclient_secret = \"secret\"\ntoken_url = \"{url}\"\n[tokens.a]\nprovider = \"p\"\nsinks = []\n"
            ),
        )?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokend"));
        let child = command.arg("run").arg("--config").arg(&file).stderr(Stdio::null()).spawn()?;
        if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
            pin(Some(pid), SERVER);
        }
        let daemon = Self { child, socket, _standin: standin };
        while !daemon.answer().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200")) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(daemon)
    }

    /// What it answers to a read.
    pub fn answer(&self) -> Outcome<Vec<u8>> {
        Ok(ask(&self.socket)?)
    }

    /// What an idle connection and a waiter cost of its resident memory, in kB.
    pub fn memory(&self, count: u32) -> Outcome<(f64, f64)> {
        let share = |before: u32, after: u32| f64::from(after.saturating_sub(before)) / f64::from(count);
        let empty = self.resident()?;
        let idle = rest(&self.socket, count)?;
        let resting = self.resident()?;
        drop(idle);
        let before = self.resident()?;
        let waiting = wait_each(&self.socket, count)?;
        self.answer()?;
        let waited = self.resident()?;
        drop(waiting);
        // What the first crowd needed is there already for the second: the larger of both readings.
        Ok((share(empty, resting), share(empty, waited).max(share(before, waited))))
    }

    fn resident(&self) -> Outcome<u32> {
        let status = read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
