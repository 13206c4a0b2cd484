//! The way home of what is under way. Every outcome comes with the timeline on which its moments
//! stand, and is moved to the present one when it arrives (L9).

use tokio::sync::mpsc;

use crate::clock::Timeline;
use crate::daemon::Happening;
use crate::job::Outcome;

/// How many outcomes are recorded, and so saved, together at most.
const BATCH: usize = 256;

/// Where outcomes are sent. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Home(mpsc::UnboundedSender<Returned>);

/// Where outcomes arrive.
#[derive(Debug)]
pub(crate) struct Returns(mpsc::UnboundedReceiver<Returned>);

/// An outcome as it was sent.
#[derive(Debug)]
pub(crate) struct Returned {
    timeline: Timeline,
    outcome: Outcome,
}

/// A way home.
pub(crate) fn new() -> (Home, Returns) {
    let (home, returns) = mpsc::unbounded_channel();
    (Home(home), Returns(returns))
}

impl Home {
    /// Sends `outcome`, whose moments stand on `timeline`.
    pub(crate) fn send(&self, timeline: Timeline, outcome: Outcome) {
        let _ = self.0.send(Returned { timeline, outcome });
    }
}

impl Returns {
    /// The next one. Nothing is lost when this is dropped before it is ready.
    pub(crate) async fn next(&mut self) -> Option<Returned> {
        self.0.recv().await
    }

    /// Adds the outcomes that have arrived to `happenings`, as far as the batch holds them. What is
    /// not taken stays: an outcome that is dropped would leave its lane busy for ever.
    pub(crate) fn gather(&mut self, happenings: &mut Vec<Happening>) {
        while happenings.len() < BATCH {
            let Ok(returned) = self.0.try_recv() else { return };
            happenings.push(returned.happening());
        }
    }
}

impl Returned {
    /// The outcome as it is on the present timeline.
    pub(crate) fn happening(self) -> Happening {
        let Self { timeline, mut outcome } = self;
        outcome.follow_clock(timeline.step_to(Timeline::present()));
        Happening::Outcome(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_token::Generation;
    use crate::job::JobResult;
    use crate::name::Identity;

    #[test]
    fn no_outcome_is_lost_when_more_arrive_than_a_batch_holds() {
        let (home, mut returns) = new();
        for number in 0..=2 * BATCH {
            let result = JobResult::Recalled(Generation::NONE);
            home.send(Timeline::present(), Outcome { identity: Identity::new(&[&number.to_string()]), result });
        }
        for expected in [BATCH, BATCH, 1, 0] {
            let mut happenings = Vec::new();
            returns.gather(&mut happenings);
            assert_eq!(happenings.len(), expected);
        }
    }
}
