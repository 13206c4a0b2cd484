//! `on_change` and `on_failure`: what is run when something happened to a token, and when.

use std::fmt;

use crate::settings::TokenSettings;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// `{ reload_unit = "api.service" }`: a unit of the system manager.
    ReloadUnit(String),
    /// `{ command = ["/path/of/program", "argument"] }`: never empty, the program's path absolute.
    Command(Vec<String>),
}

/// Which of a token's hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookKind {
    /// `on_change`.
    OnChange,
    /// `on_failure`.
    OnFailure,
}

/// What happened to a token: the moments at which hooks run. Later in one trouble is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookEvent {
    /// All its sinks hold a new access token.
    Changed,
    /// Half of the lead has passed without success, or the first access token does not come.
    Failing,
    /// Its access token expired without a successor.
    Expired,
}

impl HookEvent {
    /// The hook that runs then.
    #[must_use]
    pub fn kind(self) -> HookKind {
        match self {
            Self::Changed => HookKind::OnChange,
            Self::Failing | Self::Expired => HookKind::OnFailure,
        }
    }

    /// As hooks, state and log say it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Failing => "failing",
            Self::Expired => "expired",
        }
    }

    /// The event called `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Changed, Self::Failing, Self::Expired].into_iter().find(|event| event.as_str() == text)
    }
}

impl HookKind {
    /// The key of the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnChange => "on_change",
            Self::OnFailure => "on_failure",
        }
    }
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TokenSettings {
    /// What is to be run, if anything is.
    #[must_use]
    pub fn hook(&self, kind: HookKind) -> Option<&Hook> {
        match kind {
            HookKind::OnChange => self.on_change.as_ref(),
            HookKind::OnFailure => self.on_failure.as_ref(),
        }
    }

    /// All its hooks.
    pub fn hooks(&self) -> impl Iterator<Item = (HookKind, &Hook)> {
        [HookKind::OnChange, HookKind::OnFailure].into_iter().filter_map(|kind| Some((kind, self.hook(kind)?)))
    }
}
