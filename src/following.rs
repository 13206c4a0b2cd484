//! Looks at the place where another tokend writes, once. It decides nothing about what is there.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::access_token::Found;
use crate::document::found::found_in;
use crate::failure::{Failure, Reach};
use crate::settings::{Followed, FollowedPlace};
use crate::time::Timestamp;
use crate::vaults::Vaults;

/// The longest file (L14), in bytes.
const LONGEST: u64 = 1 << 20;

/// What another tokend wrote at `followed`, and when it was looked at.
///
/// Errors: why there is nothing usable, with the place and what to do; never what was found.
pub async fn look(
    followed: &Followed,
    vaults: &Vaults,
    now: &(dyn Fn() -> Timestamp + Sync),
) -> (Timestamp, Result<Found, Failure>) {
    let looked_at = now();
    let fields = match &followed.place {
        FollowedPlace::File(path) => in_file(path.clone()).await,
        FollowedPlace::Vault(place) => match vaults.fields(place).await {
            Ok(Some(fields)) => Ok(fields),
            Ok(None) => Err(Failure::NotReady(format!(
                "{place}: there is nothing; has the other tokend a sink there, and has it been started?"
            ))),
            Err(reason) => Err(Failure::Unreachable { reason, reach: Reach::NotSent }),
        },
    };
    let told = |why| Failure::Malformed(format!("{}: {why}", followed.id));
    (looked_at, fields.and_then(|fields| found_in(&fields, looked_at).map_err(told)))
}

/// Reads on a thread of its own: the disk may not answer.
async fn in_file(path: PathBuf) -> Result<Map<String, Value>, Failure> {
    let name = path.display().to_string();
    let reading = tokio::task::spawn_blocking(move || read(&path));
    reading.await.unwrap_or_else(|_| Err(Failure::NotReady(format!("{name}: reading it was broken off"))))
}

fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let told = |why: &str| Failure::NotReady(format!("{}: {why}", path.display()));
    // A FIFO would be waited for.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            told("there is no such file; has the other tokend a sink there, and has it been started?")
        }
        ErrorKind::PermissionDenied => {
            told("permission denied; give tokend's user read access: `group` of the sink there")
        }
        _ => told(&error.to_string()),
    })?;
    let data = file.metadata().map_err(|error| told(&error.to_string()))?;
    if !data.is_file() {
        return Err(told("it is not a regular file"));
    }
    if data.mode() & 0o002 != 0 {
        return Err(told("everyone on this host can write it, and so choose the token; chmod o-w it"));
    }
    // Room from the beginning: a buffer that grew would leave copies behind.
    let room = usize::try_from(data.len().min(LONGEST)).unwrap_or_default() + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    file.take(LONGEST + 1).read_to_end(&mut content).map_err(|error| told(&error.to_string()))?;
    if content.len() as u64 > LONGEST {
        return Err(Failure::Malformed(format!("{}: it is longer than 1 MiB", path.display())));
    }
    let no_object = "it is no JSON object; let the other tokend write it with format = \"json\"";
    serde_json::from_slice(&content).map_err(|_| Failure::Malformed(format!("{}: {no_object}", path.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_no_json_object_or_may_be_written_by_everyone_is_refused_without_being_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let told = || read(&path).unwrap_err().to_string().replace(&directory.path().display().to_string(), "DIR");
        assert_eq!(
            told(),
            "DIR/token: there is no such file; has the other tokend a sink there, and has it been started?"
        );
        let no_object = "DIR/token: it is no JSON object; let the other tokend write it with format = \"json\"";
        for content in ["hunter2", "[\"hunter2\"]", "", "{\"hunter2\""] {
            write(&path, content).unwrap();
            assert_eq!(told(), no_object);
        }
        write(&path, vec![b' '; usize::try_from(LONGEST).unwrap() + 1]).unwrap();
        assert_eq!(told(), "DIR/token: it is longer than 1 MiB");
        write(&path, "{}").unwrap();
        assert_eq!(read(&path).unwrap(), Map::new());
        set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert!(told().ends_with("everyone on this host can write it, and so choose the token; chmod o-w it"));
    }

    #[test]
    fn a_fifo_or_directory_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        for path in [fifo.as_path(), directory.path()] {
            assert!(read(path).unwrap_err().to_string().ends_with("it is not a regular file"));
        }
    }
}
