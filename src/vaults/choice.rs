//! The secrets of a request, one of every list.

use tracing::warn;

use crate::preset::Secrets;
use crate::secret::Secret;
use crate::settings::SecretSource;
use crate::slot::Slot;
use crate::vaults::Vaults;

impl Vaults {
    /// Reads the secrets of a request: of every list the one that `choice` names, or the next that can be read.
    ///
    /// Errors: which parameter's secret cannot be read, and why.
    pub async fn secrets_for(&self, slot: &Slot, choice: usize) -> Result<Secrets, String> {
        let mut secrets = Secrets::new();
        for (parameter, sources) in &slot.provider.secrets {
            let found = self.first_readable(sources, choice).await.map_err(|why| format!("{parameter}: {why}"))?;
            secrets.extend(found.map(|secret| (parameter.clone(), secret)));
        }
        Ok(secrets)
    }

    async fn first_readable(&self, sources: &[SecretSource], choice: usize) -> Result<Option<Secret>, String> {
        let (before, from) = sources.split_at(choice.min(sources.len().saturating_sub(1)));
        let mut unreadable = None;
        for source in from.iter().chain(before) {
            match self.secret(source).await {
                Ok(secret) => {
                    if let Some(reason) = unreadable {
                        warn!(reason, "a secret cannot be read; another one of its list is used");
                    }
                    return Ok(Some(secret));
                }
                Err(why) => drop(unreadable.get_or_insert(why)),
            }
        }
        unreadable.map_or(Ok(None), Err)
    }
}
