//! `tokend status`: how things stand, as the daemon sees it.

use std::path::Path;

use crate::cli::asking::ask;
use crate::display::standing::lines;
use crate::display::{is_coloured, print, print_json};
use crate::fatal::{Fatal, TRY_AGAIN};
use crate::status::{SlotStatus, Status, TokenState, TokenStatus};

pub(crate) fn status(socket: &Path, json: bool) -> Result<u8, Fatal> {
    let status: Status = ask(socket, "/v1/status")?;
    if json {
        print_json(&status)?;
    } else {
        print(&format!("{}\n", lines(&status, is_coloured()).join("\n")))?;
    }
    Ok(if is_well(&status) { 0 } else { TRY_AGAIN })
}

/// Whether no required token is missing, or due and failing.
fn is_well(status: &Status) -> bool {
    let ill = |slot: &SlotStatus, token: &TokenStatus| {
        token.required && (token.state != TokenState::Valid || slot.due && slot.last_error.is_some())
    };
    status.ready && !status.slots.iter().any(|slot| slot.tokens.iter().any(|token| ill(slot, token)))
}
