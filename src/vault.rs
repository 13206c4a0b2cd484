//! Speaks to one Vault server: logs in, renews, reads and writes KV secrets. Each call is made once,
//! with a bound on its time, and follows no redirect.
//!
//! It keeps no token and decides nothing: who calls says with which token. The HTTP client is ours,
//! never one that vaultrs makes: that one has no time-out, follows redirects with the token, and
//! takes its settings from the environment of the process.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use reqwest::Url;
use rustify::clients::reqwest::Client as HttpClient;
use serde_json::{Map, Value};
use vaultrs::api::kv2::requests::{ReadSecretRequest, SetSecretRequestOptions};
use vaultrs::api::{AuthInfo, EndpointMiddleware};
use vaultrs::client::{VaultClient, VaultClientSettings};

use crate::http::Http;
use crate::secret::Secret;
use crate::settings::{KvVersion, VaultAddress, VaultPlace, VaultServer};
use crate::time::Timestamp;
use crate::vault::trouble::trouble;

mod trouble;

pub use crate::vault::trouble::Trouble;

/// How long one call may take, from connecting to the last byte.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// One server, and the token to speak to it with.
pub struct Vault {
    client: VaultClient,
    kv: KvVersion,
    name: String,
}

/// What a login or a renewal brings.
pub struct Lease {
    /// The token.
    pub token: Secret,
    /// How long it lives from now; `None`: for ever.
    pub lifetime: Option<Duration>,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// Who logs in, with all secrets read.
pub enum Credentials<'a> {
    /// With a token.
    Token(&'a Secret),
    /// `approle`.
    AppRole {
        /// The role.
        role_id: &'a Secret,
        /// The secret id, where the role asks for one.
        secret_id: Option<&'a Secret>,
        /// Whether that is a wrapping token.
        wrapped: bool,
    },
    /// `userpass`.
    Userpass {
        /// The user.
        username: &'a str,
        /// The password.
        password: &'a Secret,
    },
    /// `jwt` and `kubernetes`.
    Jwt {
        /// The role.
        role: &'a str,
        /// The signed token.
        jwt: &'a Secret,
    },
    /// `cert`.
    Cert {
        /// The role, where it is not left to the server.
        role: Option<&'a str>,
    },
}

/// What a place in a KV engine holds.
#[derive(Default)]
pub struct Found {
    /// The version to name when it is written; `None` where the engine has no versions.
    pub version: Option<u32>,
    /// The fields; `None` where there are none, or they were deleted.
    pub fields: Option<Map<String, Value>>,
    /// When they were written, where the engine says so.
    pub written_at: Option<Timestamp>,
}

impl Vault {
    /// A way to `server`, with `token`, or with none to log in.
    ///
    /// Errors: what is missing on this host, or why the token cannot be sent.
    pub fn new(http: &Http, server: &VaultServer, token: Option<&Secret>) -> Result<Self, Trouble> {
        let token = token.map(header_value).transpose()?.unwrap_or_default();
        let (address, socket) = way(&server.address);
        let url = Url::parse(&address).map_err(|error| Trouble::Failed(format!("address: {error}")))?;
        let client =
            http.for_server(&server.tls, url.scheme() == "https", (socket, PATIENCE)).map_err(Trouble::Failed)?;
        let name = socket.map_or_else(|| authority(&url), |path| path.display().to_string());
        Ok(Self {
            client: VaultClient {
                http: HttpClient::new(&address, client),
                middle: EndpointMiddleware {
                    token: token.clone(),
                    version: "v1".into(),
                    wrap: None,
                    namespace: server.namespace.clone(),
                },
                settings: settings(url, token, server),
            },
            kv: server.kv,
            name,
        })
    }

    /// Logs in at `mount`.
    pub async fn login(&self, mount: &str, credentials: Credentials<'_>) -> Result<Lease, Trouble> {
        use vaultrs::auth;
        let client = &self.client;
        let answer = match credentials {
            Credentials::Token(token) => return self.lookup(token).await,
            Credentials::AppRole { role_id, secret_id, wrapped } => {
                let secret_id = match secret_id {
                    Some(token) if wrapped => Some(self.unwrap(token).await?),
                    other => other.cloned(),
                };
                let secret_id = secret_id.as_ref().map(Secret::expose).unwrap_or_default();
                auth::approle::login(client, mount, role_id.expose(), secret_id).await
            }
            Credentials::Userpass { username, password } => {
                auth::userpass::login(client, mount, username, password.expose()).await
            }
            Credentials::Jwt { role, jwt } => auth::kubernetes::login(client, mount, role, jwt.expose()).await,
            Credentials::Cert { role } => auth::cert::login(client, mount, role.unwrap_or_default()).await,
        };
        Ok(lease(answer.map_err(|error| self.trouble(&error))?))
    }

    /// What the server knows of the token that this speaks with: says whether it still holds.
    async fn lookup(&self, token: &Secret) -> Result<Lease, Trouble> {
        let known = vaultrs::token::lookup_self(&self.client).await.map_err(|error| self.trouble(&error))?;
        let lifetime = (known.ttl > 0).then(|| Duration::from_secs(known.ttl));
        Ok(Lease { token: token.clone(), lifetime, renewable: known.renewable.unwrap_or_default() })
    }

    /// Whether the server still takes the token that this speaks with.
    pub async fn holds(&self) -> Result<(), Trouble> {
        vaultrs::token::lookup_self(&self.client).await.map(|_| ()).map_err(|error| self.trouble(&error))
    }

