//! Which users and groups are called what, so that a peer is known by the names that the
//! configuration says. The host's directory is asked apart from the loop, and not by everybody.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::blocking::Blocking;
use crate::disk::{group, user};
use crate::peer::Peer;

/// How long a directory service may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what it said holds.
const FRESH: Duration = Duration::from_secs(10);
/// How long it is remembered, for the time in which the service does not answer.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Names of users, and of groups.
pub(crate) type Names<'n> = (&'n [String], &'n [String]);

/// Knows the numbers of those who are named.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    known: Mutex<Known>,
    looking: tokio::sync::Mutex<Blocking<Found>>,
}

#[derive(Debug, Default)]
struct Known {
    users: HashMap<String, Number>,
    groups: HashMap<String, Number>,
}

/// What a name is, as the host said last; a name that nobody has is no number.
#[derive(Clone, Copy, Debug)]
struct Number {
    id: Option<u32>,
    at: Instant,
}

/// Numbers of names that were looked up.
#[derive(Debug, Default)]
struct Found {
    users: Vec<(String, Option<u32>)>,
    groups: Vec<(String, Option<u32>)>,
}

impl Admission {
    /// Whether `peer` is one of `names`; a name that nobody has admits nobody.
    pub(crate) async fn admits(&self, peer: &Peer, names: Names<'_>) -> bool {
        self.learn(std::iter::once(names)).await;
        self.knows(peer, names)
    }

    /// Looks up what is not known, or no longer for sure.
    pub(crate) async fn learn<'n>(&self, names: impl Iterator<Item = Names<'n>> + Clone) {
        if self.known().lacks(names.clone(), Instant::now()).is_none() {
            return;
        }
        let mut looking = self.looking.lock().await;
        // Who came before may have asked for the same.
        let Some(lacking) = self.known().lacks(names, Instant::now()) else { return };
        let (users, groups) = (lacking.users.clone(), lacking.groups.clone());
        let found = looking.run(PATIENCE, move || look_up(users, groups)).await;
        self.known().note(lacking, found, Instant::now());
    }

    /// Whether `peer` is one of `names`, as far as they were learnt.
    pub(crate) fn knows(&self, peer: &Peer, (users, groups): Names<'_>) -> bool {
        let known = self.known();
        users.iter().any(|name| known.user(name) == Some(peer.uid()))
            || groups.iter().filter_map(|name| known.group(name)).any(|id| peer.groups().contains(&id))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names that are to be looked up.
struct Lacking {
    users: Vec<String>,
    groups: Vec<String>,
}

impl Known {
    fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name)?.id
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name)?.id
    }

    /// Those of `names` that are not known, or no longer for sure.
    fn lacks<'n>(&self, names: impl Iterator<Item = Names<'n>>, now: Instant) -> Option<Lacking> {
        let fresh = |number: &Number| now.duration_since(number.at) < FRESH;
        let mut lacking = Lacking { users: Vec::new(), groups: Vec::new() };
        for (users, groups) in names {
            lacking.users.extend(users.iter().filter(|name| !self.users.get(*name).is_some_and(fresh)).cloned());
            lacking.groups.extend(groups.iter().filter(|name| !self.groups.get(*name).is_some_and(fresh)).cloned());
        }
        let nothing = lacking.users.is_empty() && lacking.groups.is_empty();
        (!nothing).then_some(lacking)
    }

    /// A service that hangs is not asked again by everybody who comes: what was known last holds.
    fn note(&mut self, lacking: Lacking, found: Option<Found>, now: Instant) {
        for numbers in [&mut self.users, &mut self.groups] {
            numbers.retain(|_, number| now.duration_since(number.at) < REMEMBERED);
        }
        let found = found.unwrap_or_else(|| Found {
            users: lacking.users.into_iter().map(|name| (name.clone(), self.user(&name))).collect(),
            groups: lacking.groups.into_iter().map(|name| (name.clone(), self.group(&name))).collect(),
        });
        self.users.extend(found.users.into_iter().map(|(name, id)| (name, Number { id, at: now })));
        self.groups.extend(found.groups.into_iter().map(|(name, id)| (name, Number { id, at: now })));
    }
}

fn look_up(users: Vec<String>, groups: Vec<String>) -> Found {
    let number_of_user = |name: &str| user(name).ok().map(rustix::fs::Uid::as_raw);
    let number_of_group = |name: &str| group(name).ok().map(rustix::fs::Gid::as_raw);
    Found {
        users: users.into_iter().map(|name| (number_of_user(&name), name)).map(|(id, name)| (name, id)).collect(),
        groups: groups.into_iter().map(|name| (number_of_group(&name), name)).map(|(id, name)| (name, id)).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

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
            (&[], &[], peer(0, &[0]), false),
        ] {
            let (users, groups) = (names(users), names(groups));
            assert_eq!(admission.admits(&peer, (&users, &groups)).await, admitted, "{users:?} {groups:?} {peer:?}");
        }
    }

    #[tokio::test]
    async fn while_the_directory_hangs_what_it_said_last_holds() {
        let admission = Admission::default();
        let root = names(&["root"]);
        assert!(admission.admits(&Peer::new(0, &[]), (&root, &[])).await);
        let later = Instant::now() + FRESH;
        let lacking = admission.known().lacks(std::iter::once((&root[..], &[][..])), later).unwrap();
        admission.known().note(lacking, None, later);
        assert!(admission.known().lacks(std::iter::once((&root[..], &[][..])), later).is_none());
        assert!(admission.knows(&Peer::new(0, &[]), (&root, &[])));
    }
}
