//! Who is at the other end of a Unix socket, as the kernel says. It knows no names of users and
//! decides nothing.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "asks the kernel")]

use std::fmt;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use tokio::net::UnixStream;

use crate::peer::options::{peer_groups, peer_pidfd};
use crate::peer::unit::unit_of;

mod options;
pub mod unit;

/// Who is asking.
#[derive(Clone)]
pub struct Peer {
    uid: u32,
    pid: Option<i32>,
    /// The primary group and all others.
    groups: Arc<[u32]>,
    /// Where to look for its unit.
    stream: Option<Arc<UnixStream>>,
}

impl Peer {
    /// The user `uid` in `groups`, who runs in no unit.
    #[must_use]
    pub fn new(uid: u32, groups: &[u32]) -> Self {
        Self { uid, pid: None, groups: groups.into(), stream: None }
    }

    /// Whoever has connected `stream`, as they were when they did; `None` when the kernel does not say.
    #[must_use]
    pub fn of(stream: &Arc<UnixStream>) -> Option<Self> {
        let credentials = stream.peer_cred().ok()?;
        let groups = peer_groups(stream).unwrap_or_default().into_iter().chain([credentials.gid()]).collect();
        let pid = credentials.pid().filter(|pid| *pid > 0);
        Some(Self { uid: credentials.uid(), pid, groups, stream: Some(Arc::clone(stream)) })
    }

    /// Its user.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Its groups, the primary one among them.
    #[must_use]
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// Whether it is root or the daemon's own user.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.uid == 0 || self.uid == rustix::process::geteuid().as_raw()
    }

    /// The unit of the system manager that the process which connected runs in now; `None` where it
    /// runs in none, has ended, or nobody can prove that it has not.
    #[must_use]
    pub fn unit(&self) -> Option<String> {
        unit_of(self.stream.as_ref()?, self.pid?)
    }
}

/// For the log: `uid 1000, pid 4711`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}", self.uid)?;
        self.pid.map_or(Ok(()), |pid| write!(f, ", pid {pid}"))
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("uid", &self.uid).field("groups", &self.groups).finish_non_exhaustive()
    }
}

/// Whether this kernel can prove that a peer still lives (`SO_PEERPIDFD`, since 6.5): without that
/// no unit can be told.
#[must_use]
pub fn can_tell_units() -> bool {
    StdStream::pair().is_ok_and(|(one, _other)| peer_pidfd(&one).is_ok())
}

/// Why peers cannot be told apart by user and group here, if so: a user namespace that does not map
/// all of them shows the others as one.
#[must_use]
pub fn why_nobody_is_known() -> Option<String> {
    let maps_all = |file: &str| std::fs::read_to_string(file).is_ok_and(|map| maps_everybody(&map));
    let kinds = [("users", "/proc/self/uid_map"), ("groups", "/proc/self/gid_map")];
    let (kind, _) = kinds.into_iter().find(|(_, file)| !maps_all(file))?;
    Some(format!(
        "tokend runs in a user namespace that does not map all {kind}, where peers cannot be told apart: only root and \
         the daemon's own user may read; run it without PrivateUsers= and outside of such a container"
    ))
}

/// Whether a map as in `user_namespaces(7)` leaves nobody out.
fn maps_everybody(map: &str) -> bool {
    let length = |line: &str| line.split_whitespace().nth(2).and_then(|length| length.parse::<u64>().ok());
    map.lines().filter_map(length).sum::<u64>() >= u64::from(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_says_who_is_at_the_other_end() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&Arc::new(one)).unwrap();
        assert!(peer.is_ours() && peer.groups.contains(&rustix::process::getegid().as_raw()));
        let mut own: Vec<u32> =
            rustix::process::getgroups().unwrap().into_iter().map(rustix::fs::Gid::as_raw).collect();
        own.retain(|group| !peer.groups.contains(group));
        assert_eq!(own, [0_u32; 0]);
        assert_eq!(peer.to_string(), format!("uid {}, pid {}", peer.uid(), std::process::id()));
    }

    #[test]
    fn a_user_namespace_must_map_everybody() {
        for (map, all) in [
            ("         0          0 4294967295\n", true),
            ("0 0 1000\n1000 100000 4294966295\n", true),
            ("0 100000 65536\n", false),
            ("0 1000 1\n1 100000 65536\n", false),
            ("", false),
            ("no map", false),
        ] {
            assert_eq!(maps_everybody(map), all, "{map}");
        }
    }
}
