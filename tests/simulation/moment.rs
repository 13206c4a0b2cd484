//! Moments of the simulation: true time in milliseconds since its beginning. It never jumps; what
//! the daemon and the wall clock believe may.

/// Milliseconds.
pub type Ms = i64;

pub const SECOND: Ms = 1000;
pub const MINUTE: Ms = 60 * SECOND;
pub const HOUR: Ms = 60 * MINUTE;
pub const DAY: Ms = 24 * HOUR;

/// What the wall clock shows at the beginning.
pub const BEGINNING: Ms = 1_800_000_000 * SECOND;

/// A moment for people: `2d 03:04:05.678`.
pub fn shown(at: Ms) -> String {
    let (days, ms) = (at / DAY, at % SECOND);
    let (h, m, s) = (at / HOUR % 24, at / MINUTE % 60, at / SECOND % 60);
    format!("{days}d {h:02}:{m:02}:{s:02}.{ms:03}")
}
