//! The operator's own form of a token's file: a template over the fields of the `json` document.
//! Compiled once to check it and again for every delivery, which is rare: nothing of it is kept.
//!
//! There is little to call on purpose: no includes, no globals, fuel, and a longest result.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, filters, tests};
use serde::Serialize;
use zeroize::Zeroizing;

/// Instructions that one rendering may take; the shipped examples need below a hundred.
const FUEL: u64 = 100_000;
/// The longest result, in bytes.
const LONGEST: usize = 1 << 20;
/// Under this name errors would speak of the template.
const NAME: &str = "template";
/// Fields that hold others, by names that only the provider knows.
const OPEN: &str = "extra";

/// What is wrong with a template. Never quotes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line in the template, from 1; `None` where it is not known.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub text: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line} of the template: {}", self.text),
            None => write!(f, "the template: {}", self.text),
        }
    }
}

/// Checks `source` before there is a token: its syntax, the names of its filters, and that it uses
/// none but `fields` and, of `extra`, none but `exported`.
///
/// Errors: the first fault.
pub fn check(source: &str, fields: &[&str], exported: &[&str]) -> Result<(), Fault> {
    check_names(source, fields, Some(exported))
}

/// The same where nobody knows what `extra` will hold.
///
/// Errors: the first fault.
pub fn check_open(source: &str, fields: &[&str]) -> Result<(), Fault> {
    check_names(source, fields, None)
}

fn check_names(source: &str, fields: &[&str], exported: Option<&[&str]>) -> Result<(), Fault> {
    let environment = environment();
    let template = environment.template_from_named_str(NAME, source).map_err(|error| syntax(&error))?;
    if source.trim().is_empty() {
        return Err(Fault { line: None, text: "it is empty".into() });
    }
    for used in template.undeclared_variables(true) {
        let mut steps = used.split('.');
        let (field, inner) = (steps.next().unwrap_or_default(), steps.next());
        let known = match (field, inner) {
            (OPEN, Some(inner)) => exported.is_none_or(|exported| exported.contains(&inner)),
            (field, _) => fields.contains(&field),
        };
        if !known {
            let line = source.lines().position(|line| line.contains(field) && line.contains('{')).map(|n| n + 1);
            return Err(Fault { line, text: unknown(&used, fields, exported.unwrap_or_default()) });
        }
    }
    unknown_call(template.render(sample(fields, exported.unwrap_or_default())).err())
}

/// Only rendering shows calls of what does not exist; what else is wrong with the sample tells nothing.
fn unknown_call(error: Option<Error>) -> Result<(), Fault> {
    let unknown = |kind| {
        matches!(
            kind,
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction | ErrorKind::UnknownMethod
        )
    };
    match error {
        Some(error) if unknown(error.kind()) => Err(syntax(&error)),
        _ => Ok(()),
    }
}

fn sample(fields: &[&str], exported: &[&str]) -> BTreeMap<String, Value> {
    let texts = |names: &[&str]| -> BTreeMap<String, Value> {
        names.iter().map(|name| ((*name).to_owned(), Value::from("1"))).collect()
    };
    let mut sample = texts(fields);
    sample.insert(OPEN.to_owned(), Value::from(Serde(texts(exported))));
    sample
}

/// What a token's file holds by `source`, given the fields of `document`.
///
/// Errors: the fault, and never a value.
pub fn render(source: &str, document: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let environment = environment();
    let template = environment.template_from_named_str(NAME, source).map_err(|error| syntax(&error))?;
    // Room from the beginning: a buffer that grew would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(LONGEST.min(source.len() * 4 + (128 << 10))));
    template
        .render_captured_to(Value::from(Serde(document)), &mut *content)
        .map_err(|error| Fault { line: error.line(), text: error.kind().to_string() })?;
    match content.len() {
        0 => Err(Fault { line: None, text: "it makes nothing of this access token".into() }),
        1..=LONGEST => Ok(content),
        _ => Err(Fault { line: None, text: "what it makes is longer than 1 MiB".into() }),
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(FUEL));
    environment.add_filter("lower", filters::lower);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("replace", filters::replace);
    environment.add_filter("join", filters::join);
    environment.add_filter("split", filters::split);
    environment.add_filter("default", filters::default);
    environment.add_filter("tojson", json);
    environment.add_test("defined", tests::is_defined);
    environment
}

