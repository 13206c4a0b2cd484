//! Which keys a table takes, and what is said of the others.

use crate::config::node::Table;
use crate::config::problems::{Problems, near, shown};

/// The keys of one kind of table.
pub struct Keys<'k> {
    /// The kind of table, for people: `[daemon]`, `a sink`.
    pub table: &'k str,
    /// What it takes.
    pub accepted: &'k [&'k str],
}

/// The keys that every table takes, by what the table is called: the manual is held to them.
#[cfg(test)]
pub fn accepted_keys() -> Vec<(&'static str, Vec<&'static str>)> {
    use crate::config::{daemon, follow, hooks, provider, read, readers, secret_source, sinks, token, vaults};
    let fixed = [
        daemon::DAEMON,
        daemon::ADMINS,
        daemon::LOG,
        provider::TLS,
        read::BUDGET,
        token::TOKEN,
        token::REFRESH,
        follow::FOLLOW,
        hooks::ON_CHANGE,
        hooks::ON_FAILURE,
        readers::READERS,
        vaults::VAULT,
        secret_source::KEYS,
    ];
    let mut all: Vec<_> = fixed.iter().map(|keys| (keys.table, keys.accepted.to_vec())).collect();
    all.push(("[providers.NAME]", provider::COMMON.to_vec()));
    all.push(("a sink", [sinks::SINK.accepted, sinks::VAULT.accepted].concat()));
    all.push(("auth", vaults::auth_keys()));
    all
}

impl Problems<'_> {
    /// Reports every key of `table` that is not among `keys`.
    pub fn check_keys(&mut self, table: &Table<'_>, keys: &Keys<'_>) {
        for (key, entry) in table {
            if keys.accepted.contains(&&**key) {
                continue;
            }
            let remedy = match near(key, keys.accepted.iter().copied()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("{} takes {}", keys.table, keys.accepted.join(", ")),
            };
            self.add(entry.at, format!("unknown key {}; {remedy}", shown(key)));
        }
    }
}
