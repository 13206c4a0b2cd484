//! What must outlive the daemon: one sealed row per slot in `SQLite`, held by one daemon at a time.
//!
//! A save is one transaction and is answered when it is durable; SIGKILL at any instruction leaves
//! a state that opens. A state that makes no sense (damaged, or sealed with a key that is lost) is
//! kept aside whole, never repaired: half a ledger would issue access tokens that are held (L16).
//! This decides nothing, reads no clock and tries nothing twice.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the disk")]

mod database;
mod place;
pub mod row;
mod vault_token;
mod writer;

pub use crate::store::vault_token::VaultToken;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use crate::ledger::Entry;
use crate::name::Identity;
use crate::seal::SealingKey;
use crate::secret::Secret;
use crate::settings::Persist;
use crate::store::database::{Database, SCHEMA, Trouble};
use crate::store::place::Place;
use crate::store::writer::{Save, write_all};
use crate::time::Timestamp;

const DATABASE: &str = "state.db";
const WRITE_AHEAD_LOG: &str = "state.db-wal";
const NEW_DATABASE: &str = "state.db.new";

/// One row to change.
#[derive(Debug)]
pub enum Change {
    /// This is now known of a slot; with `Persist::Off` all of it but the access token.
    Put(Box<Entry>, Persist),
    /// Nothing is known of it any more.
    Remove(Identity),
    /// The token of a login to Vault.
    KeepVaultToken(VaultToken),
    /// The token of this login holds no more.
    ForgetVaultToken(String),
}

/// Saves what nobody waits for, until the state is closed.
#[derive(Clone)]
pub struct Saver(Sender<Save>);

impl Saver {
    /// Keeps the token of a login to Vault, instead of the one before.
    pub fn keep_vault_token(&self, token: VaultToken) {
        self.save(Change::KeepVaultToken(token));
    }

    /// Forgets the token of `login`.
    pub fn forget_vault_token(&self, login: String) {
        self.save(Change::ForgetVaultToken(login));
    }

    fn save(&self, change: Change) {
        let (done, _) = oneshot::channel();
        // Without it the next start logs in anew.
        let _ = self.0.send(Save { changes: vec![change], done });
    }
}

/// The state, open for writing.
pub struct Store {
    directory: PathBuf,
    saves: Sender<Save>,
    thread: JoinHandle<Result<(), String>>,
}

/// What opening the state brought.
pub struct Opened {
    /// To save changes.
    pub store: Store,
    /// What was saved, and no sink is believed. What a request that was about to leave means is
    /// for `record` to say.
    pub entries: Vec<Entry>,
    /// The tokens of logins to Vault.
    pub vault_tokens: Vec<VaultToken>,
    /// Why what was known is lost, in words; then `entries` is empty, and every exclusive slot may
    /// have issued an access token that nobody knows of.
    pub lost: Option<String>,
}

/// Why the state could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be made, read or written. Exit 73.
    #[error("{0}")]
    CannotCreate(String),
    /// Another daemon holds it. Exit 73.
    #[error("another tokend{} holds the state in {}", named(*pid), directory.display())]
    HeldBy {
        /// The state directory.
        directory: PathBuf,
        /// The process, where it can be told.
        pid: Option<u32>,
    },
    /// Its schema is not known to this version. Exit 78.
    #[error("{} was written by a newer tokend (schema {found}, this one knows {SCHEMA}): run that one", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// What `state_key` names is none. Exit 73.
    #[error("daemon.state_key: {0}")]
    BadKey(String),
}

