//! What a reload does apart from the loop: reads everything, parses what is new, compares. It changes
//! nothing.

use std::path::Path;
use std::sync::Arc;

use crate::clock;
use crate::config::{Changes, Config};
use crate::loading::Texts;
use crate::reloading::files::{Needs, Seen, look, needs};

/// What is known before the files are read.
#[derive(Clone)]
pub(crate) struct Known {
    /// The configuration that holds.
    pub(crate) config: Arc<Config>,
    /// Its fingerprint.
    pub(crate) fingerprint: String,
    /// The fingerprint and the problems of the one that was not taken.
    pub(crate) refused: Option<(String, Vec<String>)>,
    /// Which files providers need.
    pub(crate) needs: Arc<Needs>,
    /// What those were like.
    pub(crate) seen: Arc<Seen>,
}

/// What was found in the files.
pub(crate) struct Looked {
    /// Of the configuration that the files make.
    pub(crate) fingerprint: String,
    /// What it says.
    pub(crate) found: Found,
    /// Which files providers need from now on.
    pub(crate) needs: Arc<Needs>,
    /// What those are like.
    pub(crate) seen: Seen,
}

/// What the files say.
pub(crate) enum Found {
    /// What holds already.
    Same,
    /// Something else: what it changes, and which keys only a restart takes.
    Other(Arc<Config>, Changes, Vec<String>),
    /// Nothing that can be taken.
    Wrong(Vec<String>),
}

impl Known {
    /// Reads everything. `running` is what the daemon was started with.
    pub(crate) fn look(self, path: &Path, running: &Config) -> Looked {
        let texts = Texts::read(path);
        let fingerprint = texts.fingerprint();
        let found = match &self.refused {
            _ if fingerprint == self.fingerprint => Found::Same,
            Some((refused, problems)) if *refused == fingerprint => Found::Wrong(problems.clone()),
            _ => self.read(&texts, running),
        };
        let needs = match &found {
            Found::Other(config, ..) => Arc::new(needs(config)),
            Found::Same | Found::Wrong(_) => self.needs,
        };
        let seen = look(&needs, &self.seen, clock::now());
        Looked { fingerprint, found, needs, seen }
    }

    fn read(&self, texts: &Texts, running: &Config) -> Found {
        match texts.parse() {
            Ok(mut config) => {
                let restart_needed = config.needs_restart(running);
                config.keep_persist(running.daemon.persist);
                let changes = config.settle_on(&self.config);
                Found::Other(Arc::new(config), changes, restart_needed)
            }
            Err(fatal) => Found::Wrong(fatal.lines),
        }
    }
}
