//! Fetches secrets from where the configuration says they are, anew at every use. No message
//! holds any of their content, and nothing is kept.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::command::{Command, Ended, Kept};
use crate::config::Privacy;
use crate::privacy;
use crate::secret::Secret;
use crate::settings::SecretSource;

/// The longest secret, in bytes.
const LONGEST: usize = 64 * 1024;
const TOO_LONG: &str = "it is longer than 64 KiB";
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(10);

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
                     unit (`tokend check --unit` prints it) and restart it"
                ));
            };
            apart(Path::new(&directory).join(name), read_credential).await
        }
        SecretSource::Command(words) => run(words, PATIENCE).await,
        SecretSource::Vault(place, field) => {
            Err(format!("{place}#{field} is asked for where there is no way to Vault"))
        }
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
    let remedy = "add LoadCredential= to the unit (`tokend check --unit` prints it) and restart it";
    let file = open(path, remedy)?;
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
    let mut content = room();
    file.take(LONGEST as u64 + 1).read_to_end(&mut content).map_err(|error| format!("{name}: {error}"))?;
    in_words(&content, name)
}

/// Room for the longest secret: a buffer that grew would leave copies behind.
fn room() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(LONGEST + 1024))
}

/// The secret that `content`, found at `name`, is.
fn in_words(content: &[u8], name: &str) -> Result<Secret, String> {
    if content.len() > LONGEST {
        return Err(format!("{name}: {TOO_LONG}"));
    }
    let text = std::str::from_utf8(content).map_err(|_| format!("{name}: it is not UTF-8 text"))?;
    Secret::read(text).map_err(|wrong| format!("{name}: {wrong}"))
}

/// What a command prints. Only its program is named in errors: its arguments may be secrets.
async fn run(words: &[String], patience: Duration) -> Result<Secret, String> {
    let command = Command { words, environment: &[], kept: Kept::Output(LONGEST), patience };
    let secret = match command.run().await {
        Ok(Ended::Exited(status, output)) if status.success() => in_words(&output, "its output"),
        Ok(Ended::Exited(status, _)) => Err(format!("it failed ({status})")),
        Ok(Ended::Flooded) => Err(format!("its output: {TOO_LONG}")),
        Err(wrong) => Err(wrong),
    };
    secret.map_err(|wrong| format!("command {}: {wrong}", words.first().map_or("", String::as_str)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::command::PATH;

    fn fetch(source: &SecretSource) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(read(source)).map(|secret| secret.expose().into())
    }

    fn shell(script: &str) -> SecretSource {
        SecretSource::Command(vec!["sh".into(), "-c".into(), script.into()])
    }

    #[test]
    fn a_file_is_read_anew_and_only_while_it_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let source = SecretSource::File(path.clone());
        let told = || fetch(&source).unwrap_err().replace(&directory.path().display().to_string(), "DIR");
        assert_eq!(told(), "DIR/secret: there is no such file; write the secret into it, or correct the path");
        for content in ["hunter2", "hunter3\n"] {
            write(&path, content).unwrap();
            set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            assert_eq!(fetch(&source).unwrap(), content.trim_end());
        }
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let remedy = "everyone on this host can read it; chmod 0600 it and chown it to the daemon's user";
        assert_eq!(told(), format!("DIR/secret: {remedy}"));
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (content, said) in [
            (&b"\n"[..], "it is empty, and an empty secret is not a secret"),
            (b"hunter\n2\n", "it holds a control character (a newline inside, or binary data)"),
            (b"hunter\xff2", "it is not UTF-8 text"),
            (&vec![b'x'; LONGEST + 1], "it is longer than 64 KiB"),
        ] {
            write(&path, content).unwrap();
            set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let told = fetch(&SecretSource::File(path.clone())).unwrap_err();
            assert_eq!(told, format!("{}: {said}", path.display()));
        }
    }

    #[test]
    fn a_fifo_or_directory_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        for path in [fifo, directory.path().to_path_buf()] {
            assert!(fetch(&SecretSource::File(path)).unwrap_err().ends_with("it is not a regular file"));
        }
    }

    #[test]
    fn variables_and_credentials_that_are_absent_are_named() {
        let told = fetch(&SecretSource::Env("TOKEND_NO_SUCH_VARIABLE".into())).unwrap_err();
        assert!(told.starts_with("variable TOKEND_NO_SUCH_VARIABLE is not set"), "{told}");
        let told = fetch(&SecretSource::Credential("op".into())).unwrap_err();
        assert!(
            told.contains("add LoadCredential=op:/path to the unit (`tokend check --unit` prints it) and restart it"),
            "{told}"
        );
    }

    #[test]
    fn a_command_gets_a_clean_environment_and_no_input() {
        assert_eq!(fetch(&shell("echo hunter2; echo other >&2")).unwrap(), "hunter2");
        let environment = fetch(&shell("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | tr -d '\\n'; cat")).unwrap();
        assert_eq!(environment, format!("PATH={PATH}"));
    }

    #[test]
    fn a_command_that_fails_is_named_without_its_arguments() {
        let told = |source| fetch(&source).unwrap_err();
        assert_eq!(told(shell("echo hunter2; exit 3")), "command sh: it failed (exit status: 3)");
        assert_eq!(told(shell("yes | tr -d '\\n'")), "command sh: its output: it is longer than 64 KiB");
        assert_eq!(told(shell(":")), "command sh: its output: it is empty, and an empty secret is not a secret");
        let missing = told(SecretSource::Command(vec!["/no/such".into(), "hunter2".into()]));
        assert!(missing.starts_with("command /no/such: it cannot be started") && !missing.contains("hunter2"));
    }

    #[test]
    fn a_command_that_takes_too_long_is_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let words = ["sleep", "1000"].map(String::from);
        let told = runtime.block_on(run(&words, Duration::ZERO)).unwrap_err();
        assert_eq!(told, "command sleep: it did not end within 0 s and was killed");
    }

    #[test]
    fn a_command_that_is_given_up_dies_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let started = directory.path().join("started");
        let pid = || std::fs::read_to_string(&started).unwrap_or_default();
        let source = shell(&format!("sleep 1000 & echo $! > {}; wait", started.display()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let has_started = async {
                while !pid().ends_with('\n') {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                ended = read(&source) => panic!("it ended: {ended:?}"),
                () = has_started => {}
            }
        });
        // It may stay a zombie until somebody waits for it, but it sleeps no more.
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid().trim())).unwrap_or_default();
        while state().contains(") S ") {
            std::thread::yield_now();
        }
    }
}
