//! Names that are parsed once and then fit for paths, metrics and Vault.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
pub struct Identity(Known);

impl Identity {
    /// The identity made of `parts`, which are joined unambiguously.
    #[must_use]
    pub fn new(parts: &[&str]) -> Self {
        let mut text = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                text.push('|');
            }
            for letter in part.chars() {
                match letter {
                    '%' => text.push_str("%25"),
                    '|' => text.push_str("%7C"),
                    other => text.push(other),
                }
            }
        }
        Self(Known::new(&text))
    }

    /// The identity as it was stored.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(Known::new(text))
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }
}

/// Where a token is delivered, as status and metrics print it: a file's path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SinkId(Known);

impl SinkId {
    /// Whether it is a file: files are known by their path, and all paths are absolute.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.as_str().starts_with('/')
    }

    /// The id of the sink at `place`.
    #[must_use]
    pub fn new(place: &str) -> Self {
        Self(Known::new(place))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Display for SinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// A text by which something is known. Ten thousand of them begin with the same forty letters: they are
/// hashed, and put in an order that is always the same but none for people, by a digest.
#[derive(Clone)]
struct Known {
    digest: u64,
    text: Arc<str>,
}

impl Known {
    fn new(text: &str) -> Self {
        let digest = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |digest: u64, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self { digest, text: text.into() }
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Known {}

impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Known {
    fn cmp(&self, other: &Self) -> Ordering {
        self.digest.cmp(&other.digest).then_with(|| self.text.cmp(&other.text))
    }
}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl Serialize for Known {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Arc::<str>::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
        assert_eq!(Identity::new(&["50%", "ä|b", ""]).as_str(), "50%25|ä%7Cb|");
    }

    #[test]
    fn texts_with_one_digest_are_told_apart() {
        let with_one_digest = |text: &str| Known { digest: 7, text: text.into() };
        assert_ne!(with_one_digest("a"), with_one_digest("b"));
        assert!(with_one_digest("a") < with_one_digest("b"));
        assert_eq!(with_one_digest("a"), with_one_digest("a"));
    }

    #[test]
    fn an_id_is_written_as_its_text_and_read_again() {
        let id = SinkId::new("/run/a");
        let written = serde_json::to_string(&id).unwrap();
        assert_eq!(written, "\"/run/a\"");
        assert_eq!(serde_json::from_str::<SinkId>(&written).unwrap(), id);
        assert_eq!(format!("{id:?}"), "SinkId(\"/run/a\")");
    }
}
