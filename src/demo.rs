//! Everything at once with no set-up, no root: stand-ins of the vendors' endpoints on loopback, a
//! configuration, the daemon, and a live table. What `tokend demo` shows.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fs::{self, DirBuilder, File};
use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::daemon::Until;
use crate::demo::screen::Screen;
use crate::demo::standin::{Standin, StandinConfig};
use crate::display::{Reading, print, print_while_read};
use crate::fatal::{CANNOT_CREATE, Fatal, SOFTWARE};
use crate::inbox::Inbox;
use crate::inherited::Passed;
use crate::life::{EarlyState, Ears, Launch, live};
use crate::loading::Texts;
use crate::signals::{Signals, Wish};
use crate::telemetry::{Destination, start};

mod configuration;
mod screen;
pub mod standin;
mod summary;

/// Shows the demo until it is ended; its files are in `dir`, else in a scratch directory.
pub fn demo(dir: Option<PathBuf>) -> Result<u8, Fatal> {
    let scratch = Scratch::make(dir)?;
    let cannot = |what: &str, error: std::io::Error| Fatal::new(CANNOT_CREATE, format!("cannot {what}: {error}"));
    let standin = Standin::start_on_thread(StandinConfig::default()).map_err(|e| cannot("start the stand-ins", e))?;
    configuration::write(&scratch.path, &standin).map_err(|e| cannot("write the configuration", e))?;
    let config_path = scratch.path.join("tokend.toml");
    let texts = Texts::read(&config_path);
    let config = Arc::new(texts.parse()?);
    let log = File::create(scratch.path.join("tokend.log")).map_err(|e| cannot("create the log", e))?;
    start(&config.log, Destination::File(log)).map_err(|why| Fatal::new(SOFTWARE, why))?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| cannot("start", e))?;
    runtime.block_on(async {
        let ears = Ears::without_signals();
        let inbox = ears.inbox.clone();
        let fingerprint = texts.fingerprint();
        let (until, inherited, state) = (Until::Stopped, Passed::default(), EarlyState::default());
        let launch = Launch { config, config_path, fingerprint, until, inherited, state };
        let show = async {
            let shown = show(&scratch.path, &standin, &inbox).await;
            inbox.stop().await;
            shown
        };
        let (shown, lived) = tokio::join!(show, live(launch, ears));
        lived?;
        shown
    })?;
    print(&summary::of(&standin.journal(), &scratch.path, scratch.is_kept()))?;
    Ok(0)
}

/// Shows how things stand once a second until a signal ends it.
async fn show(dir: &Path, standin: &Standin, inbox: &Inbox) -> Result<(), Fatal> {
    let began = clock::now();
    let mut signals = Signals::listen().map_err(|error| Fatal::new(SOFTWARE, error.to_string()))?;
    let mut screen = Screen::new(dir, standin.base(), std::io::stdout().is_terminal());
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    print(&screen.opening())?;
    loop {
        tokio::select! {
            _ = seconds.tick() => {
                let Ok(status) = inbox.status().await else { break };
                let shown = screen.show(&status, &standin.journal(), began.until(clock::now()));
                if print_while_read(&shown)? == Reading::HasEnded {
                    break;
                }
            }
            Some((wish, _)) = signals.next() => if wish == Wish::Stop { break },
        }
    }
    print(&screen.closing())
}

/// The directory of the demo; removed at the end unless the person named it.
struct Scratch {
    path: PathBuf,
    named: bool,
}

impl Scratch {
    fn make(dir: Option<PathBuf>) -> Result<Self, Fatal> {
        let named = dir.is_some();
        let path = dir.unwrap_or_else(|| std::env::temp_dir().join(format!("tokend-demo-{}", std::process::id())));
        let cannot = |error: std::io::Error| {
            Fatal::new(CANNOT_CREATE, format!("cannot make the directory {}: {error}", path.display()))
        };
        DirBuilder::new().recursive(named).mode(0o700).create(&path).map_err(cannot)?;
        let path = path.canonicalize().map_err(cannot)?;
        if !configuration::may_have(&path).map_err(cannot)? {
            let line = format!("{} holds something that no demo wrote: name an empty directory", path.display());
            return Err(Fatal::new(CANNOT_CREATE, line));
        }
        Ok(Self { path, named })
    }

    fn is_kept(&self) -> bool {
        self.named
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.named {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
