//! The real program under every fault that a host can have: killed at any moment, out of disk,
//! refused by the system, stopped in the middle, swamped. What must hold meanwhile is checked by
//! readers that never look away and by stand-ins that count.
//!
//! `TORTURE_ROUNDS=1000 cargo test --test torture kill` kills for longer; a failure prints the seed
//! that `TORTURE_SEED` takes.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "starts programs, reads files, waits"
)]

mod apart;
mod chance;
mod crowd;
mod disk_full;
mod disk_hangs;
mod faults;
mod kills;
mod privacy;
mod readers;
#[path = "../binary/setup.rs"]
#[allow(dead_code, reason = "other tests start from it as well")]
mod setup;
mod starting;
mod stopping;
mod strace;
mod victim;
