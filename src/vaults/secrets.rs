//! Secrets that lie in Vault: read when they are first wanted, again after a refusal, and looked at
//! every five minutes. What was read is held in memory alone; a server that is down takes none away.
//! However many want a place at one moment, it is read once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::config::Config;
use crate::name::Name;
use crate::secret::Secret;
use crate::settings::{SecretSource, VaultPlace};
use crate::spread::share;
use crate::vault::Found;

/// How often each place is looked at.
const EVERY: Duration = Duration::from_mins(5);

/// Which provider tables have a secret at each place, and in which fields.
pub(crate) type Users = BTreeMap<VaultPlace, Wanted>;

/// What is wanted of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    fields: BTreeSet<String>,
    pub(crate) providers: BTreeSet<Name>,
}

/// The places that the providers of `config` name.
pub(crate) fn users(config: &Config) -> Users {
    let mut users = Users::new();
    for slot in &config.slots {
        for (place, field) in slot.provider.secrets.values().flatten().filter_map(in_vault) {
            let wanted = users.entry(place.clone()).or_default();
            wanted.fields.insert(field.clone());
            wanted.providers.insert(slot.provider.name.clone());
        }
    }
    users
}

pub(crate) fn in_vault(source: &SecretSource) -> Option<(&VaultPlace, &String)> {
    match source {
        SecretSource::Vault(place, field) => Some((place, field)),
        _ => None,
    }
}

/// When each place is looked at: once in every round of [`EVERY`], spread over it.
pub(crate) struct Rounds(Vec<(Duration, VaultPlace)>);

impl Rounds {
    pub(crate) fn of(users: &Users) -> Self {
        let phase = |place: &VaultPlace| EVERY.mul_f64(share(&place.to_string(), 0));
        let mut phases: Vec<_> = users.keys().map(|place| (phase(place), place.clone())).collect();
        phases.sort();
        Self(phases)
    }

    /// The first look after `passed`, both counted from one moment.
    pub(crate) fn next(&self, passed: Duration) -> Option<(Duration, &VaultPlace)> {
        let round = u32::try_from(passed.as_secs() / EVERY.as_secs()).unwrap_or(u32::MAX);
        let began = EVERY.saturating_mul(round);
        let index = self.0.partition_point(|(phase, _)| began + *phase <= passed);
        let in_this = self.0.get(index).map(|(phase, place)| (began + *phase, place));
        in_this.or_else(|| self.0.first().map(|(phase, place)| (began + EVERY + *phase, place)))
    }
}

/// What is known of all places.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<BTreeMap<VaultPlace, Arc<Known>>>);

/// What is known of a place.
#[derive(Default)]
pub(crate) struct Known {
    /// Who reads holds it.
    pub(crate) gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    wanted: BTreeSet<String>,
    held: BTreeMap<String, Result<Secret, String>>,
    /// Whether what is held may be used without reading it again.
    fresh: bool,
    tried_at: Option<Instant>,
    failure: Option<String>,
}

impl Secrets {
    /// Forgets what nobody wants any more.
    pub(crate) fn adopt(&self, users: &Users) {
        let mut places = self.places();
        places.retain(|place, _| users.contains_key(place));
        for (place, wanted) in users {
            places.entry(place.clone()).or_default().state().wanted.clone_from(&wanted.fields);
        }
    }

    pub(crate) fn of(&self, place: &VaultPlace) -> Arc<Known> {
        Arc::clone(self.places().entry(place.clone()).or_default())
    }

