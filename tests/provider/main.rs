//! Presets and providers, as far as the wire: what is sent, and what every answer means.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test touches the world"
)]

mod asking;
mod bad_servers;
mod discovery;
mod golden;
mod listener;
mod preset_language;
mod real_oidc_provider;
mod tls;
