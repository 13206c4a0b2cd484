//! At most so many requests at a time at one endpoint; the others wait, the nearest expiry first.

use std::collections::{BTreeSet, HashMap};

use crate::name::Identity;
use crate::settings::Endpoint;
use crate::time::Timestamp;

/// How many requests may be under way at one endpoint (L12).
const REQUESTS_AT_A_TIME: usize = 8;

/// The requests under way and waiting, by endpoint.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    queues: HashMap<Endpoint, Queue>,
    crowded: BTreeSet<Endpoint>,
}

#[derive(Debug, Default)]
struct Queue {
    in_flight: usize,
    waiting: BTreeSet<(Timestamp, Identity)>,
}

impl Queue {
    fn is_full(&self) -> bool {
        self.in_flight >= REQUESTS_AT_A_TIME
    }
}

impl Queues {
    /// Takes a place at `endpoint`; where there is none, `identity` waits for one.
    pub(crate) fn enter(&mut self, endpoint: &Endpoint, expiry: Timestamp, identity: &Identity) -> bool {
        let queue = self.queues.entry(endpoint.clone()).or_default();
        let key = (expiry, identity.clone());
        if queue.is_full() {
            queue.waiting.insert(key);
            self.crowded.insert(endpoint.clone());
            return false;
        }
        queue.waiting.remove(&key);
        queue.in_flight += 1;
        true
    }

    /// Gives a place at `endpoint` back.
    pub(crate) fn leave(&mut self, endpoint: &Endpoint) {
        if let Some(queue) = self.queues.get_mut(endpoint) {
            queue.in_flight = queue.in_flight.saturating_sub(1);
            if queue.in_flight == 0 && queue.waiting.is_empty() {
                self.queues.remove(endpoint);
            }
        }
    }

    /// Names those who may try to enter again: one for every free place.
    pub(crate) fn admit(&mut self) -> Vec<Identity> {
        let mut admitted = Vec::new();
        let queues = &mut self.queues;
        self.crowded.retain(|endpoint| {
            let Some(queue) = queues.get_mut(endpoint) else { return false };
            for _ in queue.in_flight..REQUESTS_AT_A_TIME {
                let Some((_, identity)) = queue.waiting.pop_first() else { break };
                admitted.push(identity);
            }
            !queue.waiting.is_empty()
        });
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ninth_waits_and_the_nearest_expiry_goes_first() {
        let endpoint = Endpoint::TokenUrl("https://a/token".into());
        let identity = |n: usize| Identity::new(&[&n.to_string()]);
        let mut queues = Queues::default();
        for n in 0..8 {
            assert!(queues.enter(&endpoint, Timestamp::EPOCH, &identity(n)));
        }
        assert!(!queues.enter(&endpoint, Timestamp::from_secs(2), &identity(8)));
        assert!(!queues.enter(&endpoint, Timestamp::from_secs(1), &identity(9)));
        assert_eq!(queues.admit(), []);
        queues.leave(&endpoint);
        assert_eq!(queues.admit(), [identity(9)]);
        assert!(queues.enter(&endpoint, Timestamp::from_secs(1), &identity(9)));
        queues.leave(&endpoint);
        assert_eq!(queues.admit(), [identity(8)]);
    }
}
