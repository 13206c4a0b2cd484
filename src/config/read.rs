//! One value each: from a node to its type, or to what is wrong with it in words. A value of the
//! wrong type is never quoted: it may be a secret in the wrong place.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use crate::config::keys::Keys;
use crate::config::node::{Content, Node, Table};
use crate::config::place::At;
use crate::config::problems::{Problems, one_of, shown};
use crate::settings::{Budget, Rate};
use crate::time::parse_duration;

/// A table being read.
#[derive(Clone, Copy)]
pub struct Section<'s, 'a> {
    /// Its header.
    pub at: At,
    /// Its entries.
    pub table: &'s Table<'a>,
}

impl<'s, 'a> Section<'s, 'a> {
    /// The table that `node` is; anything else is a problem with the value of `key`.
    pub fn of(node: &'s Node<'a>, key: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let section = node.table().map(|table| Self { at: node.at, table });
        if section.is_none() {
            problems.add_value(node.at, key, &expected("a table", node));
        }
        section
    }

    /// The value of `key`.
    pub fn node(&self, key: &str) -> Option<&'s Node<'a>> {
        self.table.get(key).map(|entry| &entry.node)
    }

    /// Where `key` stands, else the header.
    pub fn at_key(&self, key: &str) -> At {
        self.table.get(key).map_or(self.at, |entry| entry.at)
    }

    /// The value of `key`, read by `reader`. What is wrong with it is a problem.
    pub fn read<T>(
        &self,
        key: &str,
        problems: &mut Problems<'_>,
        reader: impl FnOnce(&'s Node<'a>) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.node(key)?;
        reader(node).map_err(|text| problems.add_value(node.at, key, &text)).ok()
    }
}

/// What to say of a value of the wrong type.
pub fn expected(what: &str, node: &Node<'_>) -> String {
    format!("expected {what}, found {}", node.kind())
}

/// A text without control characters that is not empty.
pub fn text<'a>(node: &Node<'a>) -> Result<&'a str, String> {
    let text = node.text().ok_or_else(|| expected("a string in quotes", node))?;
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.contains(char::is_control) {
        return Err("it holds a control character".into());
    }
    Ok(text)
}

/// `true` or `false`.
pub fn flag(node: &Node<'_>) -> Result<bool, String> {
    match node.content {
        Content::Scalar(DeValue::Boolean(flag)) => Ok(*flag),
        Content::Untyped("true") => Ok(true),
        Content::Untyped("false") => Ok(false),
        Content::Untyped(_) => Err("expected true or false".into()),
        _ => Err(expected("true or false", node)),
    }
}

/// A number of at least 1.
pub fn count(node: &Node<'_>) -> Result<u32, String> {
    let number = match node.content {
        Content::Scalar(DeValue::Integer(number)) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
        Content::Untyped(text) => text.parse().ok(),
        _ => return Err(expected("a whole number", node)),
    };
    number.filter(|number| *number > 0).ok_or_else(|| "expected a whole number of at least 1".into())
}

/// `"1h30m"`.
pub fn duration(node: &Node<'_>) -> Result<Duration, String> {
    let text = node.text().ok_or_else(|| expected("a duration in quotes such as \"90s\"", node))?;
    parse_duration(text)
}

/// A duration that is not zero.
pub fn positive(node: &Node<'_>) -> Result<Duration, String> {
    duration(node).and_then(|span| if span.is_zero() { Err("it must be longer than 0s".into()) } else { Ok(span) })
}

/// An absolute path, in the one form in which it is compared: without `//`, `/./` and `..`.
pub fn path(node: &Node<'_>) -> Result<PathBuf, String> {
    let text = text(node)?;
    // Nearly every path is in that form already, and there may be one for each of ten thousand tokens.
    if text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | ".."))) {
        return Ok(PathBuf::from(text));
    }
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err("the path is not absolute; begin it with /".into());
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("the path contains ..; write it without".into());
    }
    Ok(path.components().collect())
}

/// The path of a file, which does not end in `/`.
pub fn file_path(node: &Node<'_>) -> Result<PathBuf, String> {
    let path = path(node)?;
    match node.text() {
        Some(text) if text.ends_with('/') || text.ends_with("/.") => {
            Err("the path names a directory; name the file".into())
        }
        _ => Ok(path),
    }
}

