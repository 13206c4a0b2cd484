//! From the tables of a preset as written to the program that runs: every template compiled, every
//! pointer and pattern checked, every problem kept with the keys that lead to it.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;

use crate::preset::template::{Templates, Text, Variables};
use crate::preset::{Parameter, PresetProblem, variables};

mod answer;
mod refresh;
mod request;

/// Which variables a template may use.
#[derive(Clone, Copy)]
pub(crate) enum Sees {
    /// Parameters that are not secret, and what it uses only builds the URL.
    Url,
    /// Parameters that are not secret.
    Parameters,
    /// Parameters, secrets, scopes and context.
    Everything,
}

/// Compiles one preset and gathers its problems.
pub(crate) struct Compiler<'a> {
    parameters: &'a BTreeMap<String, Parameter>,
    sample: Variables,
    pub(crate) templates: Templates,
    pub(crate) problems: Vec<PresetProblem>,
    pub(crate) used_in_url: BTreeSet<String>,
    pub(crate) used_elsewhere: BTreeSet<String>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(parameters: &'a BTreeMap<String, Parameter>) -> Self {
        Self {
            parameters,
            sample: variables::sample(parameters),
            templates: Templates::new(),
            problems: Vec::new(),
            used_in_url: BTreeSet::new(),
            used_elsewhere: BTreeSet::new(),
        }
    }

    pub(crate) fn problem(&mut self, path: &[&str], text: impl Into<String>) {
        self.problems.push(PresetProblem::new(path, text));
    }

    pub(crate) fn text(&mut self, path: &[&str], source: &str, sees: Sees) -> Text {
        let (text, used) = match self.templates.compile(&path.join("."), source) {
            Ok(compiled) => compiled,
            Err(wrong) => {
                self.problem(path, wrong);
                return Text::Fixed(String::new());
            }
        };
        for name in &used {
            self.check_variable(path, name, sees);
        }
        if let Some(wrong) = self.templates.unknown_call(&text, &self.sample) {
            self.problem(path, wrong);
        }
        match sees {
            Sees::Url => self.used_in_url.extend(used),
            Sees::Parameters | Sees::Everything => self.used_elsewhere.extend(used),
        }
        text
    }

    fn check_variable(&mut self, path: &[&str], name: &str, sees: Sees) {
        let everything = matches!(sees, Sees::Everything);
        match self.parameters.get(name) {
            Some(parameter) if parameter.secret && !everything => {
                self.problem(path, format!("the secret `{name}` cannot be used here (a query can carry it)"));
            }
            Some(_) => {}
            None if everything && variables::OF_A_REQUEST.contains(&name) => {}
            None => self.problem(path, format!("`{name}` is not a parameter of this preset")),
        }
    }

    fn pointer(&mut self, path: &[&str], pointer: String) -> String {
        let escapes_right = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !(pointer.is_empty() || pointer.starts_with('/')) || !escapes_right {
            self.problem(path, format!("{pointer:?} is not a JSON pointer; write it like \"/data/token\""));
        }
        pointer
    }

    pub(crate) fn pattern(&mut self, path: &[&str], pattern: &str) -> Option<Regex> {
        Regex::new(pattern).map_err(|error| self.problem(path, format!("not a regular expression: {error}"))).ok()
    }
}