    /// Renews the token that this speaks with.
    pub async fn renew(&self) -> Result<Lease, Trouble> {
        let answer = vaultrs::token::renew_self(&self.client, None).await;
        Ok(lease(answer.map_err(|error| self.trouble(&error))?))
    }

    /// The secret id in a response that was wrapped; the wrapping token is spent afterwards.
    async fn unwrap(&self, token: &Secret) -> Result<Secret, Trouble> {
        let mut client = self.copy_of_client();
        let token = header_value(token)?;
        client.middle.token.clone_from(&token);
        client.settings.token = token;
        let answer: Result<Map<String, Value>, _> = vaultrs::sys::wrapping::unwrap(&client, None).await;
        let fields = answer.map_err(|error| self.trouble(&error))?;
        let secret_id = fields.get("secret_id").and_then(Value::as_str);
        let missing = || Trouble::Failed("what was wrapped holds no secret_id".into());
        secret_id.map(|text| Secret::new(text.into())).ok_or_else(missing)
    }

    fn copy_of_client(&self) -> VaultClient {
        VaultClient {
            http: HttpClient::new(&self.client.http.base, self.client.http.http.clone()),
            middle: self.client.middle.clone(),
            settings: self.client.settings.clone(),
        }
    }

    /// What `place` holds.
    pub async fn read(&self, place: &VaultPlace) -> Result<Found, Trouble> {
        match self.kv {
            KvVersion::V1 => self.read_plain(place).await,
            KvVersion::V2 => self.read_versioned(place).await,
        }
    }

    async fn read_plain(&self, place: &VaultPlace) -> Result<Found, Trouble> {
        match vaultrs::kv1::get::<Map<String, Value>>(&self.client, &place.mount, &place.path).await {
            Ok(fields) => Ok(Found { fields: Some(fields), ..Found::default() }),
            Err(error) => match self.trouble(&error) {
                Trouble::Absent(_) => Ok(Found::default()),
                trouble => Err(trouble),
            },
        }
    }

    /// vaultrs' own `read` drops the version that check-and-set needs.
    async fn read_versioned(&self, place: &VaultPlace) -> Result<Found, Trouble> {
        let request = ReadSecretRequest { mount: place.mount.clone(), path: place.path.clone(), version: None };
        match vaultrs::api::exec_with_result(&self.client, request).await {
            Ok(secret) => {
                let version = u32::try_from(secret.metadata.version).ok();
                let written_at = Timestamp::parse_rfc3339(&secret.metadata.created_time);
                let Value::Object(fields) = secret.data else { return Ok(Found { version, ..Found::default() }) };
                Ok(Found { version, fields: Some(fields), written_at })
            }
            Err(error) => match self.trouble(&error) {
                // Deleted, but for its version, or never there.
                Trouble::Absent(version) => Ok(Found { version: Some(version.unwrap_or(0)), ..Found::default() }),
                trouble => Err(trouble),
            },
        }
    }

    /// Writes `fields` to `place`, if it still has `version`; gives the version that it has then, where
    /// the engine has versions.
    pub async fn write(
        &self,
        place: &VaultPlace,
        fields: &Map<String, Value>,
        version: Option<u32>,
    ) -> Result<Option<u32>, Trouble> {
        let (client, mount, path) = (&self.client, &place.mount, &place.path);
        let written = match (self.kv, version) {
            (KvVersion::V1, _) => {
                let fields: HashMap<&str, &Value> = fields.iter().map(|(key, value)| (key.as_str(), value)).collect();
                vaultrs::kv1::set(client, mount, path, &fields).await.map(|()| None)
            }
            (KvVersion::V2, version) => {
                let options = SetSecretRequestOptions { cas: version.unwrap_or(0) };
                vaultrs::kv2::set_with_options(client, mount, path, fields, options)
                    .await
                    .map(|made| u32::try_from(made.version).ok())
            }
        };
        written.map_err(|error| self.trouble(&error))
    }

    fn trouble(&self, error: &vaultrs::error::ClientError) -> Trouble {
        trouble(error, &self.name, &self.client.settings.token)
    }
}

/// The base of all URLs, and the socket to reach it by.
fn way(address: &VaultAddress) -> (String, Option<&Path>) {
    match address {
        VaultAddress::Url(url) => (url.clone(), None),
        VaultAddress::Socket(path) => ("http://localhost".into(), Some(path)),
    }
}

fn authority(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or("the server"))
}

/// Every field is given: what is left out vaultrs takes from the environment.
fn settings(address: Url, token: String, server: &VaultServer) -> VaultClientSettings {
    VaultClientSettings {
        address,
        ca_certs: Vec::new(),
        identity: None,
        timeout: Some(PATIENCE),
        token,
        verify: true,
        version: 1,
        wrapping: false,
        namespace: server.namespace.clone(),
        proxy: None,
    }
}

/// vaultrs panics at a token that cannot be a header.
fn header_value(token: &Secret) -> Result<String, Trouble> {
    let token = token.expose();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Trouble::Failed("the Vault token holds characters that no token has; write it anew".into()));
    }
    Ok(token.to_owned())
}

fn lease(answer: AuthInfo) -> Lease {
    let lifetime = (answer.lease_duration > 0).then(|| Duration::from_secs(answer.lease_duration));
    Lease { token: Secret::new(answer.client_token), lifetime, renewable: answer.renewable }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]
mod tests;