/// Permission bits: `"0640"`.
pub fn mode(node: &Node<'_>) -> Result<u32, String> {
    let wrong = "a mode is a string of octal digits";
    let text = match node.content {
        Content::Scalar(DeValue::Integer(number)) if number.radix() == 10 && number.as_str().len() == 3 => {
            return Err(format!("{wrong}; write \"0{}\" in quotes", number.as_str()));
        }
        _ => node.text().ok_or_else(|| format!("{wrong}; write it like \"0640\", in quotes"))?,
    };
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if octal && mode <= 0o777 => Ok(mode),
        Ok(_) if octal => Err(format!("{text:?} sets special bits; the highest mode is \"0777\"")),
        _ => Err(format!("{} is not a mode; {wrong} such as \"0640\"", shown(text))),
    }
}

/// One of the words in `choices`.
pub fn choice<T: Copy>(node: &Node<'_>, choices: &[(&str, T)]) -> Result<T, String> {
    let words = || choices.iter().map(|(word, _)| *word);
    let text = node.text().ok_or_else(|| {
        let quoted: Vec<_> = words().map(|word| format!("{word:?}")).collect();
        expected(&quoted.join(" or "), node)
    })?;
    let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    chosen.ok_or_else(|| format!("{} is not accepted here; {}", shown(text), one_of(text, words())))
}

/// `"10/s"`, `"100/m"`, `"1000/h"`.
pub fn rate(node: &Node<'_>) -> Result<Rate, String> {
    let text = node.text().ok_or_else(|| expected("a rate in quotes such as \"10/s\"", node))?;
    let wrong = || format!("{} is not a rate; write it like \"10/s\", \"100/m\" or \"1000/h\"", shown(text));
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let digits = number.bytes().all(|digit| digit.is_ascii_digit());
    let requests = number.parse().ok().filter(|number| digits && *number > 0).ok_or_else(wrong)?;
    Ok(Rate { requests, per: Duration::from_secs(seconds) })
}

pub(super) const BUDGET: Keys<'static> = Keys { table: "budget", accepted: &["issues", "per"] };

/// `{ issues = 3, per = "1h" }`.
pub fn budget(node: &Node<'_>, problems: &mut Problems<'_>) -> Option<Budget> {
    let section = Section::of(node, "budget", problems)?;
    problems.check_keys(section.table, &BUDGET);
    for key in ["issues", "per"] {
        if section.node(key).is_none() {
            problems.add_missing(section.at, format!("a budget needs {key}: {{ issues = 3, per = \"1h\" }}"));
        }
    }
    let issues = section.read("issues", problems, count);
    let per = section.read("per", problems, |node| match positive(node)? {
        per if per > Budget::LONGEST => Err("a budget counts over 31 days at most".to_owned()),
        per => Ok(per),
    });
    Some(Budget { issues: issues?, per: per? })
}

/// The words of a variable: `a b` or `["a", "b"]`; `None`: neither.
fn words(text: &str) -> Option<Vec<&str>> {
    let Some(list) = text.trim().strip_prefix('[') else { return Some(text.split_whitespace().collect()) };
    let list = list.strip_suffix(']')?.trim();
    let list = list.strip_suffix(',').unwrap_or(list);
    match list {
        "" => Some(Vec::new()),
        list => list.split(',').map(|word| unquoted(word.trim())).collect(),
    }
}

fn unquoted(word: &str) -> Option<&str> {
    let inside = ['"', '\''].iter().find_map(|&quote| word.strip_prefix(quote)?.strip_suffix(quote));
    inside.filter(|inside| !inside.contains(['"', '\'', '\\']))
}

/// A list of strings; in a variable words with spaces between them, or a list as in a file. Each comes with
/// its place.
pub fn strings<'a>(node: &Node<'a>, key: &str, problems: &mut Problems<'_>) -> Vec<(At, &'a str)> {
    let items = match &node.content {
        Content::List(items) => items,
        Content::Untyped(text) => {
            let words = words(text).unwrap_or_else(|| {
                problems.add_value(node.at, key, "expected words with spaces between them, or a list [\"a\", \"b\"]");
                Vec::new()
            });
            return words.into_iter().map(|word| (node.at, word)).collect();
        }
        _ => {
            problems.add_value(node.at, key, &expected("a list of strings such as [\"a\", \"b\"]", node));
            return Vec::new();
        }
    };
    let read = |item: &Node<'a>| match text(item) {
        Ok(text) => Some((item.at, text)),
        Err(wrong) => {
            problems.add_value(item.at, key, &wrong);
            None
        }
    };
    items.iter().filter_map(read).collect()
}
