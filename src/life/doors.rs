//! The doors of the daemon: the sockets that it makes or is passed, and what serves on them.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tracing::warn;

use crate::config::Config;
use crate::fatal::{CANNOT_CREATE, Fatal};
use crate::inherited::{Inherited, Passed};
use crate::metrics::tcp;
use crate::places::Places;
use crate::shelf::Shelf;
use crate::socket::{Desk, bind, serve, serve_credentials};

/// Nobody is kept out by the file's mode: who may ask is decided by who is asking.
const SOCKET_MODE: u32 = 0o666;

/// The socket to serve, if there is one.
#[derive(Default)]
pub(super) struct Listening {
    listener: Option<UnixListener>,
    /// Where it was made, and is to be removed; not what the service manager made.
    bound: Option<PathBuf>,
    /// The socket on which units read their tokens as credentials.
    credentials: Option<UnixListener>,
}

/// The socket of the service manager, if it passed one, else one of our own.
pub(super) async fn listen(config: &Config, places: &Places, passed: Passed) -> Result<Listening, Fatal> {
    let cannot = |why: String| Fatal::new(CANNOT_CREATE, why);
    let credentials = passed.credentials.map(|inherited| listening(inherited.listener)).transpose().map_err(cannot)?;
    let listening = match (passed.socket, &places.socket) {
        (None, None) => Ok(Listening::default()),
        (Some(_), None) => {
            warn!("daemon.socket is false: the socket that the service manager passed is not served");
            Ok(Listening::default())
        }
        (None, Some(path)) => {
            make_parent(path, places).map_err(cannot)?;
            let listener = bind(path, config.daemon.socket_mode.unwrap_or(SOCKET_MODE)).await.map_err(cannot)?;
            Ok(Listening { listener: Some(listener), bound: Some(path.clone()), ..Listening::default() })
        }
        (Some(inherited), Some(path)) => adopt(inherited, path).map_err(cannot),
    }?;
    Ok(Listening { credentials, ..listening })
}

fn listening(passed: std::os::unix::net::UnixListener) -> Result<UnixListener, String> {
    UnixListener::from_std(passed).map_err(|error| format!("the socket that was passed: {error}"))
}

fn adopt(inherited: Inherited, told: &Path) -> Result<Listening, String> {
    let Inherited { listener, path } = inherited;
    if path.as_deref() != Some(told) {
        let place = path.map_or_else(|| "no path".to_owned(), |path| path.display().to_string());
        warn!(listening = place, told = %told.display(), "the socket unit and daemon.socket differ: correct one of them");
    }
    Ok(Listening { listener: Some(listening(listener)?), ..Listening::default() })
}

/// Makes the directory of the socket where it lies below one of our own.
fn make_parent(path: &Path, places: &Places) -> Result<(), String> {
    let Some(parent) = path.parent().filter(|parent| !parent.exists()) else { return Ok(()) };
    if !places.own_roots.iter().any(|root| parent.starts_with(root)) {
        return Err(format!("the directory {} of the socket does not exist: create it", parent.display()));
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent);
    made.map_err(|error| format!("cannot make the directory {} of the socket: {error}", parent.display()))
}

/// Serves on the sockets and, where metrics have an address, there. Says which socket is to be removed.
pub(super) fn open_doors(
    (tasks, servers): (&mut JoinSet<()>, &mut JoinSet<()>),
    desk: Desk,
    listening: Listening,
    metrics: Option<SocketAddr>,
) -> Option<PathBuf> {
    if let Some(address) = metrics {
        tasks.spawn(tcp::serve(address, desk.metrics.clone(), desk.shelf.clone()));
    }
    let Listening { listener, bound, credentials } = listening;
    if let Some(credentials) = credentials {
        servers.spawn(serve_credentials(credentials, desk.shelf.clone(), desk.reloads.clone()));
    }
    if let Some(listener) = listener {
        servers.spawn(serve(listener, desk));
    }
    bound
}

/// Brings the answers under way to their end.
pub(super) async fn end_serving(mut servers: JoinSet<()>, shelf: &Shelf, socket: Option<&Path>) {
    shelf.take_away();
    while servers.join_next().await.is_some() {}
    remove_socket(socket);
}

fn remove_socket(path: Option<&Path>) {
    if let Some(path) = path
        && let Err(error) = std::fs::remove_file(path)
    {
        warn!(socket = %path.display(), %error, "the socket could not be removed");
    }
}
