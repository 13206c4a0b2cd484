//! The configuration: from text to one finished value, or to all its problems at once.
//!
//! Nothing here opens a file, reads the environment or looks at the host: the texts and variables
//! are handed in, and what only the world can make true is never an error here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::name::{Name, SinkId};
use crate::problem::Problem;
use crate::settings::{DaemonSettings, LogSettings, Provider};
use crate::slot::Slot;

/// One file of the configuration.
#[derive(Clone, Debug)]
pub struct SourceText {
    /// As the person named it.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
    /// Who can read it: decides whether it may hold secrets.
    pub privacy: Privacy,
}

/// Who can read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Its owner, and at most the daemon's own group.
    Private,
    /// Another group.
    Group,
    /// Everyone.
    World,
}

/// Everything the operator wants, parsed and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[daemon]`.
    pub daemon: DaemonSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[providers.*]`.
    pub providers: BTreeMap<Name, Arc<Provider>>,
    /// What is asked of providers, by id.
    pub slots: Vec<Arc<Slot>>,
    /// For each token the index of its slot in `slots`.
    pub tokens: BTreeMap<Name, usize>,
    /// For each sink the index of its slot in `slots`.
    pub sinks: BTreeMap<SinkId, usize>,
}

impl Config {
    /// Reads `sources` (the main file first) and the `TOKEND_…__…` variables among `environment`.
    ///
    /// Errors: every problem found, in the order of the files.
    pub fn parse(sources: &[SourceText], environment: &[(String, String)]) -> Result<Self, Vec<Problem>> {
        let _ = (sources, environment);
        Err(Vec::new())
    }

    /// The slot that serves the token called `name`.
    #[must_use]
    pub fn slot_of(&self, name: &Name) -> Option<&Arc<Slot>> {
        self.tokens.get(name).map(|&index| &self.slots[index])
    }
}
