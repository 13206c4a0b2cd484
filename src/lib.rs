//! tokend keeps API access tokens fresh and hands them to other programs.

pub mod access_token;
pub mod agenda;
pub mod clock;
pub mod config;
pub mod demo;
