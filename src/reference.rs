//! Every key of the configuration in words, once: its kind, default, an example, what it means. The
//! JSON Schema and the manual are made from this. It reads no configuration and decides nothing:
//! a test holds it to the keys that `config` takes.

mod daemon;
mod hooks;
mod language;
mod providers;
pub mod schema;
#[cfg(test)]
mod tests;
mod tokens;
mod vaults;

pub use crate::reference::daemon::{DAEMON, LOG};
pub use crate::reference::language::PRESET;
pub use crate::reference::providers::{PROVIDER, SECRET};
pub use crate::reference::tokens::TOKEN;
pub use crate::reference::vaults::VAULT;

/// A table of the configuration.
#[derive(Debug)]
pub struct Table {
    /// As problems call it: `[daemon]`, `a sink`.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// What it takes.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is not given, in TOML or in words; empty: nothing.
    pub default: &'static str,
    /// A value in TOML; empty where the kind says it all.
    pub example: &'static str,
    /// What it means, in sentences.
    pub about: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// An absolute path.
    Path,
    /// `"1h30m"`.
    Duration,
    /// `"0640"`.
    Mode,
    /// `"10/s"`.
    Rate,
    /// `true` or `false`.
    Flag,
    /// A whole number of at least 1.
    Count,
    /// A whole number.
    Number,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A path or `false`.
    PathOrFalse,
    /// A list of texts.
    Texts,
    /// A text or a list of them.
    TextOrTexts,
    /// `true`, `false` or a template.
    FlagOrTemplate,
    /// A number or a template.
    NumberOrTemplate,
    /// A number or a list of them.
    NumberOrNumbers,
    /// `true`, `false` or `{ parameter = "name" }`.
    FlagOrParameter,
    /// A secret.
    Secret,
    /// A secret, or a list of them.
    Secrets,
    /// A table with keys of its own.
    Table(&'static Table),
    /// A list of such tables.
    Tables(&'static Table),
    /// A table of such tables by name.
    Named(&'static Table),
    /// A table of texts by name.
    TextByName,
    /// A table of anything.
    AnyTable,
    /// Anything.
    Any,
}

impl Kind {
    /// What it takes, for people.
    #[must_use]
    pub fn in_words(self) -> String {
        let words = match self {
            Self::Text => "string",
            Self::Path => "absolute path",
            Self::Duration => "duration",
            Self::Mode => "mode, a string of octal digits",
            Self::Rate => "rate",
            Self::Flag => "true or false",
            Self::Count | Self::Number => "number",
            Self::Choice(words) => {
                return words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ");
            }
            Self::PathOrFalse => "absolute path, or false",
            Self::Texts => "list of strings",
            Self::TextOrTexts => "string or list of strings",
            Self::FlagOrTemplate => "true, false or template",
            Self::NumberOrTemplate => "number or template",
            Self::NumberOrNumbers => "number or list of numbers",
            Self::FlagOrParameter => "true, false or { parameter = \"name\" }",
            Self::Secret => "secret",
            Self::Secrets => "secret or list of secrets",
            Self::Table(_) | Self::AnyTable => "table",
            Self::Tables(_) => "list of tables",
            Self::Named(_) => "tables by name",
            Self::TextByName => "table of strings",
            Self::Any => "any value",
        };
        words.to_owned()
    }

    /// The table whose keys it takes.
    #[must_use]
    pub fn table(self) -> Option<&'static Table> {
        match self {
            Self::Table(table) | Self::Tables(table) | Self::Named(table) => Some(table),
            _ => None,
        }
    }
}

impl Table {
    /// This table and all that its keys lead to, in the order in which they are written.
    #[must_use]
    pub fn with_inner(&'static self) -> Vec<&'static Self> {
        let mut all = vec![self];
        for table in self.keys.iter().filter_map(|key| key.kind.table()) {
            all.extend(table.with_inner());
        }
        all
    }
}

/// The tables of the configuration: header, table, and whether the header takes a name.
pub const TABLES: [(&str, &Table); 6] = [
    ("daemon", &DAEMON),
    ("log", &LOG),
    ("providers", &PROVIDER),
    ("tokens", &TOKEN),
    ("vaults", &VAULT),
    ("presets", &PRESET),
];
