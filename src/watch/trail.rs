//! Where a change can be seen of what a path leads to: the directory of the file, and that of every
//! link on the way. Decides from what it is told of the file system.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// More links than any way has; beyond it they lead in a circle.
const MOST_LINKS: usize = 40;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Missing,
    /// A link to there.
    Link(PathBuf),
    /// A file, a directory.
    Thing,
}

/// Directories without links in their paths, and which of their entries matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest(BTreeMap<PathBuf, Names>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    Some(BTreeSet<OsString>),
    All,
}

impl Interest {
    /// Adds what can be seen of the way to `path`, which is absolute. Answers where it leads, if it
    /// leads anywhere.
    pub(crate) fn follow(&mut self, path: &Path, what_is: &mut dyn FnMut(&Path) -> Kind) -> Option<PathBuf> {
        let mut ahead: VecDeque<OsString> = names(path).collect();
        let (mut here, mut links) = (PathBuf::from("/"), 0);
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            let kind = what_is(&next);
            if kind != Kind::Thing || ahead.is_empty() {
                self.add(&here, &name);
            }
            match kind {
                Kind::Missing => return None,
                Kind::Thing => here = next,
                Kind::Link(_) if links == MOST_LINKS => return None,
                Kind::Link(target) => {
                    links += 1;
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                    for name in names(&target).rev() {
                        ahead.push_front(name);
                    }
                }
            }
        }
        Some(here)
    }

    /// Adds every entry of `directory`.
    pub(crate) fn add_all(&mut self, directory: PathBuf) {
        self.0.insert(directory, Names::All);
    }

    fn add(&mut self, directory: &Path, name: &OsStr) {
        let names = self.0.entry(directory.to_owned()).or_insert_with(|| Names::Some(BTreeSet::new()));
        if let Names::Some(names) = names {
            names.insert(name.to_owned());
        }
    }

    /// The directories to watch.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }

    /// Whether `path` is one of the directories.
    pub(crate) fn is_directory(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Whether what happened at `path` matters.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        let entry = || {
            let names = self.0.get(path.parent()?)?;
            Some(match names {
                Names::All => true,
                Names::Some(names) => names.contains(path.file_name()?),
            })
        };
        self.is_directory(path) || entry().unwrap_or(false)
    }
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Where `path` leads, and what is watched on the way, among things and links (`a -> b`).
    fn follow(path: &str, world: &[&str]) -> (Option<String>, Vec<String>) {
        let mut what_is = |path: &Path| {
            let path = path.to_str().unwrap();
            for line in world {
                match line.split_once(" -> ") {
                    Some((link, target)) if link == path => return Kind::Link(target.into()),
                    None if *line == path || line.starts_with(&format!("{path}/")) => return Kind::Thing,
                    _ => {}
                }
            }
            Kind::Missing
        };
        let mut interest = Interest::default();
        let end = interest.follow(Path::new(path), &mut what_is);
        let mut watched = Vec::new();
        for (directory, names) in &interest.0 {
            let Names::Some(names) = names else { continue };
            watched.extend(names.iter().map(|name| directory.join(name).display().to_string()));
        }
        (end.map(|end| end.display().to_string()), watched)
    }

    #[test]
    fn a_file_is_seen_in_its_directory_and_every_link_in_its_own() {
        for (path, world, end, watched) in [
            ("/etc/t/t.toml", &["/etc/t/t.toml"][..], Some("/etc/t/t.toml"), &["/etc/t/t.toml"][..]),
            ("/etc/t/t.toml", &["/etc/t"], None, &["/etc/t/t.toml"]),
            ("/etc/t/t.toml", &["/etc"], None, &["/etc/t"]),
            ("/etc/t/t.toml", &[], None, &["/etc"]),
            (
                "/etc/t/t.toml",
                &["/etc/t/t.toml -> ..data/t.toml", "/etc/t/..data -> ..7", "/etc/t/..7/t.toml", "/etc/t"],
                Some("/etc/t/..7/t.toml"),
                &["/etc/t/..data", "/etc/t/t.toml", "/etc/t/..7/t.toml"],
            ),
            (
                "/etc/t/t.toml",
                &["/etc/t -> /srv/now", "/srv/now -> ../opt/v2", "/opt/v2/t.toml", "/etc/x", "/srv/x"],
                Some("/opt/v2/t.toml"),
                &["/etc/t", "/opt/v2/t.toml", "/srv/now"],
            ),
            ("/a/b", &["/a/b -> c", "/a/c -> b", "/a"], None, &["/a/b", "/a/c"]),
            ("/a/b", &["/a/b -> gone", "/a"], None, &["/a/b", "/a/gone"]),
        ] {
            let (found, seen) = follow(path, world);
            assert_eq!((found.as_deref(), seen), (end, watched.iter().map(|w| (*w).to_owned()).collect()), "{world:?}");
        }
    }

    #[test]
    fn only_what_matters_is_covered() {
        let mut interest = Interest::default();
        interest.follow(Path::new("/etc/t/t.toml"), &mut |_| Kind::Thing);
        interest.add_all("/etc/t/conf.d".into());
        for (path, covered) in [
            ("/etc/t/t.toml", true),
            ("/etc/t", true),
            ("/etc/t/t.toml.swp", false),
            ("/etc/t/state.db", false),
            ("/etc/t/conf.d/x.toml", true),
            ("/etc/t/conf.d/deep/x.toml", false),
            ("/", false),
        ] {
            assert_eq!(interest.covers(Path::new(path)), covered, "{path}");
        }
    }
}
