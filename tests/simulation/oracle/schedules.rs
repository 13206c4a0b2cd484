//! `refresh.schedule` (L10), reckoned by the wall clock that the daemon follows: every so many minutes.

use super::{Case, Judge, Watch};
use crate::simulation::moment::{HOUR, MINUTE, Ms, SECOND};
use crate::simulation::sky::Sky;

/// Set back further than this, a clock was wrong before.
const SET_BACK: Ms = 3 * HOUR;

/// How far a schedule was honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Honoured {
    every: Ms,
    /// By the wall clock.
    pub until: Ms,
}

impl Honoured {
    /// The first moment that no access token was asked for yet, by the wall clock.
    fn moment(self) -> Ms {
        (self.until.div_euclid(self.every) + 1) * self.every
    }
}

impl Case {
    /// Whether a moment of its schedule has come by `wall`.
    pub(super) fn moment_has_come(&self, wall: Ms) -> bool {
        self.honoured.is_some_and(|honoured| honoured.moment() <= wall)
    }
}

impl Judge {
    /// What the wall clock shows, as the daemon follows it.
    pub(super) fn wall(&self) -> Ms {
        self.now + self.ahead
    }

    /// The operator wants this schedule, or none, for a slot.
    pub(super) fn adopt_schedule(&mut self, slot: usize, every: Option<u32>) {
        let (wall, case) = (self.wall(), &mut self.slots[slot]);
        let every = every.map(|minutes| Ms::from(minutes) * MINUTE);
        if case.honoured.map(|honoured| honoured.every) != every {
            case.honoured = every.map(|every| Honoured { every, until: wall });
        }
        self.await_moment(slot);
    }

    /// A usable answer came to a request that was sent at `asked_at`.
    pub(super) fn honour(&mut self, slot: usize, asked_at: Ms) {
        let ahead = self.ahead;
        if let Some(honoured) = &mut self.slots[slot].honoured {
            honoured.until = honoured.until.max(asked_at + ahead);
        }
        self.await_moment(slot);
    }

    pub(super) fn await_moment(&mut self, slot: usize) {
        let (wall, now) = (self.wall(), self.now);
        let Some(honoured) = &mut self.slots[slot].honoured else { return };
        if honoured.until > wall + SET_BACK {
            honoured.until = wall;
        }
        let at = (honoured.moment() - self.ahead).max(now);
        self.watches.insert((at + 5 * SECOND, Watch::Moment(slot)));
    }

    /// A moment of a schedule has passed: an access token was asked for.
    pub(super) fn look_at_moment(&mut self, slot: usize, sky: &Sky) {
        let (now, wall, case) = (self.now, self.wall(), &self.slots[slot]);
        let Some(honoured) = case.honoured.filter(|_| case.wanted.is_some()) else { return };
        let due = (honoured.moment() - self.ahead).max(self.clock_set_at);
        if honoured.moment() > wall || due + 5 * SECOND > now || case.asking.is_some() {
            return;
        }
        let (issues, per) = self.spec.accounts[case.account].budget.unwrap_or((u32::MAX, 0));
        let spent = case.counted.iter().filter(|counted| counted.at + per > now - MINUTE).count();
        if spent + 1 >= issues as usize || !self.troubled(case, now - 2 * MINUTE, now, sky).is_empty() {
            self.watches.insert((now + 3 * MINUTE, Watch::Moment(slot)));
            return;
        }
        let words =
            format!("{} s ago a moment of {}'s schedule came, and nothing was asked", (now - due) / SECOND, case.key);
        self.broken("L10", words);
    }
}
