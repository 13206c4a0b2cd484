//! The walk from the root to a directory, one name at a time, each relative to the one before: what
//! was looked at is what is used. A symbolic link is followed only where nobody but root and the
//! daemon's user can have put it there. `openat2` could do parts of this in one call, but not ask
//! whom a link belongs to, and not in every container; one way for all is less to go wrong.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat, Uid, fstat, open, readlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::disk::calls::{fchmod, fsync, mkdirat, openat};
use crate::disk::words;

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

const PASSING: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const STAYING: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Which missing directories may be made on the way.
pub struct Making<'a> {
    /// These and everything below them, as the path is written.
    pub below: &'a [PathBuf],
    /// The permission bits of what is made. A directory strictly below that looks as made by us
    /// for nobody else (ours, 0700) is given these bits when they let others in: two files of one
    /// directory must not depend on which of them came first.
    pub mode: u32,
}

impl Making<'_> {
    /// Nothing is made.
    pub const NOTHING: Making<'static> = Making { below: &[], mode: 0o700 };
}

/// Why the walk did not arrive.
pub enum Lost {
    /// This directory does not exist, and is not ours to make.
    Missing(PathBuf),
    /// Something else, in words.
    Refused(String),
}

struct Step {
    name: OsString,
    claim: Claim,
}

/// What we may do about a directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// Pass through it.
    None,
    /// Make it where it is missing.
    Root,
    /// Make it, and let others in.
    Below,
}

/// Opens the directory at `path`, which is absolute.
pub fn walk(path: &Path, making: &Making<'_>) -> Result<OwnedFd, Lost> {
    let mut steps = steps_to(path, making);
    let mut here = Place::root()?;
    let mut links = 0;
    while let Some(step) = steps.pop() {
        match openat(&here.fd, &step.name, PASSING, Mode::empty()) {
            Ok(fd) => here = here.enter(&step, fd, making)?,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Lost::Refused(words::too_many_links(path)));
                }
                let target = here.follow(&step.name)?;
                steps.extend(plain_steps(&target));
                if target.is_absolute() {
                    here = Place::root()?;
                }
            }
            Err(Errno::NOENT) if step.claim != Claim::None => here = here.make(&step, making)?,
            Err(Errno::NOENT) => return Err(Lost::Missing(here.path.join(&step.name))),
            Err(errno) => return Err(here.failed("open", &step.name, errno)),
        }
    }
    openat(&here.fd, ".", STAYING, Mode::empty()).map_err(|errno| here.failed_here(errno))
}

/// Where the walk has come to.
struct Place {
    path: PathBuf,
    fd: OwnedFd,
}

impl Place {
    fn root() -> Result<Self, Lost> {
        let path = PathBuf::from("/");
        match open(&path, PASSING, Mode::empty()) {
            Ok(fd) => Ok(Self { path, fd }),
            Err(errno) => Err(Lost::Refused(words::failed("open", &path, errno))),
        }
    }

    fn enter(mut self, step: &Step, fd: OwnedFd, making: &Making<'_>) -> Result<Self, Lost> {
        if step.name == ".." {
            self.path.pop();
        } else {
            self.path.push(&step.name);
        }
        let entered = Self { path: self.path, fd };
        if step.claim == Claim::Below && making.mode & 0o077 != 0 {
            entered.let_others_in(making.mode)?;
        }
        Ok(entered)
    }

    fn let_others_in(&self, mode: u32) -> Result<(), Lost> {
        let stat = self.stat()?;
        if Uid::from_raw(stat.st_uid) != geteuid() || Mode::from_raw_mode(stat.st_mode) != Mode::RWXU {
            return Ok(());
        }
        openat(&self.fd, ".", STAYING, Mode::empty())
            .and_then(|fd| fchmod(fd, Mode::from_raw_mode(mode)))
            .map_err(|errno| self.failed_here(errno))
    }

    /// Makes the directory and enters it. The mode is set afterwards: it does not depend on the umask.
    fn make(self, step: &Step, making: &Making<'_>) -> Result<Self, Lost> {
        let made = mkdirat(&self.fd, &step.name, Mode::RWXU);
        let fd = match made {
            Ok(()) | Err(Errno::EXIST) => openat(&self.fd, &step.name, STAYING, Mode::empty()),
            Err(errno) => Err(errno),
        };
        let fd = fd.map_err(|errno| self.failed("create", &step.name, errno))?;
        if made.is_ok() {
            let sync_parent = || fsync(openat(&self.fd, ".", STAYING, Mode::empty())?);
            fchmod(&fd, Mode::from_raw_mode(making.mode))
                .and_then(|()| sync_parent())
                .map_err(|errno| self.failed("create", &step.name, errno))?;
        }
        self.enter(step, fd, making)
    }

    /// Where the link `name` leads, if it may be followed.
    fn follow(&self, name: &OsStr) -> Result<PathBuf, Lost> {
        let wrong = |errno| self.failed("open", name, errno);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = openat(&self.fd, name, flags, Mode::empty()).map_err(wrong)?;
        let stat = fstat(&link).map_err(wrong)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Err(Lost::Refused(words::not_a_directory(&self.path.join(name))));
        }
        let here = self.stat()?;
        let strangers_write = Mode::from_raw_mode(here.st_mode).intersects(Mode::WGRP | Mode::WOTH);
        if strangers_write || !is_trusted(&here) || !is_trusted(&stat) {
            return Err(Lost::Refused(words::untrusted_link(&self.path.join(name))));
        }
        let target = readlinkat(&link, "", Vec::new()).map_err(wrong)?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    fn stat(&self) -> Result<Stat, Lost> {
        fstat(&self.fd).map_err(|errno| self.failed_here(errno))
    }

    fn failed_here(&self, errno: Errno) -> Lost {
        Lost::Refused(words::failed("open", &self.path, errno))
    }

    fn failed(&self, doing: &str, name: &OsStr, errno: Errno) -> Lost {
        Lost::Refused(words::failed(doing, &self.path.join(name), errno))
    }
}

fn is_trusted(stat: &Stat) -> bool {
    let uid = Uid::from_raw(stat.st_uid);
    uid.is_root() || uid == geteuid()
}

/// The names to `path`, the last one first.
fn steps_to(path: &Path, making: &Making<'_>) -> Vec<Step> {
    let mut steps = plain_steps(path);
    let mut whole = path;
    for step in &mut steps {
        step.claim = making.below.iter().map(|root| claim(root, whole)).max().unwrap_or(Claim::None);
        whole = whole.parent().unwrap_or(whole);
    }
    steps
}

fn claim(root: &Path, path: &Path) -> Claim {
    match path.strip_prefix(root) {
        Ok(rest) if rest.as_os_str().is_empty() => Claim::Root,
        Ok(rest) if rest.components().all(|part| matches!(part, Component::Normal(_))) => Claim::Below,
        _ => Claim::None,
    }
}

fn plain_steps(path: &Path) -> Vec<Step> {
    let named = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(named).map(|name| Step { name, claim: Claim::None }).collect()
}
