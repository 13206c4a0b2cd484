//! How an access token is written for readers: the same JSON object in files and on the socket,
//! and the other formats of a file, made from it.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::access_token::{AccessToken, Generation};
use crate::name::{Name, SlotId};
use crate::settings::FileFormat;
use crate::template;

pub mod found;

/// The `json` object of the contract (§3). Holds the access token in the clear: it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Document {
    /// The access token itself.
    pub access_token: String,
    /// As the provider named it.
    pub token_type: String,
    /// The scopes granted, separated by spaces.
    pub scope: String,
    /// `2026-11-21T08:00:00Z`.
    pub expires_at: String,
    /// Seconds from `issued_at` in files, seconds left on the socket.
    pub expires_in: u64,
    /// When its request was sent.
    pub issued_at: String,
    /// Its number among the slot's access tokens.
    pub generation: Generation,
    /// The token's name in the configuration.
    pub name: String,
    /// The slot's id.
    pub slot: String,
    /// What the preset exports.
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// All that a file must hold. It has no `Debug`.
pub enum Content<'t> {
    /// The access token itself.
    Bare(&'t [u8]),
    /// What was made of it; wiped when it is dropped.
    Made(Zeroizing<Vec<u8>>),
}

impl Deref for Content<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Bare(token) => token,
            Self::Made(content) => content,
        }
    }
}

impl Document {
    /// The names of its fields.
    pub const FIELDS: [&str; 10] = [
        "access_token",
        "token_type",
        "scope",
        "expires_at",
        "expires_in",
        "issued_at",
        "generation",
        "name",
        "slot",
        "extra",
    ];

    /// The document of `token` for the readers of `name`.
    #[must_use]
    pub fn new(name: &Name, slot: &SlotId, token: &AccessToken) -> Self {
        Self {
            access_token: token.secret.expose().to_owned(),
            token_type: token.token_type.clone(),
            scope: token.scopes.join(" "),
            expires_at: token.expires_at.to_string(),
            expires_in: token.lifetime().as_secs(),
            issued_at: token.issued_at.to_string(),
            generation: token.generation,
            name: name.to_string(),
            slot: slot.to_string(),
            extra: token.extra.clone(),
        }
    }

    /// The content of a file in `format`, as `render` makes it; of the document no more is made than it shows.
    #[must_use]
    pub fn content<'t>(
        name: &Name,
        slot: &SlotId,
        token: &'t AccessToken,
        format: FileFormat,
        scheme: &str,
    ) -> Content<'t> {
        match format {
            FileFormat::Raw => Content::Bare(token.secret.expose().as_bytes()),
            _ => Content::Made(Zeroizing::new(Self::new(name, slot, token).render(format, scheme))),
        }
    }

    /// The content of a file in `format`; `scheme` is the preset's word before the token in a header.
    #[must_use]
    pub fn render(&self, format: FileFormat, scheme: &str) -> Vec<u8> {
        match format {
            FileFormat::Raw => self.access_token.clone().into_bytes(),
            FileFormat::Header => format!("Authorization: {scheme} {}\n", self.access_token).into_bytes(),
            FileFormat::Json => {
                let mut text = serde_json::to_vec(self).unwrap_or_default();
                text.push(b'\n');
                text
            }
            FileFormat::Env => self.as_environment().into_bytes(),
        }
    }

    /// The fields of a secret: those of the JSON object, or what `templates` make of them. The
    /// generation is always among them: it says who is ahead.
    ///
    /// Errors: which field cannot be made, and why.
    pub fn fields(&self, templates: &BTreeMap<String, String>) -> Result<Map<String, Value>, String> {
        let Ok(Value::Object(own)) = serde_json::to_value(self) else { return Err("it cannot be written".into()) };
        if templates.is_empty() {
            return Ok(own);
        }
        let mut fields = Map::new();
        for (name, source) in templates {
            let text = template::render(source, self).map_err(|fault| format!("{name}: {fault}"))?;
            let text = str::from_utf8(&text).map_err(|_| format!("{name}: it is not text"))?;
            fields.insert(name.clone(), text.into());
        }
        fields.insert("generation".into(), self.generation.0.into());
        Ok(fields)
    }

    /// Lines that systemd's `EnvironmentFile=` and a POSIX shell both read the same way: single
    /// quotes keep every visible ASCII character in both, but for the quote itself.
    fn as_environment(&self) -> String {
        let name = variable_name(&self.name);
        let token = self.access_token.replace('\'', r#"'"'"'"#);
        format!("{name}_ACCESS_TOKEN='{token}'\n{name}_EXPIRES_AT='{}'\n", self.expires_at)
    }
}

