//! Brings access tokens to files. What goes to one directory goes together, by threads of its own:
//! a directory that hangs delays only itself, and one directory is made durable once for a load.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::access_token::Generation;
use crate::clock::Timeline;
use crate::document::Document;
use crate::job::{Delivered, Fingerprint, JobResult, Outcome};
use crate::name::{Identity, SinkId};
use crate::settings::FileContent;
use crate::sink::file::{FilePut, directory_of, generation, put_all, remove};
use crate::sink::template_file;
use crate::slot::Slot;
use crate::task::Delivery;
use crate::template;
use crate::world::home::Home;

/// How many files are brought together at most.
const LOAD: usize = 64;
/// How many couriers share the loads of one directory at most: disks sync several files in the time of one.
const COURIERS: usize = 4;

/// The couriers, as many under way for each directory as it has loads.
#[derive(Debug)]
pub(crate) struct Couriers {
    own_roots: Arc<[PathBuf]>,
    home: Home,
    rounds: Arc<Mutex<HashMap<PathBuf, Round>>>,
}

/// What waits to be brought to one directory.
#[derive(Debug, Default)]
struct Round {
    waiting: Vec<(Timeline, Delivery)>,
    under_way: usize,
}

impl Couriers {
    pub(crate) fn new(own_roots: Vec<PathBuf>, home: Home) -> Self {
        Self { own_roots: own_roots.into(), home, rounds: Arc::default() }
    }

    /// Puts `delivery` with what else goes to its directory.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        let directory = directory_of(&delivery.sink().file.path).to_path_buf();
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        rounds.entry(directory).or_default().waiting.push((Timeline::present(), delivery));
    }

    /// Sends couriers wherever more loads wait than couriers are under way.
    pub(crate) fn set_off(&self) {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        for (directory, round) in rounds.iter_mut() {
            let wanted = round.waiting.len().div_ceil(LOAD).min(COURIERS);
            for _ in round.under_way..wanted {
                round.under_way += 1;
                self.send_courier(directory.clone());
            }
        }
    }

    fn send_courier(&self, directory: PathBuf) {
        let rounds = Arc::clone(&self.rounds);
        let (own_roots, home) = (Arc::clone(&self.own_roots), self.home.clone());
        spawn_blocking(move || {
            while let Some(load) = next_load(&rounds, &directory) {
                bring(&load, &own_roots, &home);
            }
        });
    }

    /// Reads the highest generation that the sinks of `slot` hold.
    pub(crate) fn recall(&self, slot: Arc<Slot>) {
        let home = self.home.clone();
        spawn_blocking(move || {
            let held = slot.sinks().filter_map(|(_, sink)| generation(&sink.file)).max();
            let result = JobResult::Recalled(held.unwrap_or(Generation::NONE));
            home.send(Timeline::present(), Outcome { identity: slot.identity.clone(), result });
        });
    }

    /// Removes from `sink` what has this `fingerprint`.
    pub(crate) fn withdraw(&self, identity: Identity, sink: SinkId, fingerprint: Fingerprint) {
        let home = self.home.clone();
        spawn_blocking(move || {
            let result = remove(Path::new(sink.as_str()), fingerprint);
            home.send(Timeline::present(), Outcome { identity, result: JobResult::Withdrawn { sink, result } });
        });
    }
}

/// The next load for `directory`; the courier goes home when there is none.
fn next_load(rounds: &Mutex<HashMap<PathBuf, Round>>, directory: &Path) -> Option<Vec<(Timeline, Delivery)>> {
    let mut rounds = rounds.lock().unwrap_or_else(PoisonError::into_inner);
    let round = rounds.get_mut(directory)?;
    if round.waiting.is_empty() {
        round.under_way -= 1;
        if round.under_way == 0 {
            rounds.remove(directory);
        }
        return None;
    }
    let count = round.waiting.len().min(LOAD);
    Some(round.waiting.drain(..count).collect())
}

fn bring(load: &[(Timeline, Delivery)], own_roots: &[PathBuf], home: &Home) {
    let (mut puts, mut brought) = (Vec::with_capacity(load.len()), Vec::with_capacity(load.len()));
    for item @ (timeline, delivery) in load {
        match content_of(delivery) {
            Ok(content) => {
                puts.push(FilePut { settings: &delivery.sink().file, content });
                brought.push(item);
            }
            Err(reason) => home.send(*timeline, outcome_of(delivery, Err(reason))),
        }
    }
    let results = put_all(&puts, own_roots);
    for ((timeline, delivery), result) in brought.into_iter().zip(results) {
        home.send(*timeline, outcome_of(delivery, result));
    }
}

fn content_of(delivery: &Delivery) -> Result<Zeroizing<Vec<u8>>, String> {
    let document = Document::new(&delivery.token().name, &delivery.slot.id, &delivery.access_token);
    match &delivery.sink().file.content {
        FileContent::Format(format) => {
            Ok(Zeroizing::new(document.render(*format, &delivery.slot.provider.preset.scheme)))
        }
        FileContent::Template(source) => template::render(source, &document).map_err(|fault| fault.to_string()),
        FileContent::TemplateFile(path) => template::render(&template_file::read(path)?, &document)
            .map_err(|fault| format!("template_file {}: {fault}", path.display())),
    }
}

fn outcome_of(delivery: &Delivery, result: Result<Delivered, String>) -> Outcome {
    let (generation, expires_at) = (delivery.access_token.generation, delivery.access_token.expires_at);
    let sink = delivery.sink().id.clone();
    let result = JobResult::Delivered { sink, generation, expires_at, result };
    Outcome { identity: delivery.slot.identity.clone(), result }
}
