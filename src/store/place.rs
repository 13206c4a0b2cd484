//! The state directory: made where it is missing, held by one daemon at a time, and home of the key
//! that seals the state when none is configured.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{Error, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::disk::{Directory, Making, Wanted};
use crate::seal::{SealingKey, new_secret};
use crate::secret::{Secret, long_enough};
use crate::store::OpenError;
use crate::time::Timestamp;

const LOCK: &str = "tokend.lock";
const KEY: &str = "state.key";
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// One who is just ending, or a child of his that has not become another program yet, still holds
/// it for a moment: that is waited for.
fn patiently_lock(lock: &File) -> Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            settled => return settled,
        }
    }
    lock.try_lock()
}

/// The state directory, ours alone until this is dropped.
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    directory: Directory,
    lock: File,
}

impl Place {
    /// Makes the directory where it is missing, and takes it.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        let making = Making { below: &[PathBuf::from("/")], mode: 0o700 };
        let directory = Directory::open(path, &making).map_err(OpenError::CannotCreate)?;
        if directory.others_may_write() {
            let path = path.display();
            let reason = format!("everybody can write to the state directory {path}: take that away (chmod o-w)");
            return Err(OpenError::CannotCreate(reason));
        }
        let mut lock = directory.open_file(OsStr::new(LOCK)).map_err(OpenError::CannotCreate)?;
        match patiently_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::HeldBy { directory: path.to_owned(), pid: holder(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(wrong("lock", &path.join(LOCK), &error)),
        }
        let mut place = Self { path: path.to_owned(), directory, lock };
        place.name_holder().map_err(|error| wrong("write", &path.join(LOCK), &error))?;
        Ok(place)
    }

    fn name_holder(&mut self) -> Result<(), Error> {
        self.lock.set_len(0)?;
        writeln!(self.lock, "{}", std::process::id())
    }

    /// The key of the key file, or `None` where there is none that could be one.
    pub fn kept_key(&self) -> Result<Option<SealingKey>, OpenError> {
        let content = self.directory.read(OsStr::new(KEY)).map_err(OpenError::CannotCreate)?;
        let text = content.as_deref().and_then(|content| std::str::from_utf8(content).ok()).map(str::trim_ascii_end);
        let secret = text.filter(|text| long_enough(text).is_ok()).map(|text| Secret::new(text.to_owned()));
        secret.map(|secret| SealingKey::from_secret(&secret).map_err(OpenError::CannotCreate)).transpose()
    }

    /// A new key in a new key file, durably.
    pub fn new_key(&self) -> Result<SealingKey, OpenError> {
        let make = || {
            let secret = new_secret()?;
            let content = Zeroizing::new(format!("{}\n", secret.expose()));
            let name = OsStr::new(KEY);
            let wanted = Wanted { name, content: content.as_bytes(), mode: 0o600, owner: None, group: None };
            self.directory.keep(&wanted)?;
            SealingKey::from_secret(&secret)
        };
        make().map_err(OpenError::CannotCreate)
    }

    /// Whether there is something called `name`.
    pub fn has(&self, name: &str) -> Result<bool, OpenError> {
        let path = self.path.join(name);
        path.try_exists().map_err(|error| wrong("open", &path, &error))
    }

    /// Lets `make` fill a new file called `name`, readable by nobody else. What an interrupted
    /// attempt left is removed first.
    pub fn make_new(&self, name: &str, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), OpenError> {
        for left in [name.to_owned(), format!("{name}-journal")] {
            self.directory.remove(OsStr::new(&left)).map_err(OpenError::CannotCreate)?;
        }
        self.directory.open_file(OsStr::new(name)).map_err(OpenError::CannotCreate)?;
        make(&self.path.join(name)).map_err(OpenError::CannotCreate)
    }

    /// Renames a file; what was called `to` is replaced.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), OpenError> {
        let from = self.path.join(from);
        fs::rename(&from, self.path.join(to)).map_err(|error| wrong("rename", &from, &error))
    }

    /// Renames the database `name` and its log to `NAME.damaged-TIME`, durably, and says where it is.
    pub fn set_aside(&self, name: &str, now: Timestamp) -> Result<PathBuf, OpenError> {
        let time = now.to_string().replace([':', '-'], "");
        let mut aside = format!("{name}.damaged-{time}");
        for number in 2.. {
            if !self.has(&aside)? {
                break;
            }
            aside = format!("{name}.damaged-{time}-{number}");
        }
        // The database first: its log alone is known for what it is, should this be interrupted.
        for part in ["", "-wal"] {
            if self.has(&format!("{name}{part}"))? {
                self.rename(&format!("{name}{part}"), &format!("{aside}{part}"))?;
            }
        }
        self.sync()?;
        Ok(self.path.join(aside))
    }

    /// Makes what was renamed and created here durable.
    pub fn sync(&self) -> Result<(), OpenError> {
        self.directory.sync().map_err(OpenError::CannotCreate)
    }
}

/// The process that holds the lock, as it says itself.
fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn wrong(doing: &str, path: &Path, error: &Error) -> OpenError {
    OpenError::CannotCreate(format!("cannot {doing} {}: {error}", path.display()))
}

/// A process that finds the lock taken reads who holds it; nobody does any more.
impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.lock.set_len(0);
    }
}
