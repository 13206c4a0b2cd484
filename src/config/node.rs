//! Values with their places: the one shape in which files, variables and defaults are read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::place::At;
use crate::config::problems::Problems;

/// A value and where it stands. The place of a table is its header.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// Where.
    pub at: At,
    /// What.
    pub content: Content<'a>,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// A value of TOML that is neither list nor table.
    Scalar(&'a DeValue<'a>),
    /// A variable or a default, read as the type of its key.
    Untyped(&'a str),
    /// `[…]`.
    List(Vec<Node<'a>>),
    /// `{…}` or `[header]`.
    Table(Table<'a>),
}

/// The entries of a table.
pub type Table<'a> = BTreeMap<Cow<'a, str>, Entry<'a>>;

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Where the key stands.
    pub at: At,
    /// Its value.
    pub node: Node<'a>,
}

impl<'a> Node<'a> {
    /// The value that `spanned` is in the file with index `file`.
    pub fn new(file: usize, spanned: &'a Spanned<DeValue<'a>>) -> Self {
        let content = match spanned.get_ref() {
            DeValue::Table(table) => Content::Table(entries(file, table)),
            DeValue::Array(list) => Content::List(list.iter().map(|item| Self::new(file, item)).collect()),
            scalar => Content::Scalar(scalar),
        };
        Self { at: At::File { file, offset: spanned.span().start }, content }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&'a str> {
        match self.content {
            Content::Scalar(DeValue::String(text)) => Some(text),
            Content::Untyped(text) => Some(text),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub fn table(&self) -> Option<&Table<'a>> {
        match &self.content {
            Content::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Untyped(_) | Content::Scalar(DeValue::String(_)) => "a string",
            Content::Scalar(DeValue::Integer(_)) => "an integer",
            Content::Scalar(DeValue::Float(_)) => "a float",
            Content::Scalar(DeValue::Boolean(_)) => "a boolean",
            Content::Scalar(DeValue::Datetime(_)) => "a date",
            Content::List(_) | Content::Scalar(DeValue::Array(_)) => "a list",
            Content::Table(_) | Content::Scalar(DeValue::Table(_)) => "a table",
        }
    }

    /// The place of what `path` leads to, or of the last step of it that exists.
    pub fn place_of(&self, path: &[String]) -> At {
        let Some((step, rest)) = path.split_first() else { return self.at };
        match &self.content {
            Content::Table(table) => match table.get(step.as_str()) {
                Some(entry) if rest.is_empty() && entry.node.table().is_none() => entry.at,
                Some(entry) => entry.node.place_of(rest),
                None => self.at,
            },
            Content::List(list) => match step.parse().ok().and_then(|index: usize| list.get(index)) {
                Some(item) => item.place_of(rest),
                None => self.at,
            },
            _ => self.at,
        }
    }

    /// The same as a plain value of TOML; `None` for numbers that TOML's own types cannot hold.
    pub fn to_toml(&self) -> Option<toml::Value> {
        match &self.content {
            Content::Scalar(scalar) => scalar_to_toml(scalar),
            Content::Untyped(text) => Some(toml::Value::String((*text).into())),
            Content::List(list) => list.iter().map(Self::to_toml).collect::<Option<_>>().map(toml::Value::Array),
            Content::Table(table) => {
                let pair = |(key, entry): (&Cow<'_, str>, &Entry<'_>)| Some((key.to_string(), entry.node.to_toml()?));
                table.iter().map(pair).collect::<Option<_>>().map(toml::Value::Table)
            }
        }
    }
}

impl Entry<'_> {
    /// Adds what `other`, of another file, says of the same `key`. Only tables can be added to.
    pub fn merge(&mut self, key: &str, other: Self, problems: &mut Problems<'_>) {
        let (first, second) = (self.at, other.at);
        if let (Content::Table(table), Content::Table(more)) = (&mut self.node.content, other.node.content) {
            return merge_tables(table, more, problems);
        }
        let first = problems.places().find(first);
        problems.add_value(second, key, &format!("set already at {first}; keep one of them"));
    }
}

fn merge_tables<'a>(table: &mut Table<'a>, more: Table<'a>, problems: &mut Problems<'_>) {
    for (key, entry) in more {
        if let Some(existing) = table.get_mut(&key) {
            existing.merge(&key, entry, problems);
        } else {
            table.insert(key, entry);
        }
    }
}

fn entries<'a>(file: usize, table: &'a DeTable<'a>) -> Table<'a> {
    let entry = |(key, value): (&'a Spanned<Cow<'a, str>>, &'a Spanned<DeValue<'a>>)| {
        let at = At::File { file, offset: key.span().start };
        (Cow::Borrowed(&**key.get_ref()), Entry { at, node: Node::new(file, value) })
    };
    table.iter().map(entry).collect()
}

fn scalar_to_toml(scalar: &DeValue<'_>) -> Option<toml::Value> {
    Some(match scalar {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        DeValue::Integer(number) => toml::Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?),
        DeValue::Float(number) => toml::Value::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(flag) => toml::Value::Boolean(*flag),
        DeValue::Datetime(date) => toml::Value::Datetime(*date),
        DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_key_or_as_far_as_it_exists() {
        let text = "[request]\nurl = 1\n[[errors]]\nstatus = 401\n[[errors]]\nstatus = 403\n";
        let document = DeTable::parse(text).unwrap();
        let node = Node { at: At::START, content: Content::Table(entries(0, document.get_ref())) };
        let offset = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            match node.place_of(&path) {
                At::File { offset, .. } => offset,
                At::Variable(_) => usize::MAX,
            }
        };
        assert_eq!(offset(&["request", "url"]), text.find("url").unwrap());
        assert_eq!(offset(&["request", "method"]), 0);
        assert_eq!(offset(&["request", "url", "deeper"]), text.find("1\n").unwrap());
        assert_eq!(offset(&["errors", "1"]), text.rfind("[[").unwrap());
        assert_eq!(offset(&["errors", "1", "status"]), text.rfind("status").unwrap());
        assert_eq!(offset(&["errors", "7"]), text.find("[[").unwrap());
        assert_eq!(offset(&["nothing"]), 0);
    }
}
