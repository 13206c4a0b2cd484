//! Who is asking, as the kernel says, and whether they are admins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::blocking::Blocking;
use crate::disk::{group, user};
use crate::settings::Admins;
use crate::socket::peer_groups::peer_groups;

/// How long a directory service may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what it said holds.
const FRESH: Duration = Duration::from_secs(10);

/// Who is asking.
#[derive(Clone, Debug)]
pub struct Peer {
    uid: u32,
    /// The primary group and all others.
    groups: Arc<[u32]>,
}

impl Peer {
    /// The user `uid` in `groups`.
    #[must_use]
    pub fn new(uid: u32, groups: &[u32]) -> Self {
        Self { uid, groups: groups.into() }
    }

    /// Whoever has connected `stream`, as they were when they did; `None` when the kernel does not say.
    pub(crate) fn of(stream: &UnixStream) -> Option<Self> {
        let credentials = stream.peer_cred().ok()?;
        let groups = peer_groups(stream).unwrap_or_default().into_iter().chain([credentials.gid()]).collect();
        Some(Self { uid: credentials.uid(), groups })
    }

    /// In words, for the log.
    pub(crate) fn name(&self) -> String {
        format!("uid {}", self.uid)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.uid == 0 || self.uid == rustix::process::geteuid().as_raw()
    }
}

/// Knows the numbers of those who are called admins.
#[derive(Debug, Default)]
pub(crate) struct Admission(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    looking: Blocking<Numbers>,
    found: Option<(Instant, Arc<Admins>, Numbers)>,
}

#[derive(Clone, Debug, Default)]
struct Numbers {
    users: BTreeSet<u32>,
    groups: BTreeSet<u32>,
}

impl Admission {
    /// Whether `peer` is one of `admins`. Names are looked up when somebody comes of whom it is not
    /// known; a name that nobody has admits nobody.
    pub(crate) async fn admits(&self, peer: &Peer, admins: Arc<Admins>) -> bool {
        let mut known = self.0.lock().await;
        let fresh = known.found.as_ref().is_some_and(|(at, of, _)| *of == admins && at.elapsed() < FRESH);
        if !fresh {
            let names = Arc::clone(&admins);
            let found = known.looking.run(PATIENCE, move || numbers(&names)).await;
            let last_known = known.found.take().filter(|(_, of, _)| *of == admins).map(|(.., numbers)| numbers);
            // A service that hangs is not asked again by everybody who comes.
            let numbers = found.or(last_known).unwrap_or_default();
            known.found = Some((Instant::now(), admins, numbers));
        }
        known.found.as_ref().is_some_and(|(.., numbers)| numbers.hold(peer))
    }
}

impl Numbers {
    fn hold(&self, peer: &Peer) -> bool {
        self.users.contains(&peer.uid) || peer.groups.iter().any(|group| self.groups.contains(group))
    }
}

fn numbers(admins: &Admins) -> Numbers {
    Numbers {
        users: admins.users.iter().filter_map(|name| user(name).ok()).map(rustix::fs::Uid::as_raw).collect(),
        groups: admins.groups.iter().filter_map(|name| group(name).ok()).map(rustix::fs::Gid::as_raw).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn user_and_any_group_admit_and_unknown_names_admit_nobody() {
        let peer = Peer::new;
        let admission = Admission::default();
        for (users, groups, peer, admitted) in [
            (&["77"][..], &[][..], peer(77, &[5]), true),
            (&["77"], &[], peer(78, &[77]), false),
            (&[], &["5", "no-such-group"], peer(78, &[9, 5]), true),
            (&["no-such-user"], &["no-such-group"], peer(78, &[9]), false),
            (&["root"], &[], peer(0, &[]), true),
            (&[], &["root"], peer(78, &[0]), true),
        ] {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let admins = Arc::new(Admins { users: names(users), groups: names(groups) });
            assert_eq!(admission.admits(&peer, admins).await, admitted, "{users:?} {groups:?} {peer:?}");
        }
    }

    #[tokio::test]
    async fn the_kernel_says_who_is_at_the_other_end() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert!(peer.is_ours() && peer.groups.contains(&rustix::process::getegid().as_raw()));
        let mut own: Vec<u32> =
            rustix::process::getgroups().unwrap().into_iter().map(rustix::fs::Gid::as_raw).collect();
        own.retain(|group| !peer.groups.contains(group));
        assert_eq!(own, [0_u32; 0]);
    }
}
