//! Why the program cannot go on, with the exit code that says so to other programs (sysexits).

use std::fmt;

/// Wrong usage, or an unknown token.
pub const USAGE: u8 = 64;
/// The daemon does not answer.
pub const UNAVAILABLE: u8 = 69;
/// A bug of ours.
pub const SOFTWARE: u8 = 70;
/// Something cannot be created, or another daemon holds the state.
pub const CANNOT_CREATE: u8 = 73;
/// No valid token now.
pub const TRY_AGAIN: u8 = 75;
/// Not allowed.
pub const NOT_ALLOWED: u8 = 77;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;

/// The end of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal {
    /// The exit code.
    pub code: u8,
    /// What to tell the person, one line each.
    pub lines: Vec<String>,
}

impl Fatal {
    /// Ends with `code` and one line.
    #[must_use]
    pub fn new(code: u8, line: impl Into<String>) -> Self {
        Self { code, lines: vec![line.into()] }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}
