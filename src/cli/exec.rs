//! `tokend exec`: becomes another program with access tokens in its environment: the one place where
//! they are in one, because the user asked for it.

#![allow(clippy::disallowed_types, reason = "becomes another program")]

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::cli::asking::{Wanted, fetch};
use crate::document::Document;
use crate::fatal::{Fatal, USAGE};

/// As shells and `env` say it: there is such a program, and it cannot be run.
const CANNOT_RUN: u8 = 126;
/// There is no such program.
const NOT_FOUND: u8 = 127;

/// `NAME=ENVVAR`: which token goes into which variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    token: String,
    variable: String,
}

/// Reads `NAME=ENVVAR`.
pub(crate) fn assignment(text: &str) -> Result<Assignment, String> {
    let wrong = |why: &str| format!("{why}; write NAME=ENVVAR, the token's name and the variable that gets it");
    let (token, variable) = text.split_once('=').ok_or_else(|| wrong("there is no variable"))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.is_empty() || variable.starts_with(|c: char| c.is_ascii_digit()) || !variable.chars().all(fits) {
        return Err(wrong("that is no name of a variable"));
    }
    Ok(Assignment { token: token.into(), variable: variable.into() })
}

/// Does not return if all is well.
pub(crate) fn exec(
    socket: &Path,
    assignments: &[Assignment],
    wanted: Wanted,
    command: &[OsString],
) -> Result<u8, Fatal> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Fatal::new(USAGE, "there is no command: tokend exec NAME=ENVVAR -- COMMAND"));
    };
    let mut become_it = Command::new(program);
    become_it.args(arguments);
    for Assignment { token, variable } in assignments {
        let document: Document = fetch(socket, token, wanted)?;
        become_it.env(variable, document.access_token);
    }
    let error = become_it.exec();
    let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN };
    Err(Fatal::new(code, format!("cannot run {}: {error}", program.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_a_token_and_a_variable() {
        let read = |text| assignment(text).map(|Assignment { token, variable }| (token, variable)).ok();
        assert_eq!(read("api-1=_API_1"), Some(("api-1".into(), "_API_1".into())));
        for wrong in ["api", "api=", "api=1A", "api=A-B", "api=A B", "api=A=B", "api=Ä"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
