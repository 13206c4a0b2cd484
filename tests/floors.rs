//! The floors of the house: modules look down only, edges never sideways, and each floor keeps to
//! what it may touch. Read from the source text, so that a wrong import cannot hide in a macro or
//! behind a feature; what is compiled for tests alone is free.
#![allow(clippy::disallowed_methods, reason = "reads the sources")]

use std::collections::BTreeMap;
use std::path::Path;

/// Lowest first. Where a floor may see itself, it sees the modules listed before.
#[rustfmt::skip]
const FLOORS: [&[&str]; 7] = [
    &["time", "name", "secret", "failure", "problem", "fatal", "spread"],
    &["access_token", "preset", "template", "schedule", "settings", "slot", "job", "document", "ledger", "reference", "config"],
    &["plan", "record", "agenda", "task", "keeper", "status", "forecast"],
    &["disk", "http", "command", "seal", "privacy", "peer", "vault"],
    &["store", "provider", "sink", "shelf", "config_files", "credentials", "hook"],
    &["clock", "places", "loading", "notes", "unit", "systemd", "inherited", "init", "telemetry", "display", "daemon",
      "inbox", "blocking", "vaults", "following", "reloading", "metrics", "watch", "signals", "cron", "world", "socket",
      "socket_client", "life"],
    &["demo", "cli", "lib", "main"],
];

/// Words, the floor from which on they may be said, and why not below.
const WORDS: &[(&[&str], usize, &str)] = &[
    (&["std::fs", "std::net", "std::env", "std::process", "std::thread", "std::io", "std::{"], 3, "has no effects"),
    (&["tokio", "reqwest", "hyper", "axum", "rusqlite", "rustix", "signal_hook", "sd_notify"], 3, "has no effects"),
    (&["print!", "println!", "eprint!", "eprintln!", "dbg!"], 3, "has no effects"),
    (&["rand", "getrandom", "RandomState"], 3, "has no randomness"),
    (&["disallowed_methods", "disallowed_types"], 3, "must not lift the bans of clippy.toml"),
    (&["SystemTime", "Instant", "Utc::now", "Local::now", "clock_gettime"], 5, "is told the time"),
    (&["tracing", "tracing_subscriber"], 5, "does not log"),
];

/// May hold the text of a secret, besides floors 3 and 4.
const EXPOSING: [&str; 3] = ["secret", "preset", "document"];

const LONGEST_FILE: usize = 300;

/// A module's floor, and where it stands there.
type Place = (usize, usize);

fn place_of(module: &str) -> Option<Place> {
    FLOORS.iter().enumerate().find_map(|(floor, modules)| {
        modules.iter().position(|listed| *listed == module).map(|position| (floor, position))
    })
}

fn may_see(from: Place, to: Place) -> bool {
    match from.0 {
        0 => false,
        3 => to.0 < 2 || (to.0 == 3 && to.1 < from.1),
        4 => to.0 < 2 || to.0 == 3,
        _ => to < from,
    }
}

/// Everything that is wrong in `sources`: texts by their path below `src`.
fn violations(sources: &BTreeMap<String, String>) -> Vec<String> {
    let of_file = |(path, text): (&String, &String)| {
        wrong_in(path, text).into_iter().map(|wrong| format!("{path}: {wrong}")).collect::<Vec<_>>()
    };
    sources.iter().flat_map(of_file).collect()
}

fn wrong_in(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !text.starts_with("//!") {
        wrong.push("does not begin with `//!`: what it is for, and what it refuses to do".to_owned());
    }
    if path.ends_with("/tests.rs") || path.contains("/tests/") || path == "fixtures.rs" {
        return wrong;
    }
    let text = without_tests(text);
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        wrong.push(format!("{lines} lines without tests, {LONGEST_FILE} at most"));
    }
    let module = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    let code = without_comments(&text);
    match place_of(module) {
        Some(place) => {
            wrong.extend(wrong_paths(path, module, place, &code));
            wrong.extend(wrong_words(module, place.0, &code));
        }
        None => wrong.push(format!("`{module}` is on no floor")),
    }
    wrong
}

fn wrong_paths(path: &str, module: &str, place: Place, code: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let root = if module == "main" { "tokend::" } else { "crate::" };
    for seen in modules_after(root, code) {
        match place_of(seen) {
            _ if seen == module => {}
            Some(below) if may_see(place, below) => {}
            Some((floor, _)) => wrong.push(format!("must not see `{seen}` (floor {floor}) from floor {}", place.0)),
            None => wrong.push(format!("`{root}{seen}` is on no floor; write `use crate::module::Item;`")),
        }
    }
    let out_of_the_module = "super::".repeat(path.matches('/').count() + 1);
    if code.contains(&out_of_the_module) {
        wrong.push("leaves its module by `super::`; write `use crate::module::Item;`".to_owned());
    }
    wrong
}

fn wrong_words(module: &str, floor: usize, code: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (words, from, why) in WORDS.iter().filter(|(_, from, _)| floor < *from) {
        let said = words.iter().filter(|word| says(code, word));
        wrong.extend(said.map(|word| format!("says `{word}`, but floor {floor} {why} (from floor {from} on)")));
    }
    if says(code, "expose") && !EXPOSING.contains(&module) && !(3..=4).contains(&floor) {
        wrong.push("must not expose a secret".to_owned());
    }
    wrong
}

