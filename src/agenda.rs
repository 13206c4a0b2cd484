//! Which slots to look at when: an ordered set, so that a turn costs what changed, not what there is.

use std::collections::{BTreeSet, HashMap};

use crate::name::Identity;
use crate::time::Timestamp;

/// When each slot wants to be looked at next.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    order: BTreeSet<(Timestamp, Identity)>,
    wakes: HashMap<Identity, Timestamp>,
}

impl Agenda {
    /// Looks at `identity` at `wake` and not at the moment set before; `NEVER` takes it off.
    pub fn set(&mut self, identity: &Identity, wake: Timestamp) {
        if self.wakes.get(identity) == Some(&wake) {
            return;
        }
        self.remove(identity);
        if wake < Timestamp::NEVER {
            self.order.insert((wake, identity.clone()));
            self.wakes.insert(identity.clone(), wake);
        }
    }

    /// Takes `identity` off.
    pub fn remove(&mut self, identity: &Identity) {
        if let Some(wake) = self.wakes.remove(identity) {
            self.order.remove(&(wake, identity.clone()));
        }
    }

    /// Takes off, and names, the slots to look at by `now`, the most urgent first.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<Identity> {
        let mut due = Vec::new();
        while let Some((wake, _)) = self.order.first() {
            if *wake > now {
                break;
            }
            let Some((_, identity)) = self.order.pop_first() else { break };
            self.wakes.remove(&identity);
            due.push(identity);
        }
        due
    }

    /// When `identity` wants to be looked at.
    #[must_use]
    pub fn wake_of(&self, identity: &Identity) -> Timestamp {
        self.wakes.get(identity).copied().unwrap_or(Timestamp::NEVER)
    }

    /// The next moment at which a slot wants to be looked at.
    #[must_use]
    pub fn next(&self) -> Timestamp {
        self.order.first().map_or(Timestamp::NEVER, |(wake, _)| *wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn a_slot_is_looked_at_once_at_the_moment_set_last() {
        let mut agenda = Agenda::default();
        let (a, b) = (Identity::new(&["a"]), Identity::new(&["b"]));
        agenda.set(&a, at(10));
        agenda.set(&a, at(30));
        agenda.set(&b, at(20));
        assert_eq!(agenda.next(), at(20));
        assert_eq!(agenda.take_due(at(25)), std::slice::from_ref(&b));
        assert_eq!(agenda.take_due(at(25)), []);
        agenda.set(&b, Timestamp::NEVER);
        assert_eq!(agenda.next(), at(30));
        agenda.remove(&a);
        assert_eq!(agenda.next(), Timestamp::NEVER);
    }

    #[test]
    fn the_most_urgent_comes_first() {
        let mut agenda = Agenda::default();
        for seconds in [5, 1, 3] {
            agenda.set(&Identity::new(&[&seconds.to_string()]), at(seconds));
        }
        let names: Vec<String> = agenda.take_due(at(9)).iter().map(|i| i.as_str().to_owned()).collect();
        assert_eq!(names, ["1", "3", "5"]);
    }
}
