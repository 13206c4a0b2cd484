//! From a path to a configuration: reads the files and the environment, and has them parsed.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fmt::Write as _;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use crate::config::{Config, Privacy, SourceText};
use crate::config_files;
use crate::fatal::{CONFIG, Fatal};
use crate::settings::DaemonSettings;

/// Where the configuration is when nobody says so.
pub const DEFAULT_CONFIG: &str = "/etc/tokend/tokend.toml";

/// How many bytes of a digest tell two configurations apart.
const FINGERPRINT: usize = 8;

/// Loads the configuration at `path`, the `conf.d` beside it, and the environment.
///
/// Errors: all problems, one a line (exit 78).
pub fn load(path: &Path) -> Result<Config, Fatal> {
    Texts::read(path).parse()
}

/// A configuration as it is written: all its files, and the environment.
pub struct Texts {
    sources: Result<Vec<SourceText>, String>,
    environment: Vec<(String, String)>,
}

impl Texts {
    /// Reads what is at `path` now. What cannot be read is told when it is parsed.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { sources: config_files::read(path).map_err(|why| why.to_string()), environment }
    }

    /// What `[daemon]` seems to say; see `Config::glance`.
    #[must_use]
    pub fn glance(&self) -> Option<DaemonSettings> {
        Config::glance(self.sources.as_ref().ok()?, &self.environment)
    }

    /// What they say.
    ///
    /// Errors: all problems, one a line (exit 78).
    pub fn parse(&self) -> Result<Config, Fatal> {
        let sources = self.sources.as_ref().map_err(|why| Fatal::new(CONFIG, why))?;
        Config::parse(sources, &self.environment)
            .map_err(|problems| Fatal { code: CONFIG, lines: problems.iter().map(ToString::to_string).collect() })
    }

    /// Another one where another file, another content or other readers of a file are found: short,
    /// in hexadecimal digits. The environment of a process does not change.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut digest = Context::new(&SHA256);
        let mut part = |bytes: &[u8]| {
            digest.update(&(bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        match &self.sources {
            Ok(sources) => sources.iter().for_each(|source| {
                part(source.path.as_os_str().as_encoded_bytes());
                part(source.text.as_bytes());
                part(&[readers(source.privacy)]);
            }),
            Err(why) => part(why.as_bytes()),
        }
        let digest = digest.finish();
        digest.as_ref().iter().take(FINGERPRINT).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

fn readers(privacy: Privacy) -> u8 {
    match privacy {
        Privacy::Private => 0,
        Privacy::Group => 1,
        Privacy::World => 2,
    }
}
