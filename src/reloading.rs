//! The one road to another configuration: whoever asks for it (a file that was written, a signal, the
//! socket), everything is read and checked apart from the loop, and taken whole or not at all (L17).
//! Says in log and status what came of it, and wakes those who waited for a file.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::blocking::Blocking;
use crate::clock;
use crate::config::{Changes, Config};
use crate::inbox::{Gone, Inbox};
use crate::name::Name;
pub use crate::reloading::origin::{Origin, ReloadTally};

use crate::reloading::board::Board;
use crate::reloading::files::{changed, needs};
use crate::reloading::reading::{Found, Known, Looked};
use crate::settings::FileKind;
use crate::status::{ConfigStatus, RefusedConfig, Watching};
use crate::systemd::ReloadNotice;
use crate::telemetry::set_level;

mod board;
mod files;
mod origin;
mod reading;

/// How long files may take to be read.
const PATIENCE: Duration = Duration::from_secs(30);

/// The road. Clones lead to one.
#[derive(Clone)]
pub struct Reloads(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// What the daemon was started with.
    running: Arc<Config>,
    inbox: Inbox,
    notice: ReloadNotice,
    /// One goes at a time.
    road: tokio::sync::Mutex<Road>,
    board: Mutex<Board>,
    files: watch::Sender<Vec<PathBuf>>,
}

struct Road {
    reading: Blocking<Looked>,
    known: Known,
}

/// What a reload begins with.
pub struct Beginning {
    /// Where the configuration is.
    pub path: PathBuf,
    /// What the daemon was started with.
    pub config: Arc<Config>,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Whom to hand configurations to.
    pub inbox: Inbox,
    /// Where reloads are told.
    pub notice: ReloadNotice,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of the configuration that holds now.
    pub fingerprint: String,
    /// How many tokens it has.
    pub tokens: usize,
    /// What it changed; nothing when it is the one from before.
    pub changes: Changes,
    /// The keys that only a restart takes.
    pub restart_needed: Vec<String>,
}

/// Why a configuration was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// These are its problems, `FILE:LINE:COL: message`; the old one stays.
    Refused(Vec<String>),
    /// The daemon is stopping.
    Gone,
}

impl From<Gone> for NotTaken {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl Reloads {
    /// A road that nobody went yet.
    #[must_use]
    pub fn new(beginning: Beginning) -> Self {
        let Beginning { path, config, fingerprint, inbox, notice } = beginning;
        let needs = Arc::new(needs(&config));
        let status = ConfigStatus {
            fingerprint: fingerprint.clone(),
            applied_at: clock::now().to_string(),
            restart_needed: Vec::new(),
            refused: None,
            watching: Watching::Off,
            watching_problem: None,
        };
        let (files, _) = watch::channel(needs.keys().cloned().collect());
        let board = Board::new(status, &config.daemon);
        let known = Known { config: Arc::clone(&config), fingerprint, refused: None, needs, seen: Arc::default() };
        let road = Road { reading: Blocking::default(), known };
        let (road, board) = (tokio::sync::Mutex::new(road), Mutex::new(board));
        Self(Arc::new(Shared { path, running: config, inbox, notice, road, board, files }))
    }

    /// Where the configuration is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The files that providers and templates name, as the configuration that holds says.
    #[must_use]
    pub fn files(&self) -> watch::Receiver<Vec<PathBuf>> {
        self.0.files.subscribe()
    }

    /// Notes how changes of files are noticed, and why not at once. Tells it in the log when that
    /// is another way than before.
    pub fn note_watching(&self, watching: Watching, problem: Option<String>) {
        let mut board = self.board();
        let before = std::mem::replace(&mut board.status.watching, watching);
        match (watching, &problem) {
            (Watching::Polling, Some(reason)) if before != Watching::Polling => {
                warn!(reason, "files cannot be watched; looking at them every few seconds instead");
            }
            (Watching::Watching, _) if before == Watching::Polling => info!("files can be watched again"),
            _ => {}
        }
        board.status.watching_problem = problem;
    }

    /// Reads everything again, and takes what it says if it is right.
    ///
    /// Errors: what is wrong with it; the configuration from before stays.
    pub async fn reload(&self, origin: Origin) -> Result<Report, NotTaken> {
        let reloads = self.clone();
        // Who asked may go away; what was begun is brought to its end.
        let going = tokio::spawn(async move { reloads.go(origin).await });
        going.await.unwrap_or(Err(NotTaken::Gone))
    }

