//! A text that must not be seen. It has no `Display`, no `PartialEq` and no `Serialize`, its
//! `Debug` says nothing, and its memory is wiped when it is dropped.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A client secret, an access token, a key: anything that must not reach a log.
#[derive(Clone)]
pub struct Secret(SecretString);

/// A key made of fewer bytes could be guessed.
const SHORTEST_KEY: usize = 16;

/// Whether a key may be made of `text`.
///
/// Errors: what to do.
pub fn long_enough(text: &str) -> Result<(), String> {
    if text.len() < SHORTEST_KEY {
        return Err(format!("a key of fewer than {SHORTEST_KEY} characters could be guessed: take a longer one"));
    }
    Ok(())
}

impl Secret {
    /// Takes `text` into custody.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The secret in what a person or a program wrote: one trailing newline is dropped.
    ///
    /// Errors: why it is none; never its content.
    pub fn read(content: &str) -> Result<Self, &'static str> {
        let line = content.strip_suffix('\n').unwrap_or(content);
        let text = if line.len() < content.len() { line.strip_suffix('\r').unwrap_or(line) } else { line };
        if text.is_empty() {
            return Err("it is empty, and an empty secret is not a secret");
        }
        if text.contains(char::is_control) {
            return Err("it holds a control character (a newline inside, or binary data)");
        }
        Ok(Self::new(text.into()))
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "Secret(…)");
    }

    #[test]
    fn one_trailing_newline_is_dropped_and_an_empty_secret_is_none() {
        for content in ["a b", "a b\n", "a b\r\n"] {
            assert_eq!(Secret::read(content).unwrap().expose(), "a b", "{content:?}");
        }
        for content in ["", "\n", "\r\n", "a\n\n", "a\r", "a\nb", "\u{0}"] {
            assert!(Secret::read(content).is_err(), "{content:?}");
        }
    }

    #[test]
    fn equal_texts_are_the_same() {
        let secret = |text: &str| Secret::new(text.into());
        assert!(secret("abc").same_as(&secret("abc")));
        assert!(!secret("abc").same_as(&secret("abd")));
        assert!(!secret("abc").same_as(&secret("ab")));
    }
}
