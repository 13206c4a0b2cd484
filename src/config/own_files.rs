//! The files that no sink may be: those that the configuration is, those that it names, and those that
//! the daemon keeps.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::config::problems::Problems;
use crate::config::token::{Draft, Providers};
use crate::name::Name;
use crate::settings::{DaemonSettings, FileContent, SecretSource, SocketSetting, TlsFiles, VaultServer};

/// Where a packaged daemon keeps its state.
const STATE_DIR: &str = "/var/lib/tokend";

/// How the names of the files there begin: a database has others beside it.
const OF_THE_STATE: [&str; 3] = ["state.db", "state.key", "tokend.lock"];

/// What is in use already, and as what.
#[derive(Default)]
pub struct OwnFiles {
    named: HashMap<PathBuf, String>,
    state_dirs: Vec<PathBuf>,
    parts: PathBuf,
}

impl OwnFiles {
    /// What the configuration is and what its tables name, but for those of the tokens.
    pub fn new<'v>(
        (daemon, default_state_dir): (&DaemonSettings, Option<&Path>),
        providers: &Providers<'_>,
        vaults: impl Iterator<Item = &'v VaultServer>,
        problems: &Problems<'_>,
    ) -> Self {
        let state_dirs = match &daemon.state_dir {
            Some(named) => vec![named.clone()],
            None => default_state_dir.into_iter().chain([Path::new(STATE_DIR)]).map(Path::to_owned).collect(),
        };
        let mut own = Self { state_dirs, ..Self::default() };
        for file in problems.places().files() {
            own.name(file, || "the configuration".into());
        }
        if let Some(main) = problems.places().files().next() {
            own.parts = main.with_file_name("conf.d");
        }
        if let SocketSetting::At(path) = &daemon.socket {
            own.name(path, || "the daemon's socket".into());
        }
        own.name_secrets(daemon.state_key.iter(), || "the key of the state".into());
        for account in providers.values().filter_map(|draft| draft.account.as_ref()) {
            let provider = &account.provider;
            own.name_secrets(provider.secrets.values().flatten(), || secret_of("providers", &provider.name));
            own.name_certificates(&provider.tls, || certificate_of("providers", &provider.name));
        }
        for server in vaults {
            own.name_secrets(server.login.method.secrets().into_iter(), || secret_of("vaults", &server.name));
            own.name_certificates(&server.tls, || certificate_of("vaults", &server.name));
        }
        own
    }

    /// Reports every sink of `tokens` that is one of them, or what another is made from.
    pub fn check(mut self, tokens: &[Draft<'_>], problems: &mut Problems<'_>) {
        let sinks = || tokens.iter().flat_map(|token| token.sinks_at.iter().zip(&token.settings.sinks));
        for (_, sink) in sinks() {
            if let Some(FileContent::TemplateFile(path)) = sink.file().map(|file| &file.content) {
                self.name(path, || "a template".into());
            }
        }
        for (at, sink) in sinks() {
            let Some(file) = sink.file() else { continue };
            if let Some(what) = self.what_is(&file.path) {
                let text = format!("this is {what}, and would be lost; give the token a file of its own");
                problems.add_value(*at, "file", &text);
            }
        }
    }

    fn what_is(&self, path: &Path) -> Option<&str> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let of_the_state = || {
            self.state_dirs.iter().any(|dir| path.parent() == Some(dir))
                && OF_THE_STATE.iter().any(|begins| name.starts_with(begins))
        };
        let part = || path.extension().is_some_and(|it| it == "toml") && path.parent() == Some(&self.parts);
        match self.named.get(path) {
            Some(what) => Some(what),
            None if of_the_state() => Some("a file of the daemon's state"),
            None if part() => Some("a part of the configuration"),
            None => None,
        }
    }

    fn name(&mut self, path: &Path, what: impl Fn() -> String) {
        self.named.entry(path.to_owned()).or_insert_with(what);
    }

    fn name_secrets<'s>(&mut self, sources: impl Iterator<Item = &'s SecretSource>, what: impl Fn() -> String) {
        for source in sources {
            if let SecretSource::File(path) = source {
                self.name(path, &what);
            }
        }
    }

    fn name_certificates(&mut self, tls: &TlsFiles, what: impl Fn() -> String) {
        for path in [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten() {
            self.name(path, &what);
        }
    }
}

fn secret_of(section: &str, name: &Name) -> String {
    format!("a secret of [{section}.{name}]")
}

fn certificate_of(section: &str, name: &Name) -> String {
    format!("a certificate or key of [{section}.{name}]")
}
