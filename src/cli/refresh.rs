//! `tokend refresh`: asks the daemon for a fresh access token before it is due.

use std::path::Path;

use serde::Deserialize;

use crate::cli::asking::{order, target_of};
use crate::display::print;
use crate::fatal::Fatal;

/// What the daemon says of the token it now holds.
#[derive(Deserialize)]
struct Held {
    name: String,
    generation: u64,
    expires_at: Option<String>,
}

pub(crate) fn refresh(socket: &Path, name: &str) -> Result<u8, Fatal> {
    let held: Held = order(socket, &format!("{}/refresh", target_of(name)?))?;
    let expires_at = held.expires_at.unwrap_or_else(|| "unknown".into());
    print(&format!("{}: generation {}, expires at {expires_at}\n", held.name, held.generation))?;
    Ok(0)
}
