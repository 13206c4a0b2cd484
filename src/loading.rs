//! From a path to a configuration: reads the files and the environment, and has them parsed.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::fmt::Write as _;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use crate::config::{Config, Privacy, SourceText, is_ours};
use crate::config_files;
use crate::fatal::{CONFIG, Fatal};
use crate::problem::{Place, Problem};
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
    sources: Vec<SourceText>,
    /// What cannot be read.
    unread: Vec<Problem>,
    environment: Vec<(String, String)>,
}

impl Texts {
    /// Reads what is at `path` now. What cannot be read is told when it is parsed.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let (sources, mut unread) = config_files::read(path);
        let mut environment = Vec::new();
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => environment.push((name, value)),
                (Ok(name), Err(_)) if is_ours(&name) => {
                    unread.push(Problem { place: Place::Variable(name), text: "its value is not UTF-8 text".into() });
                }
                _ => {}
            }
        }
        Self { sources, unread, environment }
    }

    /// What `[daemon]` seems to say; see `Config::glance`.
    #[must_use]
    pub fn glance(&self) -> Option<DaemonSettings> {
        self.unread.is_empty().then(|| Config::glance(&self.sources, &self.environment))?
    }

    /// What they say.
    ///
    /// Errors: all problems, one a line (exit 78).
    pub fn parse(&self) -> Result<Config, Fatal> {
        Config::parse_readable(&self.sources, &self.environment, &self.unread)
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
        for source in &self.sources {
            part(source.path.as_os_str().as_encoded_bytes());
            part(source.text.as_bytes());
            part(&[readers(source.privacy)]);
        }
        for problem in &self.unread {
            part(problem.to_string().as_bytes());
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
