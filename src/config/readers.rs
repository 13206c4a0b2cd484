//! `readers`: who may read a token over the socket.

use crate::config::keys::Keys;
use crate::config::node::Node;
use crate::config::problems::{Problems, near, shown};
use crate::config::read::{Section, strings};
use crate::settings::Readers;

pub(super) const READERS: Keys<'static> = Keys { table: "readers", accepted: &["users", "groups", "units"] };
/// The kinds of units that processes run in.
const KINDS: [&str; 5] = ["service", "scope", "socket", "mount", "swap"];
/// As long as systemd lets it be.
const LONGEST: usize = 255;

/// Reads `{ users = ["api"], groups = ["psd2"], units = ["api.service"] }`.
pub fn read(node: &Node<'_>, problems: &mut Problems<'_>) -> Readers {
    let Some(section) = Section::of(node, "readers", problems) else { return Readers::default() };
    problems.check_keys(section.table, &READERS);
    let mut names = |key: &str, check: fn(&str) -> Result<(), String>| -> Vec<String> {
        let listed = section.node(key).map(|node| strings(node, key, problems)).unwrap_or_default();
        for (at, name) in &listed {
            check(name).unwrap_or_else(|text| problems.add_value(*at, key, &text));
        }
        listed.into_iter().map(|(_, name)| name.to_owned()).collect()
    };
    Readers { users: names("users", |_| Ok(())), groups: names("groups", |_| Ok(())), units: names("units", unit) }
}

/// A unit's whole name, of a kind that a process runs in.
fn unit(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
    if !name.chars().all(fits) || name.len() > LONGEST {
        return Err(format!("{} is not the name of a unit", shown(name)));
    }
    match name.rsplit_once('.') {
        Some((stem, kind)) if KINDS.contains(&kind) && !stem.is_empty() => match stem.strip_suffix('@') {
            Some(_) => Err(format!("{name:?} is a template; name its instances, such as \"{stem}1.{kind}\"")),
            None => Ok(()),
        },
        Some((_, "slice")) => Err(format!("{name:?} is a slice; name the services in it")),
        Some((stem, kind)) if let Some(meant) = near(kind, KINDS.into_iter()) => {
            Err(format!("{} is not the name of a unit; did you mean \"{stem}.{meant}\"?", shown(name)))
        }
        _ => Err(format!("{} has no kind of unit at its end; write \"{name}.service\"", shown(name))),
    }
}
