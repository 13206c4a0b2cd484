//! tokend keeps API access tokens fresh and hands them to other programs.

pub mod access_token;
pub mod agenda;
pub mod cli;
pub mod clock;
pub mod config;
pub mod config_files;
pub mod credentials;
pub mod daemon;
pub mod demo;
pub mod disk;
pub mod display;
pub mod document;
pub mod failure;
pub mod fatal;
pub mod forecast;
pub mod http;
pub mod inbox;
pub mod job;
pub mod keeper;
pub mod ledger;
pub mod life;
pub mod loading;
pub mod name;
pub mod notes;
pub mod places;
pub mod plan;
pub mod preset;
pub mod privacy;
pub mod problem;
pub mod provider;
pub mod record;
pub mod seal;
pub mod secret;
pub mod settings;
pub mod shelf;
pub mod signals;
pub mod sink;
pub mod slot;
pub mod socket;
pub mod socket_client;
pub mod spread;
pub mod status;
pub mod store;
pub mod systemd;
pub mod task;
pub mod telemetry;
pub mod time;
pub mod world;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod fixtures;
