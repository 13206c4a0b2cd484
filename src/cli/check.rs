//! `tokend check`: reads the configuration and says everything about it. Touches no network.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::cli::run::protect;
use crate::clock;
use crate::config::Config;
use crate::display::print;
use crate::fatal::Fatal;
use crate::forecast::runs_dry;
use crate::loading::load;
use crate::notes::notes;
use crate::places::Places;
use crate::slot::Slot;
use crate::unit::drop_in;

/// A longer lead on an exclusive slot means that two access tokens live side by side for long.
const LONG_LEAD: Duration = Duration::from_mins(5);

pub(crate) fn check(config_path: &Path) -> Result<u8, Fatal> {
    protect();
    let config = match load(config_path) {
        Ok(config) => config,
        // What is wrong is the result here, not a failure of the command.
        Err(problems) => {
            print(&format!("{problems}\n"))?;
            return Ok(problems.code);
        }
    };
    let places = Places::find(&config.daemon);
    let mut lines: Vec<String> = warnings(&config).iter().map(|line| format!("warning: {line}")).collect();
    lines.extend(notes(&config).iter().map(|line| format!("note: {line}")));
    match &places {
        Ok(places) => lines.extend(places.volatile_state().map(|line| format!("warning: {line}"))),
        Err(fatal) => lines.extend(fatal.lines.iter().map(|line| format!("note: {line}"))),
    }
    lines.push(summary(&config));
    print(&format!("{}\n", lines.join("\n")))?;
    Ok(0)
}

/// The drop-in on stdout, ready for a file; what is wrong elsewhere, so that none of it gets there.
pub(crate) fn unit(config_path: &Path) -> Result<u8, Fatal> {
    protect();
    print(&drop_in(&load(config_path)?, config_path))?;
    Ok(0)
}

fn warnings(config: &Config) -> Vec<String> {
    let long = config.slots.iter().filter(|slot| slot.policy.exclusive).filter_map(|slot| {
        let lead = slot.policy.lead.filter(|lead| *lead > LONG_LEAD)?;
        let lead = crate::time::for_people(lead);
        Some(format!("{}: with a lead of {lead} two access tokens of one PSU context are valid for as long", slot.id))
    });
    let around = config.slots.iter().filter_map(|slot| follows_this_one(slot, config));
    let dry = config.slots.iter().filter_map(|slot| runs_dry(slot, clock::now()));
    long.chain(dry).chain(config.slots.iter().flat_map(|slot| uninvited_scopes(slot))).chain(around).collect()
}

/// A token that takes from a sink what this tokend wrote there: it works, by a detour.
fn follows_this_one(slot: &Slot, config: &Config) -> Option<String> {
    let place = &slot.follows()?.id;
    let (author, _) = config.slots[*config.sinks.get(place)?].sink(place)?;
    let (author, name) = (&author.name, &slot.tokens.first()?.name);
    Some(format!("token {name}: follow: {author} writes this itself on this host; read {author} instead"))
}

/// The readers of a shared slot who get scopes that their token did not list.
fn uninvited_scopes(slot: &Slot) -> Vec<String> {
    let more = |token: &crate::settings::TokenSettings| {
        let listed: BTreeSet<&String> = token.scopes.iter().collect();
        let others: Vec<&str> =
            slot.scopes.iter().filter(|scope| !listed.contains(scope)).map(String::as_str).collect();
        let readers = if token.readers.is_empty() { String::new() } else { format!(" ({})", token.readers) };
        let line = format!(
            "{}: readers of {}{readers} also get {}, which shares its access token",
            slot.id,
            token.name,
            others.join(" ")
        );
        (!others.is_empty()).then_some(line)
    };
    slot.tokens.iter().filter_map(more).collect()
}

fn summary(config: &Config) -> String {
    let exclusive = config.slots.iter().filter(|slot| slot.policy.exclusive).count();
    let followers = config.slots.iter().filter(|slot| slot.follows().is_some()).count();
    let followers = if followers == 0 { String::new() } else { format!(", {followers} following another tokend") };
    format!(
        "ok: {}, {} in {} ({exclusive} exclusive{followers}), {}",
        counted(config.providers.len(), "provider"),
        counted(config.tokens.len(), "token"),
        counted(config.slots.len(), "slot"),
        counted(config.sinks.len(), "sink"),
    )
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
