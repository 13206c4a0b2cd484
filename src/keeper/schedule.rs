//! Moments of schedules, as somebody watches them for us.

use crate::keeper::Keeper;

impl Keeper {
    /// A moment of `schedule` has come: its slots are looked at, whatever the agenda says.
    pub fn look_at_schedule(&mut self, schedule: &str) {
        let slots = self.config.slots.iter();
        let meant = slots.filter(|slot| slot.schedule.as_ref().is_some_and(|it| it.as_str() == schedule));
        self.changed.extend(meant.map(|slot| slot.identity.clone()));
    }
}
