//! The real world: jobs become requests and files, rows become a transaction, and what comes of
//! them goes back to the loop. It decides nothing; it only logs what was decided and what came.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::clock;
use crate::credentials;
use crate::daemon::{Event, Happening, Seen, World};
use crate::failure::Failure;
use crate::inbox::{Answer, Askers};
use crate::job::{Ask, JobResult, Outcome};
use crate::keeper::Keeper;
use crate::preset::Secrets;
use crate::provider::Providers;
use crate::reloading::Reloads;
use crate::settings::SecretSource;
use crate::shelf::{Item, Shelf};
use crate::slot::Slot;
use crate::status::Status;
use crate::store::{Change, Store};
use crate::task::{AskerId, Publication, RefreshAnswer, Row, Task};
use crate::time::Timestamp;
use crate::world::couriers::Couriers;
use crate::world::telling::Telling;

mod couriers;
mod telling;

/// The longest nap: a clock that jumped is noticed after it (L9).
const LONGEST_NAP: Duration = Duration::from_secs(30);
/// How many outcomes are recorded, and so saved, together at most.
const BATCH: usize = 256;

/// The real world.
pub struct RealWorld {
    store: Store,
    providers: Arc<Providers>,
    couriers: Couriers,
    shelf: Shelf,
    askers: Arc<Askers>,
    events: mpsc::Receiver<Event>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    home: mpsc::UnboundedSender<Outcome>,
    telling: Telling,
    reloads: Reloads,
}

/// What the real world is made of.
pub struct Parts {
    /// Where rows go.
    pub store: Store,
    /// Who asks providers.
    pub providers: Providers,
    /// What the socket serves.
    pub shelf: Shelf,
    /// Those who wait for answers.
    pub askers: Arc<Askers>,
    /// What others want of the loop.
    pub events: mpsc::Receiver<Event>,
    /// Directories below which we make what is missing.
    pub own_roots: Vec<std::path::PathBuf>,
    /// Whom to tell how things stand.
    pub service: crate::systemd::Service,
    /// Who knows how it stands with the configuration.
    pub reloads: Reloads,
}

impl RealWorld {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (home, outcomes) = mpsc::unbounded_channel();
        Self {
            store: parts.store,
            providers: Arc::new(parts.providers),
            couriers: Couriers::new(parts.own_roots, home.clone()),
            shelf: parts.shelf,
            askers: parts.askers,
            events: parts.events,
            outcomes,
            home,
            telling: Telling::new(parts.service),
            reloads: parts.reloads,
        }
    }

    /// Gives the store back, to be closed.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.store
    }

    fn issue(&self, slot: Arc<Slot>, ask: Ask) {
        let (providers, home) = (Arc::clone(&self.providers), self.home.clone());
        tokio::spawn(async move {
            let (asked_at, answer) = match secrets_for(&slot, ask.secret_choice).await {
                Ok(secrets) => providers.ask(&slot, &ask, &secrets, &clock::now).await,
                Err(reason) => (clock::now(), Err(Failure::NotReady(reason))),
            };
            let result = JobResult::Issued { ask, asked_at, answer };
            let _ = home.send(Outcome { identity: slot.identity.clone(), result });
        });
    }
}

/// Reads the secrets of a request: of every list the one that `choice` names.
///
/// Errors: which parameter's secret cannot be read, and why.
pub async fn secrets_for(slot: &Slot, choice: usize) -> Result<Secrets, String> {
    let mut secrets = Secrets::new();
    for (parameter, sources) in &slot.provider.secrets {
        let Some(source) = pick(sources, choice) else { continue };
        let secret = credentials::read(source).await.map_err(|why| format!("{parameter}: {why}"))?;
        secrets.insert(parameter.clone(), secret);
    }
    Ok(secrets)
}

fn pick(sources: &[SecretSource], choice: usize) -> Option<&SecretSource> {
    sources.get(choice.min(sources.len().saturating_sub(1)))
}

/// Adds the outcomes that have arrived to `happenings`, as far as the batch holds them. What is not
/// taken stays: an outcome that is dropped would leave its lane busy for ever.
fn gather(happenings: &mut Vec<Happening>, outcomes: &mut mpsc::UnboundedReceiver<Outcome>) {
    while happenings.len() < BATCH {
        let Ok(outcome) = outcomes.try_recv() else { return };
        happenings.push(Happening::Outcome(outcome));
    }
}

impl World for RealWorld {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn save(&mut self, rows: Vec<Row>) -> Result<(), String> {
        let change = |row| match row {
            Row::Put(entry, persist) => Change::Put(entry, persist),
            Row::Remove(identity) => Change::Remove(identity),
        };
        self.store.save(rows.into_iter().map(change).collect()).await
    }

    fn carry_out(&mut self, task: Task) {
        self.telling.starting(&task);
        match task {
            Task::Issue(slot, ask) => self.issue(slot, ask),
            Task::Recall(slot) => self.couriers.recall(slot),
            Task::Deliver(delivery) => self.couriers.deliver(delivery),
            Task::Withdraw { identity, sink, fingerprint } => self.couriers.withdraw(identity, sink, fingerprint),
        }
    }

    fn publish(&mut self, publication: Publication) {
        let Publication { name, slot, access_token } = publication;
        self.shelf.put(name, Item { slot, access_token });
    }

    fn answer(&mut self, asker: AskerId, answer: RefreshAnswer) {
        self.askers.answer(asker, Answer::Refresh(answer));
    }

    fn answer_status(&mut self, asker: AskerId, status: Status) {
        let status = Status { config: Some(self.reloads.status()), ..status };
        self.askers.answer(asker, Answer::Status(Box::new(status)));
    }

    fn observe(&mut self, keeper: &Keeper, seen: Seen<'_>) {
        if let Seen::Turned = seen {
            self.shelf.set_ready(keeper.is_ready());
        }
        if let Seen::Reloaded = seen {
            self.shelf.retain(|name| keeper.config().tokens.contains_key(name));
        }
        self.telling.observe(keeper, &seen, clock::now());
    }

    async fn next(&mut self, wake: Timestamp) -> Vec<Happening> {
        self.couriers.set_off();
        let wake = wake.min(self.telling.deadline());
        let nap = clock::now().until(wake).min(LONGEST_NAP);
        let first = timeout(nap, async {
            tokio::select! {
                Some(outcome) = self.outcomes.recv() => Happening::Outcome(outcome),
                event = self.events.recv() => Happening::Event(event.unwrap_or(Event::Stop)),
            }
        });
        let Ok(first) = first.await else { return Vec::new() };
        let mut happenings = vec![first];
        gather(&mut happenings, &mut self.outcomes);
        happenings
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::access_token::Generation;
    use crate::name::Identity;

    #[test]
    fn no_outcome_is_lost_when_more_arrive_than_a_batch_holds() {
        let (home, mut outcomes) = mpsc::unbounded_channel();
        for number in 0..=2 * BATCH {
            let result = JobResult::Recalled(Generation::NONE);
            home.send(Outcome { identity: Identity::new(&[&number.to_string()]), result }).unwrap();
        }
        let mut taken = Vec::new();
        for expected in [BATCH, BATCH, 1, 0] {
            let mut happenings = Vec::new();
            gather(&mut happenings, &mut outcomes);
            assert_eq!(happenings.len(), expected);
            taken.extend(happenings);
        }
        assert_eq!(taken.len(), 2 * BATCH + 1);
    }
}