fn named(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl Store {
    /// Opens the state in `directory`, which is made where it is missing, sealed with the key that
    /// follows from `key`, else with the key file there. `now` names what is kept aside.
    pub fn open(directory: &Path, key: Option<&Secret>, now: Timestamp) -> Result<Opened, OpenError> {
        Self::look(directory, key)?.open(now)
    }

    /// Takes `directory`, which is made where it is missing, and reads what is there; nothing of it is
    /// kept aside or made yet.
    pub fn look(directory: &Path, key: Option<&Secret>) -> Result<Looked, OpenError> {
        let configured = key.map(SealingKey::from_secret).transpose().map_err(OpenError::BadKey)?;
        let place = Place::take(directory)?;
        let kept = if configured.is_some() { configured } else { place.kept_key()? }.map(Arc::new);
        let known = known(&place, kept.clone())?;
        Ok(Looked { place, kept, known })
    }

    /// Whether a state is in `directory`.
    #[must_use]
    pub fn is_in(directory: &Path) -> bool {
        directory.join(DATABASE).exists()
    }

    fn start(place: Place, database: Database) -> Result<Self, OpenError> {
        let directory = place.path.clone();
        let (saves, waiting) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                let closed = write_all(database, &waiting);
                // Not before the database is closed: the next daemon may be waiting at the door.
                drop(place);
                closed
            })
            .map_err(|error| OpenError::CannotCreate(format!("no thread can be started: {error}")))?;
        Ok(Self { directory, saves, thread })
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Saves `changes`, all or none; they are durable when this returns. After an error nothing of
    /// them is saved, and the next save may succeed.
    ///
    /// It goes on when nobody waits for it any more.
    pub fn save(&self, changes: Vec<Change>) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let (done, saved) = oneshot::channel();
        let ended = || "the thread that saves the state has ended".to_owned();
        let sent = self.saves.send(Save { changes, done }).map_err(|_| ended());
        async move {
            sent?;
            saved.await.map_err(|_| ended())?
        }
    }

    /// A way to save what nobody waits for. The state is closed when all of them are gone.
    #[must_use]
    pub fn saver(&self) -> Saver {
        Saver(self.saves.clone())
    }

    /// Waits for what is being saved, brings everything into the one file, and lets go of the
    /// directory. It blocks for as long as the disk takes.
    pub fn close(self) -> Result<(), String> {
        drop(self.saves);
        self.thread.join().map_err(|_| "the thread that saves the state has failed".to_owned())?
    }
}

/// A state directory that was taken, and what is in it.
pub struct Looked {
    place: Place,
    kept: Option<Arc<SealingKey>>,
    known: Known,
}

impl Looked {
    /// Opens it for writing; what is lost is kept aside, under a name with `now`, and begun anew.
    pub fn open(self, now: Timestamp) -> Result<Opened, OpenError> {
        let Self { place, kept, known } = self;
        let lost = match known {
            Known::Whole(database, entries) => {
                let vault_tokens = database.vault_tokens();
                return Ok(Opened { store: Store::start(place, database)?, entries, vault_tokens, lost: None });
            }
            Known::Nothing => None,
            Known::Lost(reason) => {
                let aside = place.set_aside(DATABASE, now)?;
                Some(format!("the state is lost: {reason}; it is kept as {}", aside.display()))
            }
        };
        let key = kept.map_or_else(|| place.new_key().map(Arc::new), Ok)?;
        let database = fresh(&place, key)?;
        let store = Store::start(place, database)?;
        Ok(Opened { store, entries: Vec::new(), vault_tokens: Vec::new(), lost })
    }
}

/// Makes an empty database whole under another name, and then takes it for the state.
fn fresh(place: &Place, key: Arc<SealingKey>) -> Result<Database, OpenError> {
    let path = place.path.join(DATABASE);
    place.make_new(NEW_DATABASE, database::create)?;
    place.rename(NEW_DATABASE, DATABASE)?;
    place.sync()?;
    match Database::open(&path, key) {
        Ok((database, _)) => Ok(database),
        Err(Trouble::Damaged(reason) | Trouble::Failed(reason)) => Err(OpenError::CannotCreate(reason)),
        Err(Trouble::Newer(found)) => Err(OpenError::NewerSchema { path, found }),
    }
}

/// What was found in the state directory.
enum Known {
    Whole(Database, Vec<Entry>),
    Nothing,
    Lost(String),
}

fn known(place: &Place, key: Option<Arc<SealingKey>>) -> Result<Known, OpenError> {
    if !place.has(DATABASE)? {
        // A write-ahead log alone is what an interrupted setting aside leaves.
        let orphan = place.has(WRITE_AHEAD_LOG)?;
        return Ok(if orphan { Known::Lost("its database is missing".to_owned()) } else { Known::Nothing });
    }
    let Some(key) = key else { return Ok(Known::Lost("its key is gone".to_owned())) };
    let path = place.path.join(DATABASE);
    match Database::open(&path, key) {
        Ok((database, entries)) => Ok(Known::Whole(database, entries)),
        Err(Trouble::Damaged(reason)) => Ok(Known::Lost(reason)),
        Err(Trouble::Failed(reason)) => Err(OpenError::CannotCreate(reason)),
        Err(Trouble::Newer(found)) => Err(OpenError::NewerSchema { path, found }),
    }
}

#[cfg(test)]
mod tests;
