//! The secrets of a request, one of every list.

use tracing::warn;

use crate::failure::Failure;
use crate::job::Ask;
use crate::preset::Secrets;
use crate::preset::redact::without;
use crate::settings::SecretSource;
use crate::slot::Slot;
use crate::vaults::Vaults;

impl Vaults {
    /// Reads the secrets of a request: of every list the one that `ask` names. Where one cannot be read the
    /// next of each list are taken, as long as they were not refused, and `ask` says so.
    ///
    /// Errors: which parameter's secret cannot be read, and why.
    pub async fn secrets_for(&self, slot: &Slot, ask: &mut Ask) -> Result<Secrets, String> {
        let choices = slot.provider.secret_choices();
        let mut unreadable = None;
        for passed_over in 0..choices.saturating_sub(ask.refused).max(1) {
            let choice = (ask.secret_choice + passed_over) % choices;
            match self.chosen(slot, choice).await {
                Ok(secrets) => {
                    if let Some(reason) = unreadable {
                        warn!(reason, "a secret cannot be read; another one of its list is used");
                    }
                    (ask.secret_choice, ask.refused) = (choice, ask.refused + passed_over);
                    return Ok(secrets);
                }
                Err(why) => drop(unreadable.get_or_insert(why)),
            }
        }
        Err(unreadable.unwrap_or_default())
    }

    /// `failure` without the other secrets of its lists: their provider knows them as well (L14).
    pub async fn without_others(&self, slot: &Slot, mut failure: Failure) -> Failure {
        for list in slot.provider.secrets.values() {
            for source in list {
                let costs = list.len() == 1 || matches!(source, SecretSource::Command(_));
                if !costs && let Ok(secret) = self.secret(source).await {
                    failure = without(failure, &secret);
                }
            }
        }
        failure
    }

    async fn chosen(&self, slot: &Slot, choice: usize) -> Result<Secrets, String> {
        let mut secrets = Secrets::new();
        for (parameter, source) in slot.provider.chosen_secrets(choice) {
            let secret = self.secret(source).await.map_err(|why| format!("{parameter}: {why}"))?;
            secrets.insert(parameter.to_owned(), secret);
        }
        Ok(secrets)
    }
}
