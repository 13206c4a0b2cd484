//! The one place that reads clocks. The time of the daemon runs on the clock that counts since the
//! machine booted, also while it sleeps, so that nobody can set it; it is told as wall time, by what
//! the wall clock showed at boot. When the wall clock parts from it by more than a few seconds it
//! was set: what it showed at boot is then another moment, and every deadline moves with it (L9).
//!
//! The wall clock is read through std alone, so that a test can replace it.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fs;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::time::{Anchor, Step, Timestamp};

/// How far the clocks may part before the wall clock counts as set.
const TOLERANCE: Duration = Duration::from_secs(5);

/// Two looks at clocks within this time are one.
const AT_ONCE: Duration = Duration::from_secs(1);

static BOOTED_AT: LazyLock<AtomicI64> =
    LazyLock::new(|| AtomicI64::new(Timeline::of_the_wall_clock().booted_at.as_millis()));
static BOOT: LazyLock<Option<Arc<str>>> = LazyLock::new(boot);

/// The present moment: the wall clock as it was before it was set, until `notice` says that it was.
#[must_use]
pub fn now() -> Timestamp {
    Timeline::present().now()
}

/// Looks whether the wall clock was set since the last look, and by how much; `now` follows it.
pub fn notice() -> Option<Step> {
    let (step, true_one) = Timeline::present().parted_from(Timeline::of_the_wall_clock())?;
    BOOTED_AT.store(true_one.booted_at.as_millis(), Ordering::Relaxed);
    Some(step)
}

/// What moments that are saved now are measured by; `None` where boots cannot be told apart.
#[must_use]
pub fn anchor() -> Option<Anchor> {
    Some(Timeline::present().anchor(BOOT.as_ref()?))
}

/// By how much moments that were saved under `anchor` must be moved: the clock was set since, in the
/// same boot. In another boot the wall clock decides.
#[must_use]
pub fn step_since(anchor: &Anchor) -> Option<Step> {
    Timeline::present().step_since(anchor, BOOT.as_ref()?)
}

/// Whether moments that were saved under `anchor` are measured by this boot.
#[must_use]
pub fn is_of_this_boot(anchor: &Anchor) -> bool {
    BOOT.as_ref() == Some(&anchor.boot)
}

/// What the wall clock showed at boot: moments that are read by one timeline stand on it for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    booted_at: Timestamp,
}

impl Timeline {
    /// The one that `now` is on.
    #[must_use]
    pub fn present() -> Self {
        Self { booted_at: Timestamp::from_millis(BOOTED_AT.load(Ordering::Relaxed)) }
    }

    fn of_the_wall_clock() -> Self {
        loop {
            let before = since_boot();
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            // A machine that slept between the two looks would see a clock that was set.
            if since_boot().saturating_sub(before) < AT_ONCE {
                return Self::read(Timestamp::EPOCH + wall, before);
            }
        }
    }

    /// The one on which the wall clock shows `wall` so long after boot.
    #[must_use]
    pub fn read(wall: Timestamp, since_boot: Duration) -> Self {
        Self { booted_at: wall - since_boot }
    }

    /// The present moment on this timeline.
    #[must_use]
    pub fn now(self) -> Timestamp {
        self.at(since_boot())
    }

    /// The moment so long after boot.
    #[must_use]
    pub fn at(self, since_boot: Duration) -> Timestamp {
        self.booted_at + since_boot
    }

    /// `clock`, the wall clock's, and by how much that was set, if it parted from this one.
    #[must_use]
    pub fn parted_from(self, clock: Self) -> Option<(Step, Self)> {
        let step = self.step_to(clock);
        (step.size() > TOLERANCE).then_some((step, clock))
    }

    /// What moments on this timeline are measured by when they are saved in this `boot`.
    #[must_use]
    pub fn anchor(self, boot: &Arc<str>) -> Anchor {
        Anchor { boot: Arc::clone(boot), booted_at: self.booted_at }
    }

    /// By how much moments that were saved under `anchor` are moved to stand on this timeline in this
    /// `boot`; `None` where they stand, or where the wall clock decides.
    #[must_use]
    pub fn step_since(self, anchor: &Anchor, boot: &Arc<str>) -> Option<Step> {
        let (step, _) = Self { booted_at: anchor.booted_at }.parted_from(self)?;
        (*boot == anchor.boot).then_some(step)
    }

    /// By how much a moment on this timeline is moved to stand on the `other`.
    #[must_use]
    pub fn step_to(self, other: Self) -> Step {
        Step::between(self.booted_at, other.booted_at)
    }
}

fn since_boot() -> Duration {
    let since = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(since.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(since.tv_nsec).unwrap_or(0))
}

/// This boot, and the time namespace: each has a clock since boot of its own.
fn boot() -> Option<Arc<str>> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().filter(|id| !id.trim().is_empty())?;
    let namespace = fs::read_link("/proc/self/ns/time").map(|link| format!(" {}", link.display())).unwrap_or_default();
    Some(format!("{}{namespace}", id.trim()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_the_wall_clocks_until_that_is_set() {
        let wall = Timeline::of_the_wall_clock();
        assert!(wall.step_to(Timeline::present()).size() < TOLERANCE);
        assert_eq!(notice(), None);
        let told = now();
        assert!(wall.now().since(told) < TOLERANCE && told.since(wall.now()) < TOLERANCE);
    }

    #[test]
    fn what_was_saved_in_another_boot_is_left_to_the_wall_clock() {
        let Some(here) = anchor() else { return };
        assert_eq!(step_since(&here), None);
        let hour = Duration::from_hours(1);
        let set = Anchor { booted_at: here.booted_at - hour, ..here.clone() };
        assert_eq!(step_since(&set), Some(Step::between(Timestamp::EPOCH, Timestamp::EPOCH + hour)));
        assert_eq!(step_since(&Anchor { boot: "another".into(), ..set }), None);
    }
}
