//! Holds the agenda against planning everything anew: a turn looks at what changed, and must come
//! to what looking at everything would. It changes nothing; only tests ask for it, since it costs
//! what there is.

use crate::job::Job;
use crate::keeper::Keeper;
use crate::plan::{plan, plan_departed};
use crate::time::Timestamp;

impl Keeper {
    /// What planning every slot anew would do at `now` and the agenda does not know of, in words;
    /// nothing between two turns. Also names jobs whose lane is busy, which no plan may hold.
    #[must_use]
    pub fn overlooked(&self, now: Timestamp) -> Vec<String> {
        let mut overlooked = Vec::new();
        for (identity, case) in &self.cases {
            let anew = match case.wanted_slot() {
                Some(slot) => plan(slot, &case.entry, &case.busy, now),
                None => plan_departed(&case.entry, &case.busy, now),
            };
            let queued = |job: &Job| matches!(job, Job::Issue(_)) && self.queues.is_waiting(identity);
            let name = identity.as_str();
            let busy = anew.due.iter().filter(|job| case.busy.contains(&job.lane()));
            overlooked.extend(busy.map(|job| format!("{name}: its lane is busy: {job}")));
            let known = self.stopping || self.agenda.wake_of(identity) <= now;
            let due = anew.due.iter().filter(|job| !known && !queued(job));
            overlooked.extend(due.map(|job| format!("{name}: due and not done: {job}")));
            if self.agenda.wake_of(identity) > anew.wake {
                overlooked.push(format!("{name}: to be looked at by {}", anew.wake));
            }
        }
        overlooked.sort_unstable();
        overlooked
    }
}
