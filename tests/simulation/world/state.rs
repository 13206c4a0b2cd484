//! The state: what outlives the daemon, as the real rows keep it; and the disk under it, which may
//! fail, or hang and come home later.

use std::collections::{BTreeMap, BTreeSet};

use tokend::ledger::Entry;
use tokend::name::Identity;
use tokend::record::clock::follow_clock;
use tokend::settings::Persist;
use tokend::store::row;
use tokend::task::Row;

use super::Simulated;
use crate::simulation::moment::{Ms, SECOND};
use crate::simulation::oracle::Saved;
use crate::simulation::oracle::deliveries::{Kept, Noted};
use crate::simulation::sky::Disk;
use crate::simulation::spec::sink_at;

/// The real world waits so long for a disk.
const PATIENCE: Ms = 5 * SECOND;

/// A save that hangs: until when, and what it brings home.
pub struct Hanging {
    until: Ms,
    rows: Vec<(Row, Option<Noted>)>,
}

/// The saved rows, by whom they are of.
pub type Rows = BTreeMap<Identity, (Entry, Persist)>;

impl Simulated {
    /// Whether `rows` are durable, as far as the loop waits for it.
    pub(super) fn try_save(&mut self, rows: Vec<Row>) -> Result<(), String> {
        self.come_home();
        if self.hanging.is_some() {
            self.judge.not_saved();
            return Err("the disk has not answered".into());
        }
        let rows: Vec<(Row, Option<Noted>)> = rows.into_iter().map(|row| self.note(row)).collect();
        match self.sky.disk(self.now) {
            Disk::Fails => {
                self.judge.not_saved();
                return Err("no space left on device".into());
            }
            Disk::Hangs(until) if until >= self.now + PATIENCE => {
                self.tell(|| "    a save hangs".to_owned());
                self.hanging = Some(Hanging { until, rows });
                self.judge.not_saved();
                self.stall(self.now + PATIENCE);
                return Err("the disk has not answered for 5 seconds".into());
            }
            Disk::Hangs(until) => self.stall(until),
            Disk::Works => {}
        }
        self.judge.all_saved();
        self.write(rows);
        Ok(())
    }

    /// The loop waits for the disk.
    fn stall(&mut self, until: Ms) {
        let from = self.now;
        self.judge.is_away = true;
        self.move_on(until);
        self.judge.slept(from, until);
    }

    /// What a save that hung brings home, if the disk works again.
    pub(super) fn come_home(&mut self) {
        let now = self.now;
        if let Some(hanging) = self.hanging.take_if(|hanging| hanging.until <= now) {
            self.tell(|| "    a save that hung came home".to_owned());
            self.write(hanging.rows);
        }
    }

    fn note(&mut self, row: Row) -> (Row, Option<Noted>) {
        match row {
            Row::Put(mut entry, persist) => {
                entry.anchor = Some(self.clocks.anchor());
                let token = entry.access_token.as_ref().filter(|_| persist == Persist::Encrypted);
                let text = token.map(|token| token.secret.expose());
                let row = Kept { text, generation: entry.generation.0 };
                let noted = self.judge.noted(self.slots[&entry.identity], row);
                (Row::Put(entry, persist), Some(noted))
            }
            Row::Remove(_) => (row, None),
        }
    }

    fn write(&mut self, rows: Vec<(Row, Option<Noted>)>) {
        for (row, noted) in rows {
            match row {
                Row::Put(entry, persist) => {
                    if let Some(noted) = noted {
                        self.judge.saved(self.slots[&entry.identity], noted);
                    }
                    self.disk.insert(entry.identity.clone(), (*entry, persist));
                }
                Row::Remove(identity) => {
                    if self.disk.remove(&identity).is_some() {
                        self.judge.forgotten(self.slots[&identity]);
                    }
                }
            }
        }
    }

    /// What the daemon finds when it starts, brought up to the present clock.
    pub(super) fn found(&self) -> Vec<Entry> {
        let outlived = |(entry, persist): &(Entry, Persist)| {
            let row = row::encode(entry, *persist).unwrap();
            let mut entry = row::decode(entry.identity.clone(), &row).unwrap();
            if let Some(step) = entry.anchor.as_ref().and_then(|anchor| self.clocks.step_since(anchor)) {
                follow_clock(&mut entry, step, self.clocks.now(self.now).moved(-step));
            }
            entry.anchor = entry.anchor.take().filter(|anchor| anchor.boot != self.clocks.anchor().boot);
            entry
        };
        self.disk.values().map(outlived).collect()
    }

    pub(super) fn saved(&self, found: &[Entry], is_lost: bool) -> Saved {
        let booted = self.booted;
        let mut saved = Saved { is_lost, booted, ahead: self.clocks.ahead(), ..Saved::default() };
        for entry in found {
            let slot = self.slots[&entry.identity];
            saved.intentions.extend(entry.intention.iter().map(|intention| {
                let scopes: BTreeSet<String> = intention.ask.scopes.iter().cloned().collect();
                (slot, self.clocks.true_time(intention.at), scopes)
            }));
            saved.paused.extend(entry.paused.map(|_| slot));
            let held = entry.receipts.iter().filter_map(|(sink, receipt)| Some((sink, receipt.held?)));
            saved.sinks.extend(held.map(|(sink, held)| (sink_at(sink.as_str()), held.fingerprint)));
        }
        saved
    }

    /// Whether all that is saved stands on the present wall clock: another boot has nothing else to go by.
    pub(super) fn stands_on_the_wall_clock(&self) -> bool {
        let anchor = Some(self.clocks.anchor());
        self.clocks.are_right(self.now) && self.disk.values().all(|(entry, _)| entry.anchor == anchor)
    }
}
