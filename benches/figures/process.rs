//! The real binary as a process: started, awaited, looked at from outside, ended.

use std::fs::{read_dir, read_to_string, remove_file};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::fleet::Fleet;

/// The binary that cargo built for this run.
pub const BINARY: &str = env!("CARGO_BIN_EXE_tokend");

/// Nothing here takes longer, but on a machine that hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// A daemon that said that it is ready.
pub struct Daemon {
    child: Child,
    /// How long it took from before the process was made until READY=1 arrived.
    pub ready_after: Duration,
}

impl Daemon {
    /// Starts it, and waits until it is ready.
    pub fn start(fleet: &Fleet) -> Outcome<Self> {
        let address = fleet.beside("notify");
        let _ = remove_file(&address);
        let notices = UnixDatagram::bind(&address)?;
        notices.set_read_timeout(Some(PATIENCE))?;
        let began = Instant::now();
        let child = command(fleet).env("NOTIFY_SOCKET", &address).spawn()?;
        let mut daemon = Self { child, ready_after: Duration::ZERO };
        let mut notice = [0; 4096];
        loop {
            let length = notices.recv(&mut notice)?;
            if notice[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                daemon.ready_after = began.elapsed();
                return Ok(daemon);
            }
        }
    }

    /// Ends it as systemd would.
    pub fn stop(mut self) -> Outcome<()> {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process(pid, Signal::TERM)?;
        }
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("tokend ended with {status}").into()) }
    }

    /// Resident memory in kB.
    pub fn resident(&self) -> Outcome<u64> {
        number(&self.of_process("status")?, "VmRSS:")
    }

    /// The most that was ever resident, in kB.
    pub fn most_resident(&self) -> Outcome<u64> {
        number(&self.of_process("status")?, "VmHWM:")
    }

    /// How often any of its threads fell asleep: each time it was woken.
    pub fn sleeps(&self) -> Outcome<u64> {
        let mut sleeps = 0;
        for thread in read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread that ends meanwhile is not counted.
            if let Ok(status) = read_to_string(thread?.path().join("status")) {
                sleeps += number(&status, "voluntary_ctxt_switches:")?;
            }
        }
        Ok(sleeps)
    }

    /// The time that processors spent on it, in ticks of 10 ms.
    pub fn ticks(&self) -> Outcome<u64> {
        let stat = self.of_process("stat")?;
        let (_, after_name) = stat.rsplit_once(')').ok_or("no name in stat")?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // utime and stime are the 14th and 15th field, and the name is the second.
        let tick = |index: usize| -> Outcome<u64> { Ok(fields.get(index).ok_or("stat is short")?.parse()?) };
        Ok(tick(11)? + tick(12)?)
    }

    fn of_process(&self, name: &str) -> io::Result<String> {
        read_to_string(format!("/proc/{}/{name}", self.child.id()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already where it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it until everything is delivered and saved; says how long the process lived.
pub fn run_once(fleet: &Fleet) -> Outcome<Duration> {
    let began = Instant::now();
    let status = command(fleet).arg("--once").status()?;
    if status.success() { Ok(began.elapsed()) } else { Err(format!("tokend run --once ended with {status}").into()) }
}

fn command(fleet: &Fleet) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("run").arg("--config").arg(fleet.config()).stderr(Stdio::null());
    command
}

fn number(text: &str, name: &str) -> Outcome<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}
