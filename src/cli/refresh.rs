//! `tokend refresh`: asks the daemon for a fresh access token before it is due.

use std::path::Path;

use serde::Deserialize;

use crate::cli::asking::order;
use crate::display::print;
use crate::fatal::{Fatal, SOFTWARE};

/// What the daemon says of the token it now holds.
#[derive(Deserialize)]
struct Held {
    name: String,
    generation: u64,
    expires_at: Option<String>,
}

pub(crate) fn refresh(socket: &Path, name: &str) -> Result<u8, Fatal> {
    let text = order(socket, &format!("/v1/tokens/{name}/refresh"))?;
    let held: Held = serde_json::from_slice(&text)
        .map_err(|_| Fatal::new(SOFTWARE, "the daemon's answer is not what this version knows: restart the daemon"))?;
    let expires_at = held.expires_at.unwrap_or_else(|| "unknown".into());
    print(&format!("{}: generation {}, expires at {expires_at}\n", held.name, held.generation))?;
    Ok(0)
}
