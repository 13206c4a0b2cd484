//! The `SQLite` file: one row per slot, sealed. It is made whole under another name and renamed into
//! place, so that a `state.db` which is empty or has no schema is damaged, never new.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the disk")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, TransactionBehavior, params};

use crate::ledger::Entry;
use crate::name::Identity;
use crate::seal::{Room, SealingKey};
use crate::store::{Change, VaultToken, row};

/// The only schema so far; a higher one in the file is a newer tokend's.
pub const SCHEMA: i64 = 1;

const CREATE: &str = "
    PRAGMA synchronous = FULL;
    BEGIN;
    CREATE TABLE slots (identity TEXT NOT NULL UNIQUE, facts BLOB NOT NULL) STRICT;
    PRAGMA user_version = 1;
    COMMIT;
";

/// Ours alone: no shared memory beside the log, and no other program in between.
const ALONE: &str = "PRAGMA locking_mode = EXCLUSIVE";

/// Durable commits, and no trust in what the file says about itself.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
";

/// Made where it is missing: a tokend that does not know it leaves it alone.
const CREATE_VAULT_TOKENS: &str =
    "CREATE TABLE IF NOT EXISTS vault_tokens (login TEXT NOT NULL UNIQUE, token BLOB NOT NULL) STRICT";
const KEEP_VAULT_TOKEN: &str = "INSERT INTO vault_tokens (login, token) VALUES (?1, ?2)
    ON CONFLICT (login) DO UPDATE SET token = excluded.token";
const FORGET_VAULT_TOKEN: &str = "DELETE FROM vault_tokens WHERE login = ?1";

const PUT: &str = "INSERT INTO slots (identity, facts) VALUES (?1, ?2)
    ON CONFLICT (identity) DO UPDATE SET facts = excluded.facts";
const REMOVE: &str = "DELETE FROM slots WHERE identity = ?1";

/// What a row is sealed for: it opens in the place of no other slot.
fn purpose(identity: &str) -> String {
    format!("tokend slot {identity}")
}

/// What the token of a login is sealed for.
fn vault_purpose(login: &str) -> String {
    format!("tokend vault {login}")
}

/// The open database.
pub struct Database {
    path: PathBuf,
    connection: Connection,
    key: Arc<SealingKey>,
}

/// Why the database could not be used.
#[derive(Debug)]
pub enum Trouble {
    /// What it holds does not make sense, or was sealed with another key.
    Damaged(String),
    /// Its schema is newer than ours.
    Newer(i64),
    /// The system does not let us.
    Failed(String),
}

/// Why a transaction was not made.
#[derive(Debug)]
enum Unwritten {
    Refused(Error),
    NotSealed(String),
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Makes an empty database of the empty file at `path`.
pub fn create(path: &Path) -> Result<(), String> {
    let create = || {
        let connection = Connection::open_with_flags(path, flags())?;
        connection.execute_batch(CREATE)?;
        connection.close().map_err(|(_, error)| error)
    };
    create().map_err(|error| words(path, &error))
}

impl Database {
    /// Opens the database at `path` and reads every entry: one that cannot be read makes all of it
    /// damaged, for half a ledger would ask for access tokens that are held.
    pub fn open(path: &Path, key: Arc<SealingKey>) -> Result<(Self, Vec<Entry>), Trouble> {
        let trouble = |error| trouble(path, &error);
        let connection = Connection::open_with_flags(path, flags()).map_err(trouble)?;
        connection.execute_batch(ALONE).map_err(trouble)?;
        let schema = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(trouble)?;
        match schema {
            SCHEMA => {}
            newer if newer > SCHEMA => return Err(Trouble::Newer(newer)),
            _ => return Err(Trouble::Damaged("it has no schema".to_owned())),
        }
        connection.execute_batch(SETTINGS).map_err(trouble)?;
        let database = Self { path: path.to_owned(), connection, key };
        database.check().map_err(trouble)?;
        let entries = database.load()?;
        Ok((database, entries))
    }

    fn check(&self) -> Result<(), Error> {
        let said: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if said == "ok" { Ok(()) } else { Err(corrupt()) }
    }

    /// The tokens of logins to Vault that can be read; a login that is not among them is made anew.
    pub fn vault_tokens(&self) -> Vec<VaultToken> {
        let read = || -> Result<Vec<(String, Vec<u8>)>, Error> {
            let mut select = self.connection.prepare("SELECT login, token FROM vault_tokens")?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let mut room = Room::default();
        let mut open = |(login, sealed): (String, Vec<u8>)| {
            let plain = self.key.open(&vault_purpose(&login), &sealed, &mut room).ok()?;
            VaultToken::decode(&login, plain)
        };
        // There is no such table as long as there was no login.
        read().unwrap_or_default().into_iter().filter_map(&mut open).collect()
    }

    fn load(&self) -> Result<Vec<Entry>, Trouble> {
        let trouble = |error| trouble(&self.path, &error);
        let mut select = self.connection.prepare("SELECT identity, facts FROM slots").map_err(trouble)?;
        let mut rows = select.query([]).map_err(trouble)?;
        let mut entries = Vec::new();
        let mut room = Room::default();
        while let Some(row) = rows.next().map_err(trouble)? {
            let identity = row.get_ref(0).map_err(trouble)?;
            let sealed = row.get_ref(1).map_err(trouble)?;
            entries.push(self.read(identity, sealed, &mut room)?);
        }
        Ok(entries)
    }

    fn read(&self, identity: ValueRef<'_>, sealed: ValueRef<'_>, room: &mut Room) -> Result<Entry, Trouble> {
        let damaged = || Trouble::Damaged("an entry cannot be read".to_owned());
        let identity = identity.as_str().map_err(|_| damaged())?;
        let sealed = sealed.as_blob().map_err(|_| damaged())?;
        let plain = self
            .key
            .open(&purpose(identity), sealed, room)
            .map_err(|broken| Trouble::Damaged(format!("an entry cannot be opened: {broken}")))?;
        row::decode(Identity::stored(identity), plain).ok_or_else(damaged)
    }

    /// Makes `changes` in one transaction; they are durable when this returns.
    pub fn write<'a>(&mut self, changes: impl Iterator<Item = &'a Change> + Clone) -> Result<(), String> {
        // SQLite would go on writing to a file that no name leads to.
        if !self.path.exists() {
            return Err(format!("{} was removed while tokend runs: start it again", self.path.display()));
        }
        let mut written = self.write_once(changes.clone());
        // SQLite takes a sync that a signal interrupted for an error of the disk, and does not tell.
        if matches!(&written, Err(Unwritten::Refused(error)) if is_io(error)) {
            written = self.write_once(changes);
        }
        written.map_err(|unwritten| match unwritten {
            Unwritten::Refused(error) => words(&self.path, &error),
            Unwritten::NotSealed(reason) => reason,
        })
    }

