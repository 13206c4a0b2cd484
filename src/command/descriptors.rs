//! What tokend was handed open by whoever started it is not handed on to the programs that it runs.
//! All that is opened later is closed there anyway.
#![allow(unsafe_code, clippy::disallowed_methods, reason = "names descriptors by their numbers")]

use std::fs::read_dir;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// The first descriptor that is not standard input, output or error.
const FIRST: RawFd = 3;

/// Sees to it that nothing that is open now is inherited. As far as can be told: without `/proc`
/// nothing is known of it.
pub fn keep_descriptors() {
    let Ok(open) = read_dir("/proc/self/fd") else { return };
    let numbers: Vec<RawFd> = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number >= FIRST) {
        // SAFETY: nothing is read, written or closed by it; a number that is no longer open is an error.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(descriptor) {
            let _ = fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC);
        }
    }
}
