//! The Vault servers that are spoken to: one login for each, shared by all that goes there. Its token
//! is kept sealed, renewed in time, and made anew when it is spent; a server that does not answer is
//! left alone for a while, for all who want something of it.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::access_token::Generation;
use crate::config::Config;
use crate::credentials;
use crate::http::Http;
use crate::name::Name;
use crate::secret::Secret;
use crate::settings::{SecretSource, VaultPlace};
use crate::sink::vault::{Put, VaultPut, generation};
use crate::vault::Found;
use crate::vaults::keeping::Keeping;
use crate::vaults::session::{Reply, Session, What};

mod keeping;
mod reading;
mod session;

pub use crate::vaults::keeping::KeptTokens;

/// All servers. Cheap to clone: clones share logins.
#[derive(Clone)]
pub struct Vaults(Arc<Shared>);

struct Shared {
    http: Http,
    sessions: Mutex<BTreeMap<Name, Arc<Session>>>,
    keeping: Arc<Keeping>,
    /// What secrets were when they were read last: a server that is down takes none away.
    known: Mutex<BTreeMap<(VaultPlace, String), Secret>>,
}

impl Vaults {
    /// The servers of `config`, reached through `http`.
    #[must_use]
    pub fn new(http: Http, config: &Config) -> Self {
        let vaults = Self(Arc::new(Shared {
            http,
            sessions: Mutex::default(),
            keeping: Arc::default(),
            known: Mutex::default(),
        }));
        vaults.adopt(config);
        vaults
    }

    /// Keeps the tokens of logins in `tokens` from now on, and uses those that are there.
    pub fn keep_tokens(&self, tokens: KeptTokens) {
        self.0.keeping.begin(tokens);
    }

    /// Keeps none any more: the state is about to be closed.
    pub fn close(&self) {
        self.0.keeping.end();
    }

    /// Speaks to the servers of `config` from now on. A login to one that is as it was goes on.
    pub fn adopt(&self, config: &Config) {
        let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|name, session| config.vaults.get(name).is_some_and(|server| server.same_as(session.server())));
        for (name, server) in &config.vaults {
            sessions
                .entry(name.clone())
                .or_insert_with(|| Session::new(Arc::clone(server), self.0.http.clone(), Arc::clone(&self.0.keeping)));
        }
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

    /// A field of a secret; what it was when it was read last, where the server does not answer.
    async fn field(&self, place: &VaultPlace, field: &str) -> Result<Secret, String> {
        let key = (place.clone(), field.to_owned());
        let known = || self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        match self.read(place).await {
            Ok(found) => {
                let value = found.fields.as_ref().and_then(|fields| fields.get(field));
                let text = value.and_then(Value::as_str);
                let missing = || format!("{place} has no text called {field}; write it, or correct the name");
                let secret =
                    Secret::read(text.ok_or_else(missing)?).map_err(|why| format!("{place}#{field}: {why}"))?;
                known().insert(key, secret.clone());
                Ok(secret)
            }
            Err(why) => known().get(&key).cloned().ok_or(why),
        }
    }
}
