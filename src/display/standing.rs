//! How things stand, for a person: one row a token, and below it what is the matter and what
//! happens next.

use std::time::Duration;

use crate::display::{Tone, lines_of, table, toned};
use crate::status::{ConfigStatus, HookStatus, SinkState, SlotStatus, StandingState, Status, TokenState, TokenStatus};
use crate::time::{Timestamp, for_people};

/// Stands for the slot of the row above.
const SHARED: &str = "└ the same token";

/// The lines that show `status`; names of usual length fit in 80 columns.
#[must_use]
pub fn lines(status: &Status, coloured: bool) -> Vec<String> {
    let mut lines = vec![headline(status, coloured), String::new()];
    lines.extend(rows(status, coloured));
    let troubles = matters(status);
    if !troubles.is_empty() {
        lines.push(String::new());
        lines.extend(troubles.into_iter().map(|(tone, line)| format!("{} {line}", toned("!", tone, coloured))));
    }
    lines
}

fn headline(status: &Status, coloured: bool) -> String {
    let counts = status.counts;
    let (word, tone) = if status.ready { ("ready", Tone::Good) } else { ("NOT READY", Tone::Bad) };
    format!(
        "tokend {}: {}; {} of {} tokens valid, {} of {} files current",
        status.version,
        toned(word, tone, coloured),
        counts.valid,
        counts.tokens,
        counts.current,
        counts.sinks,
    )
}

fn rows(status: &Status, coloured: bool) -> Vec<String> {
    let now = Timestamp::parse_rfc3339(&status.now).unwrap_or(Timestamp::EPOCH);
    let mut shown = table(&["TOKEN", "STATE", "EXPIRES", "REFRESH", "GEN", "FILES", "SLOT"]);
    let mut words = Vec::new();
    for slot in &status.slots {
        for (place, token) in slot.tokens.iter().enumerate() {
            let of_slot = if place == 0 { &slot.slot } else { SHARED };
            shown.add_row(row(slot, token, of_slot, now));
            words.push(state(slot, token));
        }
    }
    let mut lines = lines_of(&shown);
    for (line, (word, tone)) in lines.iter_mut().skip(1).zip(words) {
        *line = line.replacen(&format!(" {word} "), &format!(" {} ", toned(word, tone, coloured)), 1);
    }
    lines
}

fn row(slot: &SlotStatus, token: &TokenStatus, of_slot: &str, now: Timestamp) -> Vec<String> {
    let valid = token.state == TokenState::Valid;
    let current = token.sinks.iter().filter(|sink| valid && sink.state == SinkState::Current).count();
    let lives = slot.state == TokenState::Valid;
    vec![
        token.name.clone(),
        state(slot, token).0.to_owned(),
        slot.expires_in.filter(|_| lives).map_or("-".into(), |left| for_people(Duration::from_secs(left))),
        next_refresh(slot, now),
        if slot.generation.0 == 0 { "-".into() } else { slot.generation.to_string() },
        if token.sinks.is_empty() { "-".into() } else { format!("{current}/{}", token.sinks.len()) },
        of_slot.to_owned(),
    ]
}

fn next_refresh(slot: &SlotStatus, now: Timestamp) -> String {
    match slot.next_refresh.as_deref().and_then(Timestamp::parse_rfc3339) {
        _ if slot.standing == StandingState::Asking => "asking".into(),
        _ if slot.standing == StandingState::Paused => "paused".into(),
        Some(at) if at > now => for_people(now.until(at)),
        Some(_) => "due".into(),
        None => "-".into(),
    }
}

/// One word, and how good it is.
fn state(slot: &SlotStatus, token: &TokenStatus) -> (&'static str, Tone) {
    match token.state {
        TokenState::Valid if slot.last_error.is_some() => ("valid", Tone::Doubtful),
        TokenState::Valid => ("valid", Tone::Good),
        TokenState::Expired => ("EXPIRED", Tone::Bad),
        TokenState::Missing if slot.standing == StandingState::Asking => ("asking", Tone::Doubtful),
        TokenState::Missing => ("MISSING", Tone::Bad),
        TokenState::Refused => ("REFUSED", Tone::Bad),
    }
}

/// What a person should know, the worst in red.
fn matters(status: &Status) -> Vec<(Tone, String)> {
    let mut matters = Vec::new();
    matters.extend(status.state_error.iter().map(|error| (Tone::Bad, error.to_string())));
    matters.extend(status.config.iter().flat_map(config_matters));
    matters.extend(status.metrics_problem.iter().map(|problem| (Tone::Doubtful, format!("metrics: {problem}"))));
    matters.extend(status.state_notice.iter().map(|notice| (Tone::Bad, notice.clone())));
    for slot in &status.slots {
        matters.extend(slot_matters(slot));
        matters.extend(slot.tokens.iter().flat_map(token_matters));
    }
    matters
}

