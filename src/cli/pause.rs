//! `tokend pause` and `tokend resume`: whether requests are made for the slot of a token.

use std::path::Path;

use serde::Deserialize;

use crate::cli::asking::{order, target_of};
use crate::display::print;
use crate::fatal::Fatal;

/// How it stands with the slot's requests.
#[derive(Deserialize)]
struct Pause {
    name: String,
    slot: String,
    paused_since: Option<String>,
}

pub(crate) fn pause(socket: &Path, name: &str) -> Result<u8, Fatal> {
    say(&order(socket, &format!("{}/pause", target_of(name)?))?)
}

pub(crate) fn resume(socket: &Path, name: &str) -> Result<u8, Fatal> {
    say(&order(socket, &format!("{}/resume", target_of(name)?))?)
}

fn say(pause: &Pause) -> Result<u8, Fatal> {
    let Pause { name, slot, paused_since } = pause;
    match paused_since {
        Some(since) => print(&format!("{name}: {slot} is paused since {since}; no requests until it is resumed\n"))?,
        None => print(&format!("{name}: {slot} is not paused\n"))?,
    }
    Ok(0)
}
