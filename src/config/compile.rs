//! From tables to slots: who shares what, and where tables contradict each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::follow;
use crate::config::place::At;
use crate::config::problems::Problems;
use crate::config::provider::Account;
use crate::config::token::{Draft, Providers, Source};
use crate::name::{Identity, Name, SinkId, SlotId};
use crate::preset::Preset;
use crate::schedule::Schedule;
use crate::settings::{Persist, Provider, SinkSettings, TokenSettings, VaultPlace, VaultServer};
use crate::slot::{Policy, Slot};
use crate::time::for_people;

/// The lifetime that forecasts take where neither preset nor provider names one.
pub(super) const LIFETIME: Duration = Duration::from_hours(1);

/// What the tokens make together.
pub struct Compiled {
    /// By id.
    pub slots: Vec<Arc<Slot>>,
    /// For each token the index of its slot.
    pub tokens: BTreeMap<Name, usize>,
    /// For each sink the index of its slot.
    pub sinks: BTreeMap<SinkId, usize>,
}

/// Reports every two provider tables that share an account which is exclusive.
pub fn check_accounts(providers: &Providers<'_>, problems: &mut Problems<'_>) {
    let mut accounts: BTreeMap<(&str, &str), Vec<(At, &Account)>> = BTreeMap::new();
    for draft in providers.values() {
        if let Some(account) = &draft.account {
            accounts.entry((&account.url, account.provider.client_id())).or_default().push((draft.at, account));
        }
    }
    for mut shared in accounts.into_values().filter(|shared| shared.iter().any(|(_, account)| account.exclusive)) {
        shared.sort_by_key(|(at, _)| *at);
        let Some(((first_at, first), rest)) = shared.split_first() else { continue };
        for (at, account) in rest {
            let (name, other) = (&account.provider.name, &first.provider.name);
            let place = problems.places().find(*first_at);
            problems.add(
                *at,
                format!(
                    "[providers.{name}] and [providers.{other}] at {place} are one account (the same token URL and \
                     client_id), which is exclusive; keep one of them for all tokens"
                ),
            );
        }
    }
}

