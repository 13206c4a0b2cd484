//! The real program against stand-ins of the vendors' token endpoints: started, stopped, killed and
//! lied to, as it is on a host. Every test has a directory and stand-ins of its own.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "starts programs, reads files, waits"
)]

mod canary;
mod canary_failures;
mod clocks;
mod commands;
mod delivery;
mod examples;
mod failing;
mod files;
mod follow;
mod hooks;
mod hurting;
mod journal;
mod metrics;
mod openapi;
mod pausing;
mod programs;
mod prometheus;
mod readers;
mod refusing;
mod reloading;
mod restarting;
mod scheduled;
mod scopes;
mod secrets;
mod service;
mod setup;
mod socket;
mod templates;
mod waiting;
