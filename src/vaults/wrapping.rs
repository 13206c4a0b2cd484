//! A secret id that comes wrapped: unwrapped once, since its wrapping token is spent by that, and held
//! in memory for the logins that follow.

use crate::secret::Secret;
use crate::settings::VaultMethod;
use crate::vault::{Trouble, Vault};
use crate::vaults::reading::Read;

/// What was unwrapped last.
#[derive(Default)]
pub(crate) struct Unwrapped(Option<Opened>);

struct Opened {
    wrapping: Secret,
    secret_id: Secret,
}

impl Unwrapped {
    /// What `vault` is shown for `read`.
    ///
    /// Errors: why it cannot be unwrapped.
    pub(crate) async fn shown(&mut self, vault: &Vault, method: &VaultMethod, read: &Read) -> Result<Read, Trouble> {
        let (VaultMethod::AppRole { wrapped: true, .. }, Read::AppRole(role_id, Some(wrapping))) = (method, read)
        else {
            return Ok(read.clone());
        };
        let opened = match self.0.take().filter(|opened| opened.wrapping.same_as(wrapping)) {
            Some(opened) => opened,
            None => Opened { wrapping: wrapping.clone(), secret_id: vault.unwrap(wrapping).await? },
        };
        let secret_id = opened.secret_id.clone();
        self.0 = Some(opened);
        Ok(Read::AppRole(role_id.clone(), Some(secret_id)))
    }
}
