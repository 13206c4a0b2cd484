//! `tokend status`: how things stand, as the daemon sees it.

use std::path::Path;

use crate::cli::asking::ask_json;
use crate::display::standing::lines;
use crate::display::{is_coloured, print};
use crate::fatal::{Fatal, SOFTWARE, TRY_AGAIN};
use crate::status::{SlotStatus, Status, TokenState, TokenStatus};

pub(crate) fn status(socket: &Path, json: bool) -> Result<u8, Fatal> {
    let text = ask_json(socket, "/v1/status")?;
    let status: Status = serde_json::from_slice(&text)
        .map_err(|_| Fatal::new(SOFTWARE, "the daemon's status is not what this version knows: restart the daemon"))?;
    if json {
        crate::display::print_json(&status)?;
    } else {
        print(&format!("{}\n", lines(&status, is_coloured()).join("\n")))?;
    }
    Ok(if is_well(&status) { 0 } else { TRY_AGAIN })
}

/// Whether no required token is missing, or due and failing.
fn is_well(status: &Status) -> bool {
    let ill = |slot: &SlotStatus, token: &TokenStatus| {
        token.required && (token.state != TokenState::Valid || slot.last_error.is_some())
    };
    status.ready && !status.slots.iter().any(|slot| slot.tokens.iter().any(|token| ill(slot, token)))
}
