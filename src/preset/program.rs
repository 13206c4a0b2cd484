//! A preset after it was read and checked: what `request`, `answer`, `refusal` and `refresh` run on.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::preset::language::{ClassText, MethodText, UnitText};
use crate::preset::template::{Templates, Text};

/// Everything behind the public face of a preset.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) templates: Templates,
    /// The parameters that make an access token another one.
    pub(crate) identity: Vec<String>,
    /// For parameters that are required under a condition: the template that says so.
    pub(crate) required_when: BTreeMap<String, Text>,
    pub(crate) request: RequestPlan,
    pub(crate) answer: AnswerPlan,
    pub(crate) rules: Vec<Rule>,
    pub(crate) error: ErrorPlan,
    pub(crate) refresh: RefreshPlan,
}

/// What to send.
#[derive(Debug)]
pub(crate) struct RequestPlan {
    pub(crate) method: MethodText,
    pub(crate) url: Option<Text>,
    pub(crate) issuer: Option<Text>,
    pub(crate) headers: Vec<(String, Text)>,
    pub(crate) query: Vec<Field>,
    pub(crate) body: Body,
    pub(crate) client_auth: Option<Text>,
    pub(crate) basic_encoding: Text,
}

#[derive(Debug)]
pub(crate) enum Body {
    None,
    Form(Vec<Field>),
    Json(Json),
    Text(Text),
}

/// Fields of a form or query.
#[derive(Debug)]
pub(crate) enum Field {
    One { name: String, value: Text },
    EachOfList { name: String, parameter: String },
    EachOfTable { parameter: String },
}

/// A JSON document whose strings are texts.
#[derive(Debug)]
pub(crate) enum Json {
    Fixed(serde_json::Value),
    Text(Text),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

/// Where a success carries what. Checked JSON pointers.
#[derive(Debug)]
pub(crate) struct AnswerPlan {
    pub(crate) access_token: String,
    pub(crate) token_type: String,
    pub(crate) scope: String,
    pub(crate) expires_in: String,
    pub(crate) expires_in_unit: UnitText,
    pub(crate) expires_at: Option<String>,
    pub(crate) export: BTreeMap<String, String>,
    pub(crate) export_parameters: Vec<String>,
    pub(crate) success: Vec<Condition>,
}

/// Something that holds of a JSON document, or does not.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) pointer: String,
    pub(crate) test: Test,
}

#[derive(Debug)]
pub(crate) enum Test {
    Present,
    Absent,
    Equals(serde_json::Value),
    Matches(Regex),
}

impl Condition {
    pub(crate) fn holds(&self, document: &serde_json::Value) -> bool {
        let found = document.pointer(&self.pointer);
        match &self.test {
            Test::Present => found.is_some(),
            Test::Absent => found.is_none(),
            Test::Equals(value) => found == Some(value),
            Test::Matches(pattern) => match found {
                Some(serde_json::Value::String(text)) => pattern.is_match(text),
                Some(value) => pattern.is_match(&value.to_string()),
                None => false,
            },
        }
    }
}

/// An answer that means something else than its status says.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Empty: any.
    pub(crate) status: Vec<u16>,
    pub(crate) condition: Option<Condition>,
    pub(crate) class: Option<ClassText>,
    pub(crate) credentials: Option<bool>,
}

/// Where an error carries what; the first pointer that finds something.
#[derive(Debug)]
pub(crate) struct ErrorPlan {
    pub(crate) code: Vec<String>,
    pub(crate) description: Vec<String>,
}

/// Durations and numbers, still as texts.
#[derive(Debug, Default)]
pub(crate) struct RefreshPlan {
    pub(crate) lead: Option<Text>,
    pub(crate) max_lead: Option<Text>,
    pub(crate) ttl: Option<Text>,
    pub(crate) expected_lifetime: Option<Text>,
    pub(crate) budget: Option<(Text, Text)>,
}
