//! Replaces a file whole: a reader sees the old content or the new one, never less, never nothing.
//!
//! A directory is opened once, by a walk that a hostile neighbour cannot divert (`walk`), and
//! everything else happens relative to it. A new content is written to `.NAME.tokend-XXXXXX`
//! beside the file, gets its owner, group and mode, is synced, and is then renamed over the old
//! one. A file that is right already is not touched. One that differs in nothing but mode or owner
//! is replaced whole as well: changed in place it would for a moment be half right.
//!
//! It decides nothing: what a file must hold and whom it belongs to is the caller's business.
//! Errors are words for a person, with the remedy.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the disk")]

mod batch;
mod calls;
mod people;
mod temporary;
mod walk;
mod words;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, fstat, statat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use zeroize::Zeroizing;

pub use crate::disk::batch::Batch;
use crate::disk::calls::{fsync, openat, unlinkat};
pub use crate::disk::people::{group, user};
use crate::disk::temporary::made_for;
pub use crate::disk::walk::Making;
use crate::disk::walk::{Lost, walk};

/// No file that we wrote is larger; a larger one at its place is not read.
const LARGEST: u64 = 1 << 20;

/// Never follow a link, never wait for a FIFO's writer, never become a terminal's process.
const LOOKING: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A file as its readers must find it.
pub struct Wanted<'a> {
    /// Its name in the directory.
    pub name: &'a OsStr,
    /// All that it holds.
    pub content: &'a [u8],
    /// Its permission bits, whatever the umask.
    pub mode: u32,
    /// Its owner; the daemon's own user unless given.
    pub owner: Option<Uid>,
    /// Its group; the one that new files in the directory get unless given.
    pub group: Option<Gid>,
}

/// How a file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Right already; it was not touched.
    Right,
    /// Not there or different; it was written.
    Written,
}

/// An open directory, safe to write to: it stays this one, whatever becomes of its path.
pub struct Directory {
    path: PathBuf,
    fd: OwnedFd,
    me: Uid,
    group_of_new_files: Gid,
    mode: u32,
}

impl Directory {
    /// The directory at `path`, or `None` where there is none.
    pub fn find(path: &Path) -> Result<Option<Self>, String> {
        match walk(path, &Making::NOTHING) {
            Ok(fd) => Self::checked(path, fd).map(Some),
            Err(Lost::Missing(_)) => Ok(None),
            Err(Lost::Refused(reason)) => Err(reason),
        }
    }

    /// The directory at `path`; what is missing on the way is made as `making` allows.
    pub fn open(path: &Path, making: &Making<'_>) -> Result<Self, String> {
        let fd = walk(path, making).map_err(|lost| match lost {
            Lost::Missing(place) => words::missing(&place),
            Lost::Refused(reason) => reason,
        })?;
        Self::checked(path, fd)
    }

    fn checked(path: &Path, fd: OwnedFd) -> Result<Self, String> {
        let stat = fstat(&fd).map_err(|errno| words::failed("look at", path, errno))?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        if mode.contains(Mode::WOTH) && !mode.contains(Mode::SVTX) {
            return Err(words::open_to_all(path));
        }
        let inherits_group = mode.contains(Mode::SGID);
        Ok(Self {
            path: path.to_owned(),
            fd,
            me: geteuid(),
            group_of_new_files: if inherits_group { Gid::from_raw(stat.st_gid) } else { getegid() },
            mode: mode.bits(),
        })
    }

    /// Whether a process of another user could put files here.
    #[must_use]
    pub fn others_may_write(&self) -> bool {
        self.mode & Mode::WOTH.bits() != 0
    }

    /// Begins to keep files here; each is durable only when `Batch::finish` has said so.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    /// Keeps one file, durably.
    pub fn keep(&self, wanted: &Wanted<'_>) -> Result<Kept, String> {
        let mut batch = self.batch();
        let kept = batch.keep(wanted)?;
        batch.finish().map(|()| kept)
    }

