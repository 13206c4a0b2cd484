//! An admin wants no requests made for a slot, until they are wanted again. It holds over restarts.

use crate::keeper::Keeper;
use crate::name::{Identity, Name};
use crate::record::Durability;
use crate::task::{AskerId, RefreshAnswer, Task};
use crate::time::Timestamp;

impl Keeper {
    /// Makes no requests for the slot of `name` from now on; one under way may come home. The answer
    /// comes with a release, once that is saved. Pausing what is paused changes nothing.
    pub fn pause(&mut self, name: &Name, asker: AskerId, now: Timestamp) {
        let Some(identity) = self.pausable(name) else { return self.abandon(vec![asker]) };
        let Some(case) = self.cases.get_mut(&identity) else { return };
        let since = *case.entry.paused.get_or_insert(now);
        case.entry.forced = false;
        for task in self.held_back.extract_if(.., |task| is_request(task, &identity)).collect::<Vec<_>>() {
            self.call_off(&task);
        }
        if self.cases.get(&identity).is_some_and(|case| !case.is_asking()) {
            let disappointed = self.askers.remove(&identity).unwrap_or_default();
            self.answers.extend(disappointed.into_iter().map(|asker| (None, asker, RefreshAnswer::Paused(since))));
        }
        self.settle_pause(&identity, asker, RefreshAnswer::Paused(since), now);
    }

    /// Makes requests for the slot of `name` again, at once where one is due.
    pub fn resume(&mut self, name: &Name, asker: AskerId, now: Timestamp) {
        let Some(identity) = self.pausable(name) else { return self.abandon(vec![asker]) };
        if let Some(case) = self.cases.get_mut(&identity) {
            case.entry.paused = None;
        }
        self.settle_pause(&identity, asker, RefreshAnswer::Resumed, now);
    }

    fn pausable(&self, name: &Name) -> Option<Identity> {
        self.config.slot_of(name).map(|slot| slot.identity.clone()).filter(|_| !self.stopping)
    }

    fn settle_pause(&mut self, identity: &Identity, asker: AskerId, answer: RefreshAnswer, now: Timestamp) {
        self.savings.note(identity, Durability::Now, now);
        self.changed.insert(identity.clone());
        self.answers.push((Some(identity.clone()), asker, answer));
    }
}

fn is_request(task: &Task, identity: &Identity) -> bool {
    matches!(task, Task::Issue(..)) && task.identity() == identity
}
