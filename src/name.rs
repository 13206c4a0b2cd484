//! Names that are parsed once and then fit for paths, metrics and Vault.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a token, provider, vault or preset: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name in `text`, or why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts && text.len() <= 64 && text.chars().all(fits) {
            return Ok(Self(text.into()));
        }
        Err(format!("{text:?} is not a name: 1 to 64 of A-Z a-z 0-9 . _ - and the first a letter or digit"))
    }

    /// What stands for the provider in the slot of a token that follows another tokend's.
    #[must_use]
    pub fn of_followers() -> Self {
        Self("follow".into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a slot is printed: `provider/context` or `provider/token`; `follow/token` where no provider is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(Arc<str>);

impl SlotId {
    /// The id of what `provider` issues for `part`: a PSU context or a token.
    #[must_use]
    pub fn new(provider: &Name, part: &str) -> Self {
        Self(format!("{provider}/{part}").into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What makes an access token *this* one, however the tables of the configuration are called:
/// the account (token URL in normal form and `client_id`) and the PSU context, or the token's name.
///
/// Not the scopes: those are compared by coverage. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(Arc<str>);

impl Identity {
    /// The identity made of `parts`, which are joined unambiguously.
    #[must_use]
    pub fn new(parts: &[&str]) -> Self {
        let escaped: Vec<String> = parts.iter().map(|part| part.replace('%', "%25").replace('|', "%7C")).collect();
        Self(escaped.join("|").into())
    }

    /// The identity as it was stored.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a token is delivered, as status and metrics print it: a file's path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SinkId(Arc<str>);

impl SinkId {
    /// The id of the sink at `place`.
    #[must_use]
    pub fn new(place: &str) -> Self {
        Self(place.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_for_paths() {
        let long = "x".repeat(64);
        for good in ["a", "0", "accounts-corporate", "A.b_c", &long] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        let too_long = "x".repeat(65);
        for bad in ["", ".", "-a", "_a", "a/b", "a b", "å", "a\n", &too_long] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identities_of_different_parts_differ() {
        assert_ne!(Identity::new(&["a|b", "c"]), Identity::new(&["a", "b|c"]));
        assert_ne!(Identity::new(&["a", ""]), Identity::new(&["a"]));
    }
}