/// Reports every file, and every secret, that is named twice, by whatever name of its server.
pub fn check_sinks(tokens: &[Draft<'_>], vaults: &BTreeMap<Name, Arc<VaultServer>>, problems: &mut Problems<'_>) {
    let first_name = |name| {
        let server = vaults.get(name)?;
        let mut names = vaults.iter().filter(|(_, other)| other.is_at(server)).map(|(name, _)| name);
        names.next().filter(|first| *first != name)
    };
    let other_names: BTreeMap<&Name, &Name> =
        vaults.keys().filter_map(|name| Some((name, first_name(name)?))).collect();
    let known_as = |sink: &SinkSettings| match sink.vault().map(|vault| &vault.place) {
        Some(place) if other_names.contains_key(&place.server) => {
            let server = other_names[&place.server].clone();
            SinkId::new(&VaultPlace { server, ..place.clone() }.to_string())
        }
        _ => sink.id.clone(),
    };
    let mut written: BTreeMap<SinkId, (At, &Name)> = BTreeMap::new();
    let sinks = tokens.iter().flat_map(|token| {
        let sinks = token.sinks_at.iter().zip(&token.settings.sinks);
        sinks.map(|(at, sink)| (*at, &token.settings.name, known_as(sink)))
    });
    let mut sinks: Vec<_> = sinks.collect();
    sinks.sort_by_key(|(at, _, _)| *at);
    for (at, token, id) in sinks {
        let Some((first_at, first)) = written.get(&id) else {
            written.insert(id, (at, token));
            continue;
        };
        let place = problems.places().find(*first_at);
        let text = if *first == token {
            format!(
                "{token} has this {} already at {place}; remove one",
                if id.is_file() { "file as a sink" } else { "sink" }
            )
        } else {
            let what = if id.is_file() { "file" } else { "secret" };
            format!("{token} and {first} would write one {what} (also at {place}); give each a {what} of its own")
        };
        problems.add(at, text);
    }
}

/// Makes slots of `tokens`, but for those whose provider is wrong. What is followed is kept as `persist` says.
pub fn slots(
    tokens: Vec<Draft<'_>>,
    providers: &Providers<'_>,
    persist: Persist,
    problems: &mut Problems<'_>,
) -> Compiled {
    let (mut asking, mut followers) = (Vec::with_capacity(tokens.len()), Vec::new());
    for token in tokens {
        let Source::Provider(name) = token.source else {
            followers.push(token);
            continue;
        };
        let Some(account) = providers.get(name).and_then(|draft| draft.account.as_ref()) else { continue };
        asking.push((slot_id(account, &token), account, token));
    }
    // They come by name, so that there is little to sort; and those of one slot stay by name.
    asking.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let mut asking = asking.into_iter().peekable();
    let mut slots = Vec::with_capacity(asking.len() + followers.len());
    while let Some((id, account, first)) = asking.next() {
        let more = std::iter::from_fn(|| asking.next_if(|(next, ..)| *next == id).map(|(.., token)| token));
        let mut group = Vec::with_capacity(1);
        group.push(first);
        group.extend(more);
        slots.push(Arc::new(slot(id, account, group, problems)));
    }
    for token in followers {
        let at = |id: &SlotId| slots.binary_search_by(|slot| slot.id.cmp(id));
        let namesake = |id: &SlotId| at(id).ok().map(|_| id.clone());
        let Some(slot) = follow::slot(token, persist, namesake, problems) else { continue };
        let (Ok(place) | Err(place)) = at(&slot.id);
        slots.insert(place, Arc::new(slot));
    }
    index(slots)
}

/// Collected at once: ten thousand insertions take longer than sorting.
fn index(slots: Vec<Arc<Slot>>) -> Compiled {
    let indexed = || slots.iter().enumerate();
    Compiled {
        tokens: indexed()
            .flat_map(|(index, slot)| slot.tokens.iter().map(move |token| (token.name.clone(), index)))
            .collect(),
        sinks: indexed()
            .flat_map(|(index, slot)| slot.sinks().map(move |(_, sink)| (sink.id.clone(), index)))
            .collect(),
        slots,
    }
}

fn slot_id(account: &Account, token: &Draft<'_>) -> SlotId {
    let part = match (account.exclusive, &token.context) {
        (true, Some(context)) => context,
        (true, None) => "account",
        (false, _) => token.settings.name.as_str(),
    };
    SlotId::new(&account.provider.name, part)
}

fn slot(id: SlotId, account: &Account, tokens: Vec<Draft<'_>>, problems: &mut Problems<'_>) -> Slot {
    let lead = lead(account, &tokens, problems).or(account.rules.lead);
    let schedule = schedule(account, &tokens, problems);
    let context = tokens.first().and_then(|token| token.context.clone());
    let identity = identity(account, tokens.first());
    // Collected it would keep the room that the drafts took.
    let mut settings = Vec::with_capacity(tokens.len());
    settings.extend(tokens.into_iter().map(|token| token.settings));
    let rules = &account.rules;
    let provider: &Arc<Provider> = &account.provider;
    Slot {
        id,
        identity,
        context,
        scopes: union(&provider.preset, &settings),
        tokens: settings,
        policy: Policy {
            exclusive: account.exclusive,
            lead,
            max_lead: rules.max_lead,
            budget: provider.budget.or(rules.budget),
            persist: provider.persist,
            expected_lifetime: rules.expected_lifetime.or(rules.ttl).unwrap_or(LIFETIME),
        },
        provider: Arc::clone(provider),
        schedule,
    }
}

/// The schedule of a token that shares its slot with nobody.
fn schedule(account: &Account, tokens: &[Draft<'_>], problems: &mut Problems<'_>) -> Option<Arc<Schedule>> {
    let given = || tokens.iter().filter_map(|token| token.schedule.as_ref());
    if account.exclusive {
        for (at, _) in given() {
            let why = "all tokens of this account and context share one access token, which is asked for only when \
                       it is due; remove it";
            problems.add_value(*at, "schedule", why);
        }
        return None;
    }
    given().next().map(|(_, schedule)| Arc::clone(schedule))
}

/// An exclusive slot is known by its account and context alone, so that renaming tables issues
/// nothing. Any other also by its token, and by what makes the access token another one.
fn identity(account: &Account, token: Option<&Draft<'_>>) -> Identity {
    let context = token.and_then(|token| token.context.as_deref());
    let mut parts = vec![account.url.as_str(), account.provider.client_id()];
    let others = account.provider.preset.identity_parts(&account.provider.parameters);
    if account.exclusive {
        parts.push(context.unwrap_or_default());
    } else {
        parts.extend(token.map(|token| token.settings.name.as_str()));
        parts.extend(context);
        parts.extend(others.iter().map(String::as_str));
    }
    Identity::new(&parts)
}

/// The scopes of all tokens, in the preset's order, else by token as listed.
fn union(preset: &Preset, tokens: &[TokenSettings]) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::with_capacity(tokens.first().map_or(0, |token| token.scopes.len()));
    for scope in tokens.iter().flat_map(|token| &token.scopes) {
        if !scopes.contains(scope) {
            scopes.push(scope.clone());
        }
    }
    let rank = |scope: &String| preset.context.scopes.iter().position(|known| known == scope).unwrap_or(usize::MAX);
    scopes.sort_by_key(rank);
    scopes
}

/// The lead on which the tokens of a slot agree.
fn lead(account: &Account, tokens: &[Draft<'_>], problems: &mut Problems<'_>) -> Option<Duration> {
    let mut given: Vec<_> = tokens.iter().filter_map(|token| Some((token.lead?, &token.settings.name))).collect();
    given.sort_by_key(|((at, _), _)| *at);
    let ((first_at, first), first_name) = *given.first()?;
    for ((at, lead), name) in &given {
        if *lead != first {
            let place = problems.places().find(first_at);
            let text = format!("{name} and {first_name} (at {place}) share one slot; give them the same lead");
            problems.add_value(*at, "lead", &text);
        } else if account.rules.expected_lifetime.is_some_and(|lifetime| *lead >= lifetime) {
            let lifetime = account.rules.expected_lifetime.map(for_people).unwrap_or_default();
            problems.add_value(*at, "lead", &format!("access tokens live for {lifetime} here; take a shorter lead"));
        }
    }
    Some(first)
}
