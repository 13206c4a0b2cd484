//! Makes the system calls of a running daemon fail, by Debian's `strace`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::setup::{Daemon, Setup, wait_until};

/// Whether a process that is not dumpable can be traced here; says why not, which is a failure
/// where everything must be checked.
pub fn can_trace() -> bool {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let why = match Command::new("strace").arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Err(error) => Some(format!("strace cannot be started: {error}")),
        Ok(_) if !rustix::process::geteuid().is_root() => {
            Some("only root may trace a process that is not dumpable".to_owned())
        }
        Ok(_) => {
            let file = std::env::temp_dir().join(format!(
                "tokend-strace-{}-{}",
                std::process::id(),
                NUMBER.fetch_add(1, Ordering::Relaxed)
            ));
            let tried = Command::new("strace").arg("-o").arg(&file).arg("true").output().unwrap();
            let _ = fs::remove_file(file);
            let said = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
            (!tried.status.success()).then(|| format!("nothing can be traced here: {said}"))
        }
    };
    match why {
        None => true,
        Some(why) => skip(&why),
    }
}

/// Says why something is not checked; that is a failure where everything must be.
pub fn skip(why: &str) -> bool {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "not checked: {why}");
    println!("skipped: {why}");
    false
}

/// How long a tracer may take to let go by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Which threads are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// All, also those to come.
    All,
    /// Those that bring files, as far as they are there.
    Couriers,
}

/// A tracer at work. It lets go when it is dropped.
pub struct Tracer {
    strace: Child,
    lines: PathBuf,
    words: PathBuf,
}

impl Tracer {
    /// Attaches to `daemon`. Returns when its threads are held; `None` when there are none.
    pub fn attach(setup: &Setup, daemon: &Daemon<'_>, threads: Threads, arguments: &[String]) -> Option<Self> {
        let (lines, words) = (setup.path("strace"), setup.path("strace.words"));
        let ids = match threads {
            Threads::All => vec![daemon.pid()],
            Threads::Couriers => couriers(daemon.pid()),
        };
        if ids.is_empty() {
            return None;
        }
        let mut command = Command::new("strace");
        command.arg("-o").arg(&lines).args(arguments);
        if threads == Threads::All {
            command.arg("-f");
        }
        for id in &ids {
            command.arg("-p").arg(id.to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&words).unwrap());
        let mut tracer = Self { strace: command.spawn().unwrap(), lines, words };
        wait_until("strace is attached", || {
            let said = fs::read_to_string(&tracer.words).unwrap();
            said.matches(" attached").count() >= ids.len() || tracer.strace.try_wait().unwrap().is_some()
        });
        Some(tracer)
    }

    /// Whether a system call was made to fail, or the process killed at one.
    pub fn has_struck(&self) -> bool {
        let seen = fs::read_to_string(&self.lines).unwrap_or_default();
        seen.contains("(INJECTED)") || seen.contains("killed by SIGKILL")
    }

    /// Lets go of the daemon, which goes on.
    pub fn detach(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = kill_process(Pid::from_child(&self.strace), Signal::TERM);
        let asked_at = Instant::now();
        // It does not hear while it delays a call, nor always when what it held has died. Killed,
        // the system lets go for it.
        while self.strace.try_wait().unwrap().is_none() {
            if asked_at.elapsed() > GRACE {
                let _ = self.strace.kill();
            }
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
            eprintln!("--- what strace saw:\n{}{}", read(&self.words), read(&self.lines));
        }
    }
}

/// The threads of the process `pid` that do what may block.
fn couriers(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let name = |id: &u32| fs::read_to_string(format!("/proc/{pid}/task/{id}/comm")).unwrap_or_default();
    ids.filter(|id| *id != pid && name(id).starts_with("tokio")).collect()
}