    fn write_once<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) -> Result<(), Unwritten> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut put = transaction.prepare(PUT)?;
        let mut remove = transaction.prepare(REMOVE)?;
        for change in changes {
            match change {
                Change::Put(entry, persist) => {
                    let identity = entry.identity.as_str();
                    let plain = row::encode(entry, *persist).map_err(Unwritten::NotSealed)?;
                    let sealed = self.key.seal(&purpose(identity), &plain).map_err(Unwritten::NotSealed)?;
                    put.execute(params![identity, sealed])?;
                }
                Change::Remove(identity) => {
                    remove.execute([identity.as_str()])?;
                }
                Change::KeepVaultToken(token) => {
                    let plain = token.encode().map_err(Unwritten::NotSealed)?;
                    let sealed = self.key.seal(&vault_purpose(&token.login), &plain).map_err(Unwritten::NotSealed)?;
                    transaction.execute(CREATE_VAULT_TOKENS, [])?;
                    transaction.execute(KEEP_VAULT_TOKEN, params![token.login, sealed])?;
                }
                Change::ForgetVaultToken(login) => {
                    transaction.execute(CREATE_VAULT_TOKENS, [])?;
                    transaction.execute(FORGET_VAULT_TOKEN, [login.as_str()])?;
                }
            }
        }
        drop((put, remove));
        Ok(transaction.commit()?)
    }

    /// Brings everything into the one file and lets it go.
    pub fn close(self) -> Result<(), String> {
        let Self { path, connection, .. } = self;
        connection.close().map_err(|(_, error)| words(&path, &error))
    }
}

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn corrupt() -> Error {
    Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), None)
}

fn is_io(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

/// What the system refuses is no damage: it may be right the next time.
fn trouble(path: &Path, error: &Error) -> Trouble {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure,
        ) => Trouble::Failed(words(path, error)),
        // SQLite takes a disk that cannot be read for a damaged file.
        _ => unreadable(path).map_or_else(|| Trouble::Damaged(words(path, error)), Trouble::Failed),
    }
}

/// Why the database or its log cannot be read to the end; `None` when both can, or are not there.
fn unreadable(path: &Path) -> Option<String> {
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    [path.to_owned(), PathBuf::from(log)].iter().find_map(|path| match read_through(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Some(format!("{} cannot be read now: {error}", path.display()))
        }
        _ => None,
    })
}

fn read_through(path: &Path) -> io::Result<()> {
    let (file, mut room, mut at) = (File::open(path)?, vec![0; 64 * 1024], 0);
    loop {
        match file.read_at(&mut room, at) {
            Ok(0) => return Ok(()),
            Ok(read) => at += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn words(path: &Path, error: &Error) -> String {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => format!("{path}: no space left on its file system; make room there"),
        Some(ErrorCode::ReadOnly) => format!("{path} is read-only: let tokend's user write to it"),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            format!("{path} cannot be opened: let tokend's user read and write it")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{path} is in use by another program: let it finish")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!("{path} is damaged"),
        Some(ErrorCode::SystemIoFailure) => format!("{path}: the disk reports an error ({error})"),
        _ => format!("{path}: {error}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::settings::Persist;

    #[test]
    fn a_full_disk_refuses_and_works_again_without_reopening() {
        let place = tempfile::TempDir::new().unwrap();
        let path = place.path().join("state.db");
        std::fs::write(&path, b"").unwrap();
        create(&path).unwrap();
        let key = Arc::new(SealingKey::from_secret(&Secret::new("sixteen letters!".into())).unwrap());
        let (mut database, _) = Database::open(&path, Arc::clone(&key)).unwrap();
        let entry = |name: String| Change::Put(Box::new(Entry::new(Identity::stored(&name))), Persist::Off);
        let many: Vec<Change> = (0..100).map(|number| entry(format!("slot {number}"))).collect();
        database.connection.execute_batch("PRAGMA max_page_count = 4").unwrap();
        for _ in 0..2 {
            let error = database.write(many.iter()).unwrap_err();
            assert!(error.contains("no space left"), "{error}");
        }
        database.write([entry("one".into())].iter()).unwrap();
        database.connection.execute_batch("PRAGMA max_page_count = 1000").unwrap();
        database.write(many.iter()).unwrap();
        database.close().unwrap();
        assert_eq!(Database::open(&path, key).unwrap().1.len(), 101);
    }
}
