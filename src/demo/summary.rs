//! What the demo says at its end: what happened, beside the vendors' rule.

use std::path::Path;

use crate::demo::standin::{Account, Journal, Tally};
use crate::display::{lines_of, table};

/// What the vendors ask for, to be held against the table.
const RULES: &str = "\
Open Payments: one active access token per PSU context: one issue in a lifetime.
Vipps: several may be valid; not one for every call.";

/// The closing words.
pub(crate) fn of(journal: &Journal, dir: &Path, kept: bool) -> String {
    let mut rows = table(&["ACCOUNT", "PSU CONTEXT", "ISSUED", "REFUSED", "MOST AT ONCE"]);
    for account in journal.accounts() {
        rows.add_row(row(account, journal.tally(account)));
    }
    let files = if kept { format!("Its files are in {}.", dir.display()) } else { "Its files are removed.".into() };
    format!("What the stand-ins saw:\n\n{}\n\n{RULES}\n\nThe daemon has stopped. {files}\n", lines_of(&rows).join("\n"))
}

fn row(account: &Account, tally: Tally) -> Vec<String> {
    vec![
        format!("{} {}", account.vendor.preset(), short(&account.client_id)),
        if account.context.is_empty() { "-".into() } else { account.context.clone() },
        tally.issued.to_string(),
        tally.refused.to_string(),
        tally.most_in_flight.to_string(),
    ]
}

/// The first eight characters of a client id.
fn short(client_id: &str) -> String {
    let shown: String = client_id.chars().take(8).collect();
    if shown.len() < client_id.len() { format!("{shown}…") } else { shown }
}
