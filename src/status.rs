//! What a person wants to know: is it well, and if not, what is the matter and what happens next.
//! Made from what is known at one moment; the socket sends it, the command line shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::access_token::Generation;

pub use crate::status::follow::FollowStatus;
pub use crate::status::hooks::{HookState, HookStatus};

pub mod readings;

mod composing;
mod excerpt;
mod follow;
mod hooks;

/// `GET /v1/status`. Times are RFC 3339.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The version of the daemon.
    pub version: String,
    /// When it was asked.
    pub now: String,
    /// Whether every required token is valid and in all its required sinks.
    pub ready: bool,
    /// Why it is not ready: one sentence for each required token that is not well.
    pub reasons: Vec<String>,
    /// Whether the state can be written.
    pub state_writable: bool,
    /// Why the state cannot be written.
    pub state_error: Option<StateError>,
    /// What happened to the state, if a person should know ("the state was damaged …").
    pub state_notice: Option<String>,
    /// Why metrics cannot be served where `daemon.metrics` says, and what to do.
    pub metrics_problem: Option<String>,
    /// The configuration and its files; `None` where nobody reloads.
    pub config: Option<ConfigStatus>,
    /// How many of what.
    pub counts: Counts,
    /// Every slot, by id.
    pub slots: Vec<SlotStatus>,
}

/// Why the state cannot be written; meanwhile access tokens are published from memory (L16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateError {
    /// Where, what is wrong, and what to do.
    pub reason: String,
    /// Since when.
    pub since: String,
    /// When it is tried again.
    pub next_attempt: String,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, since, .. } = self;
        write!(f, "the state cannot be written since {since}, access tokens are kept in memory until it can: {reason}")
    }
}

/// How it stands with the configuration and its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// Tells the configuration that holds from others.
    pub fingerprint: String,
    /// Since when it holds.
    pub applied_at: String,
    /// The keys of which the files say something else, and that only a restart takes.
    pub restart_needed: Vec<String>,
    /// The last one, if it was not taken and still stands in the files.
    pub refused: Option<RefusedConfig>,
    /// How changes are noticed.
    pub watching: Watching,
    /// Why files cannot be watched, and what to do.
    pub watching_problem: Option<String>,
}

/// A configuration that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedConfig {
    /// When.
    pub at: String,
    /// All its problems, `FILE:LINE:COL: message`.
    pub problems: Vec<String>,
}

/// How changes of files are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watching {
    /// At once.
    Watching,
    /// By looking every few seconds.
    Polling,
    /// Only when a reload is asked for.
    Off,
}

/// How many of what.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Slots in the configuration.
    pub slots: usize,
    /// Tokens in the configuration.
    pub tokens: usize,
    /// Tokens with a valid access token.
    pub valid: usize,
    /// Slots whose last request failed.
    pub failing: usize,
    /// Sinks in the configuration.
    pub sinks: usize,
    /// Sinks that hold the newest access token.
    pub current: usize,
}

/// One slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlotStatus {
    /// `provider/context` or `provider/token`.
    pub slot: String,
    /// The provider table's name; `follow` where none is asked.
    pub provider: String,
    /// The PSU context, where there is one.
    pub psu_context: Option<String>,
    /// Whether one access token is shared by all tokens of the account and context.
    pub exclusive: bool,
    /// `valid`, `expired` or `missing`.
    pub state: TokenState,
    /// `good`, `asking`, `retrying`, `refused`, `waiting-for-budget` or `paused`.
    pub standing: StandingState,
    /// The generation of the access token held; 0 when there was none yet.
    pub generation: Generation,
    /// When the access token held was asked for.
    pub issued_at: Option<String>,
    /// When it expires.
    pub expires_at: Option<String>,
    /// Seconds until then; 0 when it has expired.
    pub expires_in: Option<u64>,
    /// Since when an admin wants no requests made.
    pub paused_since: Option<String>,
    /// When the provider is asked next, or the place that is followed is looked at.
    pub next_refresh: Option<String>,
    /// The scopes that the access token held has.
    pub scope: String,
    /// Whether its renewal is due.
    pub due: bool,
    /// The last error, while it is not overcome.
    pub last_error: Option<LastError>,
    /// What a person should know of the last answer.
    pub warning: Option<String>,
    /// How the budget stands, where there is one.
    pub budget: Option<BudgetStatus>,
    /// What another tokend wrote, where no provider is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<FollowStatus>,
    /// Its tokens.
    pub tokens: Vec<TokenStatus>,
}

/// Whether there is a valid access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    /// There is one.
    Valid,
    /// There was one.
    Expired,
    /// There never was one.
    Missing,
    /// There is one, but the provider did not grant it the scopes that the token lists.
    Refused,
}

/// How it stands with the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandingState {
    /// The last request brought an access token, or none was needed.
    Good,
    /// A request is under way.
    Asking,
    /// The last request failed; time may help.
    Retrying,
    /// The last request was refused; a person may have to help.
    Refused,
    /// A request is due and the budget holds it back.
    WaitingForBudget,
    /// An admin wants no requests made.
    Paused,
}

/// Why the last request failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastError {
    /// `unreachable or busy` or `refused`.
    pub class: String,
    /// In words.
    pub reason: String,
    /// Failed requests in a row.
    pub attempts: u32,
    /// Since when.
    pub since: String,
    /// When it is tried again; not while it is paused.
    pub next_attempt: Option<String>,
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BudgetStatus {
    /// Access tokens issued within the budget's time.
    pub issued: usize,
    /// Requests that left and brought no usable answer, within the same time.
    pub possibly_issued: usize,
    /// How many may be issued.
    pub issues: u32,
    /// In how many seconds.
    pub per_seconds: u64,
}

/// One token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Whether readiness waits for it.
    pub required: bool,
    /// Whether its readers have a valid access token.
    pub state: TokenState,
    /// Why not, in words.
    pub reason: Option<String>,
    /// Where it is delivered.
    pub sinks: Vec<SinkStatus>,
    /// What is run when something happened to it.
    #[serde(default)]
    pub hooks: Vec<HookStatus>,
}

/// One sink.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SinkStatus {
    /// The file's path.
    pub sink: String,
    /// Whether readiness waits for it.
    pub required: bool,
    /// `current`, `behind`, `waiting` or `failing`.
    pub state: SinkState,
    /// The generation that it holds, as far as is known.
    pub generation: Option<Generation>,
    /// What is wrong, and what to do.
    pub error: Option<String>,
    /// When it is tried again.
    pub next_attempt: Option<String>,
}

/// What a sink holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinkState {
    /// The newest access token.
    Current,
    /// An older one.
    Behind,
    /// Nothing of ours yet.
    Waiting,
    /// The last delivery failed.
    Failing,
}
