//! Runs hooks beside everything else, and not all of them at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::clock::Timeline;
use crate::hook;
use crate::job::{JobResult, Outcome};
use crate::task::Notification;
use crate::world::home::Home;

/// How many programs run at a time at most.
const AT_A_TIME: usize = 32;

/// Who runs hooks.
#[derive(Debug)]
pub(crate) struct Hooks {
    home: Home,
    places: Arc<Semaphore>,
}

impl Hooks {
    pub(crate) fn new(home: Home) -> Self {
        Self { home, places: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// Runs what `notification` names, in its turn.
    pub(crate) fn run(&self, notification: Notification) {
        let (home, places) = (self.home.clone(), Arc::clone(&self.places));
        tokio::spawn(async move {
            // Nobody closes it: there is always a place in the end.
            let _place = places.acquire_owned().await;
            let Notification { slot, hook, notice } = notification;
            let result = hook::run(&hook, &notice).await;
            let (token, event, generation) = (notice.token, notice.event, notice.generation);
            let result = JobResult::Notified { token, event, generation, result };
            home.send(Timeline::present(), Outcome { identity: slot.identity.clone(), result });
        });
    }
}
