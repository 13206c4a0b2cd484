//! The secrets of a request, one of every list.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tracing::warn;

use crate::job::Ask;
use crate::provider::Chosen;
use crate::secret::Secret;
use crate::settings::SecretSource;
use crate::slot::Slot;
use crate::vaults::Vaults;

/// What was read for one request, by where it stands in the configuration: nothing is read twice.
type Read = HashMap<usize, Result<Secret, String>>;

impl Vaults {
    /// Reads the secrets of a request: of every list the one that `ask` names. Where one cannot be read the
    /// next choices are taken, as long as they were not refused, and `ask` says so.
    ///
    /// Errors: which parameter's secret cannot be read, and why.
    pub async fn secrets_for(&self, slot: &Slot, ask: &mut Ask) -> Result<Chosen, String> {
        let choices = slot.provider.secret_choices();
        let (mut read, mut unreadable) = (HashMap::new(), None);
        for passed_over in 0..choices.saturating_sub(ask.refused).max(1) {
            let choice = (ask.secret_choice + passed_over) % choices;
            match self.chosen(slot, choice, &mut read).await {
                Ok(mut chosen) => {
                    if let Some(reason) = unreadable {
                        warn!(reason, "a secret cannot be read; another one of its list is used");
                    }
                    (ask.secret_choice, ask.refused) = (choice, ask.refused + passed_over);
                    chosen.others = self.others(slot, read).await;
                    return Ok(chosen);
                }
                Err(why) => drop(unreadable.get_or_insert(why)),
            }
        }
        Err(unreadable.unwrap_or_default())
    }

    async fn chosen(&self, slot: &Slot, choice: usize, read: &mut Read) -> Result<Chosen, String> {
        let mut chosen = Chosen::default();
        for (parameter, source) in slot.provider.chosen_secrets(choice) {
            let key = place_of(source);
            let found = match read.entry(key) {
                Entry::Occupied(found) => found.into_mut(),
                Entry::Vacant(place) => place.insert(self.secret(source).await),
            };
            match found {
                Ok(secret) => drop(chosen.secrets.insert(parameter.to_owned(), secret.clone())),
                Err(why) => return Err(format!("{parameter}: {why}")),
            }
        }
        Ok(chosen)
    }

    /// All of the lists that can be had for nothing: their provider knows them too, and may quote them (L14).
    async fn others(&self, slot: &Slot, mut read: Read) -> Vec<Secret> {
        let mut others = Vec::new();
        for list in slot.provider.secrets.values().filter(|list| list.len() > 1) {
            for source in list {
                let known = match (read.remove(&place_of(source)), source) {
                    (Some(known), _) => known.ok(),
                    (None, SecretSource::Command(_)) => None,
                    (None, SecretSource::Vault(place, field)) => self.0.secrets.of(place).give(field).ok(),
                    (None, source) => self.secret(source).await.ok(),
                };
                others.extend(known);
            }
        }
        others
    }
}

fn place_of(source: &SecretSource) -> usize {
    std::ptr::from_ref(source).addr()
}
