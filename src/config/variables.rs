//! The environment's part: `TOKEND_LOG__LEVEL=debug` sets `log.level`. A value is a text that is
//! read as the type of its key; a list of strings is written with spaces between them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::node::{Content, Entry, Node, Table};
use crate::config::place::At;
use crate::config::problems::{Problems, one_of, shown};

/// A variable that is ours: its name and value.
pub type Variable<'a> = (&'a str, &'a str);

/// What the environment sets, by section.
#[derive(Default)]
pub struct Variables<'a> {
    /// Of `[daemon]`.
    pub daemon: Table<'a>,
    /// Of `[log]`.
    pub log: Table<'a>,
    /// Of `[providers.*]`, by name.
    pub providers: BTreeMap<String, Table<'a>>,
    /// Of `[vaults.*]`, by name.
    pub vaults: BTreeMap<String, Table<'a>>,
    /// Where the state is unless `[daemon]` says so.
    pub state_dir: Option<PathBuf>,
}

/// Whether the variable called `name` is ours: it begins with `TOKEND_` and contains `__`.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    name.starts_with("TOKEND_") && name.contains("__")
}

/// The variables that are ours, by name.
pub fn ours(environment: &[(String, String)]) -> Vec<Variable<'_>> {
    let mut ours: Vec<_> =
        environment.iter().filter(|(name, _)| is_ours(name)).map(|(name, value)| (&**name, &**value)).collect();
    ours.sort_unstable();
    ours.dedup_by_key(|(name, _)| *name);
    ours
}

/// Sorts `variables` by the key that they set. `names` are those of providers and of Vault servers in
/// the files: they decide where a name with two underscores ends.
pub fn sort<'a>(variables: &[Variable<'a>], names: (&[&str], &[&str]), problems: &mut Problems<'_>) -> Variables<'a> {
    let mut sorted = Variables::default();
    for (index, (name, value)) in variables.iter().enumerate() {
        let at = At::Variable(index);
        let node = Node { at, content: Content::Untyped(value) };
        if let Err(text) = sorted.set(name, node, names) {
            problems.add(at, text);
        }
    }
    sorted
}

impl<'a> Variables<'a> {
    fn set(&mut self, name: &str, node: Node<'a>, names: (&[&str], &[&str])) -> Result<(), String> {
        let path = name.strip_prefix("TOKEND_").unwrap_or(name);
        if path.chars().any(|c| c.is_ascii_lowercase()) {
            return Err(format!("write its name in capitals: {}", name.to_ascii_uppercase()));
        }
        let path = path.to_ascii_lowercase();
        let (section, rest) = path.split_once("__").unwrap_or((&path, ""));
        match section {
            "daemon" => insert(&mut self.daemon, rest, node),
            "log" => insert(&mut self.log, rest, node),
            "providers" => {
                let (provider, key) = split_name(section, rest, names.0)?;
                insert(self.providers.entry(provider.into()).or_default(), key, node)
            }
            "vaults" => {
                let (vault, key) = split_name(section, rest, names.1)?;
                insert(self.vaults.entry(vault.into()).or_default(), key, node)
            }
            "tokens" | "presets" => Err(format!("variables do not reach [{section}.*]; set it in a file")),
            other => {
                let remedy = one_of(other, ["daemon", "log", "providers", "vaults"].into_iter());
                Err(format!("unknown section {}; {remedy}", shown(other)))
            }
        }
    }
}

/// `op__client_id` → `op`, `client_id`. The longest name that a file knows wins.
fn split_name<'p>(section: &str, path: &'p str, names: &[&str]) -> Result<(&'p str, &'p str), String> {
    let known = |name: &&&str| path.strip_prefix(**name).is_some_and(|rest| rest.starts_with("__"));
    let end = match names.iter().filter(known).max_by_key(|name| name.len()) {
        Some(name) => name.len(),
        None => path.find("__").ok_or_else(|| format!("write TOKEND_{}__NAME__KEY", section.to_ascii_uppercase()))?,
    };
    Ok((&path[..end], &path[end + 2..]))
}

/// Puts `node` where `path`, with `__` between its keys, leads.
fn insert<'a>(table: &mut Table<'a>, path: &str, node: Node<'a>) -> Result<(), String> {
    let (key, rest) = match path.split_once("__") {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    if key.is_empty() {
        return Err("it names no key; write TOKEND_SECTION__KEY".into());
    }
    let clash = || format!("another variable sets {key} as a whole; keep one of them");
    let at = node.at;
    match (rest, table.get_mut(key)) {
        (None, None) => {
            table.insert(Cow::Owned(key.into()), Entry { at, node });
            Ok(())
        }
        (None, Some(_)) => Err(clash()),
        (Some(rest), None) => {
            let mut inner = Table::new();
            insert(&mut inner, rest, node)?;
            table.insert(Cow::Owned(key.into()), Entry { at, node: Node { at, content: Content::Table(inner) } });
            Ok(())
        }
        (Some(rest), Some(entry)) => match &mut entry.node.content {
            Content::Table(inner) => insert(inner, rest, node),
            _ => Err(clash()),
        },
    }
}
