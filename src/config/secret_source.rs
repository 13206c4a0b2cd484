//! Where secrets come from. No message here holds any value: what stands in the place of a secret
//! is taken for one, whatever its form.

use crate::config::Privacy;
use crate::config::keys::Keys;
use crate::config::node::{Content, Node};
use crate::config::place::At;
use crate::config::problems::Problems;
use crate::config::read::{Section, expected, file_path, strings};
use crate::config::vaults;
use crate::secret::Secret;
use crate::settings::SecretSource;

const KINDS: [&str; 5] = ["command", "credential", "env", "file", "vault"];
pub(super) const KEYS: Keys<'static> =
    Keys { table: "a secret", accepted: &["command", "credential", "env", "file", "vault", "server", "mount"] };

/// What a secret must fulfil besides, by the preset: `Err` says what is wrong, without the value.
pub type Check<'c> = &'c dyn Fn(&str) -> Result<(), String>;

/// The sources that `node`, the value of `key`, names: one, or a list of them.
pub fn list(node: &Node<'_>, key: &str, check: Check<'_>, problems: &mut Problems<'_>) -> Vec<SecretSource> {
    match &node.content {
        Content::List(items) => {
            if items.is_empty() {
                problems.add_value(node.at, key, "the list is empty; name at least one secret");
            }
            items.iter().filter_map(|item| one(item, key, check, problems)).collect()
        }
        _ => one(node, key, check, problems).into_iter().collect(),
    }
}

/// The same for what logs in to Vault itself, which cannot come from there.
pub fn without_vaults(node: &Node<'_>, key: &str, problems: &mut Problems<'_>) -> Vec<SecretSource> {
    let sources = list(node, key, &|_| Ok(()), problems);
    if sources.iter().any(|source| matches!(source, SecretSource::Vault(..))) {
        problems.add_value(
            node.at,
            key,
            "what logs in to a Vault server cannot come from one; name a file or credential",
        );
    }
    sources
}

/// The one source that `node`, the value of `key`, names.
pub fn one(node: &Node<'_>, key: &str, check: Check<'_>, problems: &mut Problems<'_>) -> Option<SecretSource> {
    if let Some(text) = node.text() {
        return inline(node.at, text, key, check, problems);
    }
    if node.table().is_none() {
        let what = "a secret: a string, or { file = \"/path\" }, { credential = \"name\" }, { env = \"NAME\" } or \
                    { command = [\"/path\"] }";
        problems.add_value(node.at, key, &expected(what, node));
        return None;
    }
    let section = Section::of(node, key, problems)?;
    problems.check_keys(section.table, &KEYS);
    let mut named = KINDS.into_iter().filter(|kind| section.node(kind).is_some());
    match (named.next(), named.next()) {
        (Some(kind), None) => {
            if kind != "vault" && section.node("server").is_some() {
                problems.add_value(section.at_key("server"), "server", "only a secret in vault has a server");
            }
            elsewhere(section, kind, problems)
        }
        (None, _) => {
            problems.add_missing(section.at, format!("{key} needs one of {}", KINDS.join(", ")));
            None
        }
        (Some(first), Some(second)) => {
            problems.add_value(section.at, key, &format!("both {first} and {second} are given; keep one of them"));
            None
        }
    }
}

fn inline(at: At, text: &str, key: &str, check: Check<'_>, problems: &mut Problems<'_>) -> Option<SecretSource> {
    let readers = match problems.places().privacy(at) {
        Privacy::Private => None,
        Privacy::Group => Some("a group other than the daemon's own can read this file"),
        Privacy::World => Some("everyone on this host can read this file"),
    };
    if let Some(readers) = readers {
        let remedy = "chmod 0600 the file and chown it to the daemon's user, or keep the secret elsewhere: \
                      { file = \"/path\" } or { credential = \"name\" }";
        problems.add_value(at, key, &format!("{readers}, so no secret may stand in it; {remedy}"));
    }
    let secret = Secret::read(text).map_err(String::from).and_then(|secret| check(text).map(|()| secret));
    match secret {
        Ok(secret) => Some(SecretSource::Inline(secret)),
        Err(wrong) => {
            problems.add_value(at, key, &wrong);
            None
        }
    }
}

fn elsewhere(section: Section<'_, '_>, kind: &str, problems: &mut Problems<'_>) -> Option<SecretSource> {
    match kind {
        "file" => section.read(kind, problems, file_path).map(SecretSource::File),
        "env" => section.read(kind, problems, variable_name).map(SecretSource::Env),
        "credential" => section.read(kind, problems, credential_name).map(SecretSource::Credential),
        "vault" => {
            let at = section.at_key(kind);
            let (place, field) = vaults::place(section, kind, problems)?;
            if field.is_none() {
                problems.add_value(at, kind, "it names no field; write \"mount/path#field\"");
            }
            Some(SecretSource::Vault(place, field?))
        }
        _ => command(section.node(kind)?, problems),
    }
}

fn variable_name(node: &Node<'_>) -> Result<String, String> {
    let name = node.text().ok_or_else(|| expected("the name of a variable in quotes", node))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.chars().all(fits) && name.starts_with(|c: char| !c.is_ascii_digit()) {
        return Ok(name.into());
    }
    Err("it is not the name of a variable: letters, digits and _, the first no digit".into())
}

/// What systemd takes as the name of a credential.
fn credential_name(node: &Node<'_>) -> Result<String, String> {
    let name = node.text().ok_or_else(|| expected("the name of a credential in quotes", node))?;
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':');
    if !matches!(name, "" | "." | "..") && name.len() <= 255 && name.chars().all(fits) {
        return Ok(name.into());
    }
    Err("it is not the name of a credential: visible ASCII without / and :".into())
}

fn command(node: &Node<'_>, problems: &mut Problems<'_>) -> Option<SecretSource> {
    let before = problems.count();
    let words: Vec<String> = strings(node, "command", problems).into_iter().map(|(_, word)| word.into()).collect();
    if problems.count() > before {
        return None;
    }
    match words.first() {
        None => problems.add_value(node.at, "command", "it is empty; write [\"/path/of/program\", \"argument\"]"),
        Some(program) if program.contains('/') && !program.starts_with('/') => {
            problems.add_value(node.at, "command", "the program's path is not absolute; begin it with /");
        }
        Some(_) => return Some(SecretSource::Command(words)),
    }
    None
}
