//! Plans one slot, or what came home from some of its sinks, and starts what is due.

use std::mem::{replace, take};
use std::sync::Arc;

use crate::job::Job;
use crate::keeper::Keeper;
use crate::keeper::readiness::sink_is_ready;
use crate::name::{Identity, SinkId};
use crate::plan::hooks::TURN_PATIENCE;
use crate::plan::{Plan, forget_at, plan, plan_after, plan_departed};
use crate::record::begin;
use crate::task::Task;
use crate::time::Timestamp;

impl Keeper {
    pub(super) fn plan_one(&mut self, identity: &Identity, now: Timestamp) {
        let Some(case) = self.cases.get(identity) else { return };
        let plan = match case.wanted_slot() {
            Some(slot) => plan(slot, &case.entry, &case.busy, now),
            None if case.busy.is_empty() && forget_at(&case.entry) <= now => return self.forget(identity, now),
            None => plan_departed(&case.entry, &case.busy, now),
        };
        self.note_readiness(identity, now);
        self.agenda.set(identity, plan.wake);
        self.start_all(identity, plan.due, now);
        self.note_expiry(identity, now);
    }

    /// Notes a slot whose access token has expired while nobody was asked for another.
    fn note_expiry(&mut self, identity: &Identity, now: Timestamp) {
        let Some(case) = self.cases.get_mut(identity) else { return };
        let is_alive = case.entry.live(now).is_some();
        if replace(&mut case.lived, is_alive) && !is_alive && case.wanted && !case.is_asking() {
            self.expired.push(identity.clone());
        }
    }

    /// Plans what concerns the sinks from which something came home: a slot with a thousand sinks is not
    /// planned whole a thousand times. What was planned for the rest of it stays.
    pub(super) fn plan_returned(&mut self, now: Timestamp) {
        for (identity, sinks) in take(&mut self.returned) {
            if !self.changed.contains(&identity) {
                self.plan_sinks(&identity, &sinks, now);
            }
        }
    }

    fn plan_sinks(&mut self, identity: &Identity, sinks: &[SinkId], now: Timestamp) {
        let Some((case, slot)) = self.cases.get(identity).and_then(|case| Some((case, case.wanted_slot()?))) else {
            return;
        };
        let Plan { due, wake } = plan_after(slot, &case.entry, sinks, &case.busy, now);
        let ready = !self.unready.contains(identity) && sinks.iter().all(|sink| sink_is_ready(&case.entry, sink, now));
        if !ready {
            self.note_readiness(identity, now);
        }
        self.agenda.set(identity, wake.min(self.agenda.wake_of(identity)));
        self.start_all(identity, due, now);
    }

    fn start_all(&mut self, identity: &Identity, due: Vec<Job>, now: Timestamp) {
        for job in due {
            // At the end what came home is still brought to its readers (L3); nothing else begins.
            if !self.stopping || matches!(job, Job::Deliver(_)) {
                self.start(identity, job, now);
            }
        }
    }

    fn forget(&mut self, identity: &Identity, now: Timestamp) {
        self.cases.remove(identity);
        self.agenda.remove(identity);
        self.unready.remove(identity);
        self.savings.forget(identity, now);
    }

    fn start(&mut self, identity: &Identity, job: Job, now: Timestamp) {
        let Some(case) = self.cases.get_mut(identity) else { return };
        if let (Job::Issue(ask), Some(slot)) = (&job, &case.slot)
            && slot.follows().is_none()
        {
            if !self.queues.enter(&slot.provider, identity, case.entry.urgency()) {
                if case.entry.waiting_since.is_none() {
                    case.entry.waiting_since = Some(now);
                    self.agenda.set(identity, self.agenda.wake_of(identity).min(now + TURN_PATIENCE));
                }
                return;
            }
            case.entry.waiting_since = None;
            case.asked = Some(Arc::clone(&slot.provider));
            if slot.counts_issues() {
                let durability = begin(&mut case.entry, ask, now);
                self.savings.note(identity, durability, now);
            }
        }
        let Some(task) = Task::new(case.slot.as_ref(), &case.entry, job, now) else { return };
        case.busy.insert(task.lane());
        self.in_flight += 1;
        self.held_back.push(task);
    }
}
