//! The live picture of the demo: a table that is drawn anew once a second on a terminal, lines
//! about what changed where there is none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::demo::standin::Journal;
use crate::display::is_coloured;
use crate::display::standing::lines;
use crate::status::{SlotStatus, Status, TokenState, TokenStatus};
use crate::time::for_people;

/// Shows how things stand.
pub(crate) struct Screen {
    dir: PathBuf,
    standin: String,
    live: bool,
    drawn: usize,
    seen: BTreeMap<String, (u64, TokenState)>,
}

impl Screen {
    /// A live table, or lines where standard output is no terminal.
    pub(crate) fn new(dir: &Path, standin: &str, is_terminal: bool) -> Self {
        Self { dir: dir.into(), standin: standin.into(), live: is_terminal, drawn: 0, seen: BTreeMap::new() }
    }

    /// What is said first.
    pub(crate) fn opening(&self) -> String {
        let dir = self.dir.display();
        format!(
            "Stand-ins of the vendors: {}; tokens live for a minute.\n\
             tokend runs with {dir}/tokend.toml and keeps these files fresh:\n\
             \x20   {dir}/tokens/\n\
             Look at it from another terminal:\n\
             \x20   tokend status --socket {dir}/tokend.sock\n\
             \x20   cat {dir}/tokens/accounts-private.header\n\
             Ctrl-C ends it.\n\n",
            self.standin,
        )
    }

    /// What to print now.
    pub(crate) fn show(&mut self, status: &Status, journal: &Journal, running: Duration) -> String {
        if self.live { self.redraw(status, journal, running) } else { self.tell_changes(status, running) }
    }

    /// What is said when the end begins.
    pub(crate) fn closing(&self) -> String {
        if self.live { "\n".into() } else { String::new() }
    }

    fn redraw(&mut self, status: &Status, journal: &Journal, running: Duration) -> String {
        let mut lines = lines(status, is_coloured());
        lines.push(String::new());
        let issued: u64 = journal.accounts().map(|account| journal.tally(account).issued).sum();
        lines.push(format!("running for {}; {issued} access tokens issued so far", for_people(running)));
        let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        self.drawn = lines.len();
        // A line too long for the terminal is cut, not wrapped: the way up is counted in lines.
        format!("{up}\x1b[?7l\x1b[2K{}\n\x1b[0J\x1b[?7h", lines.join("\n\x1b[2K"))
    }

    fn tell_changes(&mut self, status: &Status, running: Duration) -> String {
        let mut lines = Vec::new();
        for slot in &status.slots {
            for token in &slot.tokens {
                let held = (slot.generation.0, token.state);
                let news = held.0 > 0 && self.seen.insert(token.name.clone(), held) != Some(held);
                lines.extend(news.then(|| line_about(slot, token, running)));
            }
        }
        lines.concat()
    }
}

fn line_about(slot: &SlotStatus, token: &TokenStatus, running: Duration) -> String {
    let files: Vec<&str> = token.sinks.iter().filter_map(|sink| sink.sink.rsplit('/').next()).collect();
    format!(
        "{:>8}  {:<20} generation {} of {}, expires at {}, in tokens/{}\n",
        for_people(running),
        token.name,
        slot.generation,
        slot.slot,
        slot.expires_at.as_deref().unwrap_or("-"),
        files.join(" tokens/"),
    )
}
