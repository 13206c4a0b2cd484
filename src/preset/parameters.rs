//! The parameters of a preset: their declarations checked, and values held against them.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::Value;

use crate::preset::language::{FlagText, ParameterText};
use crate::preset::template::{Templates, Variables};
use crate::preset::{Parameter, ParameterKind, PresetProblem, variables};

/// Keys that every provider table has, whatever its preset.
const OF_EVERY_PROVIDER: [&str; 9] =
    ["preset", "token_url", "timeout", "tls", "rate", "budget", "proxy", "persist", "ttl"];

/// The one variable of `default`.
const VERSION: &str = "tokend_version";

/// What `text`, the declaration of `name`, says; its problems go to `problems`.
pub(crate) fn declare(name: &str, text: ParameterText, problems: &mut Vec<PresetProblem>) -> Parameter {
    let mut problem = |key: &[&str], text: String| {
        let path: Vec<&str> = ["parameters", name].iter().chain(key).copied().collect();
        problems.push(PresetProblem::new(&path, text));
    };
    if let Some(wrong) = misnamed(name) {
        problem(&[], wrong);
    }
    if text.secret && (text.kind != ParameterKind::Text || text.default.is_some() || text.identity) {
        problem(&[], "a secret is a text without `default` and `identity`".into());
    }
    if let Some(Err(error)) = text.pattern.as_deref().map(Regex::new) {
        problem(&["pattern"], format!("not a regular expression: {error}"));
    }
    let mut parameter = Parameter {
        description: text.description,
        required: matches!(text.required, FlagText::Fixed(true)),
        secret: text.secret,
        kind: text.kind,
        pattern: text.pattern,
        max_length: text.max_length,
        choices: text.choices,
        default: None,
        only_builds_url: false,
    };
    match text.default.map(|default| parameter.read_default(default)) {
        Some(Ok(default)) => parameter.default = Some(default),
        Some(Err(wrong)) => problem(&["default"], wrong),
        None => {}
    }
    parameter
}

fn misnamed(name: &str) -> Option<String> {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return Some(format!("{name:?} is not the name of a parameter; write it like \"client_id\""));
    }
    let taken = OF_EVERY_PROVIDER.contains(&name) || variables::OF_A_REQUEST.contains(&name) || name == VERSION;
    taken.then(|| format!("`{name}` has a meaning of its own; give the parameter another name"))
}

impl Parameter {
    /// What is wrong with `value`, held against choices, pattern and length. Never quotes it.
    #[must_use]
    pub fn fault(&self, value: &str) -> Option<String> {
        if !self.choices.is_empty() && !self.choices.iter().any(|choice| choice == value) {
            return Some(format!("must be one of {}", self.choices.join(", ")));
        }
        if let Some(longest) = self.max_length.filter(|&longest| value.chars().count() > longest) {
            return Some(format!("is longer than {longest} characters"));
        }
        let pattern = self.pattern.as_deref()?;
        let whole = Regex::new(&format!("^(?:{pattern})$")).ok()?;
        (!whole.is_match(value)).then(|| format!("must match {pattern}"))
    }

    fn read_default(&self, default: Value) -> Result<Value, String> {
        match (self.kind, default) {
            (ParameterKind::Text, Value::String(source)) => {
                let text = with_version(&source)?;
                self.fault(&text).map_or(Ok(Value::String(text)), Err)
            }
            (ParameterKind::List, one @ Value::String(_)) => Ok(Value::Array(vec![one])),
            (ParameterKind::List, Value::Array(list)) if list.iter().all(Value::is_string) => Ok(Value::Array(list)),
            (ParameterKind::Table, Value::Object(table)) if table.values().all(Value::is_string) => {
                Ok(Value::Object(table))
            }
            (ParameterKind::Flag, flag @ Value::Bool(_)) => Ok(flag),
            (kind, _) => Err(format!("does not fit the kind {kind:?}").to_lowercase()),
        }
    }
}

fn with_version(source: &str) -> Result<String, String> {
    let mut templates = Templates::new();
    let (text, _) = templates.compile("default", source)?;
    let variables: Variables = BTreeMap::from([(VERSION.to_owned(), env!("CARGO_PKG_VERSION").into())]);
    templates.render(&text, &variables)
}
