//! What the fuzz targets check, one function for each: bytes in, a panic where a promise of the
//! program is broken. `fuzz_targets/` hands them what libFuzzer invents; `tests/corpora.rs` of the
//! program replays every file that was ever found worth keeping. Nothing here touches the world.

pub mod answer;
pub mod config;
pub mod headers;
mod leaks;
pub mod schedule;
pub mod socket;
pub mod state;
pub mod words;

/// A target: its name, which is that of its corpus, and what it checks.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("answer", answer::run),
    ("config", config::run),
    ("headers", headers::run),
    ("schedule", schedule::run),
    ("socket", socket::run),
    ("state", state::run),
    ("words", words::run),
];