    async fn go(&self, origin: Origin) -> Result<Report, NotTaken> {
        let mut road = self.0.road.lock().await;
        let told = matches!(origin, Origin::Asked(_)).then(|| self.0.notice.begin());
        let (known, path, running) = (road.known.clone(), self.0.path.clone(), Arc::clone(&self.0.running));
        let looked = road.reading.run(PATIENCE, move || known.look(&path, &running)).await;
        let Some(Looked { fingerprint, found, needs, seen }) = looked else {
            let path = self.0.path.display();
            let problem =
                format!("{path}: the files do not answer within {} s; look at their disk", PATIENCE.as_secs());
            return Err(self.refuse(&mut road, (String::new(), vec![problem]), &origin));
        };
        let report = match found {
            Found::Wrong(problems) => Err(self.refuse(&mut road, (fingerprint, problems), &origin)),
            Found::Same => Ok(self.keep(&mut road, &origin)),
            Found::Other(config, changes, restart) => {
                let _told = told.is_none().then(|| self.0.notice.begin());
                road.known.fingerprint = fingerprint;
                Ok(self.take(&mut road, (config, changes, restart), &origin).await?)
            }
        };
        let changed = changed(&needs, &road.known.seen, &seen);
        let paths: Vec<PathBuf> = needs.keys().cloned().collect();
        (road.known.needs, road.known.seen) = (needs, Arc::new(seen));
        self.0.files.send_if_modified(|before| {
            *before != paths && {
                *before = paths;
                true
            }
        });
        for (kind, users) in changed {
            let names = users.iter().map(Name::as_str).collect::<Vec<_>>().join(" ");
            match kind {
                FileKind::Template => info!(tokens = names, "a template was changed; its files are made again"),
                FileKind::Followed => debug!(tokens = names, "another tokend wrote; looking there"),
                FileKind::Secret | FileKind::Tls => {
                    info!(providers = names, "a file was changed; what waits for it is tried at once");
                }
            }
            self.0.inbox.files_changed(users, kind).await?;
        }
        if report.is_ok() && matches!(origin, Origin::Asked(_)) {
            self.0.inbox.look_again().await?;
        }
        report
    }

    async fn take(
        &self,
        road: &mut Road,
        (config, changes, restart_needed): (Arc<Config>, Changes, Vec<String>),
        origin: &Origin,
    ) -> Result<Report, NotTaken> {
        self.0.inbox.reload(Arc::clone(&config)).await?;
        if let Err(reason) = set_level(&config.log.level) {
            warn!(reason, "the level of the log stays");
        }
        let report = Report {
            fingerprint: road.known.fingerprint.clone(),
            tokens: config.tokens.len(),
            changes,
            restart_needed: restart_needed.clone(),
        };
        let Changes { added, removed, changed } = changes;
        let (by, restart) = (origin.to_string(), restart_needed.join(" "));
        info!(tokens = report.tokens, added, removed, changed, restart_needed = restart, by, "configuration taken");
        let mut board = self.board();
        board.adopt(&config.daemon);
        board.status.fingerprint.clone_from(&road.known.fingerprint);
        board.status.applied_at = clock::now().to_string();
        board.status.restart_needed = restart_needed;
        board.status.refused = None;
        board.tally.taken += 1;
        (road.known.config, road.known.refused) = (config, None);
        Ok(report)
    }

    /// The files say what holds already.
    fn keep(&self, road: &mut Road, origin: &Origin) -> Report {
        let by = origin.to_string();
        let was_refused = road.known.refused.take().is_some();
        let is_told = was_refused || matches!(origin, Origin::Asked(_));
        if was_refused {
            info!(by, "the files say again what holds");
        } else if is_told {
            info!(by, "configuration unchanged");
        } else {
            debug!(by, "configuration unchanged");
        }
        let mut board = self.board();
        board.tally.unchanged += u64::from(is_told);
        board.status.refused = None;
        Report {
            fingerprint: road.known.fingerprint.clone(),
            tokens: road.known.config.tokens.len(),
            changes: Changes::default(),
            restart_needed: board.status.restart_needed.clone(),
        }
    }

    fn refuse(&self, road: &mut Road, wrong: (String, Vec<String>), origin: &Origin) -> NotTaken {
        let is_news = road.known.refused.as_ref() != Some(&wrong);
        if is_news || matches!(origin, Origin::Asked(_)) {
            let by = origin.to_string();
            for problem in &wrong.1 {
                error!(problem, by, "the configuration was not taken; the old one stays");
            }
            self.board().tally.refused += 1;
        }
        if is_news {
            let refused = RefusedConfig { at: clock::now().to_string(), problems: wrong.1.clone() };
            self.board().status.refused = Some(refused);
        }
        let problems = wrong.1.clone();
        road.known.refused = Some(wrong);
        NotTaken::Refused(problems)
    }
}
