//! System calls that a signal may interrupt, which is nobody's business: they are made again.
//! Some file systems (NFS, FUSE) answer so where others never do.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::{Result, retry_on_intr};

pub fn openat(directory: impl AsFd, name: impl AsRef<OsStr>, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let (directory, name) = (directory.as_fd(), name.as_ref());
    retry_on_intr(|| rustix::fs::openat(directory, name, flags, mode))
}

pub fn mkdirat(directory: impl AsFd, name: &OsStr, mode: Mode) -> Result<()> {
    let directory = directory.as_fd();
    retry_on_intr(|| rustix::fs::mkdirat(directory, name, mode))
}

pub fn unlinkat(directory: impl AsFd, name: &OsStr, flags: AtFlags) -> Result<()> {
    let directory = directory.as_fd();
    retry_on_intr(|| rustix::fs::unlinkat(directory, name, flags))
}

/// Renames within `directory`.
pub fn rename(directory: impl AsFd, from: &OsStr, to: &OsStr) -> Result<()> {
    let directory = directory.as_fd();
    retry_on_intr(|| rustix::fs::renameat(directory, from, directory, to))
}

pub fn fchmod(file: impl AsFd, mode: Mode) -> Result<()> {
    let file = file.as_fd();
    retry_on_intr(|| rustix::fs::fchmod(file, mode))
}

pub fn fchown(file: impl AsFd, owner: Option<Uid>, group: Option<Gid>) -> Result<()> {
    let file = file.as_fd();
    retry_on_intr(|| rustix::fs::fchown(file, owner, group))
}

pub fn fsync(file: impl AsFd) -> Result<()> {
    let file = file.as_fd();
    retry_on_intr(|| rustix::fs::fsync(file))
}
