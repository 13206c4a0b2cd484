//! Holds a watch on every directory that matters, as far as the system has watches left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{metadata, read_dir, read_link, symlink_metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Config, ErrorKind, Event, EventKind, INotifyWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::UnboundedSender;

use crate::watch::quiet::Stir;
use crate::watch::trail::{Interest, Kind};

/// Makes what watches.
type Maker = Box<dyn FnMut() -> notify::Result<Box<dyn Watcher + Send>> + Send>;
/// Device and inode.
type Place = (u64, u64);

/// The watches that are held.
pub(crate) struct Eyes {
    make: Maker,
    watcher: Option<Box<dyn Watcher + Send>>,
    interest: Arc<Mutex<Interest>>,
    watched: BTreeMap<PathBuf, Place>,
}

impl Eyes {
    /// Sends what happens into `stirs`.
    pub(crate) fn new(stirs: UnboundedSender<Stir>) -> Self {
        let interest = Arc::new(Mutex::new(Interest::default()));
        let shown = Arc::clone(&interest);
        let make = move || {
            let (shown, stirs) = (Arc::clone(&shown), stirs.clone());
            let handler = move |event: notify::Result<Event>| {
                let interest = shown.lock().unwrap_or_else(PoisonError::into_inner);
                for stir in stirs_of(event, &interest) {
                    let _ = stirs.send(stir);
                }
            };
            let watcher = INotifyWatcher::new(handler, Config::default())?;
            Ok(Box::new(watcher) as Box<dyn Watcher + Send>)
        };
        Self { make: Box::new(make), watcher: None, interest, watched: BTreeMap::new() }
    }

    /// Watches all that matters for the configuration at `path` and for `files`, and no more.
    /// Directories that are `lost` are watched anew where they are now.
    ///
    /// Errors: what cannot be watched, and what to do.
    pub(crate) fn arm(&mut self, path: &Path, files: &[PathBuf], lost: &BTreeSet<PathBuf>) -> Result<(), String> {
        let wanted = wanted(path, files);
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner) = wanted.clone();
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            None => self.watcher.insert((self.make)().map_err(|error| in_words(&error))?),
        };
        let places = wanted.directories().filter_map(|directory| Some((directory.clone(), place_of(directory)?)));
        let places: BTreeMap<PathBuf, Place> = places.collect();
        self.watched.retain(|directory, place| {
            let stays = places.get(directory) == Some(place) && !lost.contains(directory);
            if !stays {
                // It may be gone already.
                let _ = watcher.unwatch(directory);
            }
            stays
        });
        let mut outcome = Ok(());
        for (directory, place) in places {
            if self.watched.contains_key(&directory) {
                continue;
            }
            match watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(directory, place)),
                // What went away meanwhile stirs where it was.
                Err(error) if is_absent(&error) => {}
                Err(error) => outcome = Err(format!("{}: {}", directory.display(), in_words(&error))),
            }
        }
        outcome
    }
}

/// What matters for the configuration at `path` and for `files`, as links lead now.
fn wanted(path: &Path, files: &[PathBuf]) -> Interest {
    let mut interest = Interest::default();
    let mut known = BTreeMap::new();
    let mut what_is = |path: &Path| known.entry(path.to_owned()).or_insert_with(|| kind_of(path)).clone();
    interest.follow(path, &mut what_is);
    let beside = path.parent().unwrap_or(Path::new("/")).join("conf.d");
    if let Some(directory) = interest.follow(&beside, &mut what_is) {
        let entries = read_dir(&directory).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().ends_with(b".toml")) {
            interest.follow(&entry.path(), &mut what_is);
        }
        interest.add_all(directory);
    }
    for file in files {
        interest.follow(file, &mut what_is);
    }
    interest
}

fn kind_of(path: &Path) -> Kind {
    match symlink_metadata(path) {
        Ok(data) if data.is_symlink() => read_link(path).map_or(Kind::Missing, Kind::Link),
        Ok(_) => Kind::Thing,
        Err(_) => Kind::Missing,
    }
}

fn place_of(directory: &Path) -> Option<Place> {
    metadata(directory).ok().filter(std::fs::Metadata::is_dir).map(|data| (data.dev(), data.ino()))
}

fn stirs_of(event: notify::Result<Event>, interest: &Interest) -> Vec<Stir> {
    // Something may have been missed.
    let Ok(event) = event else { return vec![Stir::Touched] };
    if event.need_rescan() {
        return vec![Stir::Touched];
    }
    let paths = event.paths.iter().filter(|path| interest.covers(path));
    paths.filter_map(|path| stir_of(event.kind, path, interest)).collect()
}

