//! Brings access tokens to files. What goes to one directory goes together, by threads of its own:
//! a directory that hangs delays only itself, and one directory is made durable once for a load.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::access_token::Generation;
use crate::clock::Timeline;
use crate::document::{Content, Document};
use crate::job::{JobResult, Outcome, Written};
use crate::name::{Identity, SinkId};
use crate::settings::{FileContent, FileSettings};
use crate::sink::Put;
use crate::sink::file::{FilePut, Number, directory_of, generation, put_all, remove};
use crate::sink::template_file;
use crate::sink::vault::VaultPut;
use crate::slot::Slot;
use crate::task::Delivery;
use crate::template;
use crate::time::Timestamp;
use crate::vaults::Vaults;
use crate::world::home::Home;

/// How many files are brought together at most.
const LOAD: usize = 64;
/// How many couriers share the loads of one directory at most: disks sync several files in the time of one.
const COURIERS: usize = 4;
/// How long a slot waits for what its sinks hold: one that hangs delays its first request by no more.
const RECALL_PATIENCE: Duration = Duration::from_secs(5);

/// The couriers, as many under way for each directory as it has loads.
pub(crate) struct Couriers {
    own_roots: Arc<[PathBuf]>,
    vaults: Vaults,
    home: Home,
    rounds: Arc<Mutex<HashMap<OsString, Round>>>,
    readers: Mutex<HashMap<PathBuf, Arc<Semaphore>>>,
}

/// What waits to be brought to one directory.
#[derive(Debug, Default)]
struct Round {
    waiting: Vec<(Timeline, Delivery)>,
    under_way: usize,
}

impl Couriers {
    pub(crate) fn new(own_roots: Vec<PathBuf>, vaults: Vaults, home: Home) -> Self {
        Self { own_roots: own_roots.into(), vaults, home, rounds: Arc::default(), readers: Mutex::default() }
    }

    /// Puts `delivery` with what else goes to its directory.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        let Some(file) = delivery.sink().file() else { return self.deliver_to_vault(delivery) };
        let directory = directory_of(&file.path).as_os_str();
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let round = match rounds.get_mut(directory) {
            Some(round) => round,
            None => rounds.entry(directory.to_owned()).or_default(),
        };
        round.waiting.push((Timeline::present(), delivery));
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

    fn send_courier(&self, directory: OsString) {
        let rounds = Arc::clone(&self.rounds);
        let (own_roots, home) = (Arc::clone(&self.own_roots), self.home.clone());
        spawn_blocking(move || {
            while let Some(load) = next_load(&rounds, &directory) {
                bring(&load, &own_roots, &home);
            }
        });
    }

    /// Reads the highest generation that the sinks of `slot` hold, as far as they say so in time.
    pub(crate) fn recall(&self, slot: Arc<Slot>) {
        let (home, vaults) = (self.home.clone(), self.vaults.clone());
        let files: Vec<_> = slot
            .sinks()
            .filter(|(_, sink)| sink.holds_generation())
            .filter_map(|(_, sink)| sink.file().cloned())
            .map(|file| (self.readers_of(directory_of(&file.path)), file))
            .collect();
        tokio::spawn(async move {
            let highest = Arc::new(AtomicU64::new(Generation::NONE.0));
            let in_files = files.into_iter().map(|place| read_file(place, Arc::clone(&highest), RECALL_PATIENCE));
            let in_files: Vec<_> = in_files.map(tokio::spawn).collect();
            let in_vaults = async {
                for place in slot.sinks().filter_map(|(_, sink)| sink.vault()).map(|vault| &vault.place) {
                    let there = vaults.generation(place, slot.id.as_str()).await;
                    highest.fetch_max(there.unwrap_or(Generation::NONE).0, Ordering::Relaxed);
                }
            };
            let _ = timeout(RECALL_PATIENCE, in_vaults).await;
            for reading in in_files {
                let _ = reading.await;
            }
            let result = JobResult::Recalled(Generation(highest.load(Ordering::Relaxed)));
            home.send(Timeline::present(), Outcome { identity: slot.identity.clone(), result });
        });
    }

    /// The places of those who may read in `directory` at one time: while it hangs it holds up no more threads.
    fn readers_of(&self, directory: &Path) -> Arc<Semaphore> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let places = readers.entry(directory.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(COURIERS)));
        Arc::clone(places)
    }

    /// Brings `delivery` to Vault: by itself, so that a server that is silent delays nobody else.
    fn deliver_to_vault(&self, delivery: Delivery) {
        let (home, vaults) = (self.home.clone(), self.vaults.clone());
        tokio::spawn(async move {
            let timeline = Timeline::present();
            let result = bring_to_vault(&delivery, &vaults).await;
            home.send(timeline, Outcome { identity: delivery.slot.identity.clone(), result });
        });
    }

    /// Removes from `sink` what was `written` there.
    pub(crate) fn withdraw(&self, identity: Identity, sink: SinkId, written: Written) {
        let home = self.home.clone();
        spawn_blocking(move || {
            let path = Path::new(sink.as_str());
            // What is in Vault stays there.
            let result = if path.is_absolute() { remove(path, &written) } else { Ok(()) };
            home.send(Timeline::present(), Outcome { identity, result: JobResult::Withdrawn { sink, result } });
        });
    }
}

