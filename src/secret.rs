//! A text that must not be seen. It has no `Display`, no `PartialEq` and no `Serialize`, its
//! `Debug` says nothing, and its memory is wiped when it is dropped.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A client secret, an access token, a key: anything that must not reach a log.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes `text` into custody.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself. Called on floors 3 and 4 and in `preset` only.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether both hold the same text, in time that does not depend on where they differ.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let (a, b) = (self.expose().as_bytes(), other.expose().as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "Secret(…)");
    }

    #[test]
    fn equal_texts_are_the_same() {
        let secret = |text: &str| Secret::new(text.into());
        assert!(secret("abc").same_as(&secret("abc")));
        assert!(!secret("abc").same_as(&secret("abd")));
        assert!(!secret("abc").same_as(&secret("ab")));
    }
}
