//! The parameters that a preset asks of a provider table.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::Value;

use crate::config::node::{Content, Node};
use crate::config::problems::{Problems, one_of, shown};
use crate::config::read::{Section, expected, flag, strings, text};
use crate::config::secret_source::list;
use crate::preset::{Asking, Parameter, ParameterKind, Parameters, Preset};
use crate::secret::Secret;
use crate::settings::SecretSource;

/// The values of a provider's parameters.
#[derive(Default)]
pub struct Values {
    /// Those that are not secret, defaults filled in.
    pub plain: Parameters,
    /// Where the secret ones come from.
    pub secrets: BTreeMap<String, Vec<SecretSource>>,
}

/// Reads what `preset` asks for from a provider's table, but for the keys in `common`, which mean
/// the same for every preset.
pub fn read(preset: &Preset, section: Section<'_, '_>, common: &[&str], problems: &mut Problems<'_>) -> Values {
    let mut values = Values::default();
    let asked = || preset.parameters.iter().filter(|(key, _)| !common.contains(&key.as_str()));
    for (key, parameter) in asked() {
        match section.node(key) {
            Some(node) if parameter.secret => {
                let sources = list(node, key, &|text| fits(text, parameter), problems);
                values.secrets.insert(key.clone(), sources);
            }
            Some(node) => values.plain.extend(plain(node, key, parameter, problems).map(|value| (key.clone(), value))),
            None => values.plain.extend(parameter.default.clone().map(|default| (key.clone(), default))),
        }
    }
    let has_url = section.node("token_url").is_some();
    for (key, parameter) in asked().filter(|(key, _)| section.node(key).is_none() && !values.plain.contains_key(*key)) {
        if preset.is_required(key, &values.plain) && !(parameter.only_builds_url && has_url) {
            problems.add_missing(section.at, missing(preset, key, parameter));
        }
    }
    check_doubled(preset, &values, section, problems);
    values
}

/// A table whose entries are fields of the request must not bring one that is sent already.
fn check_doubled(preset: &Preset, values: &Values, section: Section<'_, '_>, problems: &mut Problems<'_>) {
    let tables = || values.plain.iter().filter(|(_, value)| value.as_object().is_some_and(|table| !table.is_empty()));
    if tables().next().is_none() {
        return;
    }
    let secrets = values.secrets.keys().map(|name| (name.clone(), Secret::new("secret".into()))).collect();
    let asking = Asking {
        token_url: "https://as.example/token",
        parameters: &values.plain,
        secrets: &secrets,
        others: &[],
        scopes: &[],
        context: None,
        ttl: None,
    };
    let Err(wrong) = preset.request(&asking) else { return };
    for (key, _) in tables().filter(|(key, _)| wrong.starts_with(&format!("{key}."))) {
        problems.add(section.at_key(key), wrong.clone());
    }
}

fn missing(preset: &Preset, key: &str, parameter: &Parameter) -> String {
    let about = match parameter.description.as_str() {
        "" => String::new(),
        description => format!(" ({description})"),
    };
    let example = if parameter.secret {
        format!("; write {key} = {{ file = \"/path\" }} or {{ credential = \"name\" }}")
    } else {
        String::new()
    };
    format!("preset {:?} needs {key}{about}{example}", preset.name)
}

fn plain(node: &Node<'_>, key: &str, parameter: &Parameter, problems: &mut Problems<'_>) -> Option<Value> {
    let value = match parameter.kind {
        ParameterKind::Text => one(node, parameter).map(Value::from),
        ParameterKind::Flag => flag(node).map(Value::from),
        ParameterKind::List => return items(node, key, parameter, problems),
        ParameterKind::Table => return table(node, key, parameter, problems),
    };
    value.map_err(|wrong| problems.add_value(node.at, key, &wrong)).ok()
}

fn one<'a>(node: &Node<'a>, parameter: &Parameter) -> Result<&'a str, String> {
    let text = text(node)?;
    fits(text, parameter).map(|()| text)
}

/// A string or a list of strings, as a list. In a variable there are spaces between the items.
fn items(node: &Node<'_>, key: &str, parameter: &Parameter, problems: &mut Problems<'_>) -> Option<Value> {
    let before = problems.count();
    let items = match node.content {
        Content::List(_) | Content::Untyped(_) => strings(node, key, problems),
        _ if node.text().is_none() => {
            problems.add_value(node.at, key, &expected("a string or a list of strings", node));
            return None;
        }
        _ => text(node)
            .map_err(|wrong| problems.add_value(node.at, key, &wrong))
            .map(|text| (node.at, text))
            .ok()
            .into_iter()
            .collect(),
    };
    for (at, item) in &items {
        fits(item, parameter).unwrap_or_else(|wrong| problems.add_value(*at, key, &wrong));
    }
    let values = items.into_iter().map(|(_, item)| Value::from(item)).collect();
    (problems.count() == before).then_some(Value::Array(values))
}

fn table(node: &Node<'_>, key: &str, parameter: &Parameter, problems: &mut Problems<'_>) -> Option<Value> {
    let section = Section::of(node, key, problems)?;
    let mut object = serde_json::Map::new();
    for (inner, entry) in section.table {
        match one(&entry.node, parameter) {
            Ok(text) => drop(object.insert(inner.to_string(), Value::from(text))),
            Err(wrong) => problems.add_value(entry.node.at, inner, &wrong),
        }
    }
    Some(Value::Object(object))
}

/// Whether `text` is what the preset accepts. Only one of several words is quoted: the others may
/// be secrets, also where the preset did not expect one.
fn fits(text: &str, parameter: &Parameter) -> Result<(), String> {
    if !parameter.choices.is_empty() && !parameter.choices.iter().any(|choice| choice == text) {
        let choices = parameter.choices.iter().map(String::as_str);
        let word = if parameter.secret { "it".into() } else { shown(text) };
        return Err(format!("{word} is not accepted here; {}", one_of(text, choices)));
    }
    if let Some(longest) = parameter.max_length.filter(|longest| text.chars().count() > *longest) {
        return Err(format!("it is longer than {longest} characters"));
    }
    let Some(pattern) = &parameter.pattern else { return Ok(()) };
    match Regex::new(&format!("^(?:{pattern})$")) {
        Ok(regex) if regex.is_match(text) => Ok(()),
        Ok(_) => Err(format!("it does not match {pattern}")),
        Err(_) => Err(format!("the preset's pattern {pattern} is not a regular expression")),
    }
}
