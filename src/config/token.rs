//! `[tokens.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::follow;
use crate::config::hooks;
use crate::config::keys::Keys;
use crate::config::place::At;
use crate::config::problems::{Problems, one_of, shown};
use crate::config::provider;
use crate::config::read::{Section, choice, duration, flag, strings, text};
use crate::config::readers;
use crate::config::sinks::{self, Exports};
use crate::name::Name;
use crate::preset::Preset;
use crate::schedule::{Schedule, zone, zones};
use crate::settings::{Followed, HookKind, OnExpired, TokenSettings};

pub(super) const TOKEN: Keys<'static> = Keys {
    table: "[tokens.NAME]",
    accepted: &[
        "provider",
        "follow",
        "psu_context",
        "scopes",
        "required",
        "readers",
        "sinks",
        "refresh",
        "on_expired",
        "on_change",
        "on_failure",
    ],
};
pub(super) const REFRESH: Keys<'static> = Keys { table: "refresh", accepted: &["lead", "schedule", "timezone"] };

/// How many problems get a suggestion that takes a look at every provider: nobody reads more, and
/// ten thousand looks at ten thousand names take a minute.
const SUGGESTED: usize = 50;

/// The provider tables by name.
pub type Providers<'a> = BTreeMap<&'a str, provider::Draft>;

/// A token table that is not yet part of a slot.
pub struct Draft<'a> {
    /// Where its access tokens come from.
    pub source: Source<'a>,
    /// The PSU context.
    pub context: Option<String>,
    /// `refresh.lead` and where it stands.
    pub lead: Option<(At, Duration)>,
    /// `refresh.schedule` and where it stands.
    pub schedule: Option<(At, Arc<Schedule>)>,
    /// What goes into the slot.
    pub settings: TokenSettings,
    /// Where its sinks stand.
    pub sinks_at: Vec<At>,
}

/// Where the access tokens of a token come from.
#[derive(Debug)]
pub enum Source<'a> {
    /// The provider of this name.
    Provider(&'a str),
    /// Another tokend writes them there; and where that stands.
    Followed(At, Followed),
}

/// Reads the table called `name`. `None`: something in it is wrong.
pub fn read<'a>(
    name: &str,
    section: Section<'_, 'a>,
    providers: &Providers<'_>,
    problems: &mut Problems<'_>,
) -> Option<Draft<'a>> {
    let name = Name::parse(name).map_err(|text| problems.add(section.at, text)).ok();
    problems.check_keys(section.table, &TOKEN);
    let source = source(section, providers, problems);
    let follows = section.node("follow").is_some();
    let preset = match &source {
        Some(Source::Provider(name)) => providers.get(name).and_then(|draft| draft.preset.as_ref()),
        _ => None,
    };
    let context = preset.and_then(|preset| context(section, preset, problems));
    let scopes = scopes(section, preset, problems);
    let required = section.read("required", problems, flag).unwrap_or(true);
    let expiry = [("keep", OnExpired::Keep), ("remove", OnExpired::Remove)];
    let on_expired = section.read("on_expired", problems, |node| choice(node, &expiry)).unwrap_or_default();
    let exports = match preset {
        Some(preset) => Exports::Of(preset),
        None if follows => Exports::Any,
        None => Exports::Unknown,
    };
    let found = section.node("sinks").map(|node| sinks::read(node, exports, problems)).unwrap_or_default();
    let sinks_at = found.iter().map(|(at, _)| *at).collect();
    let mut sinks = Vec::with_capacity(found.len());
    sinks.extend(found.into_iter().map(|(_, sink)| sink));
    let (lead, schedule) = refresh(section, problems);
    let on_change = hooks::read(section, HookKind::OnChange, problems);
    let on_failure = hooks::read(section, HookKind::OnFailure, problems);
    let readers = section.node("readers").map(|node| readers::read(node, problems)).unwrap_or_default();
    let settings = TokenSettings { name: name?, scopes, required, sinks, on_expired, readers, on_change, on_failure };
    Some(Draft { source: source?, context, lead, schedule, settings, sinks_at })
}

fn source<'a>(section: Section<'_, 'a>, providers: &Providers<'_>, problems: &mut Problems<'_>) -> Option<Source<'a>> {
    let Some(node) = section.node("follow") else {
        return provider_name(section, providers, problems).map(Source::Provider);
    };
    follow::check_beside(section, problems);
    follow::read(node, problems).map(|followed| Source::Followed(section.at_key("follow"), followed))
}

fn provider_name<'a>(
    section: Section<'_, 'a>,
    providers: &Providers<'_>,
    problems: &mut Problems<'_>,
) -> Option<&'a str> {
    let Some(node) = section.node("provider") else {
        problems.add_missing(section.at, "a token needs a provider: provider = \"NAME\" of a [providers.NAME]");
        return None;
    };
    let name = section.read("provider", problems, text)?;
    if providers.contains_key(name) {
        return Some(name);
    }
    let remedy = match problems.count() {
        _ if providers.is_empty() => "add the table".into(),
        ..SUGGESTED => one_of(name, providers.keys().copied()),
        _ => "correct the name, or add the table".into(),
    };
    problems.add_missing(node.at, format!("provider: there is no [providers.{}]; {remedy}", unquoted(name)));
    None
}

