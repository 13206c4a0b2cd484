//! What the operator says of the daemon, of providers, tokens and sinks: plain data, already
//! parsed and checked. Nothing here is read from anywhere.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::name::Name;
use crate::preset::Preset;
use crate::secret::Secret;

pub use crate::preset::Budget;
pub use crate::settings::directories::{default_state_dir, first_directory};
pub use crate::settings::followed::{Followed, FollowedPlace};
pub use crate::settings::hook::{Hook, HookEvent, HookKind};
pub use crate::settings::readers::Readers;
pub use crate::settings::sinks::{FileContent, FileFormat, FileSettings, SinkPlace, SinkSettings};
pub use crate::settings::vault::{
    KvVersion, VaultAddress, VaultLogin, VaultMethod, VaultPlace, VaultServer, VaultSettings,
};

mod directories;
mod followed;
mod hook;
mod readers;
mod same;
mod sinks;
mod vault;

/// `[daemon]`. What is `None` is decided by the environment of the process (see `world`).
#[derive(Clone, Debug, Default)]
pub struct DaemonSettings {
    /// Where the state lives; default `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/tokend`.
    pub state_dir: Option<PathBuf>,
    /// The socket to serve.
    pub socket: SocketSetting,
    /// Permission bits of the socket; default `0666`.
    pub socket_mode: Option<u32>,
    /// Where metrics are served over TCP as well; default nowhere.
    pub metrics: Option<SocketAddr>,
    /// Whether access tokens are kept over restarts; default yes.
    pub persist: Persist,
    /// Where the key that seals the state comes from; default a file in the state directory.
    pub state_key: Option<SecretSource>,
    /// How long to wait for required tokens before READY is sent all the same; default 60 s.
    pub ready_timeout: Option<Duration>,
    /// Who may ask what changes something.
    pub admins: Admins,
    /// Whether every read over the socket is a line in the log.
    pub audit_reads: bool,
}

/// `daemon.admins`: who may do what root may, by name or number as the host knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admins {
    /// Users.
    pub users: Vec<String>,
    /// Groups; default `tokend-admin`.
    pub groups: Vec<String>,
}

impl Default for Admins {
    fn default() -> Self {
        Self { users: Vec::new(), groups: vec!["tokend-admin".into()] }
    }
}

/// `daemon.socket`: a path, `false`, or nothing said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SocketSetting {
    /// `$RUNTIME_DIRECTORY/tokend.sock`, else `$XDG_RUNTIME_DIR/tokend/tokend.sock`.
    #[default]
    Default,
    /// This path.
    At(PathBuf),
    /// No socket.
    Off,
}

/// `persist`: whether access tokens are written to the state, sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persist {
    /// Sealed in the state.
    #[default]
    Encrypted,
    /// In memory only; a restart asks again.
    Off,
}

/// `[log]`.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// `info`, or `target=level,…`, as written and checked.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// `log.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Journald when stderr is the journal, else text.
    Default,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
    /// Lines with a priority prefix for the journal.
    Journald,
}

/// `[providers.NAME]`: one account at one authorization server; or what a token asks that follows.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The table's name.
    pub name: Name,
    /// What kind of provider it is.
    pub preset: Arc<Preset>,
    /// The preset's parameters that are not secret, defaults filled in; and `ttl`, if it is given.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// The preset's secret parameters and where each comes from; the first that works is used.
    pub secrets: BTreeMap<String, Vec<SecretSource>>,
    /// Where to ask.
    pub endpoint: Endpoint,
    /// Bound on one request, from connecting to the last byte; default 10 s.
    pub timeout: Duration,
    /// Own CA and client certificate.
    pub tls: TlsFiles,
    /// Which proxy to use.
    pub proxy: Proxy,
    /// Requests to this endpoint, all slots together.
    pub rate: Option<Rate>,
    /// Access tokens that may be issued per slot.
    pub budget: Option<Budget>,
    /// Whether its access tokens are kept over restarts.
    pub persist: Persist,
}

