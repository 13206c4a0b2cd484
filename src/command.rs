//! Runs a program to its end: without a shell, in a clean environment, in a process group of its
//! own that is killed whole when it takes too long. It knows nothing of what programs are for, and
//! names no argument: they may be secrets.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::timeout;
use zeroize::Zeroizing;

pub use crate::command::descriptors::keep_descriptors;

mod descriptors;

/// Where programs without a `/` are looked for: all that the environment holds unless more is given.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run.
#[derive(Debug)]
pub struct Command<'a> {
    /// The program and its arguments.
    pub words: &'a [String],
    /// Variables besides `PATH`.
    pub environment: &'a [(&'static str, String)],
    /// What of its output is kept.
    pub kept: Kept,
    /// How long it may take.
    pub patience: Duration,
}

/// What of a program's output is kept; what is not goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// Standard output, up to so many bytes.
    Output(usize),
    /// Standard error, up to so many bytes.
    Errors(usize),
}

/// How a program ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself, or by somebody's signal, with what was kept.
    Exited(ExitStatus, Zeroizing<Vec<u8>>),
    /// It said more than is kept, and was killed.
    Flooded,
}

impl Command<'_> {
    /// Runs it to its end. When this is dropped before, it is killed with all that it started.
    ///
    /// Errors: it could not be started or took too long, in words for a person.
    pub async fn run(&self) -> Result<Ended, String> {
        let mut running = self.start()?;
        let limit = match self.kept {
            Kept::Nothing => 0,
            Kept::Output(limit) | Kept::Errors(limit) => limit,
        };
        match timeout(self.patience, running.end(limit)).await {
            Ok(ended) => ended,
            Err(_) => Err(format!("it did not end within {} s and was killed", self.patience.as_secs())),
        }
    }

    fn start(&self) -> Result<Running, String> {
        let (program, arguments) = self.words.split_first().ok_or("the command is empty")?;
        let (output, errors) = match self.kept {
            Kept::Nothing => (Stdio::null(), Stdio::null()),
            Kept::Output(_) => (Stdio::piped(), Stdio::null()),
            Kept::Errors(_) => (Stdio::null(), Stdio::piped()),
        };
        tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map(Running)
            .map_err(|error| format!("it cannot be started: {error}"))
    }
}

/// A program under way. When it is dropped, it is killed with all that it started.
struct Running(Child);

impl Running {
    async fn end(&mut self, limit: usize) -> Result<Ended, String> {
        // Room for all of it: a buffer that grew would leave copies of a secret behind.
        let mut kept = Zeroizing::new(Vec::with_capacity(limit + 1024));
        let (output, errors) = (self.0.stdout.take(), self.0.stderr.take());
        if let Some(output) = output {
            read(output, limit, &mut kept).await?;
        } else if let Some(errors) = errors {
            read(errors, limit, &mut kept).await?;
        }
        if kept.len() > limit {
            return Ok(Ended::Flooded);
        }
        let status = self.0.wait().await.map_err(|error| format!("it cannot be waited for: {error}"))?;
        Ok(Ended::Exited(status, kept))
    }
}

async fn read(stream: impl AsyncRead + Unpin, limit: usize, kept: &mut Vec<u8>) -> Result<(), String> {
    let reading = stream.take(limit as u64 + 1).read_to_end(kept).await;
    reading.map(|_| ()).map_err(|error| format!("its output cannot be read: {error}"))
}

impl Drop for Running {
    fn drop(&mut self) {
        // There is an id as long as the process was not waited for, so it is still its own.
        let pid = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself meanwhile.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
