//! Files of one directory that are kept one after the other and made durable together: looking at
//! one that is right takes four system calls, and the directory is synced once for all.

use rustix::fs::{Gid, Mode, Stat, Uid};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::disk::temporary::Temporary;
use crate::disk::{Directory, Kept, Wanted, fill, words};

/// Files being kept in one directory.
pub struct Batch<'d> {
    directory: &'d Directory,
    seen: Zeroizing<Vec<u8>>,
    wrote: bool,
}

impl<'d> Batch<'d> {
    pub(super) fn new(directory: &'d Directory) -> Self {
        Self { directory, seen: Zeroizing::new(Vec::new()), wrote: false }
    }

    /// Makes the file what it must be, unless it is.
    pub fn keep(&mut self, wanted: &Wanted<'_>) -> Result<Kept, String> {
        if self.is_right(wanted)? {
            return Ok(Kept::Right);
        }
        self.write(wanted)?;
        Ok(Kept::Written)
    }

    /// Makes the file what it must be, whatever it is.
    pub fn write(&mut self, wanted: &Wanted<'_>) -> Result<(), String> {
        Temporary::write(self.directory, wanted)?.take_place_of(wanted.name)?;
        self.wrote = true;
        Ok(())
    }

    /// Returns when all that was written is durable.
    pub fn finish(self) -> Result<(), String> {
        if self.wrote { self.directory.sync() } else { Ok(()) }
    }

    /// Whether the file is what it must be.
    pub fn is_right(&mut self, wanted: &Wanted<'_>) -> Result<bool, String> {
        let directory = self.directory;
        let (fd, stat) = match directory.look(wanted.name) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(false),
            // It was given to another user and we may not read it: written anew, unseen.
            Err(Errno::ACCESS) if directory.regular(wanted.name).is_some() => return Ok(false),
            Err(errno) => return Err(directory.refusal(wanted.name, "open", errno)),
        };
        directory.must_be_regular(wanted.name, &stat)?;
        let same_size = usize::try_from(stat.st_size) == Ok(wanted.content.len());
        if !same_size || !has_attributes(directory, &stat, wanted) {
            return Ok(false);
        }
        let seen = fill(&fd, self.room(wanted.content.len() + 1))
            .map_err(|errno| words::failed("read", &directory.path.join(wanted.name), errno))?;
        Ok(self.seen[..seen] == *wanted.content)
    }

    /// Room for `length` bytes. What was read before is wiped when it becomes too small.
    fn room(&mut self, length: usize) -> &mut [u8] {
        if self.seen.len() < length {
            self.seen = Zeroizing::new(vec![0; length.next_power_of_two()]);
        }
        &mut self.seen[..length]
    }
}

fn has_attributes(directory: &Directory, stat: &Stat, wanted: &Wanted<'_>) -> bool {
    Mode::from_raw_mode(stat.st_mode).bits() == wanted.mode
        && Uid::from_raw(stat.st_uid) == wanted.owner.unwrap_or(directory.me)
        && Gid::from_raw(stat.st_gid) == wanted.group.unwrap_or(directory.group_of_new_files)
}
