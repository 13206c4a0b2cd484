//! How far a schedule was honoured (L10). Its moments are the wall clock's: when that is set forward
//! over one it was missed, and is made up once; set back a little, it is not repeated.

use std::time::Duration;

use crate::ledger::{Entry, Honoured};
use crate::schedule::Schedule;
use crate::slot::Slot;
use crate::time::Timestamp;

/// A clock that was set back further than this was wrong before.
const SET_BACK: Duration = Duration::from_hours(3);

/// The schedule of `slot` is wanted at `now`: one that is new begins here. Says whether anything changed.
pub fn adopt_schedule(slot: &Slot, entry: &mut Entry, now: Timestamp) -> bool {
    let wanted = slot.schedule.as_deref().map(Schedule::as_str);
    let known = entry.honoured.as_ref().map(|honoured| honoured.schedule.as_str());
    let changed = wanted != known;
    if changed {
        entry.honoured = wanted.map(|schedule| Honoured { schedule: schedule.to_owned(), until: now });
    }
    correct_schedule(entry, now) || changed
}

/// The wall clock shows `now`: what was honoured by one that was wrong does not count.
pub fn correct_schedule(entry: &mut Entry, now: Timestamp) -> bool {
    match &mut entry.honoured {
        Some(honoured) if honoured.until > now + SET_BACK => {
            honoured.until = now;
            true
        }
        _ => false,
    }
}

/// A usable answer came to a request sent at `asked_at`: every moment until then was honoured.
pub(crate) fn honour(entry: &mut Entry, asked_at: Timestamp) {
    if let Some(honoured) = &mut entry.honoured {
        honoured.until = honoured.until.max(asked_at);
    }
}
