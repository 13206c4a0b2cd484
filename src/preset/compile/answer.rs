//! `[answer]`, `[[errors]]` and `[error]`: where an answer carries what, and what it means.

use std::collections::BTreeMap;

use crate::preset::compile::Compiler;
use crate::preset::language::{AnswerText, ClassText, ConditionText, ErrorText, OneOrMany, RuleText};
use crate::preset::program::{AnswerPlan, Condition, ErrorPlan, Rule, Test};

impl Compiler<'_> {
    pub(crate) fn answer(&mut self, written: AnswerText) -> AnswerPlan {
        for name in &written.export_parameters {
            match self.parameters.get(name) {
                Some(parameter) if !parameter.secret => {}
                Some(_) => self.problem(&["answer", "export_parameters"], format!("`{name}` is a secret")),
                None => self
                    .problem(&["answer", "export_parameters"], format!("`{name}` is not a parameter of this preset")),
            }
        }
        self.used_elsewhere.extend(written.export_parameters.iter().cloned());
        let mut pointer = |key, pointer| self.pointer(&["answer", key], pointer);
        AnswerPlan {
            access_token: pointer("access_token", written.access_token),
            token_type: pointer("token_type", written.token_type),
            scope: pointer("scope", written.scope),
            expires_in: pointer("expires_in", written.expires_in),
            expires_in_unit: written.expires_in_unit,
            expires_at: written.expires_at.map(|at| pointer("expires_at", at)),
            export: self.exports(written.export),
            export_parameters: written.export_parameters,
            success: self.success(written.success),
        }
    }

    fn exports(&mut self, written: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let checked = |(name, pointer): (String, String)| {
            let pointer = self.pointer(&["answer", "export", &name], pointer);
            (name, pointer)
        };
        written.into_iter().map(checked).collect()
    }

    fn success(&mut self, written: Vec<ConditionText>) -> Vec<Condition> {
        let mut checked = Vec::new();
        for (index, written) in written.into_iter().enumerate() {
            let index = index.to_string();
            let path = ["answer", "success", index.as_str()];
            let test = match (written.equals, written.absent) {
                (Some(value), false) => Test::Equals(value),
                (None, true) => Test::Absent,
                (None, false) => Test::Present,
                (Some(_), true) => {
                    self.problem(&path, "`equals` and `absent` exclude each other");
                    continue;
                }
            };
            checked.push(Condition { pointer: self.pointer(&path, written.pointer), test });
        }
        checked
    }

    pub(crate) fn rule(&mut self, index: usize, written: RuleText) -> Rule {
        let index = index.to_string();
        let path = ["errors", index.as_str()];
        if written.status.is_none() && written.pointer.is_none() {
            self.problem(&path, "`status` or `pointer` is missing: this would hold of every answer");
        }
        if written.credentials == Some(true) && written.class == Some(ClassText::Busy) {
            self.problem(&path, "refused credentials are not `busy`");
        }
        let condition = self.condition(&path, written.pointer, written.equals, written.pattern.as_deref());
        let status = written.status.map(OneOrMany::into_vec).unwrap_or_default();
        Rule { status, condition, class: written.class, credentials: written.credentials }
    }

    fn condition(
        &mut self,
        path: &[&str],
        pointer: Option<String>,
        equals: Option<serde_json::Value>,
        pattern: Option<&str>,
    ) -> Option<Condition> {
        let test = match (equals, pattern) {
            (Some(value), None) => Test::Equals(value),
            (None, Some(pattern)) => Test::Matches(self.pattern(path, pattern)?),
            (None, None) => Test::Present,
            (Some(_), Some(_)) => {
                self.problem(path, "`equals` and `pattern` exclude each other");
                return None;
            }
        };
        if pointer.is_none() && !matches!(test, Test::Present) {
            self.problem(path, "`pointer` is missing");
        }
        Some(Condition { pointer: self.pointer(path, pointer?), test })
    }

    pub(crate) fn error(&mut self, written: ErrorText) -> ErrorPlan {
        let mut pointers =
            |key, list: Vec<String>| list.into_iter().map(|one| self.pointer(&["error", key], one)).collect();
        ErrorPlan {
            code: pointers("code", written.code.into_vec()),
            description: pointers("description", written.description.into_vec()),
        }
    }
}
