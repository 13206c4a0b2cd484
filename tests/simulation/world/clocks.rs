//! The clocks of the host: one that counts since boot, and the wall clock, which people set. The
//! daemon reads them as it does in the real world; true time never jumps.

use std::sync::Arc;
use std::time::Duration;

use tokend::clock::Timeline;
use tokend::time::{Anchor, Step, Timestamp};

use crate::simulation::moment::{BEGINNING, HOUR, Ms};

pub struct Clocks {
    /// How far the wall clock is ahead of true time.
    wall: Ms,
    booted_at: Ms,
    boot: Arc<str>,
    boots: u32,
    /// What the daemon goes by.
    timeline: Timeline,
    /// How far that is ahead of true time.
    ahead: Ms,
}

impl Clocks {
    pub fn new() -> Self {
        let timeline = Timeline::read(Timestamp::EPOCH, Duration::ZERO);
        let boot = "boot 0".into();
        let mut clocks = Self { wall: BEGINNING, booted_at: -HOUR, boot, boots: 0, timeline, ahead: 0 };
        clocks.start(0);
        clocks
    }

    fn since_boot(&self, now: Ms) -> Duration {
        Duration::from_millis(u64::try_from(now - self.booted_at).unwrap())
    }

    fn read(&self, now: Ms) -> Timeline {
        Timeline::read(Timestamp::from_millis(now + self.wall), self.since_boot(now))
    }

    fn follow(&mut self, timeline: Timeline, now: Ms) {
        self.timeline = timeline;
        self.ahead = self.now(now).as_millis() - now;
    }

    /// The daemon starts.
    pub fn start(&mut self, now: Ms) {
        self.follow(self.read(now), now);
    }

    /// The machine was booted.
    pub fn reboot(&mut self, now: Ms) {
        self.boots += 1;
        (self.booted_at, self.boot) = (now, format!("boot {}", self.boots).into());
    }

    /// Somebody sets the wall clock.
    pub fn set(&mut self, by: Ms) {
        self.wall += by;
    }

    /// The daemon looks whether the wall clock was set.
    pub fn notice(&mut self, now: Ms) -> Option<Step> {
        let (step, timeline) = self.timeline.parted_from(self.read(now))?;
        self.follow(timeline, now);
        Some(step)
    }

    /// Whether the daemon goes by what the wall clock shows.
    pub fn are_right(&self, now: Ms) -> bool {
        self.timeline == self.read(now)
    }

    pub fn timeline(&self) -> Timeline {
        self.timeline
    }

    /// What the daemon takes `now` for.
    pub fn now(&self, now: Ms) -> Timestamp {
        self.timeline.at(self.since_boot(now))
    }

    /// When what it takes for `at` truly is.
    pub fn true_time(&self, at: Timestamp) -> Ms {
        at.as_millis().saturating_sub(self.ahead)
    }

    /// How far its clock is ahead of true time.
    pub fn ahead(&self) -> Ms {
        self.ahead
    }

    pub fn anchor(&self) -> Anchor {
        self.timeline.anchor(&self.boot)
    }

    /// By how much what was saved under `anchor` is moved.
    pub fn step_since(&self, anchor: &Anchor) -> Option<Step> {
        self.timeline.step_since(anchor, &self.boot)
    }
}
