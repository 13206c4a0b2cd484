//! What others may see of the configuration that holds, at any time.

use std::sync::{Arc, MutexGuard, PoisonError};

use crate::reloading::{ReloadTally, Reloads};
use crate::settings::{Admins, DaemonSettings};
use crate::status::ConfigStatus;

/// What others may see at any time.
pub(super) struct Board {
    pub(super) status: ConfigStatus,
    admins: Arc<Admins>,
    audit_reads: bool,
    pub(super) tally: ReloadTally,
}

impl Board {
    pub(super) fn new(status: ConfigStatus, daemon: &DaemonSettings) -> Self {
        Self {
            status,
            admins: Arc::new(daemon.admins.clone()),
            audit_reads: daemon.audit_reads,
            tally: ReloadTally::default(),
        }
    }

    pub(super) fn adopt(&mut self, daemon: &DaemonSettings) {
        self.admins = Arc::new(daemon.admins.clone());
        self.audit_reads = daemon.audit_reads;
    }
}

impl Reloads {
    /// How it stands with the configuration.
    #[must_use]
    pub fn status(&self) -> ConfigStatus {
        self.board().status.clone()
    }

    /// How many reloads came to what since the start.
    #[must_use]
    pub fn tally(&self) -> ReloadTally {
        self.board().tally
    }

    /// Who may ask what changes something.
    #[must_use]
    pub fn admins(&self) -> Arc<Admins> {
        Arc::clone(&self.board().admins)
    }

    /// Whether every read over the socket is a line in the log.
    #[must_use]
    pub fn audits_reads(&self) -> bool {
        self.board().audit_reads
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
