//! A secret id that comes wrapped: unwrapped once, since its wrapping token is spent by that, and held
//! in memory for the logins that follow, whatever becomes of the table that named it.

use std::sync::{Mutex, PoisonError};

use crate::secret::Secret;
use crate::settings::VaultMethod;
use crate::vault::{Trouble, Vault};
use crate::vaults::reading::Read;

/// So many are held at most.
const MOST: usize = 64;

/// What was unwrapped, the newest last.
#[derive(Default)]
pub(crate) struct Unwrapped(Mutex<Vec<Opened>>);

struct Opened {
    wrapping: Secret,
    secret_id: Secret,
}

impl Unwrapped {
    /// What `vault` is shown for `read`.
    ///
    /// Errors: why it cannot be unwrapped.
    pub(crate) async fn shown(&self, vault: &Vault, method: &VaultMethod, read: &Read) -> Result<Read, Trouble> {
        let (VaultMethod::AppRole { wrapped: true, .. }, Read::AppRole(role_id, Some(wrapping))) = (method, read)
        else {
            return Ok(read.clone());
        };
        let secret_id = match self.find(wrapping) {
            Some(secret_id) => secret_id,
            None => self.keep(wrapping, vault.unwrap(wrapping).await?),
        };
        Ok(Read::AppRole(role_id.clone(), Some(secret_id)))
    }

    fn find(&self, wrapping: &Secret) -> Option<Secret> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().find(|opened| opened.wrapping.same_as(wrapping)).map(|opened| opened.secret_id.clone())
    }

    fn keep(&self, wrapping: &Secret, secret_id: Secret) -> Secret {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST {
            held.remove(0);
        }
        held.push(Opened { wrapping: wrapping.clone(), secret_id: secret_id.clone() });
        secret_id
    }
}