/// A string as JSON and YAML both read it; other values as JSON.
fn json(value: &Value) -> Result<Value, Error> {
    let text = serde_json::to_string(value);
    text.map(Value::from).map_err(|_| Error::new(ErrorKind::BadSerialization, "not for JSON"))
}

/// What is written in the template may be quoted, values are not: there are none when it is compiled.
fn syntax(error: &Error) -> Fault {
    let text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Fault { line: error.line(), text }
}

fn unknown(used: &str, fields: &[&str], exported: &[&str]) -> String {
    if used.starts_with("extra.") {
        let remedy = match exported {
            [] => "the preset exports nothing".to_owned(),
            known => format!("the preset exports {}", known.join(", ")),
        };
        return format!("there is no {used}; {remedy}");
    }
    let field = used.split('.').next().unwrap_or(used);
    let near =
        fields.iter().copied().max_by(|a, b| strsim::jaro_winkler(field, a).total_cmp(&strsim::jaro_winkler(field, b)));
    match near.filter(|near| strsim::jaro_winkler(field, near) > 0.8) {
        Some(near) => format!("there is no field {field}; did you mean {near}?"),
        None => format!("there is no field {field}; there are {}", fields.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod cases {
    use super::*;

    const FIELDS: [&str; 3] = ["access_token", "generation", "extra"];

    fn told(source: &str) -> String {
        check(source, &FIELDS, &["merchant"]).unwrap_err().to_string()
    }

    fn rendered(source: &str) -> Result<String, String> {
        let document = BTreeMap::from([("access_token", "hunter2\"'\\")]);
        let content = render(source, &document).map_err(|fault| fault.to_string())?;
        Ok(String::from_utf8(content.to_vec()).unwrap())
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_before_there_is_a_token() {
        assert!(told("one\n{{ access_token").starts_with("line 2 of the template: "));
        assert!(told("{{ access_token | nothing }}").contains("nothing"));
        assert!(told("{% include 'other' %}").starts_with("line 1 of the template: "));
        assert_eq!(
            told("a\n{{ acces_token }}"),
            "line 2 of the template: there is no field acces_token; did you mean access_token?"
        );
        assert_eq!(
            told("{{ extra.shop }}"),
            "line 1 of the template: there is no extra.shop; the preset exports merchant"
        );
        assert_eq!(told(" \n"), "the template: it is empty");
    }

    #[test]
    fn a_template_of_known_fields_is_right() {
        check("{{ access_token | tojson }} {{ extra.merchant }} {{ generation + 1 }}", &FIELDS, &["merchant"]).unwrap();
        check("{% for key in extra %}{{ key }}{% endfor %}", &FIELDS, &[]).unwrap();
    }

    #[test]
    fn values_stand_as_they_are_or_as_json_strings() {
        assert_eq!(rendered("token={{ access_token }}\n").unwrap(), "token=hunter2\"'\\\n");
        assert_eq!(rendered("{{ access_token | tojson }}").unwrap(), r#""hunter2\"'\\""#);
    }

    #[test]
    fn a_failure_names_the_line_and_no_value() {
        for source in ["\n{{ access_token * 'x' }}", "\n{{ nothing }}", "\n{{ access_token.nothing.more }}"] {
            let told = rendered(source).unwrap_err();
            assert!(told.starts_with("line 2 of the template: ") && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_template_makes_something_and_not_without_end() {
        assert!(rendered("{% if false %}x{% endif %}").unwrap_err().contains("nothing"));
        let eights = "{% for a in '12345678' %}".repeat(8) + "x" + &"{% endfor %}".repeat(8);
        assert!(rendered(&eights).unwrap_err().contains("fuel"));
    }
}
