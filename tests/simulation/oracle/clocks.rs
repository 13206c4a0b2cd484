//! The wall clock is set, or a reboot brings up another one (L9): within one boot that moves nothing,
//! but what is from before a reboot goes by the wall clock.

use super::{Case, Content, Held, Judge, Watch};
use crate::simulation::moment::{DAY, HOUR, Ms, SECOND};

impl Held {
    fn shift(&mut self, by: Ms) {
        (self.asked_at, self.expires_at) = (self.asked_at + by, self.expires_at + by);
        self.same_again = self.same_again.map(|at| at + by);
    }
}

impl Case {
    /// The clock that the daemon follows gained `by` on true time.
    fn follow(&mut self, by: Ms, now: Ms) {
        let by_wall = |held: &&mut Held| held.by_wall;
        self.held.iter_mut().chain(&mut self.kept).filter(by_wall).for_each(|held| held.shift(-by));
        // What seems to lie in the future is from before a reboot.
        let counted = self.counted.iter_mut().map(|counted| &mut counted.at);
        let past = counted.chain(self.denied.iter_mut().map(|denied| &mut denied.at));
        past.filter(|at| **at > now).for_each(|at| *at -= by);
    }

    /// The machine was booted: nothing that is saved has another clock than the wall's.
    fn outlive_a_boot(&mut self, by: Ms, (window, now): (Ms, Ms)) {
        if let Some(kept) = &mut self.kept {
            kept.by_wall = true;
            kept.shift(-by);
            // Nobody can know better when that clock is wrong.
            let same = self.truths.iter_mut().filter(|(truth, _)| truth.text == kept.text);
            same.for_each(|(truth, _)| truth.lied = true);
        }
        // What no budget counted any more may be forgotten, and does not come back with another clock.
        let forgotten = self.counted.iter_mut().filter(|counted| counted.at + window <= now);
        forgotten.for_each(|counted| counted.is_known = false);
        self.counted.iter_mut().for_each(|counted| counted.at -= by);
        self.denied.iter_mut().for_each(|denied| denied.at -= by);
    }

    fn goes_by_wall(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.by_wall)
    }
}

impl Judge {
    /// The daemon goes by a clock that is so far ahead of true time.
    pub fn clock_set(&mut self, ahead: Ms) {
        self.follow(ahead, false);
        self.delivered.clear();
        self.watches.extend(self.wishes.keys().map(|sink| (self.now + 2 * SECOND, Watch::Sink(*sink))));
        for slot in 0..self.slots.len() {
            self.await_moment(slot);
            self.look_by_the_new_clock(slot);
        }
    }

    /// So far ahead of true time is the clock from now on; whether the machine was booted.
    pub(super) fn follow(&mut self, ahead: Ms, booted: bool) {
        let (now, by) = (self.now, ahead - self.ahead);
        (self.ahead, self.clock_set_at) = (ahead, now);
        if by == 0 && !booted {
            return;
        }
        for case in &mut self.slots {
            let window = self.spec.accounts[case.account].budget.map_or(HOUR, |(_, per)| per.max(HOUR));
            if booted { case.outlive_a_boot(by, (window, now)) } else { case.follow(by, now) }
        }
        if booted {
            self.patience_outlives_a_boot(by);
        }
        let slots = &self.slots;
        let by_wall = |content: &&mut Content| {
            let kept = slots[content.slot].kept.as_ref();
            kept.is_some_and(|kept| kept.by_wall && kept.text == content.text)
        };
        self.contents.values_mut().filter(by_wall).for_each(|content| content.expires_at -= by);
    }

    /// What goes by the wall clock may be due at once, now that this was set.
    pub(super) fn look_by_the_new_clock(&mut self, slot: usize) {
        let (now, slack) = (self.now, self.slack);
        if self.slots[slot].goes_by_wall() {
            self.slots[slot].wait(now - 30 * DAY, now + 10 * SECOND + slack);
            self.arm(slot);
        }
    }

    fn patience_outlives_a_boot(&mut self, by: Ms) {
        let longest = self.now + HOUR;
        self.kept_patience.values_mut().for_each(|(_, until)| *until -= by);
        self.kept_patience.retain(|_, (_, until)| *until <= longest);
        for endpoint in self.endpoints.values_mut() {
            endpoint.kept =
                endpoint.kept.map(|(slot, until)| (slot, until - by)).filter(|(_, until)| *until <= longest);
        }
    }
}
