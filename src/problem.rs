//! What is wrong with a configuration: the place and the remedy, one a line.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A file, with line and column counted from 1.
    File {
        /// As the person named it.
        path: Arc<PathBuf>,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
    },
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", in_one_line(&path.to_string_lossy())),
            Self::Variable(name) => f.write_str(&in_one_line(name)),
        }
    }
}

/// `text` with its control characters escaped: names of files, variables and keys may hold any, and
/// a line break in one must not begin a line.
#[must_use]
pub fn in_one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// One thing that is wrong with the configuration. Prints as `FILE:LINE:COL: message`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to do; never a secret's value.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_whatever_the_names_of_files_and_variables() {
        let text = || "wrong".to_owned();
        let place = Place::File { path: Arc::new("/etc/é\na.toml".into()), line: 1, column: 2 };
        assert_eq!(Problem { place, text: text() }.to_string(), "/etc/é\\na.toml:1:2: wrong");
        let place = Place::Variable("TOKEND_\u{1b}__A".into());
        assert_eq!(Problem { place, text: text() }.to_string(), "TOKEND_\\u{1b}__A: wrong");
    }
}
