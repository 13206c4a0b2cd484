//! What the operator says of the places where a token is delivered.

use std::path::PathBuf;
use std::sync::Arc;

use crate::name::SinkId;
use crate::settings::VaultSettings;

/// One place where a token is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSettings {
    /// How it is printed, and what makes it this one.
    pub id: SinkId,
    /// Whether readiness waits for it.
    pub required: bool,
    /// Where it is.
    pub place: SinkPlace,
}

/// Where a token is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkPlace {
    /// A file to keep.
    File(FileSettings),
    /// A secret in Vault.
    Vault(VaultSettings),
}

impl SinkSettings {
    /// Whether the generation can be read back from what it holds.
    #[must_use]
    pub fn holds_generation(&self) -> bool {
        match &self.place {
            SinkPlace::File(file) => file.content == FileContent::Format(FileFormat::Json),
            SinkPlace::Vault(_) => true,
        }
    }

    /// The file, where it is one.
    #[must_use]
    pub fn file(&self) -> Option<&FileSettings> {
        match &self.place {
            SinkPlace::File(file) => Some(file),
            SinkPlace::Vault(_) => None,
        }
    }

    /// The secret in Vault, where it is one.
    #[must_use]
    pub fn vault(&self) -> Option<&VaultSettings> {
        match &self.place {
            SinkPlace::File(_) => None,
            SinkPlace::Vault(vault) => Some(vault),
        }
    }
}

/// `{ file = "/path", format = "raw", mode = "0640", owner = "tokend", group = "api" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// Absolute, without `.` and `..`.
    pub path: PathBuf,
    /// What the file holds.
    pub content: FileContent,
    /// Permission bits; default `0600`.
    pub mode: u32,
    /// A user's name or number.
    pub owner: Option<String>,
    /// A group's name or number.
    pub group: Option<String>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// `format`.
    Format(FileFormat),
    /// `template`: its text, which is checked.
    Template(Arc<str>),
    /// `template_file`: where its text is, read at every delivery.
    TemplateFile(PathBuf),
}

/// `format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileFormat {
    /// The access token, no newline.
    #[default]
    Raw,
    /// `Authorization: Bearer TOKEN` and a newline.
    Header,
    /// One JSON object.
    Json,
    /// `NAME_ACCESS_TOKEN=…` and `NAME_EXPIRES_AT=…` lines.
    Env,
}