fn stir_of(kind: EventKind, path: &Path, interest: &Interest) -> Option<Stir> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Stir::Written(path.to_owned())),
        // Our own reading.
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Data(_)) => Some(Stir::Writing(path.to_owned())),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) if interest.is_directory(path) => {
            Some(Stir::Lost(path.to_owned()))
        }
        _ => Some(Stir::Touched),
    }
}

fn is_absent(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied),
        _ => false,
    }
}

fn in_words(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => "no inotify watches are left; raise fs.inotify.max_user_watches".into(),
        ErrorKind::Io(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "no inotify instances are left; raise fs.inotify.max_user_instances".into()
        }
        ErrorKind::Io(error) => error.to_string(),
        ErrorKind::Generic(reason) => reason.clone(),
        _ => "inotify does not work here".into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::{create_dir, remove_dir_all, rename, write};
    use std::os::unix::fs::symlink;

    use super::*;

    /// Notes what is watched, and has watches for so many directories.
    struct Counting {
        most: usize,
        held: Arc<Mutex<Vec<PathBuf>>>,
    }

    impl Watcher for Counting {
        fn new<F: notify::EventHandler>(_: F, _: Config) -> notify::Result<Self> {
            unreachable!()
        }

        fn watch(&mut self, path: &Path, _: RecursiveMode) -> notify::Result<()> {
            let mut held = self.held.lock().unwrap();
            if held.len() == self.most {
                return Err(notify::Error::new(ErrorKind::MaxFilesWatch));
            }
            held.push(path.to_owned());
            Ok(())
        }

        fn unwatch(&mut self, path: &Path) -> notify::Result<()> {
            self.held.lock().unwrap().retain(|held| held != path);
            Ok(())
        }

        fn kind() -> notify::WatcherKind {
            notify::WatcherKind::NullWatcher
        }
    }

    fn counting(most: usize) -> (Eyes, Arc<Mutex<Vec<PathBuf>>>) {
        let held = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&held);
        let make = move || Ok(Box::new(Counting { most, held: Arc::clone(&shown) }) as Box<dyn Watcher + Send>);
        let (interest, watched) = (Arc::default(), BTreeMap::new());
        (Eyes { make: Box::new(make), watcher: None, interest, watched }, held)
    }

    #[test]
    fn when_the_watches_are_exhausted_it_says_so_and_when_there_are_some_again_it_takes_them() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        create_dir(root.join("secrets")).unwrap();
        let (path, files) = (root.join("tokend.toml"), [root.join("secrets/a")]);
        let (mut eyes, held) = counting(1);
        let told = eyes.arm(&path, &files, &BTreeSet::new()).unwrap_err();
        assert!(told.ends_with("no inotify watches are left; raise fs.inotify.max_user_watches"), "{told}");
        assert_eq!(held.lock().unwrap().len(), 1);
        held.lock().unwrap().clear();
        eyes.watched.clear();
        held.lock().unwrap().reserve(2);
        eyes.watcher = None;
        eyes.make = counting(2).0.make;
        eyes.arm(&path, &files, &BTreeSet::new()).unwrap();
        eyes.make = Box::new(|| Err(notify::Error::io(io::Error::from_raw_os_error(24))));
        eyes.watcher = None;
        let told = eyes.arm(&path, &files, &BTreeSet::new()).unwrap_err();
        assert!(told.contains("fs.inotify.max_user_instances"), "{told}");
    }

    #[test]
    fn watches_follow_links_and_directories_that_are_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let (mut eyes, held) = counting(100);
        let mut armed = |lost: &[&str]| {
            let lost = lost.iter().map(|name| root.join(name)).collect();
            eyes.arm(&root.join("etc/tokend.toml"), &[], &lost).unwrap();
            let held = held.lock().unwrap();
            let mut names: Vec<String> =
                held.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(armed(&[]), [""], "it waits for the directory");
        for version in ["1", "2"] {
            create_dir(root.join(version)).unwrap();
            write(root.join(version).join("tokend.toml"), "").unwrap();
        }
        create_dir(root.join("etc")).unwrap();
        symlink("../now/tokend.toml", root.join("etc/tokend.toml")).unwrap();
        symlink("1", root.join("now")).unwrap();
        assert_eq!(armed(&[]), ["", "1", "etc"]);
        symlink("2", root.join("new")).unwrap();
        rename(root.join("new"), root.join("now")).unwrap();
        assert_eq!(armed(&[]), ["", "2", "etc"]);
        create_dir(root.join("etc/conf.d")).unwrap();
        assert_eq!(armed(&[]), ["", "2", "etc", "etc/conf.d"]);
        assert_eq!(armed(&["2"]), ["", "2", "etc", "etc/conf.d"], "also if it looks the same");
        remove_dir_all(root.join("etc")).unwrap();
        assert_eq!(armed(&["etc"]), [""]);
    }
}
