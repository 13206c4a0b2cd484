//! From a path to a configuration: reads the files and the environment, and has them parsed.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::path::Path;

use crate::config::Config;
use crate::config_files;
use crate::fatal::{CONFIG, Fatal};

/// Where the configuration is when nobody says so.
pub const DEFAULT_CONFIG: &str = "/etc/tokend/tokend.toml";

/// Loads the configuration at `path`, the `conf.d` beside it, and the environment.
///
/// Errors: all problems, one a line (exit 78).
pub fn load(path: &Path) -> Result<Config, Fatal> {
    let sources = config_files::read(path).map_err(|why| Fatal::new(CONFIG, why.to_string()))?;
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Config::parse(&sources, &environment)
        .map_err(|problems| Fatal { code: CONFIG, lines: problems.iter().map(ToString::to_string).collect() })
}
