//! The real world: jobs become requests and files, rows become a transaction, and what comes of
//! them goes back to the loop. It decides nothing; it only logs what was decided and what came.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::clock;
use crate::clock::Timeline;
use crate::cron::{Schedules, schedules};
use crate::daemon::{Event, Happening, Seen, World};
use crate::failure::Failure;
use crate::following::look;
use crate::inbox::{Answer, Askers};
use crate::job::{Ask, JobResult, Outcome};
use crate::keeper::Keeper;
use crate::metrics::Metrics;
use crate::plan::serves;
use crate::provider::Providers;
use crate::reloading::Reloads;
use crate::shelf::{Item, Shelf};
use crate::slot::Slot;
use crate::status::Status;
use crate::store::{Change, Store};
use crate::task::{AskerId, Publication, RefreshAnswer, Row, Task};
use crate::time::{Step, Timestamp};
use crate::vaults::Vaults;
use crate::world::couriers::Couriers;
use crate::world::home::{Home, Returned, Returns};
use crate::world::hooks::Hooks;
use crate::world::saving::Saving;
use crate::world::telling::Telling;

mod couriers;
mod home;
mod hooks;
mod saving;
mod telling;

/// The longest nap: a clock that jumped is noticed after it (L9).
const LONGEST_NAP: Duration = Duration::from_secs(30);
/// The shortest nap after one from which nothing came: whatever the clocks say, it never spins.
const SHORTEST_NAP: Duration = Duration::from_secs(1);

/// The real world.
pub struct RealWorld {
    store: Store,
    providers: Arc<Providers>,
    couriers: Couriers,
    hooks: Hooks,
    shelf: Shelf,
    askers: Arc<Askers>,
    events: mpsc::Receiver<Event>,
    returns: Returns,
    home: Home,
    telling: Telling,
    schedules: watch::Sender<Schedules>,
    saving: Saving,
    /// Whether anything came of the last nap.
    idle: bool,
    reloads: Reloads,
    metrics: Metrics,
    vaults: Vaults,
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
    /// Who watches the moments of schedules.
    pub schedules: watch::Sender<Schedules>,
    /// Whom to tell how things stand.
    pub service: crate::systemd::Service,
    /// Who knows how it stands with the configuration.
    pub reloads: Reloads,
    /// Where what happens is counted.
    pub metrics: Metrics,
    /// Who speaks to Vault.
    pub vaults: Vaults,
}

impl RealWorld {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (home, returns) = home::new();
        Self {
            saving: Saving::new(parts.store.directory().to_owned()),
            store: parts.store,
            providers: Arc::new(parts.providers),
            couriers: Couriers::new(parts.own_roots, parts.vaults.clone(), home.clone()),
            hooks: Hooks::new(home.clone()),
            shelf: parts.shelf,
            askers: parts.askers,
            events: parts.events,
            returns,
            home,
            telling: Telling::new(parts.service, parts.metrics.counts().clone()),
            schedules: parts.schedules,
            idle: false,
            reloads: parts.reloads,
            metrics: parts.metrics,
            vaults: parts.vaults,
        }
    }

    /// Gives the store back, to be closed.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.vaults.close();
        self.store
    }

    fn issue(&self, slot: Arc<Slot>, mut ask: Ask) {
        let (providers, vaults, home) = (Arc::clone(&self.providers), self.vaults.clone(), self.home.clone());
        let counts = self.metrics.counts().clone();
        let timeline = Timeline::present();
        tokio::spawn(async move {
            let now = || timeline.now();
            if let Some(followed) = slot.follows() {
                let (looked_at, found) = look(followed, &vaults, &now).await;
                let result = JobResult::Looked { ask, looked_at, found };
                return home.send(timeline, Outcome { identity: slot.identity.clone(), result });
            }
            let (asked_at, answer) = match vaults.secrets_for(&slot, &mut ask).await {
                Ok(secrets) => {
                    let began = now();
                    let answered = providers.ask(&slot, &ask, &secrets, &now).await;
                    counts.took(&slot.provider.name, now().since(began));
                    if let (_, Err(Failure::Refused(_))) = &answered {
                        vaults.doubt(&slot);
                    }
                    answered
                }
                Err(reason) => (now(), Err(Failure::NotReady(reason))),
            };
            let result = JobResult::Issued { ask, asked_at, answer };
            home.send(timeline, Outcome { identity: slot.identity.clone(), result });
        });
    }
}

impl RealWorld {
    fn nap(&self, wake: Timestamp) -> Duration {
        let nap = clock::now().until(wake.min(self.telling.deadline())).min(LONGEST_NAP);
        if self.idle && nap.is_zero() { SHORTEST_NAP } else { nap }
    }

