//! `[daemon]` and `[log]`.

use core::net::SocketAddr;

use crate::config::keys::Keys;
use crate::config::node::{Content, Node};
use crate::config::problems::{Problems, near, shown};
use crate::config::read::{Section, choice, duration, expected, file_path, flag, mode, path, strings, text};
use crate::config::secret_source::one;
use crate::secret::long_enough;
use crate::settings::{Admins, DaemonSettings, LogFormat, LogSettings, Persist, SocketSetting};

/// What holds in `[daemon]` unless something else is said.
pub const DEFAULTS: [(&str, &str); 3] = [("persist", "encrypted"), ("ready_timeout", "60s"), ("socket_mode", "0666")];
/// What holds in `[log]` unless something else is said.
pub const LOG_DEFAULTS: [(&str, &str); 1] = [("level", "info")];

pub(super) const DAEMON: Keys<'static> = Keys {
    table: "[daemon]",
    accepted: &[
        "state_dir",
        "socket",
        "socket_mode",
        "metrics",
        "persist",
        "state_key",
        "ready_timeout",
        "admins",
        "audit_reads",
    ],
};
pub(super) const LOG: Keys<'static> = Keys { table: "[log]", accepted: &["level", "format"] };
pub(super) const ADMINS: Keys<'static> = Keys { table: "admins", accepted: &["users", "groups"] };
const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// Reads `[daemon]`.
pub fn daemon(section: Section<'_, '_>, problems: &mut Problems<'_>) -> DaemonSettings {
    problems.check_keys(section.table, &DAEMON);
    let state_key = section.node("state_key");
    let admins = section.node("admins").map(|node| admins(node, problems)).unwrap_or_default();
    DaemonSettings {
        state_dir: section.read("state_dir", problems, path),
        socket: section.read("socket", problems, socket).unwrap_or_default(),
        socket_mode: section.read("socket_mode", problems, mode),
        metrics: section.read("metrics", problems, listen_address),
        persist: section.read("persist", problems, persist).unwrap_or_default(),
        state_key: state_key.and_then(|node| one(node, "state_key", &long_enough, problems)),
        ready_timeout: section.read("ready_timeout", problems, duration),
        admins,
        audit_reads: section.read("audit_reads", problems, flag).unwrap_or_default(),
    }
}

/// `{ users = ["alice"], groups = ["tokend-admin"] }`; a key that is not given keeps its default.
fn admins(node: &Node<'_>, problems: &mut Problems<'_>) -> Admins {
    let default = Admins::default();
    let Some(section) = Section::of(node, "admins", problems) else { return default };
    problems.check_keys(section.table, &ADMINS);
    let mut names = |key: &str| {
        let node = section.node(key)?;
        Some(strings(node, key, problems).into_iter().map(|(_, name)| name.to_owned()).collect())
    };
    Admins { users: names("users").unwrap_or(default.users), groups: names("groups").unwrap_or(default.groups) }
}

/// Reads `[log]`.
pub fn log(section: Section<'_, '_>, problems: &mut Problems<'_>) -> LogSettings {
    problems.check_keys(section.table, &LOG);
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json), ("journald", LogFormat::Journald)];
    LogSettings {
        level: section.read("level", problems, level).unwrap_or_default(),
        format: section.read("format", problems, |node| choice(node, &formats)).unwrap_or(LogFormat::Default),
    }
}

/// `"encrypted"` or `"off"`.
pub fn persist(node: &Node<'_>) -> Result<Persist, String> {
    choice(node, &[("encrypted", Persist::Encrypted), ("off", Persist::Off)])
}

fn socket(node: &Node<'_>) -> Result<SocketSetting, String> {
    use toml::de::DeValue::Boolean;
    match &node.content {
        Content::Scalar(Boolean(false)) | Content::Untyped("false") => Ok(SocketSetting::Off),
        Content::Scalar(Boolean(true)) => Err("give a path, or false to switch it off".into()),
        _ if node.text().is_none() => Err(expected("a path in quotes, or false", node)),
        _ => file_path(node).map(SocketSetting::At),
    }
}

/// `127.0.0.1:9464`. A host's name may mean several addresses, and others tomorrow.
fn listen_address(node: &Node<'_>) -> Result<SocketAddr, String> {
    let text = text(node)?;
    let remedy = "write an IP address and a port, such as \"127.0.0.1:9464\"";
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err("port 0 is none; name one".into()),
        Ok(address) => Ok(address),
        Err(_) => Err(format!("{} is not an address; {remedy}", shown(text))),
    }
}

/// `info`, or `target=level,…`.
fn level(node: &Node<'_>) -> Result<String, String> {
    let text = text(node)?;
    for directive in text.split(',') {
        let (target, level) = match directive.split_once('=') {
            Some((target, level)) => (Some(target), level),
            None => (None, directive),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '-');
        if target.is_some_and(|target| target.is_empty() || !target.chars().all(fits)) {
            return Err(format!("{} is not target=level", shown(directive)));
        }
        if !LEVELS.contains(&level) {
            let meant = near(level, LEVELS.into_iter()).map(|meant| format!("; did you mean {meant:?}?"));
            let remedy = meant.unwrap_or_else(|| "; write error, warn, info or debug, or target=level,…".into());
            return Err(format!("{} is not a level{remedy}", shown(level)));
        }
    }
    Ok(text.into())
}
