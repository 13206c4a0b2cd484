//! Where log lines go and how they look. Third-party crates are capped at warnings: what they say
//! below that may quote what they carry.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, LogSettings};
use crate::telemetry::journal::Journal;
use crate::telemetry::outlet::Outlet;

mod journal;
mod outlet;

/// Where the level is changed: there is one log in a process.
static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// The way out to standard error.
static OUTLET: OnceLock<Outlet<io::Stderr>> = OnceLock::new();

/// How long the last lines are waited for at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Crates that say nothing at all.
const SILENT: [&str; 2] = ["rustify", "vaultrs"];

/// Where lines go.
#[derive(Debug)]
pub enum Destination {
    /// Standard error.
    Stderr,
    /// This file.
    File(File),
}

/// Starts logging as `settings` say; does nothing when logging was started before.
///
/// Errors: a level that makes no sense, in words.
pub fn start(settings: &LogSettings, destination: Destination) -> Result<(), String> {
    let filter = filter(&settings.level)?;
    let format = match settings.format {
        LogFormat::Default if matches!(destination, Destination::Stderr) && stderr_is_the_journal() => {
            LogFormat::Journald
        }
        LogFormat::Default => LogFormat::Text,
        format => format,
    };
    let (writer, coloured) = match destination {
        Destination::Stderr => {
            let outlet = OUTLET.get_or_init(|| Outlet::new(io::stderr)).clone();
            (BoxMakeWriter::new(outlet), is_coloured())
        }
        Destination::File(file) => (BoxMakeWriter::new(file), false),
    };
    let (filter, handle) = reload::Layer::new(filter);
    let layer = layer(format, writer, coloured).with_filter(filter);
    if Registry::default().with(layer).try_init().is_ok() {
        let _ = LEVEL.set(handle);
    }
    Ok(())
}

/// Waits for lines that are not out yet, where somebody reads them.
pub fn finish() {
    if let Some(outlet) = OUTLET.get() {
        outlet.drain(LAST_LINES);
    }
}

/// Logs from now on what `level` says; does nothing before logging was started.
///
/// Errors: a level that makes no sense, in words.
pub fn set_level(level: &str) -> Result<(), String> {
    let filter = filter(level)?;
    let Some(handle) = LEVEL.get() else { return Ok(()) };
    handle.reload(filter).map_err(|error| error.to_string())
}

fn layer<W>(format: LogFormat, writer: W, coloured: bool) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer();
    match format {
        LogFormat::Json => lines.json().flatten_event(true).with_writer(writer).boxed(),
        LogFormat::Journald => match Journal::connect() {
            Ok(journal) => journal.boxed(),
            Err(_) => lines.without_time().with_ansi(false).with_writer(writer).boxed(),
        },
        LogFormat::Text | LogFormat::Default => {
            lines.with_target(false).with_ansi(coloured).with_writer(writer).boxed()
        }
    }
}

/// `info`, `target=level,…`, or both; other crates never say more than warnings. A level without a
/// target is ours; without one we say as much as if nothing were set.
fn filter(level: &str) -> Result<Targets, String> {
    let wrong = || format!("log.level {level:?} is not error, warn, info, debug or target=level,…");
    let capped = Targets::new().with_default(LevelFilter::WARN).with_target("tokend", LevelFilter::INFO);
    let targets = level.split(',').try_fold(capped, |targets, directive| {
        let (target, level) = directive.split_once('=').unwrap_or(("", directive));
        let level: LevelFilter = level.parse().ok().filter(|_| !level.is_empty()).ok_or_else(wrong)?;
        let theirs = level.min(LevelFilter::WARN);
        Ok::<_, String>(match target {
            "" => targets.with_default(theirs).with_target("tokend", level),
            ours if ours == "tokend" || ours.starts_with("tokend::") => targets.with_target(ours, level),
            other => targets.with_target(other, theirs),
        })
    })?;
    // What went wrong with Vault is told by us, and they quote what they carry.
    Ok(SILENT.into_iter().fold(targets, |targets, target| targets.with_target(target, LevelFilter::OFF)))
}

fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether standard error is what systemd says the journal is (`$JOURNAL_STREAM`).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(metadata) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_crates_never_say_more_than_warnings() {
        for level in ["debug", "trace", "hyper=trace,reqwest=debug,tokend=debug"] {
            let filter = filter(level).unwrap();
            assert!(!filter.would_enable("hyper::client", &tracing::Level::INFO), "{level}");
            assert!(filter.would_enable("tokend::world", &tracing::Level::DEBUG), "{level}");
        }
        for wrong in ["loud", "", "tokend=loud", "info,"] {
            assert!(filter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_level_may_stand_beside_targets_and_what_is_not_named_stays() {
        let beside = filter("debug,hyper=error").unwrap();
        assert!(beside.would_enable("tokend::world", &tracing::Level::DEBUG));
        assert!(!beside.would_enable("hyper", &tracing::Level::WARN));
        let alone = filter("hyper=error").unwrap();
        assert!(alone.would_enable("tokend::world", &tracing::Level::INFO));
        assert!(!alone.would_enable("tokend::world", &tracing::Level::DEBUG));
    }
}
