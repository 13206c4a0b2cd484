//! Where the tokens of logins outlive the daemon: sealed in the state, by what they are good for. A
//! secret id that may be used once has then not been used in vain.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::secret::Secret;
use crate::settings::{VaultAddress, VaultServer};
use crate::store::{Saver, VaultToken};

/// Tokens that were kept, and how to keep others.
pub struct KeptTokens {
    /// Those that were found in the state.
    pub found: Vec<VaultToken>,
    /// How to keep others.
    pub saver: Saver,
}

/// A token and what is known of it.
pub(crate) struct Kept {
    pub(crate) token: Secret,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) renewable: bool,
}

/// Nothing is kept before it begins and after it ended.
#[derive(Default)]
pub(crate) struct Keeping(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    found: BTreeMap<String, VaultToken>,
    saver: Option<Saver>,
    begun: bool,
}

impl Keeping {
    pub(crate) fn begin(&self, tokens: KeptTokens) {
        let found = tokens.found.into_iter().map(|token| (token.login.clone(), token)).collect();
        *self.inner() = Inner { found, saver: Some(tokens.saver), begun: true };
    }

    pub(crate) fn end(&self) {
        self.inner().saver = None;
    }

    /// Whether what was kept is known.
    pub(crate) fn has_begun(&self) -> bool {
        self.inner().begun
    }

    /// The token of the last login to `server`, if it may still hold.
    pub(crate) fn find(&self, server: &VaultServer) -> Option<Kept> {
        let kept = self.inner().found.remove(&login_of(server))?;
        let lifetime = kept.expires_at.map(|at| clock::now().until(at));
        let lives = lifetime.is_none_or(|lifetime| !lifetime.is_zero());
        lives.then_some(Kept { token: kept.token, lifetime, renewable: kept.renewable })
    }

    pub(crate) fn keep(&self, server: &VaultServer, kept: &Kept) {
        if let Some(saver) = &self.inner().saver {
            saver.keep_vault_token(VaultToken {
                login: login_of(server),
                token: kept.token.clone(),
                expires_at: kept.lifetime.map(|lifetime| clock::now() + lifetime),
                renewable: kept.renewable,
            });
        }
    }

    pub(crate) fn forget(&self, server: &VaultServer) {
        if let Some(saver) = &self.inner().saver {
            saver.forget_vault_token(login_of(server));
        }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a token is good for: the same server, namespace and mount. It is sent nowhere else.
fn login_of(server: &VaultServer) -> String {
    let address = match &server.address {
        VaultAddress::Url(url) => url.clone(),
        VaultAddress::Socket(path) => format!("unix://{}", path.display()),
    };
    let namespace = server.namespace.as_deref().unwrap_or_default();
    format!("{} {address} {namespace} {}", server.name, server.login.mount)
}
