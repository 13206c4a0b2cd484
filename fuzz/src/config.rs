//! Configurations: several files and an environment, told apart by lines that begin with `=== `.

use std::collections::BTreeSet;
use std::path::Path;

use tokend::config::{Config, Privacy, SourceText};
use tokend::ledger::Entry;
use tokend::plan::plan;
use tokend::preset::{Asking, Secrets};
use tokend::problem::{Place, Problem};
use tokend::secret::Secret;
use tokend::settings::{Endpoint, SecretSource};
use tokend::slot::Slot;
use tokend::time::Timestamp;

use super::leaks::must_be_one_line;

const NOW: Timestamp = Timestamp::from_secs(1_795_244_400);
/// Only values with this in them are taken for secrets: others could be words of ours.
const MARK: &str = "s3cret";
/// The longest problem, in bytes.
const LONGEST: usize = 4096;

/// What is given: files, and variables by name.
struct Given {
    sources: Vec<SourceText>,
    environment: Vec<(String, String)>,
}

/// Whatever stands in a configuration: every problem has a place within it, is one line and holds
/// no secret; a configuration without a problem is whole, and every request that follows from it
/// can be made or says why not.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let given = Given::read(text);
    let secrets = given.secrets(text);
    match Config::parse(&given.sources, &given.environment) {
        Ok(config) => {
            let shown = format!("{config:?}");
            for secret in &secrets {
                must_not_show(&shown, secret);
            }
            check_config(&config);
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "it is refused without a reason");
            for problem in &problems {
                check_problem(&given, problem);
                for secret in &secrets {
                    must_not_show(&problem.to_string(), secret);
                }
            }
        }
    }
}

impl Given {
    /// `=== PATH [group|world]` begins a file, `=== environment` variables, one `NAME=VALUE` a line.
    fn read(text: &str) -> Self {
        let mut given = Self { sources: Vec::new(), environment: Vec::new() };
        if !text.starts_with("=== ") {
            given.add("t.toml", text);
        }
        for part in format!("\n{text}").split("\n=== ").skip(1) {
            let (title, text) = part.split_once('\n').unwrap_or((part, ""));
            given.add(title, text);
        }
        given
    }

    fn add(&mut self, title: &str, text: &str) {
        if title == "environment" {
            let variables = text.lines().filter_map(|line| line.split_once('='));
            self.environment.extend(variables.map(|(name, value)| (name.into(), value.into())));
            return;
        }
        let (path, privacy) = match title.rsplit_once(' ') {
            Some((path, "group")) => (path, Privacy::Group),
            Some((path, "world")) => (path, Privacy::World),
            _ => (title, Privacy::Private),
        };
        self.sources.push(SourceText { path: path.into(), text: text.into(), privacy });
    }

    /// Values in places of secrets that stand nowhere else. Operators' own presets may call
    /// anything a secret, or none.
    fn secrets(&self, whole: &str) -> Vec<String> {
        if whole.contains("presets") {
            return Vec::new();
        }
        let documents = self.sources.iter().filter_map(|source| source.text.parse::<toml::Table>().ok());
        let providers = documents.filter_map(|document| document.get("providers")?.as_table().cloned());
        let values = providers.flatten().filter_map(|(_, provider)| {
            let provider = provider.as_table()?;
            let keys = ["client_secret", "subscription_key"];
            let given = keys.iter().filter_map(|key| provider.get(*key)?.as_str());
            Some(given.map(str::to_owned).collect::<Vec<_>>())
        });
        let once = |value: &String| value.contains(MARK) && whole.matches(value.as_str()).count() == 1;
        values.flatten().filter(once).collect()
    }
}

/// Only as it is: whatever else stands in the text may be quoted, the same in base64 as well.
#[track_caller]
fn must_not_show(shown: &str, secret: &str) {
    assert!(!shown.contains(secret), "a secret is shown: {shown}");
}

fn check_problem(given: &Given, problem: &Problem) {
    must_be_one_line(&problem.to_string(), LONGEST);
    match &problem.place {
        Place::Variable(name) => assert!(given.environment.iter().any(|(given, _)| given == name), "{problem}"),
        Place::File { path, line, column } => {
            let within = |source: &&SourceText| {
                let mut lines = source.text.split('\n');
                let length = line.checked_sub(1).and_then(|index| lines.nth(index)).map(|line| line.chars().count());
                source.path == **path && length.is_some_and(|length| (1..=length + 1).contains(column))
            };
            let nowhere = given.sources.is_empty() && **path == Path::new("tokend.toml");
            assert!(nowhere || given.sources.iter().any(|source| within(&source)), "not a place: {problem}");
        }
    }
}

fn check_config(config: &Config) {
    assert!(!config.tokens.is_empty());
    let ids: BTreeSet<_> = config.slots.iter().map(|slot| &slot.id).collect();
    let identities: BTreeSet<_> = config.slots.iter().map(|slot| &slot.identity).collect();
    assert!(ids.len() == config.slots.len() && identities.len() == ids.len(), "one slot, twice");
    for name in config.tokens.keys() {
        assert!(config.slot_of(name).is_some_and(|slot| slot.token(name).is_some()), "{name} has no slot");
    }
    for (sink, index) in &config.sinks {
        assert!(config.slots[*index].sink(sink).is_some(), "{sink} has no slot");
    }
    assert_eq!(config.slots.iter().map(|slot| slot.sinks().count()).sum::<usize>(), config.sinks.len());
    for slot in &config.slots {
        check_slot(slot);
    }
}

fn check_slot(slot: &Slot) {
    let (provider, mut secrets) = (&slot.provider, Secrets::new());
    for (name, sources) in &provider.secrets {
        assert!(!sources.is_empty(), "{name} has no source");
        if let Some(SecretSource::Inline(secret)) = sources.first() {
            secrets.insert(name.clone(), secret.clone());
        }
    }
    let token_url = match &provider.endpoint {
        Endpoint::TokenUrl(url) => url,
        Endpoint::Issuer(_) | Endpoint::Followed(_) => "https://idp.example/token",
    };
    let context = slot.context.as_deref();
    let (parameters, secrets, scopes) = (&provider.parameters, &secrets, &slot.scopes);
    let asking = Asking { token_url, parameters, secrets, others: &[], scopes, context, ttl: None };
    if let Err(wrong) = provider.preset.request(&asking) {
        must_be_one_line(&wrong, LONGEST);
        for secret in secrets.values().map(Secret::expose).filter(|secret| secret.contains(MARK)) {
            must_not_show(&wrong, secret);
        }
    }
    let first = plan(slot, &Entry::new(slot.identity.clone()), &BTreeSet::new(), NOW);
    assert!(!first.due.is_empty(), "nothing is due although nothing is held");
}
