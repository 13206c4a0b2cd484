//! How results are printed: tables that read at a glance, colours only on a terminal.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::fatal::{CANNOT_CREATE, Fatal, SOFTWARE};

pub mod standing;

/// An empty table with `header`, without rules.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    table
}

/// The table as lines without spaces at their ends.
#[must_use]
pub fn lines_of(table: &Table) -> Vec<String> {
    table.to_string().lines().map(|line| line.trim_end().trim_start_matches(' ').to_owned()).collect()
}

/// Prints `text` to standard output. A reader that has had enough (a closed pipe) is no error.
pub fn print(text: &str) -> Result<(), Fatal> {
    print_while_read(text).map(|_| ())
}

/// Prints `text` to standard output; says whether somebody still reads it.
pub fn print_while_read(text: &str) -> Result<Reading, Fatal> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reading::GoesOn),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reading::HasEnded),
        Err(error) => Err(Fatal::new(CANNOT_CREATE, format!("cannot write to standard output: {error}"))),
    }
}

/// Whether somebody reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Somebody does.
    GoesOn,
    /// The pipe was closed.
    HasEnded,
}

/// Prints `value` as indented JSON.
pub fn print_json(value: &impl Serialize) -> Result<(), Fatal> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Fatal::new(SOFTWARE, error.to_string()))?;
    print(&format!("{text}\n"))
}

/// Whether standard output shows colours.
#[must_use]
pub fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A colour that says how well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Time may help.
    Doubtful,
    /// A person may have to help.
    Bad,
}

/// `text` in the colour of `tone`, where colours are shown.
#[must_use]
pub fn toned(text: &str, tone: Tone, coloured: bool) -> String {
    let code = match tone {
        Tone::Good => 32,
        Tone::Doubtful => 33,
        Tone::Bad => 31,
    };
    if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
