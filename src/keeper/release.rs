//! Lets go of what was decided: persist, then publish (L16).

use std::mem::take;
use std::time::Duration;

use crate::keeper::Keeper;
use crate::name::Identity;
use crate::task::{Publication, Release, Task};
use crate::time::Timestamp;

/// How long a sink that hangs is waited for at the end; what it left half written is removed at start.
const SINK_PATIENCE: Duration = Duration::from_secs(5);

impl Keeper {
    /// What may be done now: all of it, but for what rests on rows that are not saved.
    #[must_use]
    pub fn release(&mut self, now: Timestamp) -> Release {
        self.take_back_overtaken(now);
        let savings = &self.savings;
        let is_free = |identity: &Identity| !savings.holds(identity, now);
        let token_is_free = |identity: &Identity| !savings.holds_token(identity, now);
        let may_go = |task: &mut Task| match task {
            Task::Issue(..) | Task::Notify(_) => is_free(task.identity()),
            Task::Recall(_) | Task::Deliver(_) | Task::Withdraw { .. } => token_is_free(task.identity()),
        };
        let tasks: Vec<Task> = self.held_back.extract_if(.., may_go).collect();
        for task in &tasks {
            if let Task::Issue(slot, _) = task {
                self.queues.depart(&slot.provider, now);
            }
        }
        let answers = self.answers.extract_if(.., |(about, ..)| about.as_ref().is_none_or(is_free));
        let answers = answers.map(|(_, asker, answer)| (asker, answer)).collect();
        let publish: Vec<Identity> = self.to_publish.extract_if(.., |identity| token_is_free(identity)).collect();
        let publications = publish.iter().flat_map(|identity| self.publications(identity)).collect();
        Release { tasks, publications, answers }
    }

    /// Requests that waited for a save while patience was asked for, or their slot left the
    /// configuration, do not leave; they are planned again (L12, L17).
    fn take_back_overtaken(&mut self, now: Timestamp) {
        let (cases, queues) = (&self.cases, &self.queues);
        let overtaken = |task: &Task| match task {
            Task::Issue(slot, _) => {
                queues.held_until(&slot.provider) > now || cases.get(&slot.identity).is_none_or(|case| !case.wanted)
            }
            _ => false,
        };
        let taken_back: Vec<Task> = self.held_back.extract_if(.., |task| overtaken(task)).collect();
        for task in taken_back {
            self.call_off(&task);
            let identity = task.identity();
            self.agenda.set(identity, now);
            if self.cases.get(identity).is_none_or(|case| !case.wanted) {
                let askers = self.askers.remove(identity).unwrap_or_default();
                self.abandon(askers);
            }
        }
    }

    /// Begins to stop: nothing is asked for any more, what is under way may come home and is
    /// brought to its readers.
    pub fn stop(&mut self) {
        self.stopping = true;
        let held_back = take(&mut self.held_back);
        let (deliveries, others): (Vec<_>, Vec<_>) =
            held_back.into_iter().partition(|task| matches!(task, Task::Deliver(_)));
        self.held_back = deliveries;
        for task in others {
            self.call_off(&task);
        }
        for (_, askers) in take(&mut self.askers) {
            self.abandon(askers);
        }
    }

    /// Whether it has stopped: requests have come home within their own time-out, sinks too or for
    /// long enough, and everything known is saved as far as it can be.
    #[must_use]
    pub fn is_finished(&self, now: Timestamp) -> bool {
        let home = self.queues.in_flight() == 0 && (self.in_flight == 0 || now >= self.end());
        self.stopping && home && (self.savings.is_empty() || self.savings.patience_is_over(now))
    }

    pub(super) fn note_stopping(&mut self, now: Timestamp) {
        if self.queues.in_flight() > 0 {
            self.stopping_since = None;
        } else if self.stopping {
            self.stopping_since.get_or_insert(now);
        }
    }

    /// Until when a sink that hangs is waited for, after the last request has come home.
    pub(super) fn end(&self) -> Timestamp {
        self.stopping_since.map_or(Timestamp::NEVER, |since| since + SINK_PATIENCE)
    }

    /// Takes back a task that was started but never released.
    pub(super) fn call_off(&mut self, task: &Task) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(case) = self.cases.get_mut(task.identity()) else { return };
        case.leave(&task.lane());
        if let Task::Issue(slot, _) = task {
            case.entry.intention = None;
            case.asked = None;
            self.queues.give_up(&slot.provider);
        }
    }

    fn publications(&self, identity: &Identity) -> Vec<Publication> {
        self.cases
            .get(identity)
            .and_then(|case| {
                case.wanted_slot().map(|slot| Publication::of_slot(slot, case.entry.access_token.as_ref()))
            })
            .unwrap_or_default()
    }
}
