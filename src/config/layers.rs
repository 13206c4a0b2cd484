//! Built-in defaults < files < environment. figment decides which layer wins for every key; the
//! name in the winner's metadata leads back to the value and its place. The values themselves stay
//! where they are: no secret is copied.

use figment::value::{Dict, Empty, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use crate::config::node::{Content, Entry, Node, Table};
use crate::config::place::At;

/// One layer of a table.
struct Layer<'t, 'a> {
    name: &'static str,
    table: &'t Table<'a>,
}

impl Provider for Layer<'_, '_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(shape(self.table)))
    }
}

fn shape(table: &Table<'_>) -> Dict {
    let shape_of = |node: &Node<'_>| node.table().map_or(Value::from(Empty::Unit), |table| Value::from(shape(table)));
    table.iter().map(|(key, entry)| (key.to_string(), shape_of(&entry.node))).collect()
}

/// The table in which the value of every key comes from the highest layer that sets it.
pub fn stack<'a>(defaults: &Table<'a>, files: &Table<'a>, environment: &Table<'a>) -> Table<'a> {
    let layers = [("built-in defaults", defaults), ("files", files), ("environment", environment)];
    let add = |figment: Figment, (name, table)| figment.merge(Layer { name, table });
    let figment = layers.into_iter().fold(Figment::new(), add);
    let merged = figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default();
    pick(&figment, &merged, &layers.map(|(name, table)| (name, Some(table))))
}

type Level<'t, 'a> = [(&'static str, Option<&'t Table<'a>>); 3];

fn pick<'a>(figment: &Figment, merged: &Dict, level: &Level<'_, 'a>) -> Table<'a> {
    let entry = |(key, value): (&String, &Value)| {
        let picked = match value.as_dict() {
            Some(inner) => pick_table(figment, key, inner, level)?,
            None => pick_value(figment, key, value, level)?,
        };
        Some((key.clone().into(), picked))
    };
    merged.iter().filter_map(entry).collect()
}

fn pick_value<'a>(figment: &Figment, key: &str, value: &Value, level: &Level<'_, 'a>) -> Option<Entry<'a>> {
    let winner = figment.get_metadata(value.tag())?;
    let (_, table) = level.iter().find(|(name, _)| *name == winner.name)?;
    table.as_ref()?.get(key).cloned()
}

/// A table's place is its header in the files, else the variable that made it.
fn pick_table<'a>(figment: &Figment, key: &str, merged: &Dict, level: &Level<'_, 'a>) -> Option<Entry<'a>> {
    let (at, header) = level.iter().find_map(|(_, table)| {
        let entry = table.as_ref()?.get(key)?;
        entry.node.table().map(|_| (entry.at, entry.node.at))
    })?;
    let inner = level.map(|(name, table)| (name, table.and_then(|table| table.get(key)?.node.table())));
    Some(Entry { at, node: Node { at: header, content: Content::Table(pick(figment, merged, &inner)) } })
}

/// A layer of defaults, read as the types of their keys.
pub fn defaults(pairs: &[(&'static str, &'static str)]) -> Table<'static> {
    let entry = |text| Entry { at: At::START, node: Node { at: At::START, content: Content::Untyped(text) } };
    pairs.iter().map(|(key, text)| ((*key).into(), entry(*text))).collect()
}
