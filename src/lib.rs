//! tokend keeps API access tokens fresh and hands them to other programs.

pub mod access_token;
pub mod config;
pub mod disk;
pub mod document;
pub mod failure;
pub mod job;
pub mod ledger;
pub mod name;
pub mod preset;
pub mod problem;
pub mod seal;
pub mod secret;
pub mod settings;
pub mod sink;
pub mod slot;
pub mod store;
pub mod time;
