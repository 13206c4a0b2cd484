//! Which unit of the system manager a peer runs in: read from its control group, while a handle on
//! its process proves that the number is still its own.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "asks the kernel")]

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::peer::options::peer_pidfd;

/// The unit that the process `pid` at the other end of `socket` runs in.
pub(crate) fn unit_of(socket: impl AsFd, pid: i32) -> Option<String> {
    let process = peer_pidfd(socket).ok()?;
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    // Only now: as long as it lives nobody else has its number.
    unit_in(&groups).filter(|_| is_alive(&process))
}

fn is_alive(process: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(process, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0)
}

/// The unit that the text of `/proc/PID/cgroup` names: the first component after the slices, never
/// below `user.slice`, where users name units as they like.
#[must_use]
pub fn unit_in(groups: &str) -> Option<String> {
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let named = || groups.lines().find_map(|line| line.split_once(':')?.1.strip_prefix("name=systemd:"));
    // A hierarchy beside version 2 may be anybody's; it counts only where version 2 is not in use.
    let path = unified.filter(|path| *path != "/").or_else(named)?;
    let parts = path.strip_prefix('/')?.split('/');
    if path.ends_with(" (deleted)") || parts.clone().any(|part| part == ".." || part == "user.slice") {
        return None;
    }
    let is_slice = |part: &str| part.rsplit_once('.').is_some_and(|(_, kind)| kind == "slice");
    let unit = parts.into_iter().find(|part| !is_slice(part))?;
    // So it is escaped where it would be taken for a file of the control group.
    let unit = unit.strip_prefix('_').unwrap_or(unit);
    unit.contains('.').then(|| unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_first_component_after_the_slices() {
        for (groups, unit) in [
            ("0::/system.slice/api.service\n", Some("api.service")),
            ("0::/system.slice/api.service/worker/1\n", Some("api.service")),
            ("0::/system.slice/system-getty.slice/getty@tty1.service\n", Some("getty@tty1.service")),
            ("0::/machine.slice/box.service/payload/system.slice/api.service\n", Some("box.service")),
            ("0::/init.scope\n", Some("init.scope")),
            ("0::/system.slice/_cpu.service\n", Some("cpu.service")),
            ("0::/api.service\n", Some("api.service")),
            ("4:memory:/other.service\n1:name=systemd:/system.slice/api.service\n", Some("api.service")),
            ("1:name=systemd:/system.slice/api.service\n0::/\n", Some("api.service")),
            // Beside version 2 it may be a container's own.
            ("1:name=systemd:/system.slice/api.service\n0::/system.slice/box.service\n", Some("box.service")),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/api.service\n", None),
            ("0::/user.slice/user-1000.slice/session-1.scope\n", None),
            ("3:name=mine:/0::/system.slice/api.service\n0::/\n", None),
            ("0::/system.slice\n", None),
            ("0::/\n", None),
            ("0::/../../system.slice/api.service\n", None),
            ("0::/system.slice/api.service (deleted)\n", None),
            ("0::/process/b44943c8\n", None),
            ("", None),
        ] {
            assert_eq!(unit_in(groups).as_deref(), unit, "{groups}");
        }
    }
}
