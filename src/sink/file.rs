//! A token in a file. Files of one directory are delivered together: the directory is opened and
//! synced once. It knows neither tokens nor formats: it is given the content.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};
use zeroize::Zeroizing;

use crate::access_token::Generation;
use crate::disk;
use crate::disk::{Batch, Directory, Making, Wanted};
use crate::document::{Content, generation_in, label_in};
use crate::job::{Delivered, Fingerprint, Written};
use crate::settings::{FileContent, FileFormat, FileSettings};
use crate::sink::{Put, Sink, fingerprint};
use crate::time::Timestamp;

/// A file to keep for readers.
#[derive(Clone, Copy)]
pub struct FileSink<'a> {
    /// Where and how.
    pub settings: &'a FileSettings,
    /// The runtime and the state directory: what is missing below them is made.
    pub own_roots: &'a [PathBuf],
}

/// A file and what it must hold.
pub struct FilePut<'a> {
    /// Where and how.
    pub settings: &'a FileSettings,
    /// All that it must hold.
    pub content: Content<'a>,
    /// Whose access token it is, where what is there is to be looked at before it is replaced.
    pub number: Option<Number<'a>>,
}

/// Whose access token something is, and which.
#[derive(Clone, Copy)]
pub struct Number<'a> {
    /// The slot's id.
    pub slot: &'a str,
    /// Its number among those of the slot.
    pub generation: Generation,
}

/// From so many characters on an access token is known by itself in a file.
const KNOWN_BY_ITSELF: usize = 16;

impl Sink for FileSink<'_> {
    fn put(&self, content: &[u8]) -> Result<Delivered, String> {
        let put = FilePut { settings: self.settings, content: Content::Bare(content), number: None };
        match put_all(&[put], self.own_roots).swap_remove(0)? {
            Put::Done(delivered) => Ok(delivered),
            Put::Overtaken { generation, .. } => Err(format!("it holds generation {generation}")),
        }
    }

    fn remove(&self, written: Fingerprint) -> Result<(), String> {
        remove(&self.settings.path, &Written { fingerprint: Some(written), access_token: None })
    }
}

/// Delivers `puts`; the results stand in the same order. Neighbours of one directory go together,
/// and none of them is delivered before that directory is synced. A directory that hangs holds up
/// all that come after it: call this once per directory where one must not delay another.
#[must_use]
pub fn put_all(puts: &[FilePut<'_>], own_roots: &[PathBuf]) -> Vec<Result<Put, String>> {
    puts.chunk_by(|a, b| directory_of(&a.settings.path).as_os_str() == directory_of(&b.settings.path).as_os_str())
        .flat_map(|neighbours| put_neighbours(neighbours, own_roots))
        .collect()
}

/// The directory in which a file is delivered.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn put_neighbours(puts: &[FilePut<'_>], own_roots: &[PathBuf]) -> Vec<Result<Put, String>> {
    let Some(first) = puts.first() else { return Vec::new() };
    let lets_others_in = puts.iter().any(|put| put.settings.mode & 0o077 != 0);
    let making = Making { below: own_roots, mode: if lets_others_in { 0o755 } else { 0o700 } };
    match Directory::open(directory_of(&first.settings.path), &making) {
        Ok(directory) => put_into(&directory, puts),
        Err(reason) => puts.iter().map(|_| Err(reason.clone())).collect(),
    }
}

fn put_into(directory: &Directory, puts: &[FilePut<'_>]) -> Vec<Result<Put, String>> {
    let mut people = People::default();
    let mut batch = directory.batch();
    let mut results = Vec::with_capacity(puts.len());
    for put in puts {
        let wanted = wanted(put, &mut people);
        results.push(wanted.and_then(|wanted| put_one(directory, &mut batch, put, &wanted)));
    }
    if let Err(reason) = batch.finish() {
        let not_durable = |result: &&mut Result<Put, String>| matches!(result, Ok(Put::Done(it)) if it.written);
        results.iter_mut().filter(not_durable).for_each(|result| *result = Err(reason.clone()));
    }
    results
}

fn put_one(
    directory: &Directory,
    batch: &mut Batch<'_>,
    put: &FilePut<'_>,
    wanted: &Wanted<'_>,
) -> Result<Put, String> {
    let done = |written| Put::Done(Delivered { written, fingerprint: fingerprint(&put.content) });
    if batch.is_right(wanted)? {
        return Ok(done(false));
    }
    if let Some(ahead) = put.number.and_then(|number| ahead_of(number, directory, wanted.name)) {
        return Ok(ahead);
    }
    batch.write(wanted)?;
    Ok(done(true))
}

/// A higher generation of the same slot in the file `name`; also one that has expired: ours must be
/// numbered above it first.
fn ahead_of(number: Number<'_>, directory: &Directory, name: &OsStr) -> Option<Put> {
    let label = label_in(&directory.read(name).ok()??)?;
    let is_ahead = label.slot == number.slot && label.generation > number.generation;
    let expires_at = Timestamp::parse_rfc3339(&label.expires_at);
    is_ahead.then_some(Put::Overtaken { generation: label.generation, expires_at })
}

fn wanted<'a>(put: &'a FilePut<'_>, people: &mut People<'a>) -> Result<Wanted<'a>, String> {
    let settings = put.settings;
    Ok(Wanted {
        name: name_of(&settings.path)?,
        content: &put.content,
        mode: settings.mode,
        owner: settings.owner.as_deref().map(|name| people.user(name)).transpose()?,
        group: settings.group.as_deref().map(|name| people.group(name)).transpose()?,
    })
}

