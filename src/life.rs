//! The daemon from its beginning to its end: opens what it needs in order, runs the loop, closes.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::clock;
use crate::config::Config;
use crate::credentials;
use crate::cron::{Schedules, watch_schedules};
use crate::daemon::{Event, Until, run};
use crate::fatal::{CANNOT_CREATE, CONFIG, Fatal};
use crate::http::Http;
use crate::inbox::{Askers, Inbox};
use crate::keeper::Keeper;
use crate::ledger::Entry;
use crate::places::Places;
use crate::provider::Providers;
use crate::record::clock::follow_clock;
use crate::reloading::{Beginning, Origin, Reloads};
use crate::shelf::Shelf;
use crate::signals::{Signals, Wish};
use crate::sink::file::sweep;
use crate::socket::{bind, serve};
use crate::status::Status;
use crate::store::{OpenError, Opened, Store};
use crate::systemd::Service;
use crate::watch::watch;
use crate::world::{Parts, RealWorld};

const SWEEP_PATIENCE: Duration = Duration::from_secs(5);
/// How long a disk that hangs is waited for at the end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
const READY_TIMEOUT: Duration = Duration::from_mins(1);
/// Nobody is kept out by the file's mode: who may ask is decided by who is asking.
const SOCKET_MODE: u32 = 0o666;

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
    let Launch { config, config_path, fingerprint, until } = launch;
    let places = Places::find(&config.daemon)?;
    let opened = open_state(&config, &places).await?;
    let listener = match (&places.socket, until) {
        (Some(path), Until::Stopped) => Some(listen(path, &config, &places).await?),
        _ => None,
    };
    sweep_leftovers(Arc::clone(&config)).await;
    let shelf = Shelf::default();
    let mut keeper = Keeper::new(Arc::clone(&config), opened.entries, clock::now());
    if let Some(lost) = &opened.lost {
        error!(reason = lost, "starting without what was known before");
        keeper.note_lost_state(lost.clone(), clock::now());
    }
    let service = Service::new(clock::now() + config.daemon.ready_timeout.unwrap_or(READY_TIMEOUT));
    let (inbox, notice) = (ears.inbox.clone(), service.reloads());
    let reloads =
        Reloads::new(Beginning { path: config_path, config: Arc::clone(&config), fingerprint, inbox, notice });
    let mut tasks = tokio::task::JoinSet::new();
    if let Some(listener) = listener {
        tasks.spawn(serve(listener, shelf.clone(), ears.inbox.clone(), reloads.clone()));
    }
    if let Some(signals) = ears.signals {
        tasks.spawn(heed(signals, ears.inbox.clone(), reloads.clone()));
    }
    if until == Until::Stopped {
        tasks.spawn(watch(reloads.clone()));
    }
    let (schedules, wanted) = tokio::sync::watch::channel(Schedules::new());
    tasks.spawn(watch_schedules(wanted, ears.inbox.clone()));
    info!(version = env!("CARGO_PKG_VERSION"), tokens = config.tokens.len(), state_dir = %places.state_dir.display(), "started");
    let mut world = RealWorld::new(Parts {
        store: opened.store,
        providers: Providers::new(Http::new()),
        shelf,
        askers: ears.askers,
        events: ears.events,
        own_roots: places.own_roots,
        schedules,
        service,
        reloads,
    });
    run(&mut keeper, &mut world, until).await;
    let status = keeper.status(clock::now());
    tasks.shutdown().await;
    remove_socket(places.socket.as_deref().filter(|_| until == Until::Stopped));
    close(world.into_store()).await;
    info!("stopped");
    Ok(status)
}

/// Removes what a killed daemon left half written. A directory that hangs does not hold up the start.
async fn sweep_leftovers(config: Arc<Config>) {
    let swept = tokio::task::spawn_blocking(move || {
        sweep(config.slots.iter().flat_map(|slot| slot.sinks()).map(|(_, sink)| &sink.file))
    });
    match tokio::time::timeout(SWEEP_PATIENCE, swept).await {
        Ok(Ok(files)) if files > 0 => info!(files, "removed what was left half written"),
        Ok(_) => {}
        Err(_) => warn!("a directory of tokens does not answer; starting without looking for leftovers there"),
    }
}

/// Opens the state that `config` and `places` name.
///
/// Errors: why it cannot be opened, with the exit code.
pub async fn open_state(config: &Config, places: &Places) -> Result<Opened, Fatal> {
    let key = match &config.daemon.state_key {
        Some(source) => Some(
            credentials::read(source)
                .await
                .map_err(|why| Fatal::new(CANNOT_CREATE, format!("daemon.state_key: {why}")))?,
        ),
        None => None,
    };
    let mut opened = Store::open(&places.state_dir, key.as_ref(), clock::now()).map_err(|error| {
        let code = match error {
            OpenError::CannotCreate(_) | OpenError::HeldBy { .. } => CANNOT_CREATE,
            OpenError::NewerSchema { .. } | OpenError::BadKey(_) => CONFIG,
        };
        Fatal::new(code, error.to_string())
    })?;
    opened.entries.iter_mut().for_each(catch_up_with_the_clock);
    Ok(opened)
}

/// Moves what was saved if the clock was set since, while nobody was there to notice (L9).
fn catch_up_with_the_clock(entry: &mut Entry) {
    if let Some(step) = entry.anchor.as_ref().and_then(clock::step_since) {
        follow_clock(entry, step, clock::now().moved(-step));
    }
    entry.anchor = entry.anchor.take().filter(|anchor| !clock::is_of_this_boot(anchor));
}

async fn listen(path: &Path, config: &Config, places: &Places) -> Result<UnixListener, Fatal> {
    let cannot = |why: String| Fatal::new(CANNOT_CREATE, why);
    make_parent(path, places).map_err(cannot)?;
    bind(path, config.daemon.socket_mode.unwrap_or(SOCKET_MODE)).await.map_err(cannot)
}

/// Makes the directory of the socket where it lies below one of our own.
fn make_parent(path: &Path, places: &Places) -> Result<(), String> {
    let Some(parent) = path.parent().filter(|parent| !parent.exists()) else { return Ok(()) };
    if !places.own_roots.iter().any(|root| parent.starts_with(root)) {
        return Err(format!("the directory {} of the socket does not exist: create it", parent.display()));
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent);
    made.map_err(|error| format!("cannot make the directory {} of the socket: {error}", parent.display()))
}

/// Passes on what signals ask for.
async fn heed(mut signals: Signals, inbox: Inbox, reloads: Reloads) {
    let mut under_way = tokio::task::JoinSet::new();
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

fn remove_socket(path: Option<&Path>) {
    if let Some(path) = path
        && let Err(error) = std::fs::remove_file(path)
    {
        warn!(socket = %path.display(), %error, "the socket could not be removed");
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
