//! What the routes need, and whom they let pass.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use tokio::time::Instant;

use crate::inbox::{Gone, Inbox};
use crate::metrics::Metrics;
use crate::name::Name;
use crate::peer::{Peer, why_nobody_is_known};
use crate::reloading::Reloads;
use crate::settings::Readers;
use crate::shelf::{Item, Shelf};
use crate::socket::admission::{Admission, Names};
use crate::socket::audit::Audit;
use crate::socket::problem::Problem;
use crate::status::Status;

/// How old the status may be that others than admins see: it costs the loop a look at everything.
const FRESH: Duration = Duration::from_secs(1);

/// How things stood, and when.
type Recent = (Instant, Arc<Status>);

/// What the routes need.
#[derive(Clone)]
pub struct Desk {
    pub(crate) shelf: Shelf,
    pub(crate) inbox: Inbox,
    pub(crate) reloads: Reloads,
    pub(crate) metrics: Metrics,
    admission: Arc<Admission>,
    audit: Arc<Audit>,
    /// Why `readers` lets nobody in, if so.
    closed: Option<Arc<str>>,
    status: Arc<tokio::sync::Mutex<Option<Recent>>>,
}

impl Desk {
    /// Serves what is on `shelf`, and passes on what is asked of the loop and of the configuration.
    #[must_use]
    pub fn new(shelf: Shelf, inbox: Inbox, reloads: Reloads, metrics: Metrics) -> Self {
        let closed = why_nobody_is_known().map(Into::into);
        let (admission, audit, status) = (Arc::default(), Arc::default(), Arc::default());
        Self { shelf, inbox, reloads, metrics, admission, audit, closed, status }
    }

    pub(crate) async fn is_admin(&self, peer: &Peer) -> bool {
        if peer.is_ours() {
            return true;
        }
        let admins = self.reloads.admins();
        self.closed.is_none() && self.admission.admits(peer, (&admins.users, &admins.groups)).await
    }

    /// Lets only admins pass.
    pub(crate) async fn admit_admin(&self, peer: &Peer) -> Result<(), Problem> {
        let why = "only root, the daemon's own user and those whom daemon.admins names may ask this";
        if self.is_admin(peer).await { Ok(()) } else { Err(Problem::new(StatusCode::FORBIDDEN, why)) }
    }

    /// The token called `name`, for its readers alone.
    pub(crate) async fn find_for(
        &self,
        peer: &Peer,
        name: Result<Path<String>, PathRejection>,
    ) -> Result<(Name, Item), Problem> {
        let (name, item) = find(&self.shelf, name)?;
        self.admit_reader(peer, &name, &item).await?;
        Ok((name, item))
    }

    /// Lets only those pass who may read the token called `name`.
    pub(crate) async fn admit_reader(&self, peer: &Peer, name: &Name, item: &Item) -> Result<(), Problem> {
        if peer.is_ours() || self.may_read(peer, readers_of(name, item)).await {
            return Ok(());
        }
        self.audit.denied(peer, name);
        let unmapped = self.closed.as_deref();
        let why = unmapped.map_or_else(|| format!("{name} is not yours: `readers` does not name you"), str::to_owned);
        Err(Problem::new(StatusCode::FORBIDDEN, why))
    }

    async fn may_read(&self, peer: &Peer, readers: Option<&Readers>) -> bool {
        let Some(readers) = readers.filter(|_| self.closed.is_none()) else { return false };
        is_named_unit(peer, readers) || self.admission.admits(peer, names_of(readers)).await
    }

    /// The tokens that `peer` may read, by name.
    pub(crate) async fn readable(&self, peer: &Peer) -> Vec<(Name, Item)> {
        let mut all = self.shelf.all();
        if peer.is_ours() {
            return all;
        }
        if self.closed.is_some() {
            return Vec::new();
        }
        let named = all.iter().filter_map(|(name, item)| readers_of(name, item)).map(names_of);
        self.admission.learn(named).await;
        let unit = peer.unit();
        all.retain(|(name, item)| {
            let of_unit = |readers: &Readers| unit.as_ref().is_some_and(|unit| readers.units.contains(unit));
            readers_of(name, item)
                .is_some_and(|readers| of_unit(readers) || self.admission.knows(peer, names_of(readers)))
        });
        all
    }

    /// How things stood at most a moment ago.
    pub(crate) async fn recent_status(&self) -> Result<Arc<Status>, Gone> {
        let mut last = self.status.lock().await;
        if let Some((at, status)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(status));
        }
        let status = Arc::new(self.inbox.status().await?);
        *last = Some((Instant::now(), Arc::clone(&status)));
        Ok(status)
    }
}

fn is_named_unit(peer: &Peer, readers: &Readers) -> bool {
    !readers.units.is_empty() && peer.unit().is_some_and(|unit| readers.units.contains(&unit))
}

fn readers_of<'i>(name: &Name, item: &'i Item) -> Option<&'i Readers> {
    item.slot.token(name).map(|token| &token.readers)
}

fn names_of(readers: &Readers) -> Names<'_> {
    (&readers.users, &readers.groups)
}

/// The token called `name`, for those who may ask for any.
pub(crate) fn find(shelf: &Shelf, name: Result<Path<String>, PathRejection>) -> Result<(Name, Item), Problem> {
    let Path(name) = name.map_err(|_| Problem::new(StatusCode::NOT_FOUND, "that is no token's name"))?;
    let name = Name::parse(&name).map_err(|_| unknown(&name))?;
    let item = find_named(shelf, &name)?;
    Ok((name, item))
}

/// The same by its name.
pub(crate) fn find_named(shelf: &Shelf, name: &Name) -> Result<Item, Problem> {
    shelf.find(name).ok_or_else(|| unknown(name.as_str()))
}

fn unknown(name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no token {name:?} in the configuration"))
}

pub(crate) fn stopping(_: Gone) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping").retry_after(Duration::from_secs(1))
}
