//! Which keys a table takes, and what is said of the others.

use crate::config::node::Table;
use crate::config::problems::{Problems, later, near, shown};

/// The keys of one kind of table.
pub struct Keys<'k> {
    /// The kind of table, for people: `[daemon]`, `a sink`.
    pub table: &'k str,
    /// What it takes.
    pub accepted: &'k [&'k str],
    /// What it will take in a later version.
    pub later: &'k [&'k str],
}

impl Problems<'_> {
    /// Reports every key of `table` that is not among `keys`.
    pub fn check_keys(&mut self, table: &Table<'_>, keys: &Keys<'_>) {
        for (key, entry) in table {
            if keys.accepted.contains(&&**key) {
                continue;
            }
            if keys.later.contains(&&**key) {
                self.add(entry.at, later(key));
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
