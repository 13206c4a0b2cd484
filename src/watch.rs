//! Watches the files of the configuration, of secrets and of TLS, and asks for a reload when one may
//! have changed. It reads none of them and decides nothing about what they say.
//!
//! Directories are watched, not files: a watch on a file ends with the first file that replaces it.
//! Where the system has no watches left, and for what a watch cannot see (network file systems), it
//! looks from time to time.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::reloading::{Origin, Reloads};
use crate::status::Watching;
use crate::watch::eyes::Eyes;
use crate::watch::quiet::{Quiet, Stir};

mod eyes;
mod quiet;
mod trail;

/// How often to look although nothing stirred.
const RARELY: Duration = Duration::from_mins(1);
/// The same where files cannot be watched.
const OFTEN: Duration = Duration::from_secs(5);

/// Watches for as long as the task lives.
pub async fn watch(reloads: Reloads) {
    let (stirs, mut arriving) = unbounded_channel();
    let mut files = reloads.files();
    let path = std::path::absolute(reloads.path()).unwrap_or_else(|_| reloads.path().to_owned());
    let mut eyes = Eyes::new(stirs);
    let mut quiet = Quiet::default();
    let began = Instant::now();
    loop {
        let needed = files.borrow_and_update().clone();
        let Some((again, armed)) = arm(eyes, &path, needed, std::mem::take(&mut quiet)).await else { return };
        eyes = again;
        let pause = if armed.is_ok() { RARELY } else { OFTEN };
        let watching = if armed.is_ok() { Watching::Watching } else { Watching::Polling };
        reloads.note_watching(watching, armed.err());
        // What is wrong was told where it was found.
        let _ = reloads.reload(Origin::Files).await;
        wait(&mut arriving, &mut files, &mut quiet, (began, began.elapsed() + pause)).await;
    }
}

/// Watches before it is looked: what changes after the look stirs.
async fn arm(mut eyes: Eyes, path: &Path, files: Vec<PathBuf>, quiet: Quiet) -> Option<(Eyes, Result<(), String>)> {
    let path = path.to_owned();
    let armed = spawn_blocking(move || {
        let armed = eyes.arm(&path, &files, &quiet.lost);
        (eyes, armed)
    });
    armed.await.ok()
}

/// Waits until it is time to look: after a stir, for other files, or at `latest`.
async fn wait(
    arriving: &mut UnboundedReceiver<Stir>,
    files: &mut Receiver<Vec<PathBuf>>,
    quiet: &mut Quiet,
    (began, latest): (Instant, Duration),
) {
    loop {
        let due = quiet.due().map_or(latest, |due| due.min(latest));
        tokio::select! {
            Some(stir) = arriving.recv() => quiet.note(stir, began.elapsed()),
            () = sleep_until(began + due) => return,
            _ = files.changed() => return,
        }
    }
}
