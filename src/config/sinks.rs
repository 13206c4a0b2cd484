//! The places where a token is delivered.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::keys::Keys;
use crate::config::node::{Content, Node};
use crate::config::place::At;
use crate::config::problems::Problems;
use crate::config::read::{Section, choice, expected, file_path, flag, mode, text};
use crate::config::vaults;
use crate::document::Document;
use crate::name::SinkId;
use crate::preset::Preset;
use crate::settings::{FileContent, FileFormat, FileSettings, SinkPlace, SinkSettings, VaultSettings};
use crate::template;

pub(super) const SINK: Keys<'static> = Keys {
    table: "a sink",
    accepted: &["file", "vault", "format", "template", "template_file", "mode", "owner", "group", "required"],
};
pub(super) const VAULT: Keys<'static> =
    Keys { table: "a Vault sink", accepted: &["vault", "server", "mount", "fields", "required"] };

/// Permission bits of a token's file unless something else is said.
const MODE: u32 = 0o600;
/// In bytes: with the dot before it and `.tokend-XXXXXX` behind it a name has room in a directory.
const LONGEST_NAME: usize = 240;

/// What templates find in `extra`.
#[derive(Clone, Copy)]
pub enum Exports<'p> {
    /// What this preset exports.
    Of(&'p Preset),
    /// Whatever another tokend wrote.
    Any,
    /// That the preset is missing was told.
    Unknown,
}

/// Reads the list `sinks` of a token whose access tokens have these exports. Each comes with its place.
pub fn read(node: &Node<'_>, exports: Exports<'_>, problems: &mut Problems<'_>) -> Vec<(At, SinkSettings)> {
    let Content::List(items) = &node.content else {
        let what = "a list of tables such as [{ file = \"/run/tokend/tokens/name\" }]";
        problems.add_value(node.at, "sinks", &expected(what, node));
        return Vec::new();
    };
    items.iter().filter_map(|item| sink(item, exports, problems)).collect()
}

fn sink(node: &Node<'_>, exports: Exports<'_>, problems: &mut Problems<'_>) -> Option<(At, SinkSettings)> {
    let section = Section::of(node, "sinks", problems)?;
    if section.node("vault").is_some() && section.node("file").is_none() {
        return vault(section, exports, problems);
    }
    problems.check_keys(section.table, &SINK);
    if section.node("vault").is_some() {
        let remedy = "a sink is a file or a secret in Vault; make two of them";
        problems.add_value(section.at_key("vault"), "vault", remedy);
        return None;
    }
    if section.node("file").is_none() {
        problems.add_missing(section.at, "a sink needs a file: { file = \"/run/tokend/tokens/name\" }");
    }
    let path = section.read("file", problems, token_path);
    let content = content(section, exports, problems);
    let mode = section.read("mode", problems, file_mode).unwrap_or(MODE);
    let owner = section.read("owner", problems, |node| text(node).map(String::from));
    let group = section.read("group", problems, |node| text(node).map(String::from));
    let required = section.read("required", problems, flag).unwrap_or(true);
    let file = FileSettings { path: path?, content, mode, owner, group };
    let id = SinkId::new(&file.path.to_string_lossy());
    Some((section.at_key("file"), SinkSettings { id, required, place: SinkPlace::File(file) }))
}

/// A new content is written beside the old one, under a longer name.
fn token_path(node: &Node<'_>) -> Result<PathBuf, String> {
    let path = file_path(node)?;
    match path.file_name() {
        Some(name) if name.len() > LONGEST_NAME => {
            Err(format!("the file's name is longer than {LONGEST_NAME} bytes; give it a shorter one"))
        }
        _ => Ok(path),
    }
}

/// What the file holds: one of three keys says so.
fn content(section: Section<'_, '_>, exports: Exports<'_>, problems: &mut Problems<'_>) -> FileContent {
    let kinds = ["format", "template", "template_file"];
    let mut given = kinds.into_iter().filter(|key| section.node(key).is_some());
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        let text = format!("{first} says already what the file holds; keep one of them");
        problems.add_value(section.at_key(second), second, &text);
    }
    let formats = [
        ("raw", FileFormat::Raw),
        ("header", FileFormat::Header),
        ("json", FileFormat::Json),
        ("env", FileFormat::Env),
    ];
    let format = section.read("format", problems, |node| choice(node, &formats)).unwrap_or_default();
    let template = section.read("template", problems, |node| template_in(node, exports));
    let file = section.read("template_file", problems, file_path);
    match (template, file) {
        (Some(source), _) => FileContent::Template(source.into()),
        (None, Some(path)) => FileContent::TemplateFile(path),
        (None, None) => FileContent::Format(format),
    }
}

/// A template over the `json` fields.
fn template_in<'a>(node: &Node<'a>, exports: Exports<'_>) -> Result<&'a str, String> {
    let source = node.text().ok_or_else(|| expected("a template in quotes", node))?;
    let checked = match exports {
        Exports::Of(preset) => template::check(source, &Document::FIELDS, &preset.exports().collect::<Vec<_>>()),
        Exports::Any => template::check_open(source, &Document::FIELDS),
        Exports::Unknown => Ok(()),
    };
    checked.map(|()| source).map_err(|fault| fault.to_string())
}

/// `{ vault = "secret/path", server = "main", fields = { … } }`.
fn vault(section: Section<'_, '_>, exports: Exports<'_>, problems: &mut Problems<'_>) -> Option<(At, SinkSettings)> {
    problems.check_keys(section.table, &VAULT);
    let at = section.at_key("vault");
    let required = section.read("required", problems, flag).unwrap_or(true);
    let fields = section.node("fields").map(|node| fields(node, exports, problems)).unwrap_or_default();
    let (place, field) = vaults::place(section, "vault", problems)?;
    if field.is_some() {
        problems.add_value(at, "vault", "a sink is a whole secret; remove # and what follows, or use fields");
    }
    let id = SinkId::new(&place.to_string());
    Some((at, SinkSettings { id, required, place: SinkPlace::Vault(VaultSettings { place, fields }) }))
}

/// `{ TOKEN = "{{ access_token }}" }`: each a template over the `json` fields.
fn fields(node: &Node<'_>, exports: Exports<'_>, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let Some(section) = Section::of(node, "fields", problems) else { return BTreeMap::new() };
    let mut fields = BTreeMap::new();
    for (key, entry) in section.table {
        match template_in(&entry.node, exports) {
            Ok(source) => drop(fields.insert(key.to_string(), source.to_owned())),
            Err(wrong) => problems.add_value(entry.node.at, key, &wrong),
        }
    }
    fields
}

/// Others may read a token if the operator says so; they may never replace it.
fn file_mode(node: &Node<'_>) -> Result<u32, String> {
    match mode(node)? {
        mode if mode & 0o002 != 0 => {
            Err(format!("\"{mode:04o}\" lets everyone replace the token; write \"{:04o}\" or less", mode & !0o002))
        }
        mode => Ok(mode),
    }
}
