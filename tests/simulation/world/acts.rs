//! What people, and the host, do to the daemon.

use tokend::daemon::{Event, Happening};
use tokend::name::Name;

use super::{Ending, Simulated};
use crate::simulation::moment::{Ms, SECOND};
use crate::simulation::oracle::admins::Wish;
use crate::simulation::scenario::Act;
use crate::simulation::spec::Change;

/// Who waits for an answer: about which slot, to what, and since when.
pub struct Asker {
    pub slot: Option<usize>,
    pub wish: Wish,
    pub at: Ms,
}

impl Simulated {
    pub(super) fn edit(&mut self, change: &Change) {
        let before = self.spec.clone();
        if let (Change::TakeBack, Some(spec)) = (change, self.before_edit.take()) {
            self.spec = spec;
        } else {
            self.spec.change(change);
        }
        self.before_edit = Some(before);
        self.config = None;
        self.tell(|| format!("    edit: {change:?}"));
    }

    pub(super) fn act(&mut self, act: Act) -> Option<Happening> {
        match act {
            Act::Edit(change) => {
                self.edit(&change);
                let config = self.config();
                Some(Happening::Event(Event::Reload(config)))
            }
            Act::Refresh(name) => Some(self.wish(&name, Wish::Refresh)),
            Act::Pause(name) => Some(self.wish(&name, Wish::Pause)),
            Act::Resume(name) => Some(self.wish(&name, Wish::Resume)),
            Act::SetClock(by) => {
                self.clocks.set(by);
                self.tell(|| format!("    the wall clock is set by {} s", by / SECOND));
                None
            }
            Act::Reboot { down, off } => {
                let reboots = self.stands_on_the_wall_clock().then_some(off);
                self.killed.get_or_insert(Ending::Killed { down, loses_state: false, reboots });
                None
            }
            Act::Kill { steps, down, loses_state } => {
                self.kill_in = Some(steps);
                self.pending_kill = Ending::Killed { down, loses_state, reboots: None };
                None
            }
            Act::Stop { down } => {
                self.stopping = Some((self.now, down));
                self.judge.is_stopping = true;
                self.tell(|| "    it is told to stop".to_owned());
                Some(Happening::Event(Event::Stop))
            }
            Act::Suspend(length) => {
                let from = self.now;
                self.judge.is_away = true;
                self.move_on(from + length);
                // What is due is acted on within half a minute of waking (L9).
                self.judge.slept(from, self.now + 31 * SECOND);
                self.tell(|| format!("    the host slept for {} s", length / SECOND));
                None
            }
        }
    }

    /// An admin asks for something.
    fn wish(&mut self, name: &str, wish: Wish) -> Happening {
        let asker = self.sent;
        self.sent += 1;
        let slot = self.judge.wished(name, wish);
        self.tell(|| format!("    an admin asks: {wish:?} {name}"));
        self.askers.insert(asker, Asker { slot, wish, at: self.now });
        let name = Name::parse(name).unwrap();
        Happening::Event(match wish {
            Wish::Refresh => Event::Refresh(name, asker),
            Wish::Pause => Event::Pause(name, asker),
            Wish::Resume => Event::Resume(name, asker),
        })
    }
}