/// A name in the place where a table's name is printed.
fn unquoted(name: &str) -> String {
    Name::parse(name).map_or_else(|_| shown(name), |name| name.to_string())
}

fn context(section: Section<'_, '_>, preset: &Arc<Preset>, problems: &mut Problems<'_>) -> Option<String> {
    let values = &preset.context.values;
    if section.node("psu_context").is_none() {
        if !values.is_empty() {
            let text = format!("preset {:?} needs a psu_context: {}", preset.name, values.join(" or "));
            problems.add_missing(section.at, text);
        }
        return None;
    }
    section.read("psu_context", problems, |node| {
        if values.is_empty() {
            return Err(format!("preset {:?} has no PSU contexts; remove the line", preset.name));
        }
        let word = text(node)?;
        if values.iter().any(|value| value == word) {
            return Ok(word.into());
        }
        Err(format!("{} is no PSU context; {}", shown(word), one_of(word, values.iter().map(String::as_str))))
    })
}

fn scopes(section: Section<'_, '_>, preset: Option<&Arc<Preset>>, problems: &mut Problems<'_>) -> Vec<String> {
    let listed = section.node("scopes").map(|node| strings(node, "scopes", problems)).unwrap_or_default();
    let words: Vec<&str> = listed.iter().map(|(_, scope)| *scope).collect();
    for (index, (at, scope)) in listed.iter().enumerate() {
        let wrong = if words[..index].contains(scope) {
            Err(format!("{} is listed twice; remove one", shown(scope)))
        } else {
            check_scope(scope, &words, preset)
        };
        wrong.unwrap_or_else(|text| problems.add_value(*at, "scopes", &text));
    }
    if let Some(preset) = preset.filter(|preset| preset.context.scopes_required && section.node("scopes").is_none()) {
        let some = preset.context.scopes.first().map_or("NAME", String::as_str);
        let text = format!("preset {:?} needs at least one scope: scopes = [{some:?}]", preset.name);
        problems.add_missing(section.at, text);
    } else if preset.is_some_and(|preset| preset.context.scopes_required) && listed.is_empty() {
        problems.add_value(section.at_key("scopes"), "scopes", "list at least one");
    }
    listed.iter().map(|(_, scope)| (*scope).into()).collect()
}

/// A scope by RFC 6749 §3.3, known to the preset, and with what it needs beside it.
fn check_scope(scope: &str, listed: &[&str], preset: Option<&Arc<Preset>>) -> Result<(), String> {
    if scope.contains(' ') {
        return Err(format!("{} holds a space; write each scope as a string of its own", shown(scope)));
    }
    if !scope.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')) {
        return Err(format!("{} is not a scope: visible ASCII without \" and \\", shown(scope)));
    }
    let Some(rules) = preset.map(|preset| &preset.context) else { return Ok(()) };
    if rules.values.iter().any(|value| value == scope) {
        return Err(format!("{scope:?} is a PSU context; write psu_context = {scope:?}"));
    }
    let known = || rules.scopes.iter().map(String::as_str);
    if !rules.scopes.is_empty() && !known().any(|name| name == scope) {
        return Err(format!("unknown scope {}; {}", shown(scope), one_of(scope, known())));
    }
    match rules.requires.get(scope) {
        Some(needed) if !listed.contains(&needed.as_str()) => {
            Err(format!("{scope:?} is granted only together with {needed:?}; list both"))
        }
        _ => Ok(()),
    }
}

/// A value and where it stands.
type Placed<T> = Option<(At, T)>;

/// `refresh`: the lead, and the schedule.
fn refresh(section: Section<'_, '_>, problems: &mut Problems<'_>) -> (Placed<Duration>, Placed<Arc<Schedule>>) {
    let table = section.node("refresh").and_then(|node| Section::of(node, "refresh", problems));
    let Some(refresh) = table else { return (None, None) };
    problems.check_keys(refresh.table, &REFRESH);
    let lead = refresh.read("lead", problems, duration);
    (refresh.node("lead").map(|node| node.at).zip(lead), schedule(refresh, problems))
}

fn schedule(refresh: Section<'_, '_>, problems: &mut Problems<'_>) -> Placed<Arc<Schedule>> {
    let timezone = match refresh.node("timezone") {
        Some(_) => refresh.read("timezone", problems, |node| {
            let name = text(node)?;
            zone(name).ok_or_else(|| format!("there is no time zone {}; {}", shown(name), one_of(name, zones())))
        }),
        None => zone("UTC"),
    };
    let Some(node) = refresh.node("schedule") else {
        if refresh.node("timezone").is_some() {
            problems.add_value(
                refresh.at_key("timezone"),
                "timezone",
                "it is for a schedule, and there is none; remove it",
            );
        }
        return None;
    };
    // A wrong zone does not hide a wrong line.
    let read = |zone| move |node| text(node).and_then(|line| Schedule::parse(line, zone));
    let schedule = refresh.read("schedule", problems, read(timezone.clone().or_else(|| zone("UTC"))?))?;
    timezone.map(|_| (node.at, Arc::new(schedule)))
}