/// The names that follow `root` in `code`, each once; empty where a brace follows.
fn modules_after<'a>(root: &'a str, code: &'a str) -> impl Iterator<Item = &'a str> {
    let names = code.match_indices(root).filter(|(at, _)| !code[..*at].ends_with(is_of_word)).map(|(at, _)| {
        let rest = &code[at + root.len()..];
        rest.split(|c| !is_of_word(c)).next().unwrap_or_default()
    });
    names.collect::<std::collections::BTreeSet<_>>().into_iter()
}

fn says(code: &str, word: &str) -> bool {
    let ends_open = !word.ends_with(is_of_word);
    code.match_indices(word).any(|(at, _)| {
        let after = &code[at + word.len()..];
        !code[..at].ends_with(is_of_word) && (ends_open || !after.starts_with(is_of_word))
    })
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `text` without what is compiled for tests alone. A test module with a body comes last: clippy
/// (`items_after_test_module`) sees to it.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.extend([line, "\n"]);
            continue;
        }
        let item = lines.find(|line| !line.trim_start().starts_with("#[")).unwrap_or_default();
        if item.starts_with("mod ") && item.ends_with('{') {
            break;
        }
        if item.ends_with('{') {
            let indent = item.len() - item.trim_start().len();
            let end = format!("{}}}", &item[..indent]);
            lines.find(|line| *line == end);
        }
    }
    kept
}

fn without_comments(text: &str) -> String {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.map(|line| line.split(" // ").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn sources_below(directory: &Path, prefix: &str, sources: &mut BTreeMap<String, String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            sources_below(&path, &format!("{name}/"), sources)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            sources.insert(name, std::fs::read_to_string(path)?);
        }
    }
    Ok(())
}

#[test]
fn modules_look_down_only_and_keep_to_what_their_floor_may_touch() -> std::io::Result<()> {
    let mut sources = BTreeMap::new();
    sources_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources)?;
    let found = violations(&sources);
    assert!(sources.contains_key("main.rs") && found.is_empty(), "\n{}", found.join("\n"));
    Ok(())
}

#[test]
fn a_planted_violation_of_each_rule_is_found() {
    for (path, text, expected) in [
        ("time.rs", "use crate::name::Name;", "must not see `name` (floor 0) from floor 0"),
        ("plan.rs", "use crate::daemon::Event;", "must not see `daemon` (floor 5) from floor 2"),
        ("plan.rs", "fn f() { crate::record::record(); }", "must not see `record` (floor 2) from floor 2"),
        ("disk.rs", "use crate::seal::SealingKey;", "must not see `seal` (floor 3) from floor 3"),
        ("sink/file.rs", "use crate::plan::plan;", "must not see `plan` (floor 2) from floor 4"),
        ("sink.rs", "use crate::store::Store;", "must not see `store` (floor 4) from floor 4"),
        ("daemon.rs", "use crate::cli::run;", "must not see `cli` (floor 6) from floor 5"),
        ("config/tokens.rs", "use super::super::plan::plan;", "leaves its module by `super::`"),
        ("plan.rs", "use super::slot::Slot;", "leaves its module by `super::`"),
        ("plan.rs", "use crate::{slot::Slot};", "`crate::` is on no floor"),
        ("cli.rs", "use crate::util::Helper;", "`crate::util` is on no floor"),
        ("main.rs", "use tokend::util::Helper;", "`tokend::util` is on no floor"),
        ("util.rs", "", "`util` is on no floor"),
        ("plan.rs", "let now = std::time::SystemTime::now();", "says `SystemTime`, but floor 2 is told the time"),
        ("sink.rs", "let now = Instant::now();", "says `Instant`, but floor 4 is told the time"),
        ("config.rs", "std::env::var(\"X\")", "says `std::env`, but floor 1 has no effects"),
        ("record.rs", "use std::{fs, io};", "says `std::{`, but floor 2 has no effects"),
        ("plan.rs", "#[allow(clippy::disallowed_types)]", "must not lift the bans of clippy.toml"),
        ("store.rs", "tracing::info!(slot);", "says `tracing`, but floor 4 does not log"),
        ("ledger.rs", "let text = secret.expose();", "must not expose a secret"),
        ("socket.rs", "map(Secret::expose)", "must not expose a secret"),
        ("plan.rs", &"\n".repeat(300), "301 lines without tests, 300 at most"),
    ] {
        let found = violations(&BTreeMap::from([(path.to_owned(), format!("//! Plans.\n{text}"))]));
        assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
    }
    let bare = BTreeMap::from([("plan.rs".to_owned(), "use std::fmt;".to_owned())]);
    assert!(violations(&bare)[0].contains("does not begin with `//!`"));
}

#[test]
fn what_is_allowed_is_not_found() {
    let tests = format!(
        "#[cfg(test)]\nmod tests;\nuse crate::time::Timestamp;\n#[cfg(test)]\n#[allow(x)]\nmod tests {{\n    use super::*;\n{}}}",
        "\n".repeat(300)
    );
    for (path, text) in [
        ("agenda.rs", "use crate::plan::plan;\nuse crate::agenda::Agenda;"),
        ("config/tokens.rs", "use super::Config;\nuse crate::slot::Slot;"),
        ("store.rs", "#![allow(clippy::disallowed_types)]\nuse crate::seal::Key; // not crate::sink\n/// tracing\n"),
        ("plan.rs", "let operand = random_instant(brand); // tokio"),
        ("provider.rs", "secret.expose()"),
        ("main.rs", "use tokend::cli;"),
        ("plan.rs", &tests),
        ("plan/tests.rs", "use std::time::Instant;"),
    ] {
        let found = violations(&BTreeMap::from([(path.to_owned(), format!("//! Plans.\n{text}"))]));
        assert!(found.is_empty(), "{found:?}");
    }
}
