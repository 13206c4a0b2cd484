//! The token of a login to Vault, as it is kept.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::time::Timestamp;

/// A token that a login brought.
#[derive(Clone, Debug)]
pub struct VaultToken {
    /// Which login: what the token is good for.
    pub login: String,
    /// The token.
    pub token: Secret,
    /// When it ends by the wall clock; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// All of it but the login.
#[derive(Serialize, Deserialize)]
struct Facts<'a> {
    token: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    renewable: bool,
}

impl VaultToken {
    /// As a row, ready to be sealed.
    pub(crate) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let Self { token, expires_at, renewable, .. } = self;
        let facts = Facts { token: token.expose().into(), expires_at: *expires_at, renewable: *renewable };
        serde_json::to_vec(&facts).map(Zeroizing::new).map_err(|_| "a Vault token cannot be written".to_owned())
    }

    /// From a row; `None` where it does not make sense.
    pub(crate) fn decode(login: &str, row: &[u8]) -> Option<Self> {
        let Facts { token, expires_at, renewable } = serde_json::from_slice(row).ok()?;
        Some(Self { login: login.to_owned(), token: Secret::new(token.into_owned()), expires_at, renewable })
    }
}
