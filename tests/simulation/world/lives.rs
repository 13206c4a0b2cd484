//! The lives of the daemon: with what each begins, and how it ends.

use std::sync::Arc;

use tokend::config::Config;
use tokend::ledger::Entry;
use tokend::shelf::Shelf;
use tokend::slot::Slot;

use super::{Ending, Simulated};
use crate::simulation::moment::SECOND;
use crate::simulation::oracle::watches::TIMEOUT;
use crate::simulation::scenario::Act;

impl Simulated {
    /// Begins a life: the configuration to start with, and what the state holds.
    pub fn begin(&mut self) -> (Arc<Config>, Vec<Entry>, bool) {
        let ending = self.killed.take();
        let mut lost = false;
        self.booted = false;
        if let Some(Ending::Killed { down, loses_state, reboots }) = ending {
            self.move_on(self.now + down);
            if let Some(off) = reboots {
                self.booted = true;
                self.clocks.reboot(self.now);
                self.clocks.set(off);
                self.tell(|| format!("    the machine is booted, its wall clock is {} s off", off / SECOND));
            }
            while let Some((_, act)) = self.scenario.acts.get(self.acts).filter(|(at, _)| *at <= self.now).cloned() {
                self.acts += 1;
                match act {
                    Act::Edit(change) => self.edit(&change),
                    Act::SetClock(by) if reboots.is_none() => self.clocks.set(by),
                    _ => {}
                }
            }
            lost = loses_state;
        }
        // Whether what hung is durable, nobody knows; this disk lost it.
        self.hanging = None;
        if lost {
            self.disk.clear();
        }
        self.clocks.start(self.now);
        self.shelf = Shelf::default();
        self.coming.clear();
        self.lanes.clear();
        self.askers.clear();
        (self.kill_in, self.stopping, self.idle, self.turn_at) = (None, None, 0, self.now);
        self.tally.starts += 1;
        let config = self.config();
        self.judge.spec = self.spec.clone();
        let entries = self.found();
        let saved = self.saved(&entries, lost);
        self.judge.start(self.down_since, &saved);
        self.tell(|| format!("--- the daemon starts{}", if lost { ", its state is lost" } else { "" }));
        (config, entries, lost)
    }

    /// How the life ended.
    pub fn end(&mut self, ran_to_its_end: bool) -> Ending {
        if ran_to_its_end && let Some((since, down)) = self.stopping {
            if self.now - since > TIMEOUT + 15 * SECOND {
                self.judge.accuse("L16", format!("stopping took {} s", (self.now - since) / SECOND));
            }
            if !self.askers.is_empty() {
                self.judge.accuse("contract", "it ends and leaves an admin without an answer".to_owned());
            }
            self.killed = Some(Ending::Killed { down, loses_state: false, reboots: None });
        }
        self.down_since = self.now;
        self.judge.is_away = true;
        match self.killed {
            Some(ending) if self.judge.violation.is_none() => {
                self.tell(|| "--- the daemon is gone".to_owned());
                ending
            }
            _ => Ending::Over,
        }
    }

    pub(super) fn config(&mut self) -> Arc<Config> {
        if let Some(config) = &self.config {
            return Arc::clone(config);
        }
        let config = self.spec.config();
        self.learn(&config);
        self.config = Some(Arc::clone(&config));
        config
    }

    fn learn(&mut self, config: &Config) {
        for slot in &config.slots {
            let key = key_of(slot);
            let account = slot.provider.client_id().trim_start_matches("client").parse().unwrap();
            let index = self.judge.slot(&key, account);
            self.slots.insert(slot.identity.clone(), index);
        }
    }
}

/// The key of a slot, from what its requests would show.
fn key_of(slot: &Slot) -> String {
    let client = slot.provider.client_id();
    match (slot.policy.exclusive, &slot.context) {
        (true, context) => format!("{client}/{}", context.as_deref().unwrap_or_default()),
        (false, _) => format!("{client}/{}", slot.tokens[0].name),
    }
}
