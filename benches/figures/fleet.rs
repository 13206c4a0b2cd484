//! A fleet of tokens: a configuration on disk with one file sink each, and the stand-in that issues.

use std::fmt::Write as _;
use std::fs::{Permissions, create_dir, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokend::demo::standin::{Client, OAUTH2, Standin, StandinConfig, Vendor};

use crate::Outcome;

/// So long that nothing is renewed while something is measured.
const LIFETIME: Duration = Duration::from_hours(4);

/// How the slots of a fleet share accounts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One account, and a slot for each token.
    OneAccount,
    /// An exclusive account for each token: a request is on disk before it leaves, and has a
    /// connection of its own.
    Exclusive,
}

/// A configuration on disk, and whom it asks.
pub struct Fleet {
    /// How many tokens it has.
    pub count: usize,
    /// Who issues.
    pub standin: Standin,
    kind: Kind,
    root: TempDir,
}

impl Fleet {
    /// Writes the configuration of `count` tokens, and starts the stand-in.
    pub fn new(kind: Kind, count: usize) -> Outcome<Self> {
        let root = tempfile::tempdir()?;
        let clients = (0..count).map(|index| client(kind, index)).collect();
        let config = StandinConfig { lifetime: LIFETIME, clients, ..StandinConfig::default() };
        let fleet = Self { count, standin: Standin::start_on_thread(config)?, kind, root };
        create_dir(fleet.tokens())?;
        write(fleet.config(), fleet.text()?)?;
        set_permissions(fleet.config(), Permissions::from_mode(0o600))?;
        Ok(fleet)
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.root.path().join("tokend.toml")
    }

    /// Where the files of the tokens are.
    pub fn tokens(&self) -> PathBuf {
        self.root.path().join("tokens")
    }

    /// Any other path beside them.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Client id and secret with which token number `index` is asked for.
    pub fn credentials(&self, index: usize) -> (String, String) {
        let Client { id, secret, .. } = client(self.kind, index);
        (id, secret)
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let root = self.root.path().display();
        let mut text = String::new();
        writeln!(text, "daemon = {{ state_dir = \"{root}/state\", socket = \"{root}/tokend.sock\" }}")?;
        let accounts = if self.kind == Kind::Exclusive { self.count } else { 1 };
        for index in 0..accounts {
            let ((id, secret), url) = (self.credentials(index), self.standin.url(Vendor::OAuth2));
            let exclusive = self.kind == Kind::Exclusive;
            writeln!(
                text,
                "[providers.p{index}]\npreset = \"oauth2\"\nexclusive = {exclusive}\ntoken_url = \"{url}\""
            )?;
            writeln!(text, "client_id = {id:?}\nclient_secret = {secret:?}")?;
        }
        for index in 0..self.count {
            let provider = index % accounts;
            writeln!(text, "[tokens.t{index}]\nprovider = \"p{provider}\"\nscopes = [\"read\", \"write\"]")?;
            writeln!(text, "sinks = [{{ file = \"{root}/tokens/t{index}\" }}]")?;
        }
        Ok(text)
    }
}

fn client(kind: Kind, index: usize) -> Client {
    match kind {
        Kind::OneAccount => Client::demo(Vendor::OAuth2),
        Kind::Exclusive => Client::new(Vendor::OAuth2, &format!("client-{index}"), OAUTH2.1),
    }
}
