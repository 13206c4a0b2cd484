//! Speaks to one Vault server: logs in, renews, reads and writes KV secrets. Each call is made once,
//! with a bound on its time, and follows no redirect.
//!
//! It keeps no token and decides nothing: who calls says with which token. vaultrs makes the requests; the
//! HTTP client is ours, never one that vaultrs makes: that one has no time-out, follows redirects with the
//! token, takes its settings from the environment of the process, and drops what a server says of waiting.

use std::path::Path;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderMap;
use rustify::endpoint::{Endpoint, EndpointResult};
use rustify::errors::ClientError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vaultrs::api::EndpointMiddleware;
use vaultrs::api::auth::{approle, cert, kubernetes, userpass};
use vaultrs::api::sys::requests::UnwrapRequest;
use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest};

use crate::http::Http;
use crate::secret::Secret;
use crate::settings::{KvVersion, VaultAddress, VaultServer};
use crate::vault::answers::{Answer, Auth, Known, LoginAnswer};
use crate::vault::carrier::Carrier;
use crate::vault::trouble::trouble;

mod answers;
mod carrier;
mod kv;
mod trouble;

pub use crate::vault::kv::Found;
pub use crate::vault::trouble::Trouble;

/// How long one call may take, from connecting to the last byte.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// One server, and the token to speak to it with.
pub struct Vault {
    carrier: Carrier,
    middle: EndpointMiddleware,
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

impl Vault {
    /// A way to `server`, with `token`, or with none (or one that is empty) to log in, or because an agent does.
    ///
    /// Errors: what is missing on this host, or why the token cannot be sent.
    pub fn new(http: &Http, server: &VaultServer, token: Option<&Secret>) -> Result<Self, Trouble> {
        let token = token.filter(|token| !token.expose().is_empty());
        let token = token.map(header_value).transpose()?.unwrap_or_default();
        let (address, socket) = way(&server.address);
        let url = Url::parse(&address).map_err(|error| Trouble::Failed(format!("address: {error}")))?;
        let client =
            http.for_server(&server.tls, url.scheme() == "https", (socket, PATIENCE)).map_err(Trouble::Failed)?;
        let name = socket.map_or_else(|| authority(&url), |path| path.display().to_string());
        let middle =
            EndpointMiddleware { token, version: "v1".into(), wrap: None, namespace: server.namespace.clone() };
        Ok(Self { carrier: Carrier::new(&address, client), middle, kv: server.kv, name })
    }

    /// The headers of the last answer, if that was no success: they say how long the server is to be left alone.
    #[must_use]
    pub fn unwelcome(&self) -> Option<HeaderMap> {
        self.carrier.unwelcome()
    }

    /// Logs in at `mount`.
    pub async fn login(&self, mount: &str, credentials: Credentials<'_>) -> Result<Lease, Trouble> {
        let mount = mount.to_owned();
        match credentials {
            Credentials::Token(token) => self.lookup(token).await,
            Credentials::AppRole { role_id, secret_id } => {
                let secret_id = secret_id.map(Secret::expose).unwrap_or_default().to_owned();
                let role_id = role_id.expose().to_owned();
                self.lease(approle::requests::LoginWithApproleRequest { mount, role_id, secret_id }).await
            }
            Credentials::Userpass { username, password } => {
                let (username, password) = (username.to_owned(), password.expose().to_owned());
                self.lease(userpass::requests::LoginRequest { mount, username, password }).await
            }
            Credentials::Jwt { role, jwt } => {
                let (role, jwt) = (role.to_owned(), jwt.expose().to_owned());
                self.lease(kubernetes::requests::LoginWithKubernetesRequest { mount, role, jwt }).await
            }
            Credentials::Cert { role } => {
                let cert_name = role.unwrap_or_default().to_owned();
                self.lease(cert::requests::LoginRequest { mount, cert_name }).await
            }
        }
    }

    /// What the server knows of the token that this speaks with: says whether it still holds.
    async fn lookup(&self, token: &Secret) -> Result<Lease, Trouble> {
        let known = self.look_up().await?;
        let lifetime = (known.ttl > 0).then(|| Duration::from_secs(known.ttl));
        Ok(Lease { token: token.clone(), lifetime, renewable: known.renewable.unwrap_or_default() })
    }

    async fn look_up(&self) -> Result<Known, Trouble> {
        self.data(&self.middle, LookupTokenSelfRequest {}).await
    }

    /// Whether the server still takes the token that this speaks with.
    pub async fn holds(&self) -> Result<(), Trouble> {
        self.look_up().await.map(|_| ())
    }

    /// Renews the token that this speaks with.
    pub async fn renew(&self) -> Result<Lease, Trouble> {
        self.lease(RenewTokenSelfRequest { increment: None }).await
    }

    /// The secret id in a response that was wrapped; the wrapping token is spent afterwards.
    pub async fn unwrap(&self, token: &Secret) -> Result<Secret, Trouble> {
        let middle = EndpointMiddleware { token: header_value(token)?, ..self.middle.clone() };
        let fields: Value = self.data(&middle, UnwrapRequest { token: None }).await?;
        let secret_id = fields.get("secret_id").and_then(Value::as_str);
        let missing = || Trouble::Failed("what was wrapped holds no secret_id".into());
        secret_id.map(|text| Secret::new(text.into())).ok_or_else(missing)
    }

    async fn lease(&self, endpoint: impl Endpoint<Response = ()>) -> Result<Lease, Trouble> {
        let answer: LoginAnswer = self.body(&self.ask(&self.middle, endpoint).await?)?;
        answer.auth.map(lease).ok_or_else(|| self.nonsense())
    }

    async fn data<T: DeserializeOwned>(
        &self,
        middle: &EndpointMiddleware,
        endpoint: impl Endpoint,
    ) -> Result<T, Trouble> {
        self.made(&self.ask(middle, endpoint).await?)
    }

    fn made<T: DeserializeOwned, R>(&self, answer: &EndpointResult<R>) -> Result<T, Trouble>
    where
        R: DeserializeOwned + Send + Sync,
    {
        self.body::<Answer<T>, R>(answer)?.data.ok_or_else(|| self.nonsense())
    }

    fn body<T: DeserializeOwned, R>(&self, answer: &EndpointResult<R>) -> Result<T, Trouble>
    where
        R: DeserializeOwned + Send + Sync,
    {
        serde_json::from_slice(answer.response.body()).map_err(|_| self.nonsense())
    }

    async fn ask<E: Endpoint>(
        &self,
        middle: &EndpointMiddleware,
        endpoint: E,
    ) -> Result<EndpointResult<E::Response>, Trouble> {
        endpoint.with_middleware(middle).exec(&self.carrier).await.map_err(|error| self.trouble(&error))
    }

    fn trouble(&self, error: &ClientError) -> Trouble {
        trouble(error, &self.name, &self.middle.token)
    }

    fn nonsense(&self) -> Trouble {
        Trouble::nonsense(&self.name)
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

/// vaultrs panics at a token that cannot be a header.
fn header_value(token: &Secret) -> Result<String, Trouble> {
    let token = token.expose();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Trouble::Failed("the Vault token holds characters that no token has; write it anew".into()));
    }
    Ok(token.to_owned())
}

fn lease(answer: Auth) -> Lease {
    let lifetime = (answer.lease_duration > 0).then(|| Duration::from_secs(answer.lease_duration));
    Lease { token: Secret::new(answer.client_token), lifetime, renewable: answer.renewable }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)]
mod tests;
