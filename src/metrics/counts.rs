//! What happened since the start, in numbers, by slot and by sink.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use crate::config::Config;
use crate::failure::Class;
use crate::name::{Name, SinkId, SlotId};

/// Upper bounds of the times that requests take, in seconds; the default time-out is 10 s.
const BOUNDS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Where things are counted. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Mutex<Tally>>);

/// What was counted. What is not there is 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) issues: HashMap<SlotId, [u64; Issue::ALL.len()]>,
    pub(crate) deliveries: HashMap<SinkId, [u64; Delivery::ALL.len()]>,
    pub(crate) reads: [u64; Read::ALL.len()],
    pub(crate) durations: BTreeMap<Name, Histogram>,
}

/// What came of a request to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issue {
    /// A new access token.
    Issued,
    /// The access token already held.
    Unchanged,
    /// Nobody answered, or nothing usable.
    Unreachable,
    /// No.
    Refused,
    /// Nothing was sent: something on this host is missing.
    NotReady,
}

/// What came of a delivery to a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was written.
    Delivered,
    /// It held already what it should.
    Unchanged,
    /// It could not be written.
    Failed,
}

/// What a reader of the socket was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// An access token.
    Served,
    /// The one that the reader has already.
    NotModified,
    /// There is no valid one now.
    Unavailable,
    /// It is not for that reader.
    Forbidden,
    /// There is no such token.
    Unknown,
}

impl Issue {
    /// All, with the words for them, each at its own index.
    pub(crate) const ALL: [(Self, &'static str); 5] = [
        (Self::Issued, "issued"),
        (Self::Unchanged, "unchanged"),
        (Self::Unreachable, "unreachable"),
        (Self::Refused, "refused"),
        (Self::NotReady, "not_ready"),
    ];
}

impl From<Class> for Issue {
    fn from(class: Class) -> Self {
        match class {
            Class::Unreachable => Self::Unreachable,
            Class::Refused => Self::Refused,
            Class::NotReady => Self::NotReady,
        }
    }
}

impl Delivery {
    /// All, with the words for them, each at its own index.
    pub(crate) const ALL: [(Self, &'static str); 3] =
        [(Self::Delivered, "delivered"), (Self::Unchanged, "unchanged"), (Self::Failed, "failed")];
}

impl Read {
    /// All, with the words for them, each at its own index.
    pub(crate) const ALL: [(Self, &'static str); 5] = [
        (Self::Served, "served"),
        (Self::NotModified, "not_modified"),
        (Self::Unavailable, "unavailable"),
        (Self::Forbidden, "forbidden"),
        (Self::Unknown, "unknown"),
    ];
}

impl Counts {
    /// A request for `slot` came to its end.
    pub fn issue(&self, slot: &SlotId, result: Issue) {
        let mut tally = self.tally_mut();
        match tally.issues.get_mut(slot) {
            Some(counts) => counts[result as usize] += 1,
            None => tally.issues.entry(slot.clone()).or_default()[result as usize] += 1,
        }
    }

    /// `provider` took so long to answer, whatever it said.
    pub fn took(&self, provider: &Name, duration: Duration) {
        let mut tally = self.tally_mut();
        let histogram = tally.durations.entry(provider.clone()).or_insert_with(|| Histogram::new(BOUNDS));
        histogram.observe(duration.as_secs_f64());
    }

    /// A delivery to `sink` came to its end.
    pub fn delivery(&self, sink: &SinkId, result: Delivery) {
        let mut tally = self.tally_mut();
        match tally.deliveries.get_mut(sink) {
            Some(counts) => counts[result as usize] += 1,
            None => tally.deliveries.entry(sink.clone()).or_default()[result as usize] += 1,
        }
    }

    /// A reader was answered.
    pub fn read(&self, result: Read) {
        self.tally_mut().reads[result as usize] += 1;
    }

    /// Forgets what `config` does not name.
    pub fn retain(&self, config: &Config) {
        let slots: std::collections::HashSet<&SlotId> = config.slots.iter().map(|slot| &slot.id).collect();
        let mut tally = self.tally_mut();
        tally.issues.retain(|slot, _| slots.contains(slot));
        tally.deliveries.retain(|sink, _| config.sinks.contains_key(sink));
        tally.durations.retain(|provider, _| config.providers.contains_key(provider));
    }

    /// A copy of what was counted.
    pub(crate) fn tally(&self) -> Tally {
        self.tally_mut().clone()
    }

    fn tally_mut(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_stands_at_its_own_index() {
        assert!(Issue::ALL.iter().enumerate().all(|(index, (result, _))| *result as usize == index));
        assert!(Delivery::ALL.iter().enumerate().all(|(index, (result, _))| *result as usize == index));
        assert!(Read::ALL.iter().enumerate().all(|(index, (result, _))| *result as usize == index));
    }
}
