//! Reads every row of the state: out of the database one after the other, then opened and made into
//! entries by two threads, for that takes the longer part of a start with many slots.

use std::panic::resume_unwind;
use std::thread;

use rusqlite::Connection;

use crate::ledger::Entry;
use crate::name::Identity;
use crate::seal::{Room, SealingKey};
use crate::store::row;

/// For fewer rows a thread is not worth its memory.
const MANY: usize = 500;

/// Why the rows could not be read.
pub enum Unread {
    /// The database says so.
    Refused(rusqlite::Error),
    /// What a row holds does not make sense.
    Damaged(String),
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Refused(error)
    }
}

/// Rows as they were saved, in one piece of memory, and where each identity and each row ends in it.
#[derive(Default)]
struct Sealed {
    bytes: Vec<u8>,
    ends: Vec<(usize, usize)>,
}

/// Reads and opens all rows: one that cannot be read is an error for all.
pub fn read_all(connection: &Connection, key: &SealingKey) -> Result<Vec<Entry>, Unread> {
    let sealed = fetch(connection)?;
    let (first, second) = sealed.ends.split_at(sealed.ends.len() / 2);
    let middle = first.last().map_or(0, |(_, end)| *end);
    thread::scope(|scope| {
        let open_second = || sealed.open(middle, second, key);
        let apart = (second.len() > MANY).then(|| thread::Builder::new().spawn_scoped(scope, open_second));
        let mut entries = sealed.open(0, first, key)?;
        let others = match apart {
            Some(Ok(thread)) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // Where no thread can be had it takes a little longer.
            Some(Err(_)) | None => open_second(),
        };
        entries.append(&mut others?);
        Ok(entries)
    })
}

fn fetch(connection: &Connection) -> Result<Sealed, Unread> {
    let damaged = |_| Unread::Damaged("an entry cannot be read".to_owned());
    let mut select = connection.prepare("SELECT identity, facts FROM slots")?;
    let mut rows = select.query([])?;
    let mut sealed = Sealed::default();
    while let Some(row) = rows.next()? {
        sealed.bytes.extend_from_slice(row.get_ref(0)?.as_str().map_err(damaged)?.as_bytes());
        let identity_end = sealed.bytes.len();
        sealed.bytes.extend_from_slice(row.get_ref(1)?.as_blob().map_err(damaged)?);
        sealed.ends.push((identity_end, sealed.bytes.len()));
    }
    Ok(sealed)
}

impl Sealed {
    /// The entries of the rows that end at `ends`; the first of them begins at `start`.
    fn open(&self, mut start: usize, ends: &[(usize, usize)], key: &SealingKey) -> Result<Vec<Entry>, Unread> {
        let damaged = || Unread::Damaged("an entry cannot be read".to_owned());
        let mut entries = Vec::with_capacity(ends.len());
        let mut room = Room::default();
        for &(identity_end, end) in ends {
            let identity = std::str::from_utf8(&self.bytes[start..identity_end]).map_err(|_| damaged())?;
            let plain = key
                .open(&purpose(identity), &self.bytes[identity_end..end], &mut room)
                .map_err(|broken| Unread::Damaged(format!("an entry cannot be opened: {broken}")))?;
            entries.push(row::decode(Identity::stored(identity), plain).ok_or_else(damaged)?);
            start = end;
        }
        Ok(entries)
    }
}

/// What a row is sealed for: it opens in the place of no other slot.
pub fn purpose(identity: &str) -> String {
    format!("tokend slot {identity}")
}
