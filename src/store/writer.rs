//! The one thread that writes. Whatever is waiting when it is free goes into one transaction:
//! a busy daemon syncs once for many.

use std::iter::once;
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use crate::store::Change;
use crate::store::database::Database;

/// Changes that belong together, and who waits for them to be durable.
pub struct Save {
    /// What to change.
    pub changes: Vec<Change>,
    /// Told what came of it.
    pub done: oneshot::Sender<Result<(), String>>,
}

/// Writes until nobody can send any more, then closes the database.
pub fn write_all(mut database: Database, saves: &Receiver<Save>) -> Result<(), String> {
    while let Ok(first) = saves.recv() {
        let waiting: Vec<Save> = once(first).chain(saves.try_iter()).collect();
        let result = database.write(waiting.iter().flat_map(|save| &save.changes));
        for save in waiting {
            // Whoever no longer waits does not need to know.
            let _ = save.done.send(result.clone());
        }
    }
    database.close()
}
