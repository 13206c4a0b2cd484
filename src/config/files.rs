//! The files as tables with places: every syntax error, and each named table with its parts from
//! all files. Checks no content.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Error};

use crate::config::SourceText;
use crate::config::node::{Content, Entry, Node, Table};
use crate::config::place::At;
use crate::config::problems::{Problems, one_of, shown};

/// What each file says, in the order of the sources; `None` where it could not be understood.
pub type Documents<'a> = Vec<Option<Spanned<DeTable<'a>>>>;

/// A key and value in one file.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    file: usize,
    key: &'a Spanned<DeString<'a>>,
    value: &'a Spanned<DeValue<'a>>,
}

/// The named tables of one section.
pub type Named<'a> = BTreeMap<&'a str, Vec<Part<'a>>>;

/// All files together, by section. The tables themselves are merged one at a time when they are read.
#[derive(Default)]
pub struct Sections<'a> {
    /// `[daemon]`.
    pub daemon: Vec<Part<'a>>,
    /// `[log]`.
    pub log: Vec<Part<'a>>,
    /// `[providers.*]`.
    pub providers: Named<'a>,
    /// `[tokens.*]`.
    pub tokens: Named<'a>,
    /// `[presets.*]`.
    pub presets: Named<'a>,
    /// `[vaults.*]`.
    pub vaults: Named<'a>,
}

const SECTIONS: [&str; 6] = ["daemon", "log", "presets", "providers", "tokens", "vaults"];

/// Parses every file.
pub fn parse<'a>(sources: &'a [SourceText], problems: &mut Problems<'_>) -> Documents<'a> {
    let mut documents = Vec::with_capacity(sources.len());
    for (file, source) in sources.iter().enumerate() {
        let (document, errors) = DeTable::parse_recoverable(&source.text);
        if errors.is_empty() {
            documents.push(Some(document));
            continue;
        }
        problems.sources_are_partial();
        documents.push(None);
        report(file, &source.text, &errors, problems);
    }
    documents
}

/// One problem a line: what follows on the same line is most often a consequence.
fn report(file: usize, text: &str, errors: &[Error], problems: &mut Problems<'_>) {
    let mut first_of_line: BTreeMap<usize, (usize, &Error)> = BTreeMap::new();
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..offset].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let first = first_of_line.entry(line).or_insert((offset, error));
        if offset < first.0 {
            *first = (offset, error);
        }
    }
    let mut unclosed_list = false;
    for (line, (offset, error)) in first_of_line {
        // Every line after a list that was not closed lacks its comma.
        let lacks_comma = error.message().starts_with("missing comma");
        if std::mem::replace(&mut unclosed_list, lacks_comma) && lacks_comma {
            continue;
        }
        let line = text[line..].lines().next().unwrap_or_default();
        problems.add(At::File { file, offset }, in_words(error.message(), line));
    }
}

/// The parser's message in our words. It names what is expected and never quotes the text.
fn in_words(message: &str, line: &str) -> String {
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    if what.contains("leading zero") {
        return match unquoted_mode(line) {
            Some(mode) => format!("a mode is a string of octal digits; write \"{mode}\" in quotes"),
            None => "a number cannot begin with 0; if it is a text, write it in quotes".into(),
        };
    }
    match (what, expected) {
        ("duplicate key", _) => "this key is set already in this file; keep one of them".into(),
        ("string values must be quoted", _) => "a value is missing, or a text is not in quotes".into(),
        (_, "`nan`" | "`inf`" | "`true`" | "`false`") => "a text is not in quotes, or true or false is misspelt".into(),
        (what, "" | "nothing") => format!("not TOML: {what}"),
        (what, expected) => format!("not TOML: {what}, expected {expected}"),
    }
}

/// The octal digits of a line like `mode = 0640`.
fn unquoted_mode(line: &str) -> Option<&str> {
    let (_, after) = line.rsplit_once("mode")?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let digits = value.split(|c: char| !c.is_ascii_digit()).next()?;
    (3..=5).contains(&digits.len()).then_some(digits)
}

/// Sorts the tables of all files by section.
pub fn sections<'a>(documents: &'a Documents<'a>, problems: &mut Problems<'_>) -> Sections<'a> {
    let mut sections = Sections::default();
    for (file, document) in documents.iter().enumerate() {
        for (key, value) in document.iter().flat_map(Spanned::get_ref) {
            let part = Part { file, key, value };
            match &**key.get_ref() {
                "daemon" => sections.daemon.push(part),
                "log" => sections.log.push(part),
                "providers" => collect(&mut sections.providers, part, problems),
                "tokens" => collect(&mut sections.tokens, part, problems),
                "presets" => collect(&mut sections.presets, part, problems),
                "vaults" => collect(&mut sections.vaults, part, problems),
                other => {
                    let remedy = one_of(other, SECTIONS.into_iter());
                    problems.add(part.at(), format!("unknown section {}; {remedy}", shown(other)));
                }
            }
        }
    }
    sections
}

fn collect<'a>(named: &mut Named<'a>, section: Part<'a>, problems: &mut Problems<'_>) {
    let DeValue::Table(table) = section.value.get_ref() else {
        let key = section.key.get_ref();
        return problems.add(section.at(), format!("{key} takes tables with names, such as [{key}.NAME]"));
    };
    for (key, value) in table {
        named.entry(key.get_ref()).or_default().push(Part { file: section.file, key, value });
    }
}

impl<'a> Part<'a> {
    /// Where its key stands.
    pub fn at(&self) -> At {
        At::File { file: self.file, offset: self.key.span().start }
    }

    fn entry(&self) -> Entry<'a> {
        Entry { at: self.at(), node: Node::new(self.file, self.value) }
    }
}

/// The parts of one table as one. `None` if it is not a table; that is a problem.
pub fn merge<'a>(parts: &[Part<'a>], problems: &mut Problems<'_>) -> Option<(At, Table<'a>)> {
    let (first, rest) = parts.split_first()?;
    let mut whole = first.entry();
    let name = first.key.get_ref();
    for part in rest {
        whole.merge(name, part.entry(), problems);
    }
    let node = whole.node;
    let kind = node.kind();
    if let Content::Table(table) = node.content {
        return Some((node.at, table));
    }
    problems.add_value(node.at, name, &format!("expected a table, found {kind}"));
    None
}
