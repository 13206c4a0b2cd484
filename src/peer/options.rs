//! What a Unix socket knows of its peer and no crate here can ask for: its groups
//! (`SO_PEERGROUPS`) and a handle on its process (`SO_PEERPIDFD`).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::libc::{ERANGE, SO_PEERGROUPS, SO_PEERPIDFD, SOL_SOCKET, c_int, getsockopt, gid_t, socklen_t};

/// More groups than this a process cannot have (`NGROUPS_MAX`).
const MOST: usize = 65_536;

/// All groups that the peer had when it connected, perhaps without its primary one.
pub(crate) fn peer_groups(socket: impl AsFd) -> io::Result<Vec<u32>> {
    let mut groups: Vec<gid_t> = vec![0; 64];
    loop {
        let size = groups.len() * size_of::<gid_t>();
        let mut length = socklen_t::try_from(size).map_err(io::Error::other)?;
        let socket = socket.as_fd().as_raw_fd();
        // SAFETY: `groups` has room for `length` bytes, of which the kernel writes at most as many and
        // says how many; the descriptor is borrowed for the call.
        let code =
            unsafe { getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.as_mut_ptr().cast(), &raw mut length) };
        if code == 0 {
            groups.truncate(length as usize / size_of::<gid_t>());
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(ERANGE) || groups.len() >= MOST {
            return Err(error);
        }
        groups.resize(MOST, 0);
    }
}

/// A handle on the process that connected, whichever process has its number by now. Errors: the
/// kernel is older than 6.5, or the process is gone.
pub(crate) fn peer_pidfd(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut pidfd: c_int = -1;
    let mut length = socklen_t::try_from(size_of::<c_int>()).map_err(io::Error::other)?;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: `pidfd` has room for the `length` bytes that the kernel writes at most; the descriptor
    // is borrowed for the call.
    let code = unsafe { getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, (&raw mut pidfd).cast(), &raw mut length) };
    if code != 0 {
        return Err(io::Error::last_os_error());
    }
    if pidfd < 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}
