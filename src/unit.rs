//! The drop-in for `tokend.service` that a configuration needs: what the unit's sandbox keeps the
//! daemon from, and the configuration wants of it. Printed by `tokend check --unit`.
//!
//! Nothing that it prints can keep the service from starting: a directory that is missing is passed
//! over by systemd (`-`), a group that is missing is printed as a comment, and a credential without
//! a path that is missing is a state of its slot.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::disk::{group, user};
use crate::settings::{FileSettings, FollowedPlace, Provider, SecretSource, SocketSetting};
use crate::sink::file::directory_of;

/// The user and group of the unit.
const USER: &str = "tokend";
/// What the unit may write: its `RuntimeDirectory=` and `StateDirectory=`.
const OWN: [&str; 2] = ["/run/tokend", "/var/lib/tokend"];
/// What `PrivateTmp=` replaces.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
/// What `ProtectHome=` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// The drop-in that `config`, read at `path`, needs.
#[must_use]
pub fn drop_in(config: &Config, path: &Path) -> String {
    let mut lines = Lines::default();
    for directory in outermost(written_directories(config)) {
        lines.writable(&directory);
    }
    for directory in outermost(read_directories(config, path)) {
        lines.readable(&directory);
    }
    let files = || config.slots.iter().flat_map(|slot| slot.sinks()).filter_map(|(_, sink)| sink.file());
    lines.groups(files());
    lines.owners(files());
    let named: BTreeSet<&str> = secrets(config).filter_map(credential).collect();
    for name in named {
        lines.add(format!("# the secret itself: /etc/credstore/{name} (0600, root), or write {name}:/its/path"));
        lines.add(format!("LoadCredential={name}"));
    }
    lines.text(path)
}

