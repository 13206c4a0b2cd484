//! What is wanted of a place at a server, and what came of it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::settings::{VaultMethod, VaultPlace};
use crate::sink::vault::{Put, VaultPut, put};
use crate::time::for_people;
use crate::vault::{Found, Trouble, Vault};
use crate::vaults::session::Session;

/// What is wanted of a place.
#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    /// That it holds this.
    Put(&'a VaultPut<'a>),
    /// What it holds.
    Read,
}

/// What came of it.
pub(crate) enum Reply {
    Put(Put),
    Read(Found),
}

impl What<'_> {
    /// What its policies must allow there.
    fn capabilities(self) -> &'static str {
        match self {
            Self::Put(_) => "read and update",
            Self::Read => "read",
        }
    }
}

impl Session {
    /// Does `what` at `place` with a token that holds: once, and once more where the token turned out
    /// to be spent.
    ///
    /// Errors: what is wrong, in words for a person.
    pub(crate) async fn call(&self, place: &VaultPlace, what: What<'_>) -> Result<Reply, String> {
        let told = |trouble: &dyn std::fmt::Display| format!("{place}: {trouble}");
        let _place = self.places.acquire().await.map_err(|error| told(&error))?;
        if let Some(left) = self.patience.left() {
            return Err(told(&format!("vault {} asked for patience for {} more", self.server.name, for_people(left))));
        }
        let token = self.token(None).await?;
        let vault = Vault::new(&self.common.http, &self.server, Some(&token)).map_err(|trouble| told(&trouble))?;
        let denied = match self.request(&vault, place, what).await {
            Err(Trouble::Denied(why)) => why,
            other => {
                if other.is_ok() {
                    self.note_that_it_holds();
                }
                return other.map_err(|trouble| told(&trouble));
            }
        };
        let holds = vault.holds().await;
        self.patience.heed(vault.unwelcome());
        if !matches!(holds, Err(Trouble::Denied(_))) {
            let needed = what.capabilities();
            return Err(told(&format!("{denied}; its policies need {needed} there")));
        }
        let spent = token;
        let token = self.token(Some(&spent)).await?;
        if token.same_as(&spent) {
            self.spent.store(true, Ordering::Relaxed);
            let why = match self.server.login.method {
                VaultMethod::Agent => "the agent lets nobody in without a token: does it log in (use_auto_auth_token)?",
                _ => "the token that auth names holds no more: put another one there",
            };
            return Err(told(&format!("{denied}; {why}")));
        }
        self.note_that_it_holds();
        let vault = Vault::new(&self.common.http, &self.server, Some(&token)).map_err(|trouble| told(&trouble))?;
        self.request(&vault, place, what).await.map_err(|trouble| told(&trouble))
    }

    /// What waited because the token was spent need not wait any longer.
    fn note_that_it_holds(&self) {
        if self.spent.swap(false, Ordering::Relaxed) {
            self.tell();
        }
    }

    async fn request(&self, vault: &Vault, place: &VaultPlace, what: What<'_>) -> Result<Reply, Trouble> {
        let reply = self.request_once(vault, place, what).await;
        self.patience.heed(vault.unwelcome());
        reply
    }

    async fn request_once(&self, vault: &Vault, place: &VaultPlace, what: What<'_>) -> Result<Reply, Trouble> {
        let wanted = match what {
            What::Read => return vault.read(place).await.map(Reply::Read),
            What::Put(wanted) => wanted,
        };
        let known = || self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let last = known().get(place).copied();
        let (put, written) = put(vault, wanted, last).await?;
        match written {
            Some(written) => known().insert(place.clone(), written),
            None => known().remove(place),
        };
        Ok(Reply::Put(put))
    }
}
