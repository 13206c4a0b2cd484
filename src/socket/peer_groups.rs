//! The supplementary groups of a peer (`SO_PEERGROUPS`), which no crate here can ask for.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc::{ERANGE, SO_PEERGROUPS, SOL_SOCKET, getsockopt, gid_t, socklen_t};

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
