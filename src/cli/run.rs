//! `tokend run`: the daemon, in the foreground.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::cli::complain;
use crate::command::keep_descriptors;
use crate::daemon::Until;
use crate::fatal::{CANNOT_CREATE, CONFIG, Fatal, SOFTWARE, TRY_AGAIN};
use crate::inherited::Inherited;
use crate::init;
use crate::life::{EarlyState, Ears, Launch, live};
use crate::loading::Texts;
use crate::status::{SinkState, Status};
use crate::telemetry::{Destination, finish, start};

/// How long a thread that brought files waits for more before it ends.
const IDLE_THREAD: Duration = Duration::from_secs(2);
/// How many directories may hang before they delay others.
const MOST_THREADS: usize = 64;

pub(crate) fn run(config_path: &Path, once: bool) -> Result<u8, Fatal> {
    if init::is_first() {
        return init::run();
    }
    let inherited = Inherited::take().map_err(|why| Fatal::new(CANNOT_CREATE, why))?;
    protect();
    keep_descriptors();
    let texts = Texts::read(config_path);
    let state = texts.glance().map(|daemon| EarlyState::begin(&daemon)).unwrap_or_default();
    let config = Arc::new(texts.parse()?);
    start(&config.log, Destination::Stderr).map_err(|why| Fatal::new(CONFIG, why))?;
    let until = if once { Until::Quiet } else { Until::Stopped };
    let launch = Launch {
        config,
        config_path: config_path.to_owned(),
        fingerprint: texts.fingerprint(),
        until,
        inherited,
        state,
    };
    let runtime = runtime()?;
    let lived = runtime.block_on(async { live(launch, Ears::with_signals()?).await });
    // A directory or a resolver that hangs must not hold up the end.
    runtime.shutdown_background();
    finish();
    let status = lived?;
    if once { Ok(judge(&status)) } else { Ok(0) }
}

/// The one thread that everything but the disk runs on.
pub(crate) fn runtime() -> Result<Runtime, Fatal> {
    let mut builder = Builder::new_current_thread();
    let built = builder.enable_all().thread_keep_alive(IDLE_THREAD).max_blocking_threads(MOST_THREADS).build();
    built.map_err(|error| Fatal::new(SOFTWARE, format!("cannot start: {error}")))
}

/// Secrets in memory are for nobody: no core file, no debugger of the same user.
pub(crate) fn protect() {
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

fn judge(status: &Status) -> u8 {
    let failed = failures(status);
    for line in &failed {
        complain(line);
    }
    if failed.is_empty() { 0 } else { TRY_AGAIN }
}

/// One line for every slot and sink that is not up to date.
fn failures(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    for slot in &status.slots {
        if let Some(error) = &slot.last_error {
            lines.push(format!("{}: {}", slot.slot, error.reason));
        }
        for token in &slot.tokens {
            if let (Some(reason), None) = (&token.reason, &slot.last_error) {
                lines.push(format!("{}: {reason}", token.name));
            }
            let stale = token.sinks.iter().filter(|sink| token.reason.is_none() && sink.state != SinkState::Current);
            lines.extend(stale.map(|sink| {
                format!("{}: {}: {}", token.name, sink.sink, sink.error.as_deref().unwrap_or("not delivered"))
            }));
            let failing = token.hooks.iter().filter_map(|hook| Some((&hook.hook, hook.error.as_ref()?)));
            lines.extend(failing.map(|(hook, error)| format!("{}: {hook}: {error}", token.name)));
        }
    }
    lines
}