/// Lines in the order of their coming, each once.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, line: String) {
        if !self.0.contains(&line) {
            self.0.push(line);
        }
    }

    fn writable(&mut self, directory: &Path) {
        let path = quoted(directory);
        if is_below(directory, &HOMES) {
            self.add("ProtectHome=tmpfs".into());
            self.add(format!("BindPaths={path}"));
        } else if is_below(directory, &TEMPORARY) {
            self.add(format!("BindPaths={path}"));
        } else {
            self.add(format!("ReadWritePaths={path}"));
        }
    }

    fn readable(&mut self, directory: &Path) {
        if is_below(directory, &HOMES) {
            self.add("ProtectHome=tmpfs".into());
        }
        self.add(format!("BindReadOnlyPaths={}", quoted(directory)));
    }

    fn groups<'a>(&mut self, files: impl Iterator<Item = &'a FileSettings>) {
        let names: BTreeSet<&str> =
            files.filter_map(|file| file.group.as_deref()).filter(|name| *name != USER).collect();
        for name in names {
            match group(name) {
                Ok(_) => self.add(format!("SupplementaryGroups={name}")),
                // systemd starts no service with a group that is missing.
                Err(_) => self.add(format!(
                    "# there is no group {name:?} on this host; once there is: SupplementaryGroups={name}"
                )),
            }
        }
    }

    fn owners<'a>(&mut self, mut files: impl Iterator<Item = &'a FileSettings>) {
        let own = user(USER).ok();
        let foreign = |owner: &str| owner != USER && (own.is_none() || user(owner).ok() != own);
        if files.any(|file| file.owner.as_deref().is_some_and(foreign)) {
            self.add("# files that belong to another user; `group` instead of `owner` does without".into());
            self.add("CapabilityBoundingSet=CAP_CHOWN".into());
            self.add("AmbientCapabilities=CAP_CHOWN".into());
        }
    }

    fn text(self, path: &Path) -> String {
        let mut text =
            format!("# What {} needs of tokend.service, by `tokend check --unit`.\n[Service]\n", path.display());
        if self.0.is_empty() {
            text.push_str("# Nothing: the unit as it is will do.\n");
        }
        for line in self.0 {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

fn written_directories(config: &Config) -> Vec<PathBuf> {
    let sinks = config
        .slots
        .iter()
        .flat_map(|slot| slot.sinks())
        .filter_map(|(_, sink)| sink.file())
        .map(|file| directory_of(&file.path));
    let mut directories: Vec<PathBuf> = sinks.map(Path::to_path_buf).collect();
    directories.extend(config.daemon.state_dir.clone());
    if let SocketSetting::At(socket) = &config.daemon.socket {
        directories.push(directory_of(socket).to_path_buf());
    }
    directories.retain(|directory| !is_below(directory, &OWN));
    directories
}

/// The directories, hidden from the unit, of files that are only read.
fn read_directories(config: &Config, config_path: &Path) -> Vec<PathBuf> {
    let secrets = secrets(config).filter_map(|source| match source {
        SecretSource::File(path) => Some(path.as_path()),
        _ => None,
    });
    let tls = config.providers.values().flat_map(|provider: &std::sync::Arc<Provider>| {
        [&provider.tls.ca_file, &provider.tls.cert_file, &provider.tls.key_file].into_iter().flatten()
    });
    let followed = config.slots.iter().filter_map(|slot| match &slot.follows()?.place {
        FollowedPlace::File(path) => Some(path.as_path()),
        FollowedPlace::Vault(_) => None,
    });
    let all = secrets.chain(tls.map(PathBuf::as_path)).chain(followed).chain([config_path]).map(directory_of);
    let hidden = all.filter(|directory| is_below(directory, &HOMES) || is_below(directory, &TEMPORARY));
    let written = written_directories(config);
    hidden.filter(|directory| !written.iter().any(|w| directory.starts_with(w))).map(Path::to_path_buf).collect()
}

fn secrets(config: &Config) -> impl Iterator<Item = &SecretSource> {
    let of_providers = config.providers.values().flat_map(|provider| provider.secrets.values().flatten());
    let of_vaults = config.vaults.values().flat_map(|server| server.login.method.secrets());
    of_providers.chain(&config.daemon.state_key).chain(of_vaults)
}

fn credential(source: &SecretSource) -> Option<&str> {
    match source {
        SecretSource::Credential(name) => Some(name),
        _ => None,
    }
}

/// Sorted, and without what lies below another of them.
fn outermost(directories: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut outermost: Vec<PathBuf> = Vec::new();
    for directory in directories.into_iter().collect::<BTreeSet<_>>() {
        if !outermost.iter().any(|outer| directory.starts_with(outer)) {
            outermost.push(directory);
        }
    }
    outermost
}

fn is_below(path: &Path, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

/// As units write a path that may be missing.
fn quoted(path: &Path) -> String {
    let text = format!("-{}", path.display()).replace('%', "%%");
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\');
    if text.chars().all(plain) { text } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::{Privacy, SourceText};

    const PROVIDER: &str = r#"
[providers.idp]
preset = "oauth2"
token_url = "https://idp.example/token"
client_id = "me"
client_secret = { env = "SECRET" }
"#;

    fn printed(text: &str) -> String {
        let text = format!("{text}{PROVIDER}");
        let source = SourceText { path: "t.toml".into(), text, privacy: Privacy::Private };
        drop_in(&Config::parse(&[source], &[]).unwrap(), Path::new("/etc/tokend/tokend.toml"))
    }

    fn with_sinks(sinks: &str) -> String {
        printed(&format!("[tokens.a]\nprovider = \"idp\"\nsinks = [{sinks}]\n"))
    }

    const HEAD: &str = "# What /etc/tokend/tokend.toml needs of tokend.service, by `tokend check --unit`.\n[Service]\n";

    #[test]
    fn what_lies_in_the_directories_of_the_unit_needs_nothing() {
        let sinks = r#"{ file = "/run/tokend/tokens/a", owner = "tokend", group = "tokend" }"#;
        assert_eq!(with_sinks(sinks), format!("{HEAD}# Nothing: the unit as it is will do.\n"));
    }

    #[test]
    fn directories_elsewhere_are_named_once_and_may_be_missing() {
        let sinks =
            r#"{ file = "/srv/b/c/d" }, { file = "/srv/b/a" }, { file = "/srv/b/e" }, { file = "/srv/100 %/f" }"#;
        let said = "ReadWritePaths=\"-/srv/100 %%\"\nReadWritePaths=-/srv/b\n";
        assert_eq!(with_sinks(sinks), format!("{HEAD}{said}"));
    }

    #[test]
    fn directories_that_the_unit_hides_are_bound() {
        let sinks = r#"{ file = "/home/me/tokens/a" }, { file = "/tmp/tokens/a" }"#;
        let said = "ProtectHome=tmpfs\nBindPaths=-/home/me/tokens\nBindPaths=-/tmp/tokens\n";
        assert_eq!(with_sinks(sinks), format!("{HEAD}{said}"));
    }

    #[test]
    fn groups_of_files_are_joined_where_they_exist() {
        let sinks = r#"{ file = "/run/tokend/a", group = "daemon" }, { file = "/run/tokend/b", group = "no-such" }"#;
        let said = "SupplementaryGroups=daemon\n\
                    # there is no group \"no-such\" on this host; once there is: SupplementaryGroups=no-such\n";
        assert_eq!(with_sinks(sinks), format!("{HEAD}{said}"));
    }

    #[test]
    fn files_of_other_users_take_a_capability() {
        let said = with_sinks(r#"{ file = "/run/tokend/a", owner = "daemon" }"#);
        assert!(said.ends_with("CapabilityBoundingSet=CAP_CHOWN\nAmbientCapabilities=CAP_CHOWN\n"), "{said}");
    }

    #[test]
    fn state_socket_and_credentials_are_thought_of() {
        let text = r#"
[daemon]
state_dir = "/srv/state"
socket = "/srv/run/tokend.sock"
state_key = { credential = "state-key" }
[tokens.a]
provider = "idp"
sinks = []
"#;
        let said = "ReadWritePaths=-/srv/run\nReadWritePaths=-/srv/state\n\
                    # the secret itself: /etc/credstore/state-key (0600, root), or write state-key:/its/path\n\
                    LoadCredential=state-key\n";
        assert_eq!(printed(text), format!("{HEAD}{said}"));
    }
}
