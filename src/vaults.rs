//! The Vault servers that are spoken to: one login for each, shared by all that goes there. Its token
//! is kept sealed, renewed in time, and made anew when it is spent; a server that does not answer is
//! left alone for a while, for all who want something of it.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info};

use crate::access_token::Generation;
use crate::config::Config;
use crate::credentials;
use crate::http::Http;
use crate::inbox::Inbox;
use crate::name::Name;
use crate::secret::Secret;
use crate::settings::{FileKind, SecretSource, VaultPlace};
use crate::sink::vault::{Put, VaultPut, generation};
use crate::slot::Slot;
use crate::vault::Found;
use crate::vaults::errand::{Reply, What};
use crate::vaults::secrets::{Rounds, Secrets, Users, in_vault, users};
use crate::vaults::session::{Common, Session};

mod choice;
mod errand;
mod keeping;
mod patience;
mod reading;
mod refusal;
mod secrets;
mod session;
mod waits;
mod wrapping;

pub use crate::vaults::keeping::KeptTokens;

/// All servers. Cheap to clone: clones share logins.
#[derive(Clone)]
pub struct Vaults(Arc<Shared>);

struct Shared {
    common: Common,
    sessions: Mutex<BTreeMap<Name, Arc<Session>>>,
    secrets: Secrets,
    users: watch::Sender<Users>,
}

impl Vaults {
    /// The servers of `config`, reached through `http`.
    #[must_use]
    pub fn new(http: Http, config: &Config) -> Self {
        let vaults = Self(Arc::new(Shared {
            common: Common {
                http,
                keeping: Arc::default(),
                refusals: Arc::default(),
                unwrapped: Arc::default(),
                listener: Arc::default(),
            },
            sessions: Mutex::default(),
            secrets: Secrets::default(),
            users: watch::Sender::default(),
        }));
        vaults.adopt(config);
        vaults
    }

    /// Keeps the tokens of logins in `tokens` from now on, and uses those that are there.
    pub fn keep_tokens(&self, tokens: KeptTokens) {
        self.0.common.keeping.begin(tokens);
    }

    /// Keeps none any more: the state is about to be closed.
    pub fn close(&self) {
        self.0.common.keeping.end();
    }

    /// Speaks to the servers of `config` from now on. A login to one that is as it was goes on.
    pub fn adopt(&self, config: &Config) {
        let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|name, session| {
            let stays = config.vaults.get(name).is_some_and(|server| server.same_as(session.server()));
            if !stays {
                self.0.secrets.doubt_all_of(name);
            }
            stays
        });
        for (name, server) in &config.vaults {
            sessions.entry(name.clone()).or_insert_with(|| Session::new(Arc::clone(server), self.0.common.clone()));
        }
        let users = users(config);
        self.0.secrets.adopt(&users);
        self.0.users.send_if_modified(|before| {
            *before != users && {
                *before = users;
                true
            }
        });
    }

    /// A person asks that logins which were refused, or failed, be tried again.
    pub fn try_again(&self) {
        self.0.common.refusals.doubt_all(Instant::now());
        let sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.values().for_each(|session| session.try_again());
    }

    fn session(&self, name: &Name) -> Result<Arc<Session>, String> {
        let sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(name).cloned().ok_or_else(|| format!("there is no [vaults.{name}] any more"))
    }

    /// Brings a secret up to date.
    ///
    /// Errors: what is wrong, in words for a person.
    pub async fn put(&self, wanted: &VaultPut<'_>) -> Result<Put, String> {
        match self.session(&wanted.place.server)?.call(wanted.place, What::Put(wanted)).await? {
            Reply::Put(put) => Ok(put),
            Reply::Read(_) => Err(format!("{}: not what was asked", wanted.place)),
        }
    }

    /// The generation of `slot` that a secret holds.
    pub async fn generation(&self, place: &VaultPlace, slot: &str) -> Option<Generation> {
        generation(&self.read(place).await.ok()?, slot)
    }

    /// The fields of a secret; `None` where there is none.
    ///
    /// Errors: why it cannot be read, with the place.
    pub async fn fields(&self, place: &VaultPlace) -> Result<Option<Map<String, Value>>, String> {
        Ok(self.read(place).await?.fields)
    }

    async fn read(&self, place: &VaultPlace) -> Result<Found, String> {
        match self.session(&place.server)?.call(place, What::Read).await? {
            Reply::Read(found) => Ok(found),
            Reply::Put(_) => Err(format!("{place}: not what was asked")),
        }
    }

    /// The secret that `source` names, wherever it is.
    ///
    /// Errors: why there is none now, and what to do; never what was found.
    pub async fn secret(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Vault(place, field) => self.field(place, field).await,
            other => credentials::read(other).await,
        }
    }

    async fn field(&self, place: &VaultPlace, field: &str) -> Result<Secret, String> {
        let (known, since) = (self.0.secrets.of(place), Instant::now());
        let _reading = known.gate.lock().await;
        if known.must_be_read(field, since) {
            known.take(place, self.read(place).await);
        }
        known.give(field)
    }

    /// A provider refused the secrets of `slot`: those in Vault are read again before they are used
    /// again.
    pub fn doubt(&self, slot: &Slot) {
        for (place, _) in slot.provider.secrets.values().flatten().filter_map(in_vault) {
            self.0.secrets.of(place).doubt();
        }
    }

    /// Looks at the secrets that providers have in Vault, at each place every five minutes, and tells
    /// `inbox` of those that changed, and of each server that lets us in after it had not; ends when
    /// nobody listens.
    pub async fn watch(self, inbox: Inbox) {
        // There is one loop in a process.
        let _ = self.0.common.listener.set(inbox.clone());
        let (mut users, began) = (self.0.users.subscribe(), Instant::now());
        let mut under_way = JoinSet::new();
        let mut passed = Duration::ZERO;
        loop {
            let wanted = users.borrow_and_update().clone();
            let rounds = Rounds::of(&wanted);
            while let Some((at, place)) = rounds.next(passed) {
                tokio::select! {
                    () = sleep_until(began + at) => {}
                    changed = users.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                }
                passed = at;
                let providers = wanted.get(place).map(|wanted| wanted.providers.clone()).unwrap_or_default();
                under_way.spawn(self.clone().look(place.clone(), providers, inbox.clone()));
                while under_way.try_join_next().is_some() {}
            }
            if wanted.is_empty() && users.changed().await.is_err() {
                return;
            }
            passed = passed.max(began.elapsed());
        }
    }

    /// Looks at one place. Where the last look has not come back yet this one is left out.
    async fn look(self, place: VaultPlace, providers: BTreeSet<Name>, inbox: Inbox) {
        let known = self.0.secrets.of(&place);
        let Ok(_reading) = known.gate.try_lock() else { return };
        let found = self.read(&place).await;
        if let Err(why) = &found {
            debug!(%place, reason = why, "the secrets in Vault cannot be looked at; what was read before is used");
        }
        if known.take(&place, found) {
            let names = providers.iter().map(Name::as_str).collect::<Vec<_>>().join(" ");
            info!(%place, providers = names, "a secret in Vault was changed; what waits for it is tried at once");
            let _ = inbox.files_changed(providers, FileKind::Secret).await;
        }
    }
}
