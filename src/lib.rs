//! tokend keeps API access tokens fresh and hands them to other programs.

pub mod access_token;
pub mod agenda;
pub mod config;
pub mod daemon;
pub mod document;
pub mod failure;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod fixtures;
pub mod job;
pub mod keeper;
pub mod ledger;
pub mod name;
pub mod plan;
pub mod preset;
pub mod problem;
pub mod record;
pub mod secret;
pub mod settings;
pub mod slot;
pub mod spread;
pub mod status;
pub mod task;
pub mod time;