impl Provider {
    /// The client id, where the preset has one: with the endpoint it makes the account.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.parameters.get("client_id").and_then(serde_json::Value::as_str).unwrap_or_default()
    }

    /// How many choices of secrets may be tried, one after the other: every secret of a list with every one
    /// of the others, or, where those would be many, the first of each, then the second of each.
    #[must_use]
    pub fn secret_choices(&self) -> usize {
        self.each_with_each().unwrap_or_else(|| self.secrets.values().map(Vec::len).max().unwrap_or(1).max(1))
    }

    fn each_with_each(&self) -> Option<usize> {
        let lengths = self.secrets.values().map(|list| list.len().max(1));
        Some(lengths.fold(1_usize, usize::saturating_mul)).filter(|choices| *choices <= MOST_CHOICES)
    }

    /// The secrets of the choice that is counted from 0, by parameter.
    pub fn chosen_secrets(&self, choice: usize) -> impl Iterator<Item = (&str, &SecretSource)> {
        let mut rest = choice;
        let each_with_each = self.each_with_each().is_some();
        self.secrets.iter().filter(|(_, list)| !list.is_empty()).map(move |(parameter, list)| {
            let index = if each_with_each { rest % list.len() } else { choice.min(list.len() - 1) };
            rest /= list.len();
            (parameter.as_str(), &list[index])
        })
    }
}

/// Where a provider is asked: the URL as it is used. What makes two of them one account is their
/// normal form, which is part of a slot's identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// The token URL itself: scheme and host in lower case, no default port, the path as given.
    TokenUrl(String),
    /// An issuer whose metadata (RFC 8414) names the token URL, as given.
    Issuer(String),
    /// The place where another tokend writes, which asks the provider: this one never does.
    Followed(Followed),
}

impl Endpoint {
    /// The URL, of whichever kind, or the place.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::TokenUrl(url) | Self::Issuer(url) => url,
            Self::Followed(followed) => followed.id.as_str(),
        }
    }

    /// The same for people: without the query, in which there may be a key.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self {
            Self::TokenUrl(url) | Self::Issuer(url) => url.split('?').next().unwrap_or_default(),
            Self::Followed(followed) => followed.id.as_str(),
        }
    }
}

/// Files for TLS, read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsFiles {
    /// PEM certificates to trust instead of the host's.
    pub ca_file: Option<PathBuf>,
    /// PEM client certificate.
    pub cert_file: Option<PathBuf>,
    /// PEM key of the client certificate.
    pub key_file: Option<PathBuf>,
}

/// What a provider or a token needs a file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// It holds a secret.
    Secret,
    /// It holds certificates or a key for TLS.
    Tls,
    /// It holds the template of a token's file.
    Template,
    /// Another tokend writes a token there, which is followed.
    Followed,
}

/// `proxy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proxy {
    /// None, whatever the environment says.
    #[default]
    None,
    /// `HTTPS_PROXY` and `NO_PROXY` are honoured.
    Environment,
    /// This one.
    Url(String),
}

/// `rate = "10/s"`: so many requests in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub requests: u32,
    /// In how long.
    pub per: Duration,
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// Written in the configuration itself.
    Inline(Secret),
    /// `{ file = "/path" }`, read again at every use.
    File(PathBuf),
    /// `{ env = "NAME" }`.
    Env(String),
    /// `{ credential = "name" }` below `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `{ command = ["/path", "arg"] }`: its standard output.
    Command(Vec<String>),
    /// `{ vault = "secret/path#field", server = "main" }`: a field of a secret in Vault.
    Vault(VaultPlace, String),
}

/// More choices would be many refusals at once.
const MOST_CHOICES: usize = 16;

/// `[tokens.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// The table's name, under which readers find it.
    pub name: Name,
    /// API scopes, without the PSU context.
    pub scopes: Vec<String>,
    /// Whether readiness waits for it.
    pub required: bool,
    /// Where it is delivered.
    pub sinks: Vec<SinkSettings>,
    /// What a file sink does when the token expired without a successor.
    pub on_expired: OnExpired,
    /// What is run when all its sinks hold a new access token.
    pub on_change: Option<Hook>,
    /// What is run when it is not renewed in time.
    pub on_failure: Option<Hook>,
    /// Who may read it over the socket.
    pub readers: Readers,
}

/// `on_expired`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExpired {
    /// The file stays as it is.
    #[default]
    Keep,
    /// The file is removed.
    Remove,
}