fn config_matters(config: &ConfigStatus) -> Vec<(Tone, String)> {
    let mut matters = Vec::new();
    if let Some(refused) = &config.refused {
        let first = refused.problems.first().map_or("", String::as_str);
        let more = match refused.problems.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more: `tokend check`)", count - 1),
        };
        let (at, since) = (time_of_day(&refused.at), &config.applied_at);
        let line = format!("the configuration of {at} was not taken, that of {since} stays: {first}{more}");
        matters.push((Tone::Bad, line));
    }
    if !config.restart_needed.is_empty() {
        // Behind these the state of the running daemon is not found, or not kept.
        let forgets =
            |key: &&String| ["daemon.state_dir", "daemon.state_key", "daemon.persist"].contains(&key.as_str());
        let forgetting: Vec<&str> = config.restart_needed.iter().filter(forgets).map(String::as_str).collect();
        let cost = match forgetting.as_slice() {
            [] => "it asks for no new tokens".to_owned(),
            keys => format!("with another {} it asks for new tokens", keys.join(" and ")),
        };
        matters.push((Tone::Doubtful, format!("restart needed for {} ({cost})", config.restart_needed.join(", "))));
    }
    if let Some(problem) = &config.watching_problem {
        matters.push((Tone::Doubtful, format!("files are looked at every few seconds: {problem}")));
    }
    matters
}

fn slot_matters(slot: &SlotStatus) -> Vec<(Tone, String)> {
    let mut matters = Vec::new();
    if let Some(error) = &slot.last_error {
        let tone = if slot.standing == StandingState::Refused { Tone::Bad } else { Tone::Doubtful };
        let attempts = if error.attempts > 1 { format!("{} attempts", error.attempts) } else { "1 attempt".into() };
        let line = format!(
            "{}: {} ({attempts} since {}; next at {})",
            slot.slot,
            error.reason,
            time_of_day(&error.since),
            error.next_attempt.as_deref().map_or("-".into(), time_of_day),
        );
        matters.push((tone, line));
    }
    if let Some(since) = &slot.paused_since {
        let name = slot.tokens.first().map_or("NAME", |token| token.name.as_str());
        let line = format!("{}: paused since {since}: no requests until `tokend resume {name}`", slot.slot);
        matters.push((Tone::Doubtful, line));
    }
    if let (StandingState::WaitingForBudget, Some(budget)) = (slot.standing, slot.budget) {
        let per = for_people(Duration::from_secs(budget.per_seconds));
        let next = slot.next_refresh.as_deref().map_or("-".into(), time_of_day);
        let possibly = match budget.possibly_issued {
            0 => String::new(),
            some => format!(", {some} possibly,"),
        };
        let line = format!(
            "{}: waits for its budget ({} of {} issued{possibly} in {per}); next at {next}",
            slot.slot, budget.issued, budget.issues
        );
        matters.push((Tone::Bad, line));
    }
    matters.extend(slot.warning.iter().map(|warning| (Tone::Doubtful, format!("{}: {warning}", slot.slot))));
    matters
}

fn token_matters(token: &TokenStatus) -> Vec<(Tone, String)> {
    let refused = token.reason.iter().filter(|_| token.state == TokenState::Refused);
    let mut matters: Vec<(Tone, String)> = refused.map(|why| (Tone::Bad, format!("{}: {why}", token.name))).collect();
    for sink in &token.sinks {
        if let Some(error) = &sink.error {
            let holds = sink.generation.map_or("nothing".into(), |held| format!("generation {held}"));
            matters.push((Tone::Doubtful, format!("{} → {}: {error} (it holds {holds})", token.name, sink.sink)));
        }
    }
    matters.extend(token.hooks.iter().filter_map(|hook| hook_matter(token, hook)));
    matters
}

fn hook_matter(token: &TokenStatus, hook: &HookStatus) -> Option<(Tone, String)> {
    let error = hook.error.as_ref()?;
    let since = hook.failing_since.as_deref().map_or("-".into(), time_of_day);
    let next = hook.next_attempt.as_deref().map_or(String::new(), |next| format!("; next at {}", time_of_day(next)));
    Some((Tone::Doubtful, format!("{}: {} failed: {error} (since {since}{next})", token.name, hook.hook)))
}

/// `2026-11-21T08:00:00Z` → `08:00:00Z`.
fn time_of_day(moment: &str) -> String {
    moment.get(11..).unwrap_or(moment).to_owned()
}
