//! Tells the service manager how things stand. Silent where there is none.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::time::{Step, Timestamp};

/// How far ahead the service manager is asked to wait while tokens are being fetched.
const EXTENSION: Duration = Duration::from_secs(30);
const EXTENSION_MICROSECONDS: u32 = 30_000_000;
/// A status that changes more often than this is shown as it is after it.
const STATUS_PAUSE: Duration = Duration::from_secs(1);

/// The service manager, as far as it listens (`$NOTIFY_SOCKET`).
#[derive(Debug)]
pub struct Service {
    ready_sent: Arc<AtomicBool>,
    give_up_at: Timestamp,
    extend_at: Timestamp,
    stopping: bool,
    watchdog: Watchdog,
    status: StatusLine,
}

/// What `systemctl status` shows: composed at most once in a `STATUS_PAUSE`, sent where it changed.
#[derive(Debug, Default)]
struct StatusLine {
    shown: String,
    composed_at: Option<Timestamp>,
    overdue: bool,
}

impl Service {
    /// Starts telling; READY is sent at `give_up_at` at the latest, whatever is missing.
    #[must_use]
    pub fn new(give_up_at: Timestamp) -> Self {
        Self {
            ready_sent: Arc::default(),
            give_up_at,
            extend_at: Timestamp::EPOCH,
            stopping: false,
            watchdog: Watchdog::of_environment(),
            status: StatusLine::default(),
        }
    }

    /// The wall clock was set by `step`.
    pub fn follow_clock(&mut self, step: Step) {
        let composed_at = self.status.composed_at.as_mut();
        let moments = [&mut self.give_up_at, &mut self.extend_at, &mut self.watchdog.feed_at];
        moments.into_iter().chain(composed_at).for_each(|at| *at = at.moved(step));
    }

    /// Where reloads are told.
    #[must_use]
    pub fn reloads(&self) -> ReloadNotice {
        ReloadNotice(Arc::clone(&self.ready_sent))
    }

    /// Whether READY was sent.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready_sent.load(Ordering::Relaxed)
    }

    /// When there is something to send whatever happens; `NEVER` when there is nothing.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        let ready = if self.is_ready() { Timestamp::NEVER } else { self.give_up_at };
        let status = self.status.composed_at.filter(|_| self.status.overdue).map(|at| at + STATUS_PAUSE);
        let extension = if self.needs_time() { self.extend_at } else { Timestamp::NEVER };
        let moments = [ready, extension, status.unwrap_or(Timestamp::NEVER), self.watchdog.feed_at];
        moments.into_iter().fold(Timestamp::NEVER, Timestamp::min)
    }

    /// Whether READY is due: everything required is there, or waiting for it is over.
    #[must_use]
    pub fn ready_is_due(&self, ready: bool, now: Timestamp) -> bool {
        !self.is_ready() && (ready || now >= self.give_up_at)
    }

    /// Sends READY=1, once, together with `status`: who sees the one sees the other.
    pub fn send_ready(&mut self, status: String) {
        self.ready_sent.store(true, Ordering::Relaxed);
        send(&[NotifyState::Status(&status), NotifyState::Ready]);
        self.status.shown = status;
    }

    /// Feeds the watchdog, if there is one and it is hungry. Called by the loop at every turn and by
    /// nothing else: a loop that hangs starves it, a disk or a provider that hangs does not.
    pub fn feed_watchdog(&mut self, now: Timestamp) {
        if self.watchdog.is_hungry(now) {
            send(&[NotifyState::Watchdog]);
        }
    }

    /// Says that the end has begun.
    pub fn stop(&mut self, now: Timestamp) {
        self.stopping = true;
        self.extend_at = now;
        send(&[NotifyState::Stopping]);
    }

    /// Asks for more time while tokens are fetched at the beginning, or come home at the end.
    pub fn extend(&mut self, now: Timestamp) {
        if self.needs_time() && now >= self.extend_at {
            self.extend_at = now + EXTENSION / 2;
            send(&[NotifyState::ExtendTimeoutUsec(EXTENSION_MICROSECONDS)]);
        }
    }

    fn needs_time(&self) -> bool {
        self.stopping || !self.is_ready()
    }

    /// Whether the status may be shown again; if not, it is due a little later.
    pub fn status_is_due(&mut self, now: Timestamp) -> bool {
        self.status.is_due(now)
    }

    /// Shows `status` in `systemctl status` if it changed.
    pub fn show(&mut self, status: String) {
        if status != self.status.shown {
            send(&[NotifyState::Status(&status)]);
            self.status.shown = status;
        }
    }
}