    /// The server called `name` is another: what was read from it says nothing any more.
    pub(crate) fn doubt_all_of(&self, name: &Name) {
        self.places().iter().filter(|(place, _)| place.server == *name).for_each(|(_, known)| known.doubt());
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<VaultPlace, Arc<Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whether `field` has to be read, for somebody who wants it since `since`.
    pub(crate) fn must_be_read(&self, field: &str, since: Instant) -> bool {
        let mut state = self.state();
        let is_new = state.wanted.insert(field.to_owned());
        let was_tried = state.tried_at.is_some_and(|at| at >= since);
        is_new || !state.fresh && !was_tried
    }

    /// Takes what was found at `place`; says whether a secret is another than before.
    pub(crate) fn take(&self, place: &VaultPlace, found: Result<Found, String>) -> bool {
        let mut state = self.state();
        state.tried_at = Some(Instant::now());
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                state.failure = Some(why);
                return false;
            }
        };
        (state.fresh, state.failure) = (true, None);
        let read = |field: &String| (field.clone(), secret(place, field, &found));
        let now: BTreeMap<_, _> = state.wanted.iter().map(read).collect();
        let is_news = |(field, secret): (&String, &Result<Secret, String>)| {
            let before = state.held.get(field).and_then(|held| held.as_ref().ok());
            secret.as_ref().is_ok_and(|secret| before.is_none_or(|before| !before.same_as(secret)))
        };
        let changed = now.iter().any(is_news);
        state.held = now;
        changed
    }

    /// The secret in `field`, as it was read last.
    pub(crate) fn give(&self, field: &str) -> Result<Secret, String> {
        let state = self.state();
        let why = || state.failure.clone().unwrap_or_else(|| "it was not read yet".into());
        state.held.get(field).cloned().unwrap_or_else(|| Err(why()))
    }

    /// What is held was refused: it is read again before it is used again.
    pub(crate) fn doubt(&self) {
        self.state().fresh = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn secret(place: &VaultPlace, field: &str, found: &Found) -> Result<Secret, String> {
    let text = found.fields.as_ref().and_then(|fields| fields.get(field)).and_then(Value::as_str);
    let missing = || format!("{place} has no text called {field}; write it, or correct the name");
    Secret::read(text.ok_or_else(missing)?).map_err(|why| format!("{place}#{field}: {why}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(path: &str) -> VaultPlace {
        VaultPlace { server: Name::parse("main").unwrap(), mount: "secret".into(), path: path.into() }
    }

    fn found(value: &str) -> Found {
        let fields = json!({ "client_secret": value, "other": "x" }).as_object().cloned();
        Found { version: Some(1), fields, written_at: None }
    }

    #[test]
    fn every_place_is_looked_at_once_in_every_five_minutes() {
        let users: Users = (0..100).map(|number| (place(&format!("clients/{number}")), Wanted::default())).collect();
        let rounds = Rounds::of(&users);
        let (mut passed, mut looks) = (Duration::ZERO, BTreeMap::<VaultPlace, Vec<Duration>>::new());
        while let Some((at, place)) = rounds.next(passed).filter(|(at, _)| *at < 3 * EVERY) {
            assert!(at > passed, "time goes on");
            looks.entry(place.clone()).or_default().push(at);
            passed = at;
        }
        assert_eq!(looks.len(), 100);
        for moments in looks.values() {
            assert!(moments[0] < EVERY && moments.len() == 3, "{moments:?}");
            assert!(moments.windows(2).all(|two| two[0] + EVERY == two[1]));
        }
        let early = looks.values().filter(|moments| moments[0] < EVERY / 2).count();
        assert!((30..=70).contains(&early), "{early} of 100 in the first half");
        assert!(Rounds::of(&Users::new()).next(Duration::ZERO).is_none());
    }

    #[test]
    fn a_secret_is_read_when_it_is_first_wanted_and_again_after_a_refusal() {
        let (known, place) = (Known::default(), place("clients/api"));
        assert!(known.must_be_read("client_secret", Instant::now()));
        assert!(known.take(&place, Ok(found("one"))), "there was none before");
        assert!(!known.must_be_read("client_secret", Instant::now()));
        known.doubt();
        assert!(known.must_be_read("client_secret", Instant::now()));
        assert!(!known.take(&place, Ok(found("one"))), "it is as it was");
        assert!(known.take(&place, Ok(found("two"))));
        assert_eq!(known.give("client_secret").unwrap().expose(), "two");
    }

    #[test]
    fn a_server_that_is_down_takes_no_secret_away_but_one_that_was_removed_is_gone() {
        let (known, place) = (Known::default(), place("clients/api"));
        assert!(known.must_be_read("client_secret", Instant::now()));
        assert!(!known.take(&place, Err("it is sealed".into())));
        assert_eq!(known.give("client_secret").unwrap_err(), "it is sealed");
        known.take(&place, Ok(found("one")));
        known.doubt();
        assert!(!known.take(&place, Err("it is sealed".into())));
        assert_eq!(known.give("client_secret").unwrap().expose(), "one");
        assert!(!known.take(&place, Ok(Found::default())));
        assert!(known.give("client_secret").unwrap_err().contains("has no text called client_secret"));
    }

    #[test]
    fn who_waited_while_others_read_does_not_read_again_even_if_that_failed() {
        let (known, place, since) = (Known::default(), place("clients/api"), Instant::now());
        assert!(known.must_be_read("client_secret", since));
        known.take(&place, Err("no answer".into()));
        assert!(!known.must_be_read("client_secret", since));
    }
}
