//! The places where a token is delivered.

use crate::config::keys::Keys;
use crate::config::node::{Content, Node};
use crate::config::place::At;
use crate::config::problems::Problems;
use crate::config::read::{Section, choice, expected, file_path, flag, mode, text};
use crate::name::SinkId;
use crate::settings::{FileFormat, FileSettings, SinkSettings};

const SINK: Keys<'static> = Keys {
    table: "a sink",
    accepted: &["file", "format", "mode", "owner", "group", "required"],
    later: &["vault", "server", "mount", "fields", "template", "template_file"],
};

/// Permission bits of a token's file unless something else is said.
const MODE: u32 = 0o600;

/// Reads the list `sinks`. Each comes with its place.
pub fn read(node: &Node<'_>, problems: &mut Problems<'_>) -> Vec<(At, SinkSettings)> {
    let Content::List(items) = &node.content else {
        let what = "a list of tables such as [{ file = \"/run/tokend/tokens/name\" }]";
        problems.add_value(node.at, "sinks", &expected(what, node));
        return Vec::new();
    };
    items.iter().filter_map(|item| sink(item, problems)).collect()
}

fn sink(node: &Node<'_>, problems: &mut Problems<'_>) -> Option<(At, SinkSettings)> {
    let section = Section::of(node, "sinks", problems)?;
    problems.check_keys(section.table, &SINK);
    if section.node("file").is_none() && section.node("vault").is_none() {
        problems.add_missing(section.at, "a sink needs a file: { file = \"/run/tokend/tokens/name\" }");
    }
    let formats = [
        ("raw", FileFormat::Raw),
        ("header", FileFormat::Header),
        ("json", FileFormat::Json),
        ("env", FileFormat::Env),
    ];
    let path = section.read("file", problems, file_path);
    let format = section.read("format", problems, |node| choice(node, &formats)).unwrap_or_default();
    let mode = section.read("mode", problems, file_mode).unwrap_or(MODE);
    let owner = section.read("owner", problems, |node| text(node).map(String::from));
    let group = section.read("group", problems, |node| text(node).map(String::from));
    let required = section.read("required", problems, flag).unwrap_or(true);
    let file = FileSettings { path: path?, format, mode, owner, group };
    let id = SinkId::new(&file.path.to_string_lossy());
    Some((section.at_key("file"), SinkSettings { id, required, file }))
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