fn name_of(path: &Path) -> Result<&OsStr, String> {
    path.file_name().ok_or_else(|| format!("{} does not name a file", path.display()))
}

/// Names that were looked up for one batch: the host may have to ask a directory server.
#[derive(Default)]
struct People<'a> {
    users: HashMap<&'a str, Result<Uid, String>>,
    groups: HashMap<&'a str, Result<Gid, String>>,
}

impl<'a> People<'a> {
    fn user(&mut self, name: &'a str) -> Result<Uid, String> {
        self.users.entry(name).or_insert_with(|| disk::user(name)).clone()
    }

    fn group(&mut self, name: &'a str) -> Result<Gid, String> {
        self.groups.entry(name).or_insert_with(|| disk::group(name)).clone()
    }
}

/// Removes the file at `path` if it is what we wrote. One that is gone already is fine; one that
/// somebody changed is left, and said.
pub fn remove(path: &Path, written: &Written) -> Result<(), String> {
    let name = name_of(path)?;
    let Some(directory) = Directory::find(directory_of(path))? else { return Ok(()) };
    match directory.read(name)? {
        None => Ok(()),
        Some(content) if written.fingerprint == Some(fingerprint(&content)) => directory.remove(name),
        Some(content) if holds(&content, written) => directory.remove(name),
        // Perhaps we were killed before anything was delivered.
        Some(_) if written.fingerprint.is_none() => Ok(()),
        Some(_) => Err(format!("{} was changed by somebody else and is left: remove it yourself", path.display())),
    }
}

/// Whether `content` was made of the access token that was about to be delivered.
fn holds(content: &[u8], written: &Written) -> bool {
    let Some(token) = &written.access_token else { return false };
    let text = token.secret.expose();
    if content == text.as_bytes() {
        return true;
    }
    let quoted = Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
    let within = |text: &str| content.windows(text.len().max(1)).any(|window| window == text.as_bytes());
    text.len() >= KNOWN_BY_ITSELF && (within(text) || within(quoted.trim_matches('"')))
}

/// The generation that the file still names: a slot without history counts on from it. Only json
/// names one; what cannot be read names none.
#[must_use]
pub fn generation(settings: &FileSettings) -> Option<Generation> {
    if settings.content != FileContent::Format(FileFormat::Json) {
        return None;
    }
    let directory = Directory::find(directory_of(&settings.path)).ok().flatten()?;
    let content = directory.read(settings.path.file_name()?).ok().flatten()?;
    generation_in(&content)
}

/// Removes the temporary files that a killed daemon left beside `files`, each with the owner that it is
/// given to, and says how many there were. A directory that cannot be swept is passed over: the next delivery says what is wrong.
pub fn sweep<'a>(files: impl IntoIterator<Item = (&'a Path, Option<&'a str>)>) -> usize {
    let mut directories: BTreeMap<&OsStr, Vec<(&Path, Option<&str>)>> = BTreeMap::new();
    for (path, owner) in files {
        directories.entry(directory_of(path).as_os_str()).or_default().push((path, owner));
    }
    let swept = |(path, files): (&OsStr, Vec<(&Path, Option<&str>)>)| {
        // Most often nothing is left over, and nobody need be looked up.
        let owners = LazyCell::new(|| owners(&files));
        Directory::find(Path::new(path)).ok().flatten()?.sweep(owners).ok()
    };
    directories.into_iter().filter_map(swept).sum()
}

/// The names of `files`, and to whom they are given.
fn owners<'a>(files: &[(&'a Path, Option<&'a str>)]) -> BTreeMap<&'a OsStr, Option<Uid>> {
    let mut people = People::default();
    let owner = |&(path, owner): &(&'a Path, Option<&'a str>)| {
        Some((path.file_name()?, owner.and_then(|owner| people.user(owner).ok())))
    };
    files.iter().filter_map(owner).collect()
}

#[cfg(test)]
mod tests;
