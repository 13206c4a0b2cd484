//! A provider type described as data: what to send, how to read the answer, when to refresh.
//!
//! A preset is a TOML file; adding a provider type is adding a file and its golden files. Code is added only for
//! a new *kind* of client authentication or grant. Rendering and reading are pure: no connection, no clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

pub(crate) mod answer;
pub(crate) mod built_in;
pub(crate) mod check;
pub(crate) mod compile;
mod endpoint;
pub(crate) mod expiry;
mod followed;
pub(crate) mod language;
pub(crate) mod parameters;
pub(crate) mod program;
pub mod redact;
pub(crate) mod refresh;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod template;
pub(crate) mod variables;

use crate::access_token::Issued;
use crate::failure::Failure;
use crate::preset::expiry::Timing;
use crate::preset::program::Program;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Values of a provider's parameters that are not secret.
pub type Parameters = BTreeMap<String, serde_json::Value>;
/// Values of a provider's secret parameters.
pub type Secrets = BTreeMap<String, Secret>;

/// The longest body of an answer, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// A provider type.
#[derive(Clone, Debug)]
pub struct Preset {
    /// `open-payments`, or the `[presets.NAME]` of the operator.
    pub name: String,
    /// One line for `tokend presets`.
    pub description: String,
    /// The vendor's page that it was written from.
    pub source: String,
    /// What a provider table of this type takes.
    pub parameters: BTreeMap<String, Parameter>,
    /// PSU contexts and scopes.
    pub context: ContextRules,
    /// The scheme of the `Authorization` header that readers send; `Bearer` unless it says otherwise.
    pub scheme: String,
    program: Arc<Program>,
    /// What it was made from.
    table: Arc<toml::Table>,
}

/// A parameter of a preset.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// One line for people.
    pub description: String,
    /// Whether a provider table must give it whatever else it says; see also [`Preset::is_required`].
    pub required: bool,
    /// Whether it is given as a secret.
    pub secret: bool,
    /// What kind of value it takes.
    pub kind: ParameterKind,
    /// A regular expression that the whole value must match.
    pub pattern: Option<String>,
    /// The longest value, in characters.
    pub max_length: Option<usize>,
    /// The only values that are accepted; empty: any.
    pub choices: Vec<String>,
    /// Taken when none is given.
    pub default: Option<serde_json::Value>,
    /// Whether it only builds the URL, so that `token_url` makes it unnecessary.
    pub only_builds_url: bool,
}

/// What kind of value a parameter takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterKind {
    /// A string.
    #[default]
    Text,
    /// A string or a list of strings; always held as a list.
    List,
    /// A table of strings; held as an object.
    Table,
    /// `true` or `false`.
    Flag,
}

/// PSU contexts and scopes of a preset.
#[derive(Clone, Debug, Default)]
pub struct ContextRules {
    /// When tokens of one account (and context) share one slot.
    pub exclusive: Exclusive,
    /// The values of `psu_context`; where there are any, every token must name one.
    pub values: Vec<String>,
    /// Known scopes in the order in which they are asked; empty: any scope, in the order given.
    pub scopes: Vec<String>,
    /// Scopes that are granted only together with another: `bankgiroinformation` → `accountinformation`.
    pub requires: BTreeMap<String, String>,
    /// Whether a token must list at least one scope.
    pub scopes_required: bool,
    /// What the vendor asks of those who ask for tokens, in one sentence; shown by `tokend plan`.
    pub rule: Option<String>,
}

/// When tokens of one account share one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Exclusive {
    /// Never.
    #[default]
    Never,
    /// Always.
    Always,
    /// When the flag parameter of this name is true.
    Parameter(String),
}

/// When a slot of this preset refreshes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefreshRules {
    /// The lead, where the preset prescribes one.
    pub lead: Option<Duration>,
    /// The longest lead.
    pub max_lead: Option<Duration>,
    /// The lifetime of a token whose answer names none (also a provider's parameter `ttl`).
    pub ttl: Option<Duration>,
    /// The lifetime that the vendor documents; for forecasts only.
    pub expected_lifetime: Option<Duration>,
    /// How many access tokens may be issued in how long.
    pub budget: Option<Budget>,
}

/// `budget = { issues = 3, per = "1h" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many access tokens may be issued.
    pub issues: u32,
    /// In how long.
    pub per: Duration,
}