    /// Who may read holds at once; what is offered goes on being offered as far as it still serves.
    fn announce(&self, slot: &Arc<Slot>) {
        for token in &slot.tokens {
            let before = self.shelf.find(&token.name).filter(|item| item.slot.identity == slot.identity);
            if before.as_ref().is_some_and(|item| Arc::ptr_eq(&item.slot, slot)) {
                continue;
            }
            let offered = before.and_then(|item| item.access_token).filter(|held| serves(slot, token, held));
            self.shelf.put(token.name.clone(), Item::new(Arc::clone(slot), offered));
        }
    }

    /// What readers are served is moved before any of them can ask again.
    fn notice_the_clock(&self) -> Option<Step> {
        let before = clock::now();
        let step = clock::notice()?;
        self.shelf.follow_clock(step, before);
        Some(step)
    }
}

/// What `next` waited for.
enum Arrival {
    Returned(Returned),
    Event(Event),
}

impl World for RealWorld {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn save(&mut self, rows: Vec<Row>) -> Result<(), String> {
        self.idle = false;
        if self.saving.is_hanging().await {
            return Err(self.saving.words());
        }
        let anchor = clock::anchor();
        let change = |row| match row {
            Row::Put(mut entry, persist) => {
                entry.anchor.clone_from(&anchor);
                Change::Put(entry, persist)
            }
            Row::Remove(identity) => Change::Remove(identity),
        };
        self.saving.wait(self.store.save(rows.into_iter().map(change).collect())).await
    }

    fn carry_out(&mut self, task: Task) {
        self.idle = false;
        self.telling.starting(&task);
        match task {
            Task::Issue(slot, ask) => self.issue(slot, ask),
            Task::Recall(slot) => self.couriers.recall(slot),
            Task::Deliver(delivery) => self.couriers.deliver(delivery),
            Task::Withdraw { identity, sink, written } => self.couriers.withdraw(identity, sink, written),
            Task::Notify(notification) => self.hooks.run(notification),
        }
    }

    fn publish(&mut self, publication: Publication) {
        let Publication { name, slot, access_token } = publication;
        self.shelf.put(name, Item::new(slot, access_token));
    }

    fn answer(&mut self, asker: AskerId, answer: RefreshAnswer) {
        self.askers.answer(asker, Answer::Refresh(answer));
    }

    fn answer_status(&mut self, asker: AskerId, status: Status) {
        let (metrics_problem, config) = (self.metrics.problem(), Some(self.reloads.status()));
        let status = Status { metrics_problem, config, ..status };
        self.askers.answer(asker, Answer::Status(Box::new(status)));
    }

    fn observe(&mut self, keeper: &Keeper, seen: Seen<'_>) {
        if let Seen::Turned = seen {
            self.shelf.set_ready(keeper.is_ready());
            if keeper.is_stopping() {
                self.shelf.close();
            }
        }
        if let Seen::Reloaded = seen {
            self.shelf.retain(|name| keeper.config().tokens.contains_key(name));
            for slot in &keeper.config().slots {
                self.announce(slot);
            }
            self.vaults.adopt(keeper.config());
            self.schedules.send_replace(schedules(keeper.config()));
            self.metrics.counts().retain(keeper.config());
        }
        if let Seen::LookAgain = seen {
            self.vaults.try_again();
        }
        if let Seen::ReadingsWanted(asker) = seen {
            self.askers.answer(asker, Answer::Readings(keeper.readings(clock::now())));
        }
        self.telling.observe(keeper, &seen, clock::now());
    }

    async fn next(&mut self, wake: Timestamp) -> Vec<Happening> {
        self.couriers.set_off();
        let arrived = timeout(self.nap(wake), async {
            tokio::select! {
                returned = self.returns.next() => returned.map(Arrival::Returned),
                event = self.events.recv() => Some(Arrival::Event(event.unwrap_or(Event::Stop))),
            }
        })
        .await;
        // Before anything is told: what comes home is moved to the timeline that holds then.
        let step = self.notice_the_clock();
        let mut happenings: Vec<Happening> = step.map(Happening::ClockSet).into_iter().collect();
        match arrived {
            Ok(Some(Arrival::Returned(returned))) => happenings.push(returned.happening()),
            Ok(Some(Arrival::Event(event))) => happenings.push(Happening::Event(event)),
            Ok(None) | Err(_) => {}
        }
        self.returns.gather(&mut happenings);
        self.idle = happenings.is_empty();
        happenings
    }
}
