//! Tells the service manager how things stand. Silent where there is none.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

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
    status: String,
    shown: String,
    shown_at: Timestamp,
}

impl Service {
    /// Starts telling; READY is sent at `give_up_at` at the latest, whatever is missing.
    #[must_use]
    pub fn new(give_up_at: Timestamp) -> Self {
        Self {
            ready_sent: Arc::default(),
            give_up_at,
            extend_at: Timestamp::EPOCH,
            status: String::new(),
            shown: String::new(),
            shown_at: Timestamp::EPOCH,
        }
    }

    /// The wall clock was set by `step`.
    pub fn follow_clock(&mut self, step: Step) {
        for at in [&mut self.give_up_at, &mut self.extend_at, &mut self.shown_at] {
            *at = at.moved(step);
        }
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
        let status = if self.status == self.shown { Timestamp::NEVER } else { self.shown_at + STATUS_PAUSE };
        ready.min(status)
    }

    /// Whether READY is due: everything required is there, or waiting for it is over.
    #[must_use]
    pub fn ready_is_due(&self, ready: bool, now: Timestamp) -> bool {
        !self.is_ready() && (ready || now >= self.give_up_at)
    }

    /// Sends READY=1, once.
    pub fn send_ready(&mut self) {
        self.ready_sent.store(true, Ordering::Relaxed);
        send(&[NotifyState::Ready]);
    }

    /// Asks for more time while it is not ready.
    pub fn extend(&mut self, now: Timestamp) {
        if !self.is_ready() && now >= self.extend_at {
            self.extend_at = now + EXTENSION / 2;
            send(&[NotifyState::ExtendTimeoutUsec(EXTENSION_MICROSECONDS)]);
        }
    }

    /// Shows `status` in `systemctl status` if it changed; once a second at most.
    pub fn show(&mut self, status: String, now: Timestamp) {
        self.status = status;
        let just_shown = self.shown_at <= now && now < self.shown_at + STATUS_PAUSE;
        if self.status != self.shown && !just_shown {
            send(&[NotifyState::Status(&self.status)]);
            self.shown.clone_from(&self.status);
            self.shown_at = now;
        }
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

/// Says that the end has begun.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

fn send(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
