//! What Prometheus is told: counts of what happened since the start, and how things stand at the
//! moment of the scrape. It names slots, tokens and sinks, holds no secret and decides nothing.
//!
//! Everything is made at the scrape: a token that left the configuration leaves no series behind,
//! and nothing is kept up to date that nobody asks for. One text is made at a time, on a thread
//! apart; the loop is kept only while it reads its numbers out.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{self, Timeline};
use crate::inbox::{Gone, Inbox};
use crate::metrics::counts::Counts;
use crate::metrics::exposition::Exposition;
pub use crate::metrics::format::Format;
use crate::reloading::Reloads;
use crate::time::Timestamp;

pub mod counts;
mod exposition;
mod format;
mod process;
pub mod tcp;

/// All that is told. Clones are one.
#[derive(Clone)]
pub struct Metrics(Arc<Shared>);

struct Shared {
    counts: Counts,
    inbox: Inbox,
    reloads: Reloads,
    started: (Timeline, Timestamp),
    problem: Mutex<Option<String>>,
    turn: tokio::sync::Mutex<()>,
}

impl Metrics {
    /// Nothing was counted yet; what is known is asked of the loop behind `inbox` and of `reloads`.
    #[must_use]
    pub fn new(inbox: Inbox, reloads: Reloads) -> Self {
        Self(Arc::new(Shared {
            counts: Counts::default(),
            inbox,
            reloads,
            started: (Timeline::present(), clock::now()),
            problem: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Where to count what happens.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Why they cannot be served where `daemon.metrics` says.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_problem(&self, problem: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.0.problem.lock().unwrap_or_else(PoisonError::into_inner), problem)
    }

    /// The text of a scrape at this moment.
    ///
    /// Errors: the daemon is stopping.
    pub async fn text(&self, format: Format) -> Result<String, Gone> {
        let _turn = self.0.turn.lock().await;
        let readings = self.0.inbox.readings().await?;
        // The wall clock may have been set since.
        let (timeline, started) = self.0.started;
        let exposition = Exposition {
            readings,
            tally: self.0.counts.tally(),
            reloads: self.0.reloads.tally(),
            last_reload_successful: self.0.reloads.status().refused.is_none(),
            started: started.moved(timeline.step_to(Timeline::present())),
        };
        tokio::task::spawn_blocking(move || exposition.text(format)).await.map_err(|_| Gone)
    }
}
