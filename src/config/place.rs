//! Where something stands: a byte of a file, or a variable. Lines and columns are worked out only
//! when a problem is printed.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Privacy, SourceText};
use crate::problem::Place;

/// Where something stands. Ordered as problems are printed: files first, then variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// In a file.
    File {
        /// Its index among the sources.
        file: usize,
        /// The byte in its text.
        offset: usize,
    },
    /// The variable with this index.
    Variable(usize),
}

impl At {
    /// The beginning of the main file, for what stands nowhere.
    pub const START: Self = Self::File { file: 0, offset: 0 };
}

/// Turns `At` into lines and columns.
pub struct Places<'a> {
    files: Vec<Lines<'a>>,
    variables: Vec<&'a str>,
}

struct Lines<'a> {
    path: Arc<PathBuf>,
    source: &'a SourceText,
    starts: OnceCell<Vec<usize>>,
}

impl<'a> Places<'a> {
    /// The places in `sources`, and the variables called `variables`.
    pub fn new(sources: &'a [SourceText], variables: Vec<&'a str>) -> Self {
        let lines =
            |source: &'a SourceText| Lines { path: Arc::new(source.path.clone()), source, starts: OnceCell::new() };
        Self { files: sources.iter().map(lines).collect(), variables }
    }

    /// The files, the main one first.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|lines| lines.path.as_path())
    }

    /// The place for people.
    pub fn find(&self, at: At) -> Place {
        match at {
            At::File { file, offset } => match self.files.get(file) {
                Some(lines) => lines.find(offset),
                None => Place::File { path: Arc::new(PathBuf::from("tokend.toml")), line: 1, column: 1 },
            },
            At::Variable(index) => Place::Variable(self.variables.get(index).copied().unwrap_or_default().into()),
        }
    }

    /// Who can read what stands there. The environment is the daemon's own.
    pub fn privacy(&self, at: At) -> Privacy {
        match at {
            At::File { file, .. } => self.files.get(file).map_or(Privacy::World, |lines| lines.source.privacy),
            At::Variable(_) => Privacy::Private,
        }
    }
}

impl Lines<'_> {
    fn find(&self, offset: usize) -> Place {
        let bytes = self.source.text.as_bytes();
        let newlines = || bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let starts = self.starts.get_or_init(|| std::iter::once(0).chain(newlines()).collect());
        let offset = offset.min(bytes.len());
        let line = starts.partition_point(|start| *start <= offset);
        let before = &bytes[starts[line - 1]..offset];
        // What an editor put at the beginning of the file is no character of the line.
        let before = before.strip_prefix("\u{feff}".as_bytes()).unwrap_or(before);
        let is_first_of_char = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
        let column = 1 + before.iter().filter(is_first_of_char).count();
        Place::File { path: Arc::clone(&self.path), line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_characters() {
        let source = SourceText { path: "t.toml".into(), text: "å = 1\n\nbø = 2".into(), privacy: Privacy::Private };
        let sources = [source];
        let places = Places::new(&sources, vec!["TOKEND_A__B"]);
        let at = |offset| places.find(At::File { file: 0, offset }).to_string();
        assert_eq!(at(0), "t.toml:1:1");
        assert_eq!(at(3), "t.toml:1:3");
        assert_eq!(at(7), "t.toml:2:1");
        assert_eq!(at(12), "t.toml:3:4");
        assert_eq!(at(999), "t.toml:3:7");
        let marked = SourceText { path: "t.toml".into(), text: "\u{feff}a = 1".into(), privacy: Privacy::Private };
        let marked = [marked];
        assert_eq!(Places::new(&marked, vec![]).find(At::File { file: 0, offset: 3 }).to_string(), "t.toml:1:1");
        assert_eq!(places.find(At::Variable(0)).to_string(), "TOKEND_A__B");
    }
}
