//! Words of a provider made fit to be shown: printable, short, and without any secret that was
//! sent to it, in whichever shape it may come back.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;
use url::form_urlencoded;

use crate::preset::Asking;
use crate::secret::Secret;

/// How much of a description is shown, in characters.
const SHOWN: usize = 200;
/// Stands where a secret was.
const BLANK: &str = "[…]";

/// Knows every shape of the secrets that were sent.
pub(crate) struct Redactor {
    /// Longest first, so that no shape is cut by one that it contains.
    shapes: Vec<Secret>,
}

impl Redactor {
    pub(crate) fn new(asking: &Asking<'_>) -> Self {
        let client_id = asking.parameters.get("client_id").and_then(Value::as_str).unwrap_or_default();
        let secrets = asking.secrets.values().map(Secret::expose).filter(|secret| !secret.is_empty());
        let mut shapes: Vec<String> = secrets.flat_map(|secret| shapes(client_id, secret)).collect();
        shapes.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        shapes.dedup();
        Self { shapes: shapes.into_iter().map(Secret::new).collect() }
    }

    /// Whether a secret stands in `text`.
    pub(crate) fn occurs_in(&self, text: &str) -> bool {
        self.shapes.iter().any(|shape| text.contains(shape.expose()))
    }

    /// The beginning of `text`: control characters dropped first (they could tear a secret apart),
    /// then secrets blanked, and only then cut (a cut could leave the beginning of a secret).
    pub(crate) fn show(&self, text: &str) -> String {
        let joined: String = text.chars().filter(|c| is_printable(*c)).collect();
        let mut shown = if self.occurs_in(&joined) { joined } else { in_one_line(text) };
        for shape in &self.shapes {
            shown = shown.replace(shape.expose(), BLANK);
        }
        shown.trim().chars().take(SHOWN).collect()
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

/// As it is, as URLs and forms carry it, as Basic carries it, as JSON writes it.
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
    shapes.push(form);
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
