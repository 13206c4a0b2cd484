//! A new content on its way: a file `.NAME.tokend-XXXXXX` beside the one that it will replace.
//! Unless it takes that one's place it is gone when it is dropped.

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, write};

use crate::disk::calls::{fchmod, fchown, fsync, openat, rename, unlinkat};
use crate::disk::{Directory, Wanted, words};

const MARK: &[u8] = b".tokend-";
const RANDOM: usize = 6;
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A whole, synced file that nobody looks at yet.
pub struct Temporary<'d> {
    directory: &'d Directory,
    name: OsString,
    placed: bool,
}

impl<'d> Temporary<'d> {
    /// Writes what is `wanted` to a new file beside its place.
    pub fn write(directory: &'d Directory, wanted: &Wanted<'_>) -> Result<Self, String> {
        let (temporary, fd) = Self::create(directory, wanted.name)?;
        let wrong = |errno| words::failed("write", &directory.path.join(wanted.name), errno);
        write_all(&fd, wanted.content).map_err(wrong)?;
        temporary.give_away(&fd, wanted)?;
        // After the owner: giving a file away may clear bits of its mode.
        fchmod(&fd, Mode::from_raw_mode(wanted.mode)).map_err(wrong)?;
        fsync(&fd).map_err(wrong)?;
        Ok(temporary)
    }

    /// Becomes the file `name`: from one instant to the next, for every reader.
    pub fn take_place_of(mut self, name: &OsStr) -> Result<(), String> {
        rename(&self.directory.fd, &self.name, name)
            .map_err(|errno| words::failed("replace", &self.directory.path.join(name), errno))?;
        self.placed = true;
        Ok(())
    }

    fn create(directory: &'d Directory, name: &OsStr) -> Result<(Self, OwnedFd), String> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let name_now = temporary_name(name);
            match openat(&directory.fd, &name_now, flags, Mode::RUSR | Mode::WUSR) {
                Ok(fd) => return Ok((Self { directory, name: name_now, placed: false }, fd)),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(words::failed("write", &directory.path.join(name), errno)),
            }
        }
    }

    fn give_away(&self, fd: &OwnedFd, wanted: &Wanted<'_>) -> Result<(), String> {
        let owner: Option<Uid> = wanted.owner.filter(|owner| *owner != self.directory.me);
        let group: Option<Gid> = wanted.group.filter(|group| *group != self.directory.group_of_new_files);
        if owner.is_none() && group.is_none() {
            return Ok(());
        }
        fchown(fd, owner, group).map_err(|errno| match errno {
            Errno::PERM => words::may_not_give(&self.directory.path.join(wanted.name), owner, group),
            errno => words::failed("write", &self.directory.path.join(wanted.name), errno),
        })
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.placed {
            // Nothing better can be done here; the sweep at the next start finds what is left.
            let _ = unlinkat(&self.directory.fd, &self.name, AtFlags::empty());
        }
    }
}

/// The name of the file for which a temporary file called `name` was made, if it is one of ours.
pub fn made_for(name: &OsStr) -> Option<&OsStr> {
    let (rest, random) = name.as_bytes().split_last_chunk::<RANDOM>()?;
    let file = rest.strip_suffix(MARK)?.strip_prefix(b".")?;
    random.iter().all(u8::is_ascii_alphanumeric).then(|| OsStr::from_bytes(file))
}

/// Safety does not rest on the letters, for the file is made only where none is: they need only
/// differ from those of a stranger and of another daemon, and cost nothing.
fn temporary_name(name: &OsStr) -> OsString {
    let random = RandomState::new().build_hasher().finish().to_le_bytes();
    let letters: [u8; RANDOM] = std::array::from_fn(|at| LETTERS[usize::from(random[at] % 32)]);
    OsString::from_vec([b".", name.as_bytes(), MARK, &letters].concat())
}

fn write_all(fd: &OwnedFd, mut content: &[u8]) -> Result<(), Errno> {
    while !content.is_empty() {
        match write(fd, content) {
            Ok(written) => content = &content[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
