//! `on_change` and `on_failure`.

use crate::config::keys::Keys;
use crate::config::node::Node;
use crate::config::problems::{Problems, shown};
use crate::config::read::{Section, strings, text};
use crate::settings::{Hook, HookKind};

pub(super) const ON_CHANGE: Keys<'static> = Keys { table: "on_change", accepted: &["reload_unit", "command"] };
pub(super) const ON_FAILURE: Keys<'static> = Keys { table: "on_failure", accepted: &["command"] };

/// The types of units that can be reloaded or restarted.
const UNIT_TYPES: [&str; 7] = [".service", ".socket", ".target", ".timer", ".path", ".mount", ".swap"];

/// Reads the hook of this kind from the table of a token.
pub fn read(token: Section<'_, '_>, kind: HookKind, problems: &mut Problems<'_>) -> Option<Hook> {
    let key = kind.as_str();
    let section = Section::of(token.node(key)?, key, problems)?;
    let keys = match kind {
        HookKind::OnChange => &ON_CHANGE,
        HookKind::OnFailure => &ON_FAILURE,
    };
    problems.check_keys(section.table, keys);
    let given = |key| section.node(key).filter(|_| keys.accepted.contains(&key));
    match (given("reload_unit"), given("command")) {
        (Some(_), Some(command)) => {
            let remedy = "it stands beside reload_unit; keep one (a command may run systemctl itself)";
            problems.add_value(command.at, "command", remedy);
            None
        }
        (Some(_), None) => section.read("reload_unit", problems, unit).map(Hook::ReloadUnit),
        (None, Some(node)) => command(node, problems).map(Hook::Command),
        (None, None) => {
            if section.table.is_empty() {
                problems.add_missing(section.at, missing(kind));
            }
            None
        }
    }
}

fn missing(kind: HookKind) -> &'static str {
    match kind {
        HookKind::OnChange => {
            "on_change needs a unit or a command: { reload_unit = \"api.service\" } or \
             { command = [\"/path/of/program\", \"argument\"] }"
        }
        HookKind::OnFailure => "on_failure needs a command: { command = [\"/path/of/program\", \"argument\"] }",
    }
}

/// The full name of a unit that can be reloaded or restarted.
fn unit(node: &Node<'_>) -> Result<String, String> {
    let name = text(node)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
    let named = UNIT_TYPES.iter().find_map(|suffix| name.strip_suffix(suffix));
    if name.len() > 255 || name.starts_with('-') || !name.chars().all(fits) {
        return Err(format!("{} is not the name of a unit", shown(name)));
    }
    match named {
        None | Some("") => {
            Err(format!("{} is not the whole name of a unit; write it like \"api.service\"", shown(name)))
        }
        Some(stem) if stem.ends_with('@') => Err(format!("{} is a template; name an instance of it", shown(name))),
        Some(_) => Ok(name.into()),
    }
}

/// A program by its absolute path, and its arguments: nothing looks for it, and no shell reads it.
fn command(node: &Node<'_>, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let before = problems.count();
    let words = strings(node, "command", problems);
    match words.first() {
        _ if problems.count() > before => {}
        None => problems.add_value(node.at, "command", "it is empty; write [\"/path/of/program\", \"argument\"]"),
        Some((at, program)) if !program.starts_with('/') => {
            problems.add_value(*at, "command", "the program's path is not absolute; begin it with /");
        }
        Some((at, program)) if program.ends_with('/') => {
            problems.add_value(*at, "command", "the path names a directory; name the program");
        }
        Some(_) => return Some(words.into_iter().map(|(_, word)| word.to_owned()).collect()),
    }
    None
}