    /// The content of the regular file `name`, or `None` where nothing is.
    pub fn read(&self, name: &OsStr) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        let (fd, stat) = match self.look(name) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.refusal(name, "read", errno)),
        };
        self.must_be_regular(name, &stat)?;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > LARGEST {
            return Err(words::too_large(&self.path.join(name)));
        }
        let mut content = Zeroizing::new(vec![0; usize::try_from(size).unwrap_or(0) + 1]);
        let length = fill(&fd, &mut content).map_err(|errno| words::failed("read", &self.path.join(name), errno))?;
        content.truncate(length);
        Ok(Some(content))
    }

    /// Removes the file `name`, durably; one that is gone already is fine.
    pub fn remove(&self, name: &OsStr) -> Result<(), String> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => self.sync(),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(words::failed("remove", &self.path.join(name), errno)),
        }
    }

    /// Opens `name` for reading and writing, made with mode 0600 where it is missing.
    pub fn open_file(&self, name: &OsStr) -> Result<File, String> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(File::from(fd)),
            Err(errno) => Err(self.refusal(name, "open", errno)),
        }
    }

    /// Removes the temporary files that a killed daemon left behind for `files`: names, and the
    /// owners given to them. Says how many there were. Nothing else is touched.
    pub fn sweep<'f>(&self, files: impl Deref<Target = BTreeMap<&'f OsStr, Option<Uid>>>) -> Result<usize, String> {
        let wrong = |errno| words::failed("list", &self.path, errno);
        let mut swept = 0;
        for found in Dir::read_from(&self.fd).map_err(wrong)? {
            let found = found.map_err(wrong)?;
            let name = OsStr::from_bytes(found.file_name().to_bytes());
            let Some(owner) = made_for(name).and_then(|file| files.get(file)) else { continue };
            if self.is_ours(name, *owner) && unlinkat(&self.fd, name, AtFlags::empty()).is_ok() {
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Whether `name` is a regular file of the daemon, or of the user whom it was to be given to.
    fn is_ours(&self, name: &OsStr, owner: Option<Uid>) -> bool {
        self.regular(name).is_some_and(|stat| {
            let uid = Uid::from_raw(stat.st_uid);
            uid == self.me || Some(uid) == owner
        })
    }

    fn regular(&self, name: &OsStr) -> Option<Stat> {
        let stat = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (kind(&stat) == FileType::RegularFile).then_some(stat)
    }

    fn look(&self, name: &OsStr) -> Result<(OwnedFd, Stat), Errno> {
        let fd = openat(&self.fd, name, LOOKING, Mode::empty())?;
        let stat = fstat(&fd)?;
        Ok((fd, stat))
    }

    fn must_be_regular(&self, name: &OsStr, stat: &Stat) -> Result<(), String> {
        match kind(stat) {
            FileType::RegularFile => Ok(()),
            other => Err(words::not_a_file(&self.path.join(name), other)),
        }
    }

    /// Why `name` could not be opened: because of what it is, or else as the system says.
    fn refusal(&self, name: &OsStr, doing: &str, errno: Errno) -> String {
        statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .ok()
            .and_then(|stat| self.must_be_regular(name, &stat).err())
            .unwrap_or_else(|| words::failed(doing, &self.path.join(name), errno))
    }

    /// Makes what was created, renamed and removed here durable.
    pub fn sync(&self) -> Result<(), String> {
        match fsync(&self.fd) {
            // Some file systems (FUSE, 9p) do not know how to sync a directory.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(errno) => Err(words::failed("sync", &self.path, errno)),
        }
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Reads a file for whose content `room` has one byte more than needed: the end shows at once.
fn fill(fd: &OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
    let mut length = 0;
    while length < room.len() {
        match rustix::io::read(fd, &mut room[length..]) {
            Ok(0) => break,
            Ok(read) if length + read + 1 == room.len() => return Ok(length + read),
            Ok(read) => length += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
