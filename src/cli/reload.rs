//! `tokend reload`: has the daemon read its configuration again, and says what came of it.

use std::path::Path;

use serde::Deserialize;

use crate::cli::asking::order;
use crate::config::Changes;
use crate::display::print;
use crate::fatal::Fatal;

/// What the daemon says of the configuration that holds now.
#[derive(Deserialize)]
struct Taken {
    fingerprint: String,
    tokens: usize,
    changed: Changes,
    restart_needed: Vec<String>,
}

pub(crate) fn reload(socket: &Path) -> Result<u8, Fatal> {
    let taken: Taken = order(socket, "/v1/reload")?;
    print(&lines(&taken))?;
    Ok(0)
}

fn lines(taken: &Taken) -> String {
    let Changes { added, removed, changed } = taken.changed;
    let what = match (added, removed, changed) {
        (0, 0, 0) => "no token changed".to_owned(),
        _ => format!("{added} added, {removed} removed, {changed} changed"),
    };
    let restart = match taken.restart_needed.as_slice() {
        [] => String::new(),
        keys => format!("restart needed for {}\n", keys.join(", ")),
    };
    format!("configuration {}: {} tokens, {what}\n{restart}", taken.fingerprint, taken.tokens)
}
