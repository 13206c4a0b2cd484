//! Makes the socket: whole, or not at all, and never over a daemon that lives.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::{UnixListener, UnixStream};

/// Makes the socket at `path` with `mode`. It appears whole: bound under another name where only we
/// can reach it, then renamed.
///
/// Errors: what is wrong, in words, naming the path.
pub async fn bind(path: &Path, mode: u32) -> Result<UnixListener, String> {
    let wrong = |what: &str, error: io::Error| format!("cannot {what} the socket {}: {error}", path.display());
    make_way(path).await?;
    let hidden = hidden_name(path);
    let _ = std::fs::remove_file(&hidden);
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(&hidden);
    umask(before);
    let listener = bound.map_err(|error| wrong("bind", error))?;
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(mode))
        .map_err(|e| wrong("set the mode of", e))?;
    std::fs::rename(&hidden, path).map_err(|error| wrong("put in place", error))?;
    Ok(listener)
}

/// What may be replaced is nothing, or the socket of a daemon that is dead.
async fn make_way(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(data) if !data.file_type().is_socket() => {
            return Err(format!("{shown} is to be the socket, and something else is there: remove it"));
        }
        _ => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(format!("another program already answers on the socket {shown}")),
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        Err(error) => {
            Err(format!("the socket {shown} may be another program's ({error}): stop it, or remove the file"))
        }
    }
}

/// Short: a socket's path has room for about a hundred bytes.
fn hidden_name(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}", std::process::id()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_or_anything_else_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = bind(&path, 0o640).await.unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(bind(&path, 0o600).await.unwrap_err().contains("another program already answers"));
        drop(listener);
        let _listener = bind(&path, 0o666).await.unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o666);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        let file = directory.path().join("file");
        std::fs::write(&file, "mine").unwrap();
        assert!(bind(&file, 0o600).await.unwrap_err().contains("something else is there"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
}
