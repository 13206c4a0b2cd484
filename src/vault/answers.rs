//! What is read of the answers: the little that is needed, so that a server which leaves out the rest is
//! understood as well.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Every answer.
#[derive(Deserialize)]
pub(crate) struct Answer<T> {
    pub(crate) data: Option<T>,
}

/// To a login or a renewal.
#[derive(Deserialize)]
pub(crate) struct LoginAnswer {
    pub(crate) auth: Option<Auth>,
}

#[derive(Deserialize)]
pub(crate) struct Auth {
    pub(crate) client_token: String,
    /// In seconds; 0: for ever.
    #[serde(default)]
    pub(crate) lease_duration: u64,
    #[serde(default)]
    pub(crate) renewable: bool,
}

/// What the server knows of a token.
#[derive(Deserialize)]
pub(crate) struct Known {
    /// In seconds; 0: for ever.
    #[serde(default)]
    pub(crate) ttl: u64,
    #[serde(default)]
    pub(crate) renewable: Option<bool>,
}

/// A secret of an engine with versions.
#[derive(Deserialize)]
pub(crate) struct Versioned {
    pub(crate) data: Option<Map<String, Value>>,
    pub(crate) metadata: Metadata,
}

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) version: u32,
    #[serde(default)]
    pub(crate) created_time: String,
}

/// To a write to an engine with versions.
#[derive(Deserialize)]
pub(crate) struct Made {
    pub(crate) version: u32,
}