impl Budget {
    /// The longest time that a budget may count over: so long a slot that left the configuration is
    /// remembered.
    pub const LONGEST: Duration = Duration::from_hours(31 * 24);
}

/// Something wrong with a preset's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresetProblem {
    /// The keys that lead to the place, from the preset's table down; empty: the table itself.
    pub path: Vec<String>,
    /// What is wrong, and what to do.
    pub text: String,
}

/// A request ready to be sent. Holds secrets.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST`, `GET`, `PUT`.
    pub method: String,
    /// The whole URL.
    pub url: Secret,
    /// Names and values, in order.
    pub headers: Vec<(String, Secret)>,
    /// The body; `None` sends `Content-Length: 0` where the method may have a body.
    pub body: Option<Secret>,
}

/// What came back, as far as reading it needs.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, read up to one byte beyond [`MAX_BODY`].
    pub body: Vec<u8>,
    /// The `Date` header, read.
    pub date: Option<Timestamp>,
    /// `Retry-After`, read (seconds or HTTP date) and capped at one hour.
    pub retry_after: Option<Duration>,
    /// The host that `Location` names, for 3xx.
    pub location_host: Option<String>,
}

/// What a request is made for.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The token URL, already discovered.
    pub token_url: &'a str,
    /// The parameters that are not secret.
    pub parameters: &'a Parameters,
    /// The secret ones.
    pub secrets: &'a Secrets,
    /// Other secrets of their lists, which are not sent: the provider knows them as well.
    pub others: &'a [Secret],
    /// The API scopes, without the context.
    pub scopes: &'a [String],
    /// The PSU context.
    pub context: Option<&'a str>,
    /// How long tokens live whose answer names no expiry.
    pub ttl: Option<Duration>,
}

impl Preset {
    /// The built-in preset called `name`.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Arc<Self>> {
        built_in::preset(name)
    }

    /// The names of the built-in presets.
    #[must_use]
    pub fn built_in_names() -> &'static [&'static str] {
        &built_in::NAMES
    }

    /// The text of the built-in preset called `name`, as shipped.
    #[must_use]
    pub fn built_in_text(name: &str) -> Option<&'static str> {
        built_in::text(name)
    }

    /// Reads a preset from its TOML table.
    ///
    /// Errors: every problem found.
    pub fn from_table(name: &str, table: &toml::Table) -> Result<Self, Vec<PresetProblem>> {
        check::preset(name, table)
    }

    /// Whether both were made from the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table) || (self.name == other.name && self.table == other.table)
    }

    /// Whether tokens of one account share one slot, given the provider's parameters.
    #[must_use]
    pub fn is_exclusive(&self, parameters: &Parameters) -> bool {
        match &self.context.exclusive {
            Exclusive::Never => false,
            Exclusive::Always => true,
            Exclusive::Parameter(name) => parameters.get(name).and_then(serde_json::Value::as_bool).unwrap_or(false),
        }
    }

    /// When to refresh, given the provider's parameters.
    ///
    /// Errors: what is wrong, in words.
    pub fn refresh_rules(&self, parameters: &Parameters) -> Result<RefreshRules, String> {
        let variables = variables::of_parameters(&self.parameters, parameters);
        refresh::rules(&self.program.refresh, &self.program.templates, &variables)
    }

    /// The values of non-secret parameters that make an access token another one (audience, resource).
    #[must_use]
    pub fn identity_parts(&self, parameters: &Parameters) -> Vec<String> {
        let named = self.program.identity.iter();
        named.filter_map(|name| Some(format!("{name}={}", parameters.get(name)?))).collect()
    }

    /// The names under which documents find in `extra` what the preset exports.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        let answer = &self.program.answer;
        answer.export.keys().chain(&answer.export_parameters).map(String::as_str)
    }

    /// The request to send.
    ///
    /// Errors: what is wrong, in words; never a secret.
    pub fn request(&self, asking: &Asking<'_>) -> Result<Request, String> {
        request::request(self, asking)
    }

    /// Reads the answer to a request that was sent at `asked_at` and answered at `answered_at`.
    ///
    /// Errors: what the answer means, never quoting it but for OAuth codes and the beginning of
    /// their description, with every secret of `asking` blanked.
    pub fn read(
        &self,
        asking: &Asking<'_>,
        answer: &Answer,
        asked_at: Timestamp,
        answered_at: Timestamp,
    ) -> Result<Issued, Failure> {
        answer::read(self, asking, answer, Timing { asked_at, answered_at, date: answer.date })
    }
}