/// Raises `highest` to the generation that `file` names, if that is read in time.
async fn read_file((readers, file): (Arc<Semaphore>, FileSettings), highest: Arc<AtomicU64>, patience: Duration) {
    let reading = async {
        let Ok(place) = readers.acquire_owned().await else { return };
        let there = spawn_blocking(move || {
            let _place = place;
            generation(&file)
        });
        let there = there.await.ok().flatten().unwrap_or(Generation::NONE);
        highest.fetch_max(there.0, Ordering::Relaxed);
    };
    let _ = timeout(patience, reading).await;
}

/// The next load for `directory`; the courier goes home when there is none.
fn next_load(rounds: &Mutex<HashMap<OsString, Round>>, directory: &OsStr) -> Option<Vec<(Timeline, Delivery)>> {
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
        let Some(settings) = delivery.sink().file() else { continue };
        match content_of(delivery, &settings.content) {
            Ok(content) => {
                let number = Number { slot: delivery.slot.id.as_str(), generation: delivery.access_token.generation };
                let names_one = delivery.sink().holds_generation();
                puts.push(FilePut { settings, content, number: names_one.then_some(number) });
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

fn content_of<'d>(delivery: &'d Delivery, content: &FileContent) -> Result<Content<'d>, String> {
    let (name, slot, token) = (&delivery.token().name, &delivery.slot.id, &delivery.access_token);
    let document = || Document::new(name, slot, token);
    let made = match content {
        FileContent::Format(format) => {
            return Ok(Document::content(name, slot, token, *format, &delivery.slot.provider.preset.scheme));
        }
        FileContent::Template(source) => template::render(source, &document()).map_err(|fault| fault.to_string()),
        FileContent::TemplateFile(path) => template::render(&template_file::read(path)?, &document())
            .map_err(|fault| format!("template_file {}: {fault}", path.display())),
    };
    made.map(Content::Made)
}

async fn bring_to_vault(delivery: &Delivery, vaults: &Vaults) -> JobResult {
    let (token, slot, held) = (delivery.token(), &delivery.slot, &delivery.access_token);
    let document = Document::new(&token.name, &slot.id, held);
    let result = match delivery.sink().vault() {
        Some(settings) => match document.fields(&settings.fields) {
            Ok(fields) => {
                let (place, slot) = (&settings.place, slot.id.as_str());
                let (generation, lifetime) = (held.generation, held.issued_at.until(held.expires_at));
                vaults.put(&VaultPut { place, fields, slot, generation, lifetime }).await
            }
            Err(why) => Err(format!("{}: fields: {why}", settings.place)),
        },
        None => Err("it is no secret in Vault".into()),
    };
    result_of(delivery, result)
}

fn outcome_of(delivery: &Delivery, result: Result<Put, String>) -> Outcome {
    Outcome { identity: delivery.slot.identity.clone(), result: result_of(delivery, result) }
}

fn result_of(delivery: &Delivery, result: Result<Put, String>) -> JobResult {
    let sink = delivery.sink().id.clone();
    let (generation, expires_at) = (delivery.access_token.generation, delivery.access_token.expires_at);
    match result {
        Ok(Put::Done(delivered)) => JobResult::Delivered { sink, generation, expires_at, result: Ok(delivered) },
        Ok(Put::Overtaken { generation, expires_at }) => {
            JobResult::Overtaken { sink, generation, expires_at: expires_at.unwrap_or(Timestamp::EPOCH) }
        }
        Err(why) => JobResult::Delivered { sink, generation, expires_at, result: Err(why) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::FileFormat;

    #[tokio::test]
    async fn a_directory_that_hangs_holds_up_a_slot_for_a_bounded_time() {
        let content = FileContent::Format(FileFormat::Json);
        let file = FileSettings { path: "/hangs/a".into(), content, mode: 0o600, owner: None, group: None };
        let highest = Arc::new(AtomicU64::new(3));
        read_file((Arc::new(Semaphore::new(0)), file), Arc::clone(&highest), Duration::ZERO).await;
        assert_eq!(highest.load(Ordering::Relaxed), 3, "and tells nothing");
    }
}
