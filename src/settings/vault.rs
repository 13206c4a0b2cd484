//! What the operator says of Vault servers and of the places in them: plain data, parsed and checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::name::Name;
use crate::settings::{SecretSource, TlsFiles};

/// `[vaults.NAME]`: one server, or one listener of an agent, and how to log in there.
#[derive(Clone, Debug)]
pub struct VaultServer {
    /// The table's name.
    pub name: Name,
    /// Where it listens.
    pub address: VaultAddress,
    /// The namespace of all paths and of the login.
    pub namespace: Option<String>,
    /// Own CA and client certificate.
    pub tls: TlsFiles,
    /// Which version of the KV secrets engine is mounted there.
    pub kv: KvVersion,
    /// How to log in.
    pub login: VaultLogin,
}

/// Where a Vault server listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VaultAddress {
    /// `https://vault.example:8200`, without a slash at the end.
    Url(String),
    /// `unix:///path`: the listener of a Vault Agent.
    Socket(PathBuf),
}

/// `kv`: the version of the KV secrets engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvVersion {
    /// Without versions.
    V1,
    /// With versions, and check-and-set.
    #[default]
    V2,
}

/// `auth`: how to log in.
#[derive(Clone, Debug)]
pub struct VaultLogin {
    /// Where the method is mounted: the method's name unless said otherwise.
    pub mount: String,
    /// The method with what it needs.
    pub method: VaultMethod,
}

/// An auth method. Every secret is a list, of which the first that can be read is used.
#[derive(Clone, Debug)]
pub enum VaultMethod {
    /// A token that somebody else made, and may renew.
    Token {
        /// The token.
        token: Vec<SecretSource>,
    },
    /// `approle`.
    AppRole {
        /// Not secret by itself, but it may come from where secrets come from.
        role_id: Vec<SecretSource>,
        /// The secret id; `None` where the role does not ask for one.
        secret_id: Option<Vec<SecretSource>>,
        /// Whether what `secret_id` names is a wrapping token, to be unwrapped once.
        wrapped: bool,
    },
    /// `userpass`.
    Userpass {
        /// The user's name.
        username: String,
        /// The password.
        password: Vec<SecretSource>,
    },
    /// `jwt`, and `kubernetes`, whose login is the same.
    Jwt {
        /// The role.
        role: String,
        /// The signed token.
        jwt: Vec<SecretSource>,
    },
    /// `cert`: the client certificate of `tls` says who we are.
    Cert {
        /// The role, where it is not left to the server.
        role: Option<String>,
    },
    /// None: the agent at the other end logs in, and puts its own token to what comes without.
    Agent,
}

/// A secret in the KV engine of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultPlace {
    /// The server's name in the configuration.
    pub server: Name,
    /// Where the engine is mounted.
    pub mount: String,
    /// The path below the mount.
    pub path: String,
}

impl fmt::Display for VaultPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vault:{}/{}/{}", self.server, self.mount, self.path)
    }
}

/// `{ vault = "secret/psd2/accounts", server = "main", fields = { … } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSettings {
    /// Where.
    pub place: VaultPlace,
    /// Which fields it has, as templates over the `json` fields; empty: the `json` fields themselves.
    pub fields: BTreeMap<String, String>,
}

impl VaultServer {
    /// Whether paths mean the same at both.
    #[must_use]
    pub fn is_at(&self, other: &Self) -> bool {
        self.address == other.address && self.namespace == other.namespace
    }

    /// Whether both say the same, secrets included.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.name == other.name
            && self.address == other.address
            && self.namespace == other.namespace
            && self.tls == other.tls
            && self.kv == other.kv
            && self.login.mount == other.login.mount
            && self.login.method.same_as(&other.login.method)
    }
}

impl VaultMethod {
    /// Where all that it needs comes from.
    #[must_use]
    pub fn secrets(&self) -> Vec<&SecretSource> {
        match self {
            Self::Token { token } => token.iter().collect(),
            Self::AppRole { role_id, secret_id, .. } => role_id.iter().chain(secret_id.iter().flatten()).collect(),
            Self::Userpass { password, .. } => password.iter().collect(),
            Self::Jwt { jwt, .. } => jwt.iter().collect(),
            Self::Cert { .. } | Self::Agent => Vec::new(),
        }
    }

    /// Whether somebody else logs in: the token is theirs to keep and to renew.
    #[must_use]
    pub fn is_given(&self) -> bool {
        matches!(self, Self::Token { .. } | Self::Agent)
    }

    fn same_as(&self, other: &Self) -> bool {
        let (secrets, others) = (self.secrets(), other.secrets());
        let plain = match (self, other) {
            (Self::Token { .. }, Self::Token { .. }) | (Self::Agent, Self::Agent) => true,
            (Self::AppRole { wrapped, secret_id, .. }, Self::AppRole { wrapped: other, secret_id: others, .. }) => {
                wrapped == other && secret_id.is_some() == others.is_some()
            }
            (Self::Userpass { username, .. }, Self::Userpass { username: other, .. }) => username == other,
            (Self::Jwt { role, .. }, Self::Jwt { role: other, .. }) => role == other,
            (Self::Cert { role }, Self::Cert { role: other }) => role == other,
            _ => false,
        };
        plain && secrets.len() == others.len() && secrets.iter().zip(others).all(|(a, b)| a.same_as(b))
    }
}
