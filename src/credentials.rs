//! Fetches secrets from where the configuration says they are, anew at every use. No message
//! holds any of their content, and nothing is kept.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::Privacy;
use crate::privacy;
use crate::secret::Secret;
use crate::settings::SecretSource;

/// The longest secret, in bytes.
const LONGEST: u64 = 64 * 1024;
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where commands without a `/` are looked for: the whole environment that they get.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The secret that `source` names.
///
/// Errors: why there is none now, and what to do, for people; never what was found.
pub async fn read(source: &SecretSource) -> Result<Secret, String> {
    match source {
        SecretSource::Inline(secret) => Ok(secret.clone()),
        SecretSource::File(path) => apart(path.clone(), read_private).await,
        SecretSource::Env(name) => match std::env::var(name).map(Zeroizing::new) {
            Ok(value) => in_words(value.as_bytes(), &format!("variable {name}")),
            Err(_) => Err(format!("variable {name} is not set, or not UTF-8 text, in the daemon's environment")),
        },
        SecretSource::Credential(name) => {
            let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
                return Err(format!(
                    "credential {name}: $CREDENTIALS_DIRECTORY is not set; add LoadCredential={name}:/path to the \
                     unit and restart it"
                ));
            };
            apart(Path::new(&directory).join(name), read_credential).await
        }
        SecretSource::Command(words) => run(words, PATIENCE).await,
    }
}

/// Reads on a thread of its own: a file may lie on a disk that does not answer.
async fn apart(path: PathBuf, reader: fn(&Path) -> Result<Secret, String>) -> Result<Secret, String> {
    let name = path.display().to_string();
    let reading = tokio::task::spawn_blocking(move || reader(&path));
    reading.await.unwrap_or_else(|_| Err(format!("{name}: reading it was broken off")))
}

fn read_private(path: &Path) -> Result<Secret, String> {
    let name = path.display().to_string();
    let file = open(path, "write the secret into it, or correct the path")?;
    let remedy = "chmod 0600 it and chown it to the daemon's user";
    match privacy::of(&file).map_err(|error| format!("{name}: {error}"))? {
        Privacy::Private => read_whole(file, &name),
        Privacy::Group => Err(format!("{name}: a group other than the daemon's own can read it; {remedy}")),
        Privacy::World => Err(format!("{name}: everyone on this host can read it; {remedy}")),
    }
}

/// systemd itself sees to who can read a credential.
fn read_credential(path: &Path) -> Result<Secret, String> {
    let file = open(path, "add LoadCredential= to the unit and restart it")?;
    read_whole(file, &path.display().to_string())
}

fn open(path: &Path, if_missing: &str) -> Result<File, String> {
    let name = path.display();
    // Without waiting for a writer, should it be a FIFO.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{name}: there is no such file; {if_missing}"),
        ErrorKind::PermissionDenied => {
            format!("{name}: permission denied; give the user that runs tokend read access")
        }
        _ => format!("{name}: {error}"),
    })?;
    match file.metadata() {
        Ok(data) if data.is_file() => Ok(file),
        Ok(_) => Err(format!("{name}: it is not a regular file")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

fn read_whole(file: File, name: &str) -> Result<Secret, String> {
    let mut content = Zeroizing::new(Vec::new());
    file.take(LONGEST + 1).read_to_end(&mut content).map_err(|error| format!("{name}: {error}"))?;
    in_words(&content, name)
}

/// The secret that `content`, found at `name`, is.
fn in_words(content: &[u8], name: &str) -> Result<Secret, String> {
    if content.len() as u64 > LONGEST {
        return Err(format!("{name}: it is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(content).map_err(|_| format!("{name}: it is not UTF-8 text"))?;
    Secret::read(text).map_err(|wrong| format!("{name}: {wrong}"))
}

/// What a command prints. Only its program is named in errors: its arguments may be secrets.
async fn run(words: &[String], patience: Duration) -> Result<Secret, String> {
    let (program, arguments) = words.split_first().ok_or("the command is empty")?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("command {program}: it cannot be started: {error}"))?;
    let mut running = Running(child);
    match timeout(patience, running.output()).await {
        Ok(output) => output.and_then(|content| in_words(&content, "its output")),
        Err(_) => Err(format!("it did not end within {} s and was killed", patience.as_secs())),
    }
    .map_err(|wrong| format!("command {program}: {wrong}"))
}

/// A command under way. When it is dropped, it is killed with all that it started.
struct Running(Child);

impl Running {
    async fn output(&mut self) -> Result<Zeroizing<Vec<u8>>, String> {
        let mut content = Zeroizing::new(Vec::new());
        if let Some(stdout) = self.0.stdout.take() {
            let reading = stdout.take(LONGEST + 1).read_to_end(&mut content).await;
            reading.map_err(|error| format!("its output cannot be read: {error}"))?;
        }
        if content.len() as u64 > LONGEST {
            return Ok(content);
        }
        match self.0.wait().await {
            Ok(status) if status.success() => Ok(content),
            Ok(status) => Err(format!("it failed ({status})")),
            Err(error) => Err(format!("it cannot be waited for: {error}")),
        }
    }
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
