//! The daemon from its beginning to its end: opens what it needs in order, runs the loop, closes.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::clock;
use crate::config::Config;
use crate::cron::{Schedules, watch_schedules};
use crate::daemon::{Event, Until, run};
use crate::fatal::{CANNOT_CREATE, Fatal};
use crate::http::Http;
use crate::inbox::{Askers, Inbox};
use crate::inherited::Passed;
use crate::keeper::Keeper;
use crate::ledger::Entry;
use crate::life::doors::{Listening, end_serving, listen, open_doors};
use crate::metrics::Metrics;
use crate::name::SinkId;
use crate::places::Places;
use crate::provider::Providers;
use crate::reloading::{Beginning, Origin, Reloads};
use crate::shelf::Shelf;
use crate::signals::{Signals, Wish};
use crate::sink::file::sweep;
use crate::socket::Desk;
use crate::status::Status;
use crate::store::Store;
use crate::systemd::Service;
use crate::vaults::{KeptTokens, Vaults};
use crate::watch::watch;
use crate::world::{Parts, RealWorld};

mod doors;
mod state;

pub use crate::life::state::{EarlyState, open_state};

const SWEEP_PATIENCE: Duration = Duration::from_secs(5);
/// How long a disk that hangs is waited for at the end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// What the daemon is started with.
#[derive(Debug)]
pub struct Launch {
    /// What the operator wants.
    pub config: Arc<Config>,
    /// Where it was read, to read it again.
    pub config_path: PathBuf,
    /// What tells it from another.
    pub fingerprint: String,
    /// How long to go on.
    pub until: Until,
    /// The sockets that the service manager passed.
    pub inherited: Passed,
    /// The state, if reading it has begun.
    pub state: EarlyState,
}

/// How others reach the daemon.
pub struct Ears {
    /// Where to ask the loop.
    pub inbox: Inbox,
    events: mpsc::Receiver<Event>,
    askers: Arc<Askers>,
    signals: Option<Signals>,
}

impl Ears {
    /// Hears what comes over the socket and through `inbox`, and nothing else.
    #[must_use]
    pub fn without_signals() -> Self {
        let (inbox, events, askers) = Inbox::new();
        Self { inbox, events, askers, signals: None }
    }

    /// Hears signals as well.
    ///
    /// Errors: signals cannot be received.
    pub fn with_signals() -> Result<Self, Fatal> {
        let cannot = |error| Fatal::new(CANNOT_CREATE, format!("cannot listen for signals: {error}"));
        Ok(Self { signals: Some(Signals::listen().map_err(cannot)?), ..Self::without_signals() })
    }
}

/// Runs the daemon in the tokio runtime that this is called in; says how things stood at the end.
///
/// Errors: why it could not start.
pub async fn live(launch: Launch, ears: Ears) -> Result<Status, Fatal> {
    let Launch { config, config_path, fingerprint, until, inherited, state } = launch;
    let places = find_places(&config)?;
    let http = Http::new();
    let vaults = Vaults::new(http.clone(), &config);
    let opened = state.open(&config, &places, &vaults).await?;
    let saver = opened.store.saver();
    vaults.keep_tokens(KeptTokens { found: opened.vault_tokens, saver });
    let listening = match until {
        Until::Stopped => listen(&config, &places, inherited).await?,
        Until::Quiet => Listening::default(),
    };
    let swept = sweep_leftovers(Arc::clone(&config), departed_files(&config, &opened.entries));
    let shelf = Shelf::default();
    let mut keeper = Keeper::new(Arc::clone(&config), opened.entries, clock::now());
    note_lost_state(&mut keeper, opened.lost);
    // Before anything new is half written there. From here to the loop nobody else has a turn: who comes
    // in finds what there is.
    swept.await;
    let service = Service::new(clock::now() + config.daemon.ready_timeout.unwrap_or(READY_TIMEOUT));
    let (inbox, notice) = (ears.inbox.clone(), service.reloads());
    let reloads =
        Reloads::new(Beginning { path: config_path, config: Arc::clone(&config), fingerprint, inbox, notice });
    let askers = Arc::clone(&ears.askers);
    let metrics = Metrics::new(ears.inbox.clone(), reloads.clone());
    let (mut tasks, mut servers) = (JoinSet::new(), JoinSet::new());
    let desk = Desk::new(shelf.clone(), ears.inbox.clone(), reloads.clone(), metrics.clone());
    let metrics_at = config.daemon.metrics.filter(|_| until == Until::Stopped);
    let bound = open_doors((&mut tasks, &mut servers), desk, listening, metrics_at);
    if let Some(signals) = ears.signals {
        tasks.spawn(heed(signals, ears.inbox.clone(), reloads.clone()));
    }
    if until == Until::Stopped {
        tasks.spawn(watch(reloads.clone()));
        tasks.spawn(vaults.clone().watch(ears.inbox.clone()));
    }
    let (schedules, wanted) = tokio::sync::watch::channel(Schedules::new());
    tasks.spawn(watch_schedules(wanted, ears.inbox.clone()));
    info!(version = env!("CARGO_PKG_VERSION"), tokens = config.tokens.len(), state_dir = %places.state_dir.display(), "started");
    let mut world = RealWorld::new(Parts {
        store: opened.store,
        providers: Providers::new(http),
        shelf: shelf.clone(),
        askers: ears.askers,
        events: ears.events,
        own_roots: places.own_roots,
        schedules,
        service,
        reloads,
        metrics,
        vaults,
    });
    run(&mut keeper, &mut world, until).await;
    let status = keeper.status(clock::now());
    tasks.shutdown().await;
    let store = world.into_store();
    askers.dismiss();
    end_serving(servers, &shelf, bound.as_deref()).await;
    close(store).await;
    info!("stopped");
    Ok(status)
}

