//! Hooks: programs of the operator that take their time, and may fail.

use tokend::job::{JobResult, Notice, Outcome};
use tokend::task::Notification;

use super::Simulated;
use super::outside::Coming;
use crate::simulation::moment::SECOND;

impl Simulated {
    pub(super) fn notify(&mut self, notification: Notification) {
        let Notification { slot, notice, .. } = notification;
        let Notice { event, token, generation, .. } = notice;
        let index = self.slots[&slot.identity];
        self.judge.hook_begins(index, token.as_str(), generation.0);
        self.digest(&[5, index as u64, generation.0]);
        let result = if self.sky.hooks_fail(self.now) { Err("exit status: 1".to_owned()) } else { Ok(()) };
        self.tell(|| format!("run the hook of {token} for generation {generation}: {result:?}"));
        let after = self.rng(5).stretched(5, 5 * SECOND);
        let outcome = Outcome {
            identity: slot.identity.clone(),
            result: JobResult::Notified { token, event, generation, result },
        };
        self.later(after, Coming::plain(self.clocks.timeline(), index, outcome));
    }
}
