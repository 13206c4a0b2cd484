//! Words of a provider made fit to be shown: printable, short, and without any secret that was
//! sent to it, in whichever shape it may come back, whole or in part.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;
use url::form_urlencoded;

use crate::failure::{Failure, Refusal};
use crate::preset::Asking;
use crate::secret::Secret;

/// How much of a description is shown, in characters.
const SHOWN: usize = 200;
/// Stands where a secret was.
const BLANK: &str = "[…]";
/// So many characters of a secret in a row are too much.
const PIECE: usize = 16;
/// Pieces are looked for in so many characters: far more than are shown.
const LOOKED_AT: usize = 64 * SHOWN;

/// Knows every shape of the secrets that were sent.
pub(crate) struct Redactor {
    /// Longest first, so that no shape is cut by one that it contains.
    shapes: Vec<Secret>,
}

impl Redactor {
    pub(crate) fn new(asking: &Asking<'_>) -> Self {
        let client_id = asking.parameters.get("client_id").and_then(Value::as_str).unwrap_or_default();
        let known = asking.secrets.values().chain(asking.others);
        let secrets = known.map(Secret::expose).filter(|secret| !secret.is_empty());
        let mut shapes: Vec<String> = secrets.flat_map(|secret| shapes(client_id, secret)).collect();
        shapes.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        shapes.dedup();
        Self { shapes: shapes.into_iter().map(Secret::new).collect() }
    }

    /// Knows every shape of `secret` alone.
    fn of(secret: &Secret) -> Self {
        let mut shapes = shapes("", secret.expose());
        shapes.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        shapes.dedup();
        Self { shapes: shapes.into_iter().map(Secret::new).collect() }
    }

    /// Whether `text` is a secret that was sent, in one of its shapes.
    pub(crate) fn is_one(&self, text: &str) -> bool {
        self.shapes.iter().any(|shape| shape.expose() == text)
    }

    /// Whether a secret, or a piece of one, stands in `text`.
    pub(crate) fn occurs_in(&self, text: &str) -> bool {
        self.stands_whole_in(text) || self.of_secrets(&text.chars().collect::<Vec<_>>()).contains(&true)
    }

    fn stands_whole_in(&self, text: &str) -> bool {
        self.shapes.iter().any(|shape| text.contains(shape.expose()))
    }

    /// The beginning of `text`: control characters dropped first (they could tear a secret apart),
    /// then secrets blanked, and only then cut (a cut could leave the beginning of a secret).
    pub(crate) fn show(&self, text: &str) -> String {
        let joined: String = text.chars().filter(|c| is_printable(*c)).collect();
        let mut shown = if self.stands_whole_in(&joined) { joined } else { in_one_line(text) };
        shown = self.blank(shown);
        shown.trim().chars().take(SHOWN).collect()
    }

    fn blank(&self, text: String) -> String {
        let whole = self.shapes.iter().fold(text, |text, shape| text.replace(shape.expose(), BLANK));
        self.without_pieces(&whole)
    }

    fn without_pieces(&self, text: &str) -> String {
        let text: Vec<char> = text.chars().take(LOOKED_AT).collect();
        let mut shown = String::with_capacity(text.len());
        let mut before = false;
        for (c, secret) in text.iter().zip(self.of_secrets(&text)) {
            match (before, secret) {
                (_, false) => shown.push(*c),
                (false, true) => shown.push_str(BLANK),
                (true, true) => {}
            }
            before = secret;
        }
        shown
    }

    /// For each character of `text`, whether it belongs to a piece of a secret.
    fn of_secrets(&self, text: &[char]) -> Vec<bool> {
        let mut found = vec![false; text.len()];
        if text.len() < PIECE {
            return found;
        }
        let shapes: Vec<Vec<char>> = self.shapes.iter().map(|shape| shape.expose().chars().collect()).collect();
        let pieces: HashSet<&[char]> = shapes.iter().flat_map(|shape| shape.windows(PIECE)).collect();
        for (at, piece) in text.windows(PIECE).enumerate() {
            if pieces.contains(piece) {
                found[at..at + PIECE].fill(true);
            }
        }
        found
    }
}

/// `failure` without `secret`, which its provider knows although it was not sent with the request: the
/// access token held, which it issued.
#[must_use]
pub fn without(failure: Failure, secret: &Secret) -> Failure {
    let redactor = Redactor::of(secret);
    let blank = |text: String| if redactor.occurs_in(&text) { redactor.blank(text) } else { text };
    match failure {
        Failure::Unreachable { reason, reach } => Failure::Unreachable { reason: blank(reason), reach },
        Failure::Busy { reason, status, retry_after } => Failure::Busy { reason: blank(reason), status, retry_after },
        Failure::Malformed(reason) => Failure::Malformed(blank(reason)),
        Failure::NotReady(reason) => Failure::NotReady(blank(reason)),
        Failure::Refused(refusal) => Failure::Refused(Refusal {
            code: refusal.code.map(blank),
            description: refusal.description.map(blank),
            ..refusal
        }),
    }
}

fn in_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ").chars().filter(|c| is_printable(*c)).collect()
}

/// Neither a control character nor one that hides or turns around what stands beside it.
fn is_printable(c: char) -> bool {
    let hides = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !hides
}

/// As it is, as URLs and forms carry it, as Basic carries it, as JSON writes it, as dumps show it.
fn shapes(client_id: &str, secret: &str) -> Vec<String> {
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let form_id: String = form_urlencoded::byte_serialize(client_id.as_bytes()).collect();
    let quoted = Value::from(secret).to_string();
    let mut shapes = vec![
        secret.to_owned(),
        quoted[1..quoted.len() - 1].to_owned(),
        form.replace('+', "%20"),
        lower_escapes(&form.replace('+', "%20")),
        percent_encoded(secret),
        lower_escapes(&percent_encoded(secret)),
        lower_escapes(&form),
    ];
    for text in [secret.to_owned(), format!("{client_id}:{secret}"), format!("{form_id}:{form}")] {
        shapes.extend([STANDARD.encode(&text), STANDARD_NO_PAD.encode(&text)]);
        shapes.extend([URL_SAFE.encode(&text), URL_SAFE_NO_PAD.encode(&text)]);
    }
    let hex = |digits: fn(u8) -> String| secret.bytes().map(digits).collect::<String>();
    shapes.extend([form, hex(|byte| format!("{byte:02x}")), hex(|byte| format!("{byte:02X}"))]);
    shapes
}

/// Everything but the unreserved characters of RFC 3986.
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// `%2F` → `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        whole + "%" + &digits.to_ascii_lowercase() + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_blanked_whole_in_every_shape_however_short_it_is() {
        let redactor = Redactor::of(&Secret::new("s3 c/t".to_owned()));
        for shape in ["s3 c/t", "s3%20c%2Ft", "s3%20c%2ft", "s3+c%2Ft", "czMgYy90", "733320632f74", "733320632F74"] {
            assert_eq!(redactor.show(&format!("not {shape} again")), "not […] again");
        }
        assert_eq!(redactor.show("s3 is not it"), "s3 is not it");
    }

    #[test]
    fn a_piece_of_a_secret_is_blanked_before_anything_is_cut() {
        let secret = "0123456789abcdefghij";
        let redactor = Redactor::of(&Secret::new(secret.to_owned()));
        let text = format!("{}{secret}", "x".repeat(SHOWN - 5));
        assert!(!redactor.show(&text).contains("01234"), "the cut leaves no beginning of it");
        assert_eq!(redactor.show(&format!("it is {}…", &secret[..17])), "it is […]…");
    }
}
