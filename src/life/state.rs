//! Opens the state. Reading ten thousand rows takes as long as reading the tables of as many tokens,
//! so the daemon does both at once: it looks as soon as it is known where, on a thread of its own.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::path::PathBuf;
use std::thread::{Builder, JoinHandle};

use crate::clock;
use crate::config::Config;
use crate::fatal::{CANNOT_CREATE, CONFIG, Fatal};
use crate::ledger::Entry;
use crate::places::Places;
use crate::record::clock::follow_clock;
use crate::settings::DaemonSettings;
use crate::store::{Looked, OpenError, Opened, Store};
use crate::vaults::Vaults;

/// A state that is being read while the configuration is. Until it is opened nothing of it is changed:
/// the configuration may turn out to be wrong, or to name another.
#[derive(Debug, Default)]
pub struct EarlyState(Option<(PathBuf, Reading)>);

type Reading = JoinHandle<Result<Looked, OpenError>>;

impl EarlyState {
    /// Begins to read the state that `settings` name, if there is one. One whose key is configured is read
    /// later: the key may have to be asked for.
    #[must_use]
    pub fn begin(settings: &DaemonSettings) -> Self {
        let place = Places::find(settings).ok().map(|places| places.state_dir);
        let Some(directory) = place.filter(|place| settings.state_key.is_none() && Store::is_in(place)) else {
            return Self::default();
        };
        let thread = Builder::new().name("state".to_owned());
        let place = directory.clone();
        // Without a thread it is read later.
        Self(thread.spawn(move || Store::look(&place, None)).ok().map(|reading| (directory, reading)))
    }

    /// The state that `config` and `places` name.
    ///
    /// Errors: why it cannot be opened, with the exit code.
    pub async fn open(self, config: &Config, places: &Places, vaults: &Vaults) -> Result<Opened, Fatal> {
        let looked = self.0.and_then(|(directory, reading)| Some((directory, reading.join().ok()?)));
        match looked {
            Some((directory, looked)) if directory == places.state_dir && config.daemon.state_key.is_none() => {
                open(looked)
            }
            other => {
                // It may hold the directory that is meant.
                drop(other);
                open_state(config, places, vaults).await
            }
        }
    }
}

/// Opens the state that `config` and `places` name.
///
/// Errors: why it cannot be opened, with the exit code.
pub async fn open_state(config: &Config, places: &Places, vaults: &Vaults) -> Result<Opened, Fatal> {
    let key = match &config.daemon.state_key {
        Some(source) => Some(
            vaults.secret(source).await.map_err(|why| Fatal::new(CANNOT_CREATE, format!("daemon.state_key: {why}")))?,
        ),
        None => None,
    };
    open(Store::look(&places.state_dir, key.as_ref()))
}

fn open(looked: Result<Looked, OpenError>) -> Result<Opened, Fatal> {
    let mut opened = looked.and_then(|looked| looked.open(clock::now())).map_err(|error| {
        let code = match error {
            OpenError::CannotCreate(_) | OpenError::HeldBy { .. } | OpenError::BadKey(_) => CANNOT_CREATE,
            OpenError::NewerSchema { .. } => CONFIG,
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
