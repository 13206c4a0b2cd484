//! What passes between the keeper, which decides, and the daemon, which acts.

use std::sync::Arc;

use crate::access_token::{AccessToken, Generation};
use crate::failure::Failure;
use crate::job::{Ask, Job, Lane, Notice, Written};
use crate::ledger::Entry;
use crate::name::{Identity, Name, SinkId};
use crate::plan::hooks::trouble;
use crate::plan::serves;
use crate::settings::{Hook, HookEvent, HookKind, Persist, SinkSettings, TokenSettings};
use crate::slot::Slot;
use crate::time::Timestamp;

/// A job with all that carrying it out needs. Cheap to make: everything in it is shared.
#[derive(Clone, Debug)]
pub enum Task {
    /// Read the highest generation that the slot's sinks hold.
    Recall(Arc<Slot>),
    /// Ask the provider.
    Issue(Arc<Slot>, Ask),
    /// Bring an access token to a sink.
    Deliver(Delivery),
    /// Remove what we wrote to a sink.
    Withdraw {
        /// Whose it was.
        identity: Identity,
        /// Where.
        sink: SinkId,
        /// What we wrote there.
        written: Written,
    },
    /// Run a hook.
    Notify(Notification),
}

/// One access token for one sink.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The slot that serves the token.
    pub slot: Arc<Slot>,
    /// The index of the token in the slot, and of the sink in the token.
    pub place: (usize, usize),
    /// What to bring.
    pub access_token: Arc<AccessToken>,
}

impl Delivery {
    /// The token whose sink it is.
    #[must_use]
    pub fn token(&self) -> &TokenSettings {
        &self.slot.tokens[self.place.0]
    }

    /// The sink.
    #[must_use]
    pub fn sink(&self) -> &SinkSettings {
        &self.token().sinks[self.place.1]
    }
}

/// One run of a hook.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The slot that serves the token.
    pub slot: Arc<Slot>,
    /// What to run.
    pub hook: Hook,
    /// What to tell it.
    pub notice: Notice,
}

impl Notification {
    /// What to run for `event` of the token called `name`, as things stand at `now`.
    fn new(slot: &Arc<Slot>, entry: &Entry, (name, event): (&Name, HookEvent), now: Timestamp) -> Option<Self> {
        let hook = slot.token(name)?.hook(event.kind())?.clone();
        let trouble = match event.kind() {
            HookKind::OnChange => None,
            HookKind::OnFailure => trouble(slot, entry, now).map(|(_, trouble)| trouble),
        };
        let notice = Notice {
            event,
            token: name.clone(),
            slot: slot.id.clone(),
            generation: entry.held_generation(),
            expires_at: entry.access_token.as_ref().map(|held| held.expires_at),
            trouble,
        };
        Some(Self { slot: Arc::clone(slot), hook, notice })
    }
}

impl Task {
    /// Makes `job` concrete at `now`; `None` when there is nothing to do it with.
    #[must_use]
    pub fn new(slot: Option<&Arc<Slot>>, entry: &Entry, job: Job, now: Timestamp) -> Option<Self> {
        match job {
            Job::Recall => slot.map(|slot| Self::Recall(Arc::clone(slot))),
            Job::Issue(ask) => slot.map(|slot| Self::Issue(Arc::clone(slot), ask)),
            Job::Deliver(sink) => {
                let slot = slot?;
                let place = slot.place_of(&sink)?;
                let access_token = Arc::clone(entry.access_token.as_ref()?);
                Some(Self::Deliver(Delivery { slot: Arc::clone(slot), place, access_token }))
            }
            Job::Withdraw(sink) => {
                let fingerprint = entry.receipts.get(&sink)?.held.map(|held| held.fingerprint);
                let written = Written { fingerprint, access_token: entry.access_token.clone() };
                Some(Self::Withdraw { identity: entry.identity.clone(), sink, written })
            }
            Job::Notify(token, event) => Notification::new(slot?, entry, (&token, event), now).map(Self::Notify),
        }
    }

    /// Whose task it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        match self {
            Self::Recall(slot) | Self::Issue(slot, _) => &slot.identity,
            Self::Deliver(delivery) => &delivery.slot.identity,
            Self::Withdraw { identity, .. } => identity,
            Self::Notify(notification) => &notification.slot.identity,
        }
    }

    /// The lane that it keeps busy.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Recall(_) | Self::Issue(..) => Lane::Issuing,
            Self::Deliver(delivery) => Lane::Sink(delivery.sink().id.clone()),
            Self::Withdraw { sink, .. } => Lane::Sink(sink.clone()),
            Self::Notify(notification) => Lane::Hooks(notification.notice.token.clone()),
        }
    }
}

/// What the readers of one token may have from now on.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The token.
    pub name: Name,
    /// The slot that serves it.
    pub slot: Arc<Slot>,
    /// The newest access token, if it may serve this token.
    pub access_token: Option<Arc<AccessToken>>,
}

impl Publication {
    /// One for each token of `slot`.
    #[must_use]
    pub fn of_slot(slot: &Arc<Slot>, access_token: Option<&Arc<AccessToken>>) -> Vec<Self> {
        let publish = |token: &TokenSettings| Self {
            name: token.name.clone(),
            slot: Arc::clone(slot),
            access_token: access_token.filter(|held| serves(slot, token, held)).cloned(),
        };
        slot.tokens.iter().map(publish).collect()
    }
}

/// One row to save.
#[derive(Clone, Debug)]
pub enum Row {
    /// What is known of a slot.
    Put(Box<Entry>, Persist),
    /// Nothing is kept of it any more.
    Remove(Identity),
}

/// What may be done now.
#[derive(Debug)]
pub struct Release {
    /// To carry out; each brings an outcome.
    pub tasks: Vec<Task>,
    /// To hand to the readers of the socket, before the tasks.
    pub publications: Vec<Publication>,
    /// To tell those who asked for a refresh.
    pub answers: Vec<(AskerId, RefreshAnswer)>,
}

/// Who asked for a refresh; the daemon knows how to reach them.
pub type AskerId = u64;

/// The answer to somebody who asked for a refresh, for a pause, for its end, or of whose access token
/// a reader has something to say.
#[derive(Clone, Debug)]
pub enum RefreshAnswer {
    /// This access token is held and saved; it may be the one held before (L8).
    Held(Arc<AccessToken>),
    /// Not before this moment, and why.
    NotBefore(Timestamp, String),
    /// The provider was asked, in vain.
    Failed(Failure),
    /// No requests are made since this moment: an admin wants none.
    Paused(Timestamp),
    /// Requests are made again.
    Resumed,
    /// Another access token is asked for; the one held is served until it is there.
    Accepted,
    /// Another generation is held, or none.
    NotHeld(Option<Generation>),
    /// The daemon is stopping, or the slot left the configuration.
    Abandoned,
}
