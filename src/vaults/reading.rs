//! Reads the secrets of a login, anew each time.

use crate::credentials;
use crate::secret::Secret;
use crate::settings::{SecretSource, VaultMethod};
use crate::vault::Credentials;

/// The secrets of a login, read.
pub(crate) enum Read {
    Token(Secret),
    AppRole(Secret, Option<Secret>),
    Password(Secret),
    Jwt(Secret),
    Nothing,
}

impl Read {
    pub(crate) async fn of(method: &VaultMethod) -> Result<Self, String> {
        Ok(match method {
            VaultMethod::Token { token } => Self::Token(first(token, "token").await?),
            VaultMethod::AppRole { role_id, secret_id, .. } => {
                let role_id = first(role_id, "role_id").await?;
                let secret_id = match secret_id {
                    Some(sources) => Some(first(sources, "secret_id").await?),
                    None => None,
                };
                Self::AppRole(role_id, secret_id)
            }
            VaultMethod::Userpass { password, .. } => Self::Password(first(password, "password").await?),
            VaultMethod::Jwt { jwt, .. } => Self::Jwt(first(jwt, "jwt").await?),
            VaultMethod::Cert { .. } => Self::Nothing,
        })
    }

    pub(crate) fn credentials<'a>(&'a self, method: &'a VaultMethod) -> Credentials<'a> {
        match (self, method) {
            (Self::Token(token), _) => Credentials::Token(token),
            (Self::AppRole(role_id, secret_id), VaultMethod::AppRole { wrapped, .. }) => {
                Credentials::AppRole { role_id, secret_id: secret_id.as_ref(), wrapped: *wrapped }
            }
            (Self::Password(password), VaultMethod::Userpass { username, .. }) => {
                Credentials::Userpass { username, password }
            }
            (Self::Jwt(jwt), VaultMethod::Jwt { role, .. }) => Credentials::Jwt { role, jwt },
            (_, VaultMethod::Cert { role }) => Credentials::Cert { role: role.as_deref() },
            _ => Credentials::Cert { role: None },
        }
    }
}

/// The first of `sources` that can be read.
async fn first(sources: &[SecretSource], key: &str) -> Result<Secret, String> {
    let mut why = format!("{key}: there is none");
    for source in sources {
        match credentials::read(source).await {
            Ok(secret) => return Ok(secret),
            Err(reason) => why = format!("{key}: {reason}"),
        }
    }
    Err(why)
}