impl StatusLine {
    fn is_due(&mut self, now: Timestamp) -> bool {
        self.overdue = self.composed_at.is_some_and(|at| at <= now && now < at + STATUS_PAUSE);
        if !self.overdue {
            self.composed_at = Some(now);
        }
        !self.overdue
    }
}

/// The service manager's watchdog (`$WATCHDOG_USEC`).
#[derive(Debug)]
struct Watchdog {
    every: Option<Duration>,
    feed_at: Timestamp,
}

impl Watchdog {
    fn of_environment() -> Self {
        // A third of its patience: one meal that comes late is not the end.
        Self::fed_every(sd_notify::watchdog_enabled().map(|patience| patience / 3))
    }

    fn fed_every(every: Option<Duration>) -> Self {
        let feed_at = if every.is_some() { Timestamp::EPOCH } else { Timestamp::NEVER };
        Self { every, feed_at }
    }

    /// Whether it is time; if so it counts as fed.
    fn is_hungry(&mut self, now: Timestamp) -> bool {
        let Some(every) = self.every.filter(|_| self.feed_at <= now) else { return false };
        self.feed_at = now + every;
        true
    }
}

/// Tells the service manager of reloads; silent until READY was sent, which it would repeat too soon.
#[derive(Clone, Debug)]
pub struct ReloadNotice(Arc<AtomicBool>);

/// A reload that the service manager knows of, until this is dropped.
#[derive(Debug)]
pub struct Reloading(());

impl ReloadNotice {
    /// Says that a reload has begun.
    #[must_use]
    pub fn begin(&self) -> Option<Reloading> {
        let now = NotifyState::monotonic_usec_now().ok().filter(|_| self.0.load(Ordering::Relaxed))?;
        send(&[NotifyState::Reloading, now]);
        Some(Reloading(()))
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        send(&[NotifyState::Ready]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    let socket = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    let _ = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => send_to_abstract(name, states),
        None => sd_notify::notify(states),
    };
}

/// An abstract socket, which `sd_notify` takes for a path.
fn send_to_abstract(name: &[u8], states: &[NotifyState<'_>]) -> io::Result<()> {
    let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
    let message = lines.join("\n") + "\n";
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &SocketAddr::from_abstract_name(name)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_changes_often_is_composed_once_a_second_and_the_last_one_is_not_missed() {
        let at = |millisecond| Timestamp::EPOCH + Duration::from_millis(millisecond);
        let mut service = Service::new(Timestamp::NEVER);
        service.send_ready(String::new());
        assert!(service.status_is_due(at(5000)));
        assert_eq!(service.deadline(), Timestamp::NEVER);
        assert!(!service.status_is_due(at(5400)));
        assert_eq!(service.deadline(), at(6000));
        assert!(service.status_is_due(at(6000)));
        assert_eq!(service.deadline(), Timestamp::NEVER);
    }

    #[test]
    fn more_time_is_asked_for_twice_as_often_as_needed_before_it_is_ready_and_while_it_stops() {
        let at = |second| Timestamp::EPOCH + Duration::from_secs(second);
        let mut service = Service::new(at(1000));
        service.extend(at(100));
        assert_eq!(service.deadline(), at(115), "before the extension is over");
        service.send_ready(String::new());
        assert_eq!(service.deadline(), Timestamp::NEVER);
        service.stop(at(200));
        service.extend(at(200));
        assert_eq!(service.deadline(), at(215));
    }

    #[test]
    fn an_abstract_socket_hears_it_as_well() {
        let name = format!("tokend-test-{}", std::process::id());
        let listening = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send_to_abstract(name.as_bytes(), &[NotifyState::Status("well"), NotifyState::Ready]).unwrap();
        let mut heard = [0; 64];
        let length = listening.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"STATUS=well\nREADY=1\n");
    }

    #[test]
    fn a_watchdog_is_fed_three_times_in_its_patience_and_never_where_there_is_none() {
        let at = |second| Timestamp::EPOCH + Duration::from_secs(second);
        let mut watchdog = Watchdog::fed_every(Some(Duration::from_secs(20)));
        let hungry: Vec<u64> = (100..161).filter(|second| watchdog.is_hungry(at(*second))).collect();
        assert_eq!(hungry, [100, 120, 140, 160]);
        let mut none = Watchdog::fed_every(None);
        assert!(none.feed_at == Timestamp::NEVER && !none.is_hungry(Timestamp::NEVER));
    }
}
