//! Reads a preset's table: section by section, so that one mistake does not hide the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::preset::compile::{Compiler, Sees};
use crate::preset::language::{
    AnswerText, ContextText, ErrorText, ExclusiveText, FlagText, ParameterText, RefreshText, RequestText, RuleText,
};
use crate::preset::program::Program;
use crate::preset::{ContextRules, Exclusive, Parameter, ParameterKind, Preset, PresetProblem, parameters};

const SECTIONS: [&str; 9] =
    ["description", "source", "parameters", "context", "request", "answer", "errors", "error", "refresh"];

/// The tables of a preset, each read for itself.
struct Sections {
    parameters: BTreeMap<String, ParameterText>,
    context: ContextText,
    request: Option<RequestText>,
    answer: AnswerText,
    rules: Vec<RuleText>,
    error: ErrorText,
    refresh: RefreshText,
}

pub(crate) fn preset(name: &str, table: &toml::Table) -> Result<Preset, Vec<PresetProblem>> {
    let mut problems = Vec::new();
    let text = |key| table.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let (description, source) = (text("description"), text("source"));
    let sections = Sections::read(table, &mut problems);
    let scheme = sections.answer.scheme.clone();
    let identity = sections.parameters.iter().filter(|(_, parameter)| parameter.identity);
    let identity = identity.map(|(name, _)| name.clone()).collect();
    let (mut declared, required_when) = declare(sections.parameters, &mut problems);
    let context = context(sections.context, &declared, &mut problems);

    let mut compiler = Compiler::new(&declared);
    if let Exclusive::Parameter(flag) = &context.exclusive {
        compiler.used_elsewhere.insert(flag.clone());
    }
    let required_when = required_when.into_iter().map(|(name, source)| {
        let text = compiler.text(&["parameters", &name, "required"], &source, Sees::Parameters);
        (name, text)
    });
    let required_when = required_when.collect();
    let request = sections.request.map(|request| compiler.request(request));
    let answer = compiler.answer(sections.answer);
    let rules = sections.rules.into_iter().enumerate().map(|(index, rule)| compiler.rule(index, rule)).collect();
    let error = compiler.error(sections.error);
    let refresh = compiler.refresh(sections.refresh);

    let Compiler { templates, problems: found, used_in_url, used_elsewhere, .. } = compiler;
    problems.extend(found);
    let Some(request) = request.filter(|_| problems.is_empty()) else { return Err(problems) };
    for (name, parameter) in &mut declared {
        parameter.only_builds_url = used_in_url.contains(name) && !used_elsewhere.contains(name);
    }
    let program = Arc::new(Program { templates, identity, required_when, request, answer, rules, error, refresh });
    let (name, table) = (name.to_owned(), Arc::new(table.clone()));
    Ok(Preset { name, description, source, parameters: declared, context, scheme, program, table })
}

impl PresetProblem {
    pub(crate) fn new(path: &[&str], text: impl Into<String>) -> Self {
        Self { path: path.iter().map(|key| (*key).to_owned()).collect(), text: text.into() }
    }
}

impl Sections {
    fn read(table: &toml::Table, problems: &mut Vec<PresetProblem>) -> Self {
        for (key, value) in table {
            if !SECTIONS.contains(&key.as_str()) {
                problems.push(PresetProblem::new(&[key], format!("unknown key; a preset has {}", SECTIONS.join(", "))));
            } else if matches!(key.as_str(), "description" | "source") && !value.is_str() {
                problems.push(PresetProblem::new(&[key], "must be a text"));
            }
        }
        if !table.contains_key("request") {
            problems.push(PresetProblem::new(&[], "`[request]` is missing"));
        }
        Self {
            parameters: each_parameter(table, problems),
            context: section(table, "context", problems).unwrap_or_default(),
            request: section(table, "request", problems),
            answer: section(table, "answer", problems).unwrap_or_default(),
            rules: section(table, "errors", problems).unwrap_or_default(),
            error: section(table, "error", problems).unwrap_or_default(),
            refresh: section(table, "refresh", problems).unwrap_or_default(),
        }
    }
}

fn each_parameter(table: &toml::Table, problems: &mut Vec<PresetProblem>) -> BTreeMap<String, ParameterText> {
    let Some(parameters) = table.get("parameters") else { return BTreeMap::new() };
    let Some(parameters) = parameters.as_table() else {
        problems.push(PresetProblem::new(&["parameters"], "must be a table"));
        return BTreeMap::new();
    };
    let read = |(name, value): (&String, &toml::Value)| {
        let text = deserialize(value, &["parameters", name], problems)?;
        Some((name.clone(), text))
    };
    parameters.iter().filter_map(read).collect()
}

fn section<T: DeserializeOwned>(table: &toml::Table, key: &str, problems: &mut Vec<PresetProblem>) -> Option<T> {
    deserialize(table.get(key)?, &[key], problems)
}

fn deserialize<T: DeserializeOwned>(
    value: &toml::Value,
    path: &[&str],
    problems: &mut Vec<PresetProblem>,
) -> Option<T> {
    value.clone().try_into().map_err(|error: toml::de::Error| problems.push(located(path, &error))).ok()
}

/// The problem that serde found below `path`. Only its text knows the keys that lead further down.
fn located(path: &[&str], error: &toml::de::Error) -> PresetProblem {
    let told = error.to_string();
    let below = told.trim_end().rsplit_once("\nin `").and_then(|(_, keys)| keys.strip_suffix('`')).unwrap_or_default();
    let below = below.split('.').filter(|key| !key.is_empty());
    PresetProblem::new(&path.iter().copied().chain(below).collect::<Vec<_>>(), error.message())
}

type Declared = (BTreeMap<String, Parameter>, Vec<(String, String)>);

/// The parameters, and the templates of those that are required under a condition.
fn declare(texts: BTreeMap<String, ParameterText>, problems: &mut Vec<PresetProblem>) -> Declared {
    let mut declared = BTreeMap::new();
    let mut conditions = Vec::new();
    for (name, text) in texts {
        if let FlagText::Template(source) = &text.required {
            conditions.push((name.clone(), source.clone()));
        }
        let parameter = parameters::declare(&name, text, problems);
        declared.insert(name, parameter);
    }
    (declared, conditions)
}

fn context(
    text: ContextText,
    declared: &BTreeMap<String, Parameter>,
    problems: &mut Vec<PresetProblem>,
) -> ContextRules {
    let exclusive = match text.exclusive {
        ExclusiveText::Fixed(true) => Exclusive::Always,
        ExclusiveText::Fixed(false) => Exclusive::Never,
        ExclusiveText::Parameter { parameter } => Exclusive::Parameter(parameter),
    };
    if let Exclusive::Parameter(name) = &exclusive
        && declared.get(name).is_none_or(|parameter| parameter.kind != ParameterKind::Flag)
    {
        problems
            .push(PresetProblem::new(&["context", "exclusive"], format!("`{name}` is no parameter of kind \"flag\"")));
    }
    if !text.scopes.is_empty() {
        let known = |scope: &&String| text.scopes.contains(scope);
        for scope in text.requires.iter().flat_map(|(scope, other)| [scope, other]).filter(|scope| !known(scope)) {
            problems.push(PresetProblem::new(&["context", "requires"], format!("`{scope}` is not among `scopes`")));
        }
    }
    ContextRules {
        exclusive,
        values: text.values,
        scopes: text.scopes,
        requires: text.requires,
        scopes_required: text.scopes_required,
        rule: text.rule,
    }
}
