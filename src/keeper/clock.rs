//! The wall clock was set: everything that is known, wanted and waited for moves with it (L9).

use std::sync::Arc;

use crate::job::Lane;
use crate::keeper::{Case, Keeper};
use crate::record::Durability;
use crate::record::clock::follow_clock;
use crate::task::{RefreshAnswer, Task};
use crate::time::{Step, Timestamp};

impl Keeper {
    /// Moves every moment by `step`: the wall clock was set, and shows `now`. Nothing becomes due by
    /// it but to say anew what sinks and readers are told of times. What is under way and comes home
    /// later has been moved by whoever brings it.
    pub fn clock_set(&mut self, step: Step, now: Timestamp) {
        let before = now.moved(-step);
        self.savings.follow_clock(step);
        self.queues.follow_clock(step);
        self.stopping_since = self.stopping_since.map(|since| since.moved(step));
        for task in &mut self.held_back {
            match task {
                Task::Deliver(delivery) => {
                    delivery.access_token = Arc::new(delivery.access_token.follow_clock(step, before));
                }
                Task::Notify(notification) => {
                    let expires_at = &mut notification.notice.expires_at;
                    *expires_at = expires_at.map(|at| at.moved(step));
                }
                Task::Recall(_) | Task::Issue(..) | Task::Withdraw { .. } => {}
            }
        }
        for (.., answer) in &mut self.answers {
            follow_answer(answer, step, before);
        }
        for (identity, case) in &mut self.cases {
            case.follow_clock(step, before);
            self.changed.insert(identity.clone());
            self.to_publish.insert(identity.clone());
            self.savings.note(identity, Durability::Lazy, now);
        }
    }
}

impl Case {
    fn follow_clock(&mut self, step: Step, before: Timestamp) {
        follow_clock(&mut self.entry, step, before);
        let touched = self.busy.iter().filter_map(|lane| match lane {
            Lane::Sink(sink) => Some(sink.clone()),
            Lane::Issuing | Lane::Hooks(_) => None,
        });
        self.outdated.extend(touched);
    }
}

fn follow_answer(answer: &mut RefreshAnswer, step: Step, before: Timestamp) {
    match answer {
        RefreshAnswer::Held(token) => *token = Arc::new(token.follow_clock(step, before)),
        RefreshAnswer::NotBefore(until, _) => *until = until.moved(step),
        RefreshAnswer::Paused(since) => *since = since.moved(step),
        RefreshAnswer::Failed(_)
        | RefreshAnswer::Accepted
        | RefreshAnswer::NotHeld(_)
        | RefreshAnswer::Resumed
        | RefreshAnswer::Abandoned => {}
    }
}
