//! How the loop waits: like the real one never longer than half a minute at a time, so that a clock
//! that was set, or a host that slept, is noticed.

use tokend::daemon::Happening;
use tokend::shelf::Item;
use tokend::time::{Step, Timestamp};

use super::{Ending, Simulated};
use crate::simulation::moment::{Ms, SECOND};
use crate::simulation::scenario::Act;

/// The longest nap of the real world.
const NAP: Ms = 30 * SECOND;

/// One wait of the loop. That it is made of naps is played only where it makes a difference.
struct Nap {
    began: Ms,
    wake: Ms,
    /// Something happened that is noticed at its end.
    uneasy: bool,
}

impl Nap {
    fn end(&self, now: Ms) -> Ms {
        let nap = self.began + ((now - self.began) / NAP + 1) * NAP;
        if self.uneasy { self.wake.min(nap) } else { self.wake }
    }
}

impl Simulated {
    /// Waits until something happens, at most until `wake`; says what somebody wants, if that it is.
    pub(super) fn doze(&mut self, wake: Timestamp) -> Option<Happening> {
        let mut nap = Nap { began: self.now, wake: self.clocks.true_time(wake).max(self.now), uneasy: false };
        let mut happening = None;
        let from = self.now;
        let mut acted = false;
        loop {
            let coming = self.coming.first_key_value().map_or(Ms::MAX, |((at, _), _)| *at);
            let act = self.scenario.acts.get(self.acts).map_or(Ms::MAX, |(at, _)| *at);
            let act = if self.stopping.is_some() { Ms::MAX } else { act };
            let end = nap.end(self.now);
            let then = end.min(coming).min(act).max(self.now);
            if then >= self.scenario.end && self.stopping.is_none() {
                self.move_on(self.scenario.end);
                self.killed.get_or_insert(Ending::Over);
                return None;
            }
            self.move_on(then);
            if act <= then {
                acted = true;
                happening = self.act_in(&mut nap);
            }
            if self.is_dead() {
                return None;
            }
            if happening.is_some() || coming <= self.now || act > then && end <= then {
                break;
            }
        }
        let arrives = self.coming.first_key_value().is_some_and(|((at, _), _)| *at <= self.now);
        self.idle = if self.now > from || acted || arrives { 0 } else { self.idle + 1 };
        if self.idle > 3 {
            self.judge.accuse("L9", "the loop turns and turns, and nothing happens".to_owned());
            return None;
        }
        happening
    }

    /// The next act, while the loop naps.
    fn act_in(&mut self, nap: &mut Nap) -> Option<Happening> {
        let act = self.scenario.acts[self.acts].1.clone();
        self.acts += 1;
        nap.uneasy |= matches!(act, Act::SetClock(_) | Act::Suspend(_));
        let before = self.now;
        let happening = self.act(act);
        // A timer does not count while the host sleeps.
        (nap.began, nap.wake) = (nap.began + (self.now - before), nap.wake.saturating_add(self.now - before));
        happening
    }

    /// What readers are served is moved before any of them can ask again.
    pub(super) fn notice_the_clock(&mut self) -> Option<Step> {
        let before = self.clocks.now(self.now);
        let step = self.clocks.notice(self.now)?;
        self.shelf.follow_clock(step, before);
        self.judge.clock_set(self.clocks.ahead());
        self.tell(|| format!("    the daemon notices that the clock was set by {step}"));
        Some(step)
    }

    /// Whoever reads now finds nothing that has expired.
    pub(super) fn read_the_shelf(&mut self) {
        if !self.scenario.speaks {
            return;
        }
        let now = self.clocks.now(self.now);
        for (name, Item { slot, access_token, .. }) in self.shelf.all() {
            if let Some(token) = access_token.filter(|token| token.is_live(now)) {
                self.judge.read(self.slots[&slot.identity], name.as_str(), token.secret.expose());
            }
        }
    }
}
