//! The preset language as it is written: one type per table, nothing checked beyond its shape.
//!
//! Every string of `[request]` and `[refresh]` is a minijinja template over the parameters. Pointers
//! are JSON pointers (RFC 6901).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::preset::ParameterKind;

/// `[parameters.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParameterText {
    #[serde(default)]
    pub(crate) description: String,
    /// `true`, or a template that says `true` when the other parameters make it necessary.
    #[serde(default)]
    pub(crate) required: FlagText,
    #[serde(default)]
    pub(crate) secret: bool,
    #[serde(default)]
    pub(crate) kind: ParameterKind,
    pub(crate) pattern: Option<String>,
    pub(crate) max_length: Option<usize>,
    #[serde(default)]
    pub(crate) choices: Vec<String>,
    /// A string may use `{{ tokend_version }}`.
    pub(crate) default: Option<serde_json::Value>,
    /// Whether another value makes an access token another one.
    #[serde(default)]
    pub(crate) identity: bool,
}

/// `true`, `false` or a template.
#[derive(Deserialize)]
#[serde(untagged, expecting = "true, false or a template")]
pub(crate) enum FlagText {
    Fixed(bool),
    Template(String),
}

impl Default for FlagText {
    fn default() -> Self {
        Self::Fixed(false)
    }
}

/// `[context]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ContextText {
    pub(crate) exclusive: ExclusiveText,
    pub(crate) values: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) requires: BTreeMap<String, String>,
    pub(crate) scopes_required: bool,
    /// What the vendor asks of those who ask for tokens, in one sentence.
    pub(crate) rule: Option<String>,
}

/// `true`, `false`, or the flag parameter that decides.
#[derive(Deserialize)]
#[serde(untagged, expecting = "true, false or { parameter = \"name\" }")]
pub(crate) enum ExclusiveText {
    Fixed(bool),
    Parameter { parameter: String },
}

impl Default for ExclusiveText {
    fn default() -> Self {
        Self::Fixed(false)
    }
}

/// `[request]`. At most one of `form`, `json` and `text` makes the body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestText {
    #[serde(default)]
    pub(crate) method: MethodText,
    pub(crate) url: Option<String>,
    pub(crate) issuer: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) query: Vec<FieldText>,
    pub(crate) form: Option<Vec<FieldText>>,
    pub(crate) json: Option<toml::Table>,
    pub(crate) text: Option<String>,
    pub(crate) client_auth: Option<String>,
    pub(crate) basic_encoding: Option<String>,
}

/// `method`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum MethodText {
    Get,
    #[default]
    Post,
    Put,
}

impl MethodText {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A field of a form or query: `{ name, value }`, `{ name, each = LIST }` (once for each element) or
/// `{ each = TABLE }` (its keys are the names). One whose value comes out empty is not sent.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldText {
    pub(crate) name: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) each: Option<String>,
}

/// `[answer]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AnswerText {
    pub(crate) access_token: String,
    pub(crate) token_type: String,
    pub(crate) scope: String,
    pub(crate) expires_in: String,
    pub(crate) expires_in_unit: UnitText,
    pub(crate) expires_at: Option<String>,
    pub(crate) scheme: String,
    pub(crate) export: BTreeMap<String, String>,
    pub(crate) export_parameters: Vec<String>,
    pub(crate) success: Vec<ConditionText>,
}

/// As RFC 6749 section 5.1 answers.
impl Default for AnswerText {
    fn default() -> Self {
        Self {
            access_token: "/access_token".into(),
            token_type: "/token_type".into(),
            scope: "/scope".into(),
            expires_in: "/expires_in".into(),
            expires_in_unit: UnitText::Seconds,
            expires_at: None,
            scheme: "Bearer".into(),
            export: BTreeMap::new(),
            export_parameters: Vec::new(),
            success: Vec::new(),
        }
    }
}

/// `expires_in_unit`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UnitText {
    #[default]
    Seconds,
    Milliseconds,
}

/// What a 2xx answer must hold to be a success: `{ pointer, equals }` or `{ pointer, absent = true }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionText {
    pub(crate) pointer: String,
    pub(crate) equals: Option<serde_json::Value>,
    #[serde(default)]
    pub(crate) absent: bool,
}

/// `[[errors]]`: all that is given must hold; the first that holds re-classes the answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleText {
    pub(crate) status: Option<OneOrMany<u16>>,
    pub(crate) pointer: Option<String>,
    pub(crate) equals: Option<serde_json::Value>,
    pub(crate) pattern: Option<String>,
    pub(crate) class: Option<ClassText>,
    pub(crate) credentials: Option<bool>,
}

/// `class`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ClassText {
    /// Time may help.
    Busy,
    /// A person may have to help.
    Refused,
}

/// `[error]`: where errors carry their code and description; the first pointer that finds one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ErrorText {
    pub(crate) code: OneOrMany<String>,
    pub(crate) description: OneOrMany<String>,
}

/// As RFC 6749 section 5.2 answers.
impl Default for ErrorText {
    fn default() -> Self {
        Self { code: OneOrMany::One("/error".into()), description: OneOrMany::One("/error_description".into()) }
    }
}

/// One value or a list of them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "one value or a list of them")]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(crate) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// `[refresh]`: durations and numbers, or templates that become one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RefreshText {
    pub(crate) lead: Option<String>,
    pub(crate) max_lead: Option<String>,
    pub(crate) ttl: Option<String>,
    pub(crate) expected_lifetime: Option<String>,
    pub(crate) budget: Option<BudgetText>,
}

/// `budget`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetText {
    pub(crate) issues: CountText,
    pub(crate) per: String,
}

/// A number or a template that becomes one.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number or a template")]
pub(crate) enum CountText {
    Number(u32),
    Template(String),
}
