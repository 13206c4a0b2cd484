//! What is looked at or tried again before its time, because somebody said that things are otherwise now.

use std::collections::BTreeSet;

use crate::keeper::{Case, Keeper};
use crate::ledger::Standing;
use crate::name::Name;
use crate::record::again::{try_refused_again, try_unreached_again, try_unready_again};
use crate::record::follow::look_at_once;
use crate::settings::{FileContent, FileKind, FollowedPlace, SecretSource, SinkSettings};
use crate::slot::Slot;
use crate::time::Timestamp;

impl Keeper {
    /// A file that the provider tables called `providers` name was written: what waits because of
    /// it is tried again at once (L11).
    pub fn try_again(&mut self, providers: &BTreeSet<Name>, file: FileKind, now: Timestamp) {
        for slot in self.config.slots.iter().filter(|slot| providers.contains(&slot.provider.name)) {
            let Some(case) = self.cases.get_mut(&slot.identity) else { continue };
            case.overtaken = case.asked.is_some();
            try_refused_again(&mut case.entry, now);
            if file == FileKind::Tls {
                try_unreached_again(&mut case.entry, now);
            }
            self.changed.insert(slot.identity.clone());
        }
    }

    /// What another tokend writes was written: the slots of the tokens called `tokens` look there at once.
    pub fn look_there(&mut self, tokens: &BTreeSet<Name>, now: Timestamp) {
        for name in tokens {
            let Some(slot) = self.config.slot_of(name).filter(|slot| slot.follows().is_some()) else { continue };
            let Some(case) = self.cases.get_mut(&slot.identity) else { continue };
            case.overtaken = case.is_asking();
            look_at_once(&mut case.entry, now);
            self.changed.insert(slot.identity.clone());
        }
    }

    /// A template was written: the sinks of the tokens called `tokens` that are made by one are looked at
    /// again at once.
    pub fn fill_again(&mut self, tokens: &BTreeSet<Name>) {
        for name in tokens {
            let Some(slot) = self.config.slot_of(name) else { continue };
            let Some(case) = self.cases.get_mut(&slot.identity) else { continue };
            let made = |sink: &&SinkSettings| {
                sink.file().is_some_and(|file| matches!(file.content, FileContent::TemplateFile(_)))
            };
            let mine = slot.sinks().filter(|(token, _)| token.name == *name).map(|(_, sink)| sink);
            for sink in mine.filter(made) {
                case.look_again_at(&sink.id);
            }
            self.changed.insert(slot.identity.clone());
        }
    }

    /// A person asks: every file is looked at again, and what could not be delivered is tried at once.
    pub fn look_again(&mut self, now: Timestamp) {
        for slot in &self.config.slots {
            let Some(case) = self.cases.get_mut(&slot.identity) else { continue };
            for (_, sink) in slot.sinks() {
                let Some(receipt) = case.entry.receipts.get_mut(&sink.id) else { continue };
                receipt.restate |= sink.file().is_some();
                // If it fails again it waits as long as it would have.
                if let Some(retry) = &mut receipt.retry {
                    retry.not_before = now;
                }
            }
            self.changed.insert(slot.identity.clone());
        }
    }

    /// A Vault server that let nobody in has let us in: what waits for it is tried at once.
    pub fn logged_in(&mut self, server: &Name, now: Timestamp) {
        for slot in &self.config.slots {
            let Some(case) = self.cases.get_mut(&slot.identity) else { continue };
            if hurry(slot, case, server, now) {
                self.changed.insert(slot.identity.clone());
            }
        }
    }
}

/// Ends the waits of `slot` for the Vault server called `server`. Says whether there was one.
fn hurry(slot: &Slot, case: &mut Case, server: &Name, now: Timestamp) -> bool {
    let mut hurried = false;
    for (_, sink) in slot.sinks().filter(|(_, sink)| sink.vault().is_some_and(|vault| vault.place.server == *server)) {
        let retry = case.entry.receipts.get_mut(&sink.id).and_then(|receipt| receipt.retry.as_mut());
        if let Some(retry) = retry.filter(|retry| retry.not_before > now) {
            retry.not_before = now;
            hurried = true;
        }
    }
    let in_vault = |source: &SecretSource| matches!(source, SecretSource::Vault(place, _) if place.server == *server);
    let followed = slot.follows().map(|followed| &followed.place);
    if slot.provider.secrets.values().flatten().any(in_vault) {
        hurried |= try_unready_again(&mut case.entry, now);
    } else if matches!(followed, Some(FollowedPlace::Vault(place)) if place.server == *server)
        && matches!(case.entry.standing, Standing::Failing(_))
    {
        look_at_once(&mut case.entry, now);
        hurried = true;
    }
    hurried
}
