//! tokend keeps API access tokens fresh and hands them to other programs.

pub mod access_token;
pub mod config;
pub mod config_files;
pub mod credentials;
pub mod document;
pub mod failure;
pub mod job;
pub mod ledger;
pub mod name;
pub mod preset;
pub mod privacy;
pub mod problem;
pub mod secret;
pub mod settings;
pub mod slot;
pub mod time;