/// `accounts-corporate` → `ACCOUNTS_CORPORATE`; `_` before a leading digit.
#[must_use]
pub fn variable_name(name: &str) -> String {
    let upper: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if upper.starts_with(|c: char| c.is_ascii_digit()) { format!("_{upper}") } else { upper }
}

/// What the JSON object in a file says of the access token in it.
#[derive(Debug, Deserialize)]
pub struct Label {
    /// Its number.
    pub generation: Generation,
    /// Whose it is.
    pub slot: String,
    /// When it expires.
    pub expires_at: String,
}

/// What the JSON text in `content` says of the access token in it, if it is one of ours.
#[must_use]
pub fn label_in(content: &[u8]) -> Option<Label> {
    let label: Label = serde_json::from_slice(content).ok()?;
    Generation::read(label.generation.0).map(|_| label)
}

/// The generation that the JSON text in `content` names, if it is one of ours.
#[must_use]
pub fn generation_in(content: &[u8]) -> Option<Generation> {
    let value: serde_json::Value = serde_json::from_slice(content).ok()?;
    value.get("generation")?.as_u64().and_then(Generation::read)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, reason = "asks a shell")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::access_token::Clock;
    use crate::secret::Secret;
    use crate::time::Timestamp;

    fn document() -> Document {
        Document {
            access_token: "eyJ.a'b$c\"d\\e".into(),
            token_type: "Bearer".into(),
            scope: "accountinformation corporate".into(),
            expires_at: "2026-11-21T08:00:00Z".into(),
            expires_in: 3600,
            issued_at: "2026-11-21T07:00:00Z".into(),
            generation: Generation(7),
            name: "2-accounts".into(),
            slot: "openpayments/corporate".into(),
            extra: BTreeMap::new(),
        }
    }

    #[test]
    fn raw_has_no_newline_and_header_has_one() {
        assert_eq!(document().render(FileFormat::Raw, "Bearer"), b"eyJ.a'b$c\"d\\e");
        assert_eq!(document().render(FileFormat::Header, "Bearer"), b"Authorization: Bearer eyJ.a'b$c\"d\\e\n");
    }

    #[test]
    fn a_file_is_made_without_a_document_as_it_would_be_with_one() {
        let (name, slot) = (Name::parse("a").unwrap(), SlotId::new(&Name::parse("p").unwrap(), "a"));
        let token = AccessToken {
            secret: Secret::new("eyJ.a'b$c".into()),
            token_type: "Bearer".into(),
            scopes: vec!["a".into(), "b".into()],
            issued_at: Timestamp::from_secs(0),
            expires_at: Timestamp::from_secs(3600),
            generation: Generation(7),
            extra: BTreeMap::new(),
            clock: Clock::Boot,
        };
        let document = Document::new(&name, &slot, &token);
        for format in [FileFormat::Raw, FileFormat::Header, FileFormat::Json, FileFormat::Env] {
            let content = Document::content(&name, &slot, &token, format, "Bearer");
            assert_eq!(*content, *document.render(format, "Bearer"), "{format:?}");
        }
    }

    #[test]
    fn its_fields_are_those_that_templates_may_use() {
        let written = serde_json::to_value(document()).unwrap();
        let written: BTreeSet<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(written, BTreeSet::from(Document::FIELDS));
    }

    #[test]
    fn the_generation_is_found_again_in_a_json_file() {
        assert_eq!(generation_in(&document().render(FileFormat::Json, "Bearer")), Some(Generation(7)));
        assert_eq!(generation_in(b"not json"), None);
        assert_eq!(generation_in(b"{\"generation\":9007199254740991}"), Some(Generation(9_007_199_254_740_991)));
        assert_eq!(generation_in(b"{\"generation\":9007199254740992}"), None, "nobody has counted so far");
        let label = |generation: u64| {
            let text = format!("{{\"generation\":{generation},\"slot\":\"a/b\",\"expires_at\":\"x\"}}");
            label_in(text.as_bytes()).map(|label| label.generation.0)
        };
        assert_eq!((label(7), label(u64::MAX)), (Some(7), None));
    }

    #[test]
    fn a_posix_shell_reads_the_environment_file_back() {
        let text = String::from_utf8(document().render(FileFormat::Env, "Bearer")).unwrap();
        let script = format!("{text}printf '%s %s' \"$_2_ACCOUNTS_ACCESS_TOKEN\" \"$_2_ACCOUNTS_EXPIRES_AT\"");
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "eyJ.a'b$c\"d\\e 2026-11-21T08:00:00Z");
    }
}