fn find_places(config: &Config) -> Result<Places, Fatal> {
    let places = Places::find(&config.daemon)?;
    if let Some(reason) = places.volatile_state() {
        warn!("{reason}");
    }
    Ok(places)
}

fn note_lost_state(keeper: &mut Keeper, lost: Option<String>) {
    if let Some(reason) = lost {
        error!(reason, "starting without what was known before");
        keeper.note_lost_state(reason, clock::now());
    }
}

/// The files that were written and are in the configuration no more.
fn departed_files(config: &Config, entries: &[Entry]) -> Vec<SinkId> {
    let written = entries.iter().flat_map(|entry| entry.receipts.keys());
    written.filter(|sink| sink.is_file() && !config.sinks.contains_key(sink)).cloned().collect()
}

/// Begins to remove what a killed daemon left half written; says when that is done. A directory that
/// hangs does not hold up the start.
fn sweep_leftovers(config: Arc<Config>, departed: Vec<SinkId>) -> impl Future<Output = ()> {
    let swept = tokio::task::spawn_blocking(move || {
        let files = config.slots.iter().flat_map(|slot| slot.sinks()).filter_map(|(_, sink)| sink.file());
        let files = files.map(|file| (file.path.as_path(), file.owner.as_deref()));
        sweep(files.chain(departed.iter().map(|sink| (Path::new(sink.as_str()), None))))
    });
    async {
        match tokio::time::timeout(SWEEP_PATIENCE, swept).await {
            Ok(Ok(files)) if files > 0 => info!(files, "removed what was left half written"),
            Ok(_) => {}
            Err(_) => warn!("a directory of tokens does not answer; starting without looking for leftovers there"),
        }
    }
}

/// Passes on what signals ask for.
async fn heed(mut signals: Signals, inbox: Inbox, reloads: Reloads) {
    let mut under_way = JoinSet::new();
    while let Some((wish, sender)) = signals.next().await {
        info!(signal = sender, "signal");
        match wish {
            Wish::Stop => inbox.stop().await,
            Wish::Status => inbox.log_status().await,
            // Reading may take long; the next signal may be the end.
            Wish::Reload => {
                let reloads = reloads.clone();
                under_way.spawn(async move { reloads.reload(Origin::Asked(sender)).await.is_ok() });
            }
        }
        while under_way.try_join_next().is_some() {}
    }
}

async fn close(store: Store) {
    let closed = tokio::task::spawn_blocking(move || store.close());
    match tokio::time::timeout(CLOSE_PATIENCE, closed).await {
        Ok(Ok(Err(reason))) => error!(reason, "the state could not be closed well; it opens again all the same"),
        Ok(_) => {}
        Err(_) => error!("the disk with the state does not answer; stopping without it"),
    }
}
