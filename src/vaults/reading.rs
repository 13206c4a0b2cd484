//! Reads the secrets of a login, anew each time.

use crate::credentials;
use crate::secret::Secret;
use crate::settings::{SecretSource, VaultMethod};
use crate::vault::Credentials;

/// The secrets of a login, read.
#[derive(Clone)]
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
            VaultMethod::Cert { .. } | VaultMethod::Agent => Self::Nothing,
        })
    }

    /// Whether both show the server the same. A certificate is not read here: it may be another one.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(one), Self::Token(other))
            | (Self::Password(one), Self::Password(other))
            | (Self::Jwt(one), Self::Jwt(other)) => one.same_as(other),
            (Self::AppRole(role, secret), Self::AppRole(other_role, other_secret)) => {
                let secrets = match (secret, other_secret) {
                    (Some(one), Some(other)) => one.same_as(other),
                    (one, other) => one.is_none() && other.is_none(),
                };
                role.same_as(other_role) && secrets
            }
            _ => false,
        }
    }

    pub(crate) fn credentials<'a>(&'a self, method: &'a VaultMethod) -> Credentials<'a> {
        match (self, method) {
            (Self::Token(token), _) => Credentials::Token(token),
            (Self::AppRole(role_id, secret_id), _) => Credentials::AppRole { role_id, secret_id: secret_id.as_ref() },
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
