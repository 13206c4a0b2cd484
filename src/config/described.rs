//! Holds a table against its description: every key that it does not have, and every value of another
//! kind, each in its place.

use toml::de::DeValue;

use crate::config::keys::Keys;
use crate::config::node::{Content, Node};
use crate::config::problems::{Problems, one_of, shown};
use crate::config::read::expected;
use crate::reference::{Kind, Table};

/// Reports all that is wrong with the value `node` of `key`, which is to be a table like `described`.
pub fn check(node: &Node<'_>, key: &str, described: &Table, problems: &mut Problems<'_>) {
    let Some(table) = node.table() else {
        return problems.add_value(node.at, key, &expected("a table", node));
    };
    let accepted: Vec<&str> = described.keys.iter().map(|key| key.name).collect();
    problems.check_keys(table, &Keys { table: described.name, accepted: &accepted });
    for (name, entry) in table {
        if let Some(key) = described.keys.iter().find(|key| *key.name == **name) {
            check_value(&entry.node, key.name, key.kind, problems);
        }
    }
}

fn check_value(node: &Node<'_>, key: &str, kind: Kind, problems: &mut Problems<'_>) {
    match (kind, &node.content) {
        (Kind::Table(table), _) => check(node, key, table, problems),
        (Kind::Tables(table), Content::List(list)) => list.iter().for_each(|item| check(item, key, table, problems)),
        (Kind::Named(table), Content::Table(named)) => {
            for (name, entry) in named {
                check(&entry.node, name, table, problems);
            }
        }
        (Kind::TextByName, Content::Table(named)) => {
            for (name, entry) in named {
                check_value(&entry.node, name, Kind::Text, problems);
            }
        }
        (Kind::Choice(words), Content::Scalar(DeValue::String(word))) if !words.contains(&&**word) => {
            let remedy = one_of(word, words.iter().copied());
            problems.add_value(node.at, key, &format!("{} is not accepted here; {remedy}", shown(word)));
        }
        _ if is_of(kind, node) => {}
        _ => problems.add_value(node.at, key, &expected(&kind.in_words(), node)),
    }
}

/// Whether `node` is of this kind, where that shows.
fn is_of(kind: Kind, node: &Node<'_>) -> bool {
    let is_text = node.text().is_some();
    let is_flag = matches!(node.content, Content::Scalar(DeValue::Boolean(_)));
    let is_number = matches!(node.content, Content::Scalar(DeValue::Integer(_)));
    let all = |is: fn(&Node<'_>) -> bool| matches!(&node.content, Content::List(list) if list.iter().all(is));
    match kind {
        Kind::Text | Kind::Choice(_) => is_text,
        Kind::Flag => is_flag,
        Kind::Count | Kind::Number => is_number,
        Kind::Texts => all(|item| item.text().is_some()),
        Kind::TextOrTexts => is_text || all(|item| item.text().is_some()),
        Kind::FlagOrTemplate => is_flag || is_text,
        Kind::NumberOrTemplate => is_number || is_text,
        Kind::NumberOrNumbers => is_number || all(|item| matches!(item.content, Content::Scalar(DeValue::Integer(_)))),
        Kind::FlagOrParameter => is_flag || node.table().is_some(),
        Kind::AnyTable => node.table().is_some(),
        Kind::Tables(_) | Kind::Named(_) | Kind::TextByName => false,
        _ => true,
    }
}
