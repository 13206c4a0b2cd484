//! Slots, entries and answers for tests: every test builds them here, so that a new field is
//! written once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::access_token::{Found, Generation, Issued};
use crate::config::Config;
use crate::failure::{Failure, Reach, Refusal};
use crate::job::{Ask, Delivered, Job, JobResult};
use crate::ledger::Entry;
use crate::name::{Identity, Name, SinkId, SlotId};
use crate::plan::next_issue;
use crate::preset::Preset;
use crate::record::{Durability, record};
use crate::schedule::{Schedule, zone};
use crate::secret::Secret;
use crate::settings::{
    Budget, DaemonSettings, Endpoint, FileContent, FileFormat, FileSettings, Followed, Hook, LogFormat, LogSettings,
    OnExpired, Persist, Provider, Proxy, Readers, SecretSource, SinkPlace, SinkSettings, TlsFiles, TokenSettings,
};
use crate::slot::{Policy, Slot};
use crate::time::Timestamp;

/// Where most tests begin: a wall clock that is not near the epoch.
pub const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// So many seconds after the start.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START.as_millis() + seconds * 1000)
}

/// So many seconds.
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `count` in `per` seconds.
pub fn budget(issues: u32, per: u64) -> Budget {
    Budget { issues, per: secs(per) }
}

fn preset() -> Arc<Preset> {
    Preset::built_in("oauth2").unwrap()
}

/// The provider called `name`, at an endpoint that all of them share, with an account of its own.
pub fn provider(name: &str) -> Provider {
    Provider {
        name: Name::parse(name).unwrap(),
        preset: preset(),
        parameters: BTreeMap::from([("client_id".into(), name.into())]),
        secrets: BTreeMap::new(),
        endpoint: Endpoint::TokenUrl("https://provider.example/token".into()),
        timeout: secs(10),
        tls: TlsFiles::default(),
        proxy: Proxy::None,
        rate: None,
        budget: None,
        persist: Persist::Encrypted,
    }
}

/// As `provider`, with so many client secrets to choose from.
pub fn provider_with_secrets(name: &str, count: usize) -> Provider {
    let choices = (0..count).map(|n| SecretSource::Inline(Secret::new(format!("secret {n}")))).collect();
    Provider { secrets: BTreeMap::from([("client_secret".into(), choices)]), ..provider(name) }
}

/// The sink of the token called `name`.
pub fn sink_of(name: &str) -> SinkId {
    SinkId::new(&format!("/{name}"))
}

/// The token called `name` with one required sink.
pub fn token(name: &str, scopes: &[&str]) -> TokenSettings {
    let file = FileSettings {
        path: format!("/{name}").into(),
        content: FileContent::Format(FileFormat::Raw),
        mode: 0o600,
        owner: None,
        group: None,
    };
    TokenSettings {
        name: Name::parse(name).unwrap(),
        scopes: words(scopes),
        required: true,
        sinks: vec![SinkSettings { id: sink_of(name), required: true, place: SinkPlace::File(file) }],
        on_expired: OnExpired::Keep,
        on_change: None,
        on_failure: None,
        readers: Readers::default(),
    }
}

/// `slot`, every token of it with both hooks.
pub fn hooked(mut slot: Slot) -> Slot {
    for token in &mut slot.tokens {
        token.on_change = Some(Hook::ReloadUnit("api.service".into()));
        token.on_failure = Some(Hook::Command(words(&["/usr/bin/page", "somebody"])));
    }
    slot
}

/// The texts as they are held.
pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The slot that all `tokens` of the account called `account` share, in the context `corporate`.
pub fn shared_slot(account: &str, tokens: &[(&str, &[&str])]) -> Slot {
    let mut union: Vec<String> = tokens.iter().flat_map(|(_, scopes)| words(scopes)).collect();
    union.sort();
    union.dedup();
    Slot {
        id: SlotId::new(&Name::parse(account).unwrap(), "corporate"),
        identity: Identity::new(&[account, "corporate"]),
        provider: Arc::new(provider(account)),
        context: Some("corporate".into()),
        scopes: union,
        tokens: tokens.iter().map(|(name, scopes)| token(name, scopes)).collect(),
        policy: policy(true),
        schedule: None,
    }
}

/// The slot that `shared_slot` gives for one token with one scope: what most tests need.
pub fn plain_slot() -> Slot {
    shared_slot("bank", &[("accounts", &["a"])])
}

/// The slot of a token that shares it with nobody, without a budget.
pub fn own_slot(name: &str) -> Slot {
    Slot {
        id: SlotId::new(&Name::parse("cloud").unwrap(), name),
        identity: Identity::new(&["cloud", name]),
        provider: Arc::new(provider("cloud")),
        context: None,
        scopes: Vec::new(),
        tokens: vec![token(name, &[])],
        policy: policy(false),
        schedule: None,
    }
}

/// The slot of a token that another tokend writes to the file `/issuer/NAME`.
pub fn following_slot(name: &str) -> Slot {
    let followed = Followed::file(format!("/issuer/{name}").into());
    Slot {
        id: SlotId::new(&Name::of_followers(), name),
        identity: Identity::new(&["follow", followed.id.as_str(), name]),
        provider: Arc::new(Provider::followed(followed, Persist::Encrypted)),
        ..own_slot(name)
    }
}

/// What another tokend wrote: its access token of `generation`, issued at `issued_at`.
pub fn found(generation: u64, issued_at: Timestamp, lifetime: Duration) -> Found {
    let issued = Issued { scopes: Some(words(&["a"])), ..issued(&format!("token {generation}"), issued_at, lifetime) };
    Found { issued, generation: Generation(generation) }
}

/// Notes that a look at `now` brought `found`.
pub fn look(slot: &Slot, entry: &mut Entry, found: Result<Found, Failure>, now: Timestamp) -> Durability {
    let ask = next_ask(slot, entry, now);
    record(slot, entry, JobResult::Looked { ask, looked_at: now, found }, now)
}

/// As `own_slot`, with a fresh access token every day at 10:00 UTC: two hours after the start.
pub fn scheduled_slot(name: &str) -> Slot {
    let schedule = Schedule::parse("0 0 10 * * *", zone("UTC").unwrap()).unwrap();
    Slot { schedule: Some(Arc::new(schedule)), ..own_slot(name) }
}

fn policy(exclusive: bool) -> Policy {
    Policy {
        exclusive,
        lead: None,
        max_lead: None,
        budget: None,
        persist: Persist::Encrypted,
        expected_lifetime: secs(3600),
    }
}

/// The file of the first sink of the first token.
pub fn file_of(slot: &mut Slot) -> &mut FileSettings {
    match &mut slot.tokens[0].sinks[0].place {
        SinkPlace::File(file) => file,
        SinkPlace::Vault(_) => panic!("it is no file"),
    }
}

/// The configuration that wants just `slots`.
pub fn config(slots: &[Slot]) -> Arc<Config> {
    let slots: Vec<Arc<Slot>> = slots.iter().cloned().map(Arc::new).collect();
    let all = || slots.iter().enumerate();
    Arc::new(Config {
        vaults: BTreeMap::new(),
        daemon: DaemonSettings::default(),
        log: LogSettings { level: "info".into(), format: LogFormat::Text },
        providers: slots.iter().map(|slot| (slot.provider.name.clone(), Arc::clone(&slot.provider))).collect(),
        tokens: all().flat_map(|(n, slot)| slot.tokens.iter().map(move |token| (token.name.clone(), n))).collect(),
        sinks: all().flat_map(|(n, slot)| slot.sinks().map(move |(_, sink)| (sink.id.clone(), n))).collect(),
        slots,
    })
}

/// An answer that is silent about scopes.
pub fn issued(text: &str, asked_at: Timestamp, lifetime: Duration) -> Issued {
    Issued {
        secret: Secret::new(text.into()),
        token_type: "Bearer".into(),
        scopes: None,
        issued_at: asked_at,
        expires_at: asked_at + lifetime,
        extra: BTreeMap::new(),
        warning: None,
    }
}

/// What the next request of `slot` asks.
pub fn next_ask(slot: &Slot, entry: &Entry, now: Timestamp) -> Ask {
    next_issue(slot, entry, now).1
}

/// Notes that the next request was sent and answered at `now`.
pub fn answer(slot: &Slot, entry: &mut Entry, answer: Result<Issued, Failure>, now: Timestamp) {
    let ask = next_ask(slot, entry, now);
    record(slot, entry, JobResult::Issued { ask, asked_at: now, answer }, now);
}

/// Notes that an access token arrived at `now`; every moment and slot gets another.
pub fn grant(slot: &Slot, entry: &mut Entry, now: Timestamp, lifetime: Duration) {
    let text = format!("{} {}", slot.id, now.as_millis());
    answer(slot, entry, Ok(issued(&text, now, lifetime)), now);
}

/// What is known after an access token arrived at `now`.
pub fn granted(slot: &Slot, now: Timestamp, lifetime: Duration) -> Entry {
    let mut entry = Entry::new(slot.identity.clone());
    grant(slot, &mut entry, now, lifetime);
    entry
}

/// Notes that the sink of the token called `name` took the access token held.
pub fn deliver(slot: &Slot, entry: &mut Entry, name: &str, now: Timestamp) {
    let held = entry.access_token.clone().unwrap();
    let mut fingerprint = [0; 16];
    fingerprint[..8].copy_from_slice(&held.generation.0.to_le_bytes());
    let result = JobResult::Delivered {
        sink: sink_of(name),
        generation: held.generation,
        expires_at: held.expires_at,
        result: Ok(Delivered { written: true, fingerprint }),
    };
    record(slot, entry, result, now);
}

/// As `granted`, and delivered to every sink.
pub fn delivered(slot: &Slot, now: Timestamp, lifetime: Duration) -> Entry {
    let mut entry = granted(slot, now, lifetime);
    for token in &slot.tokens {
        deliver(slot, &mut entry, token.name.as_str(), now);
    }
    entry
}

/// Notes that the sink of the token called `name` could not be written.
pub fn fail_delivery(slot: &Slot, entry: &mut Entry, name: &str, now: Timestamp) {
    let held = entry.access_token.clone().unwrap();
    let (generation, expires_at) = (held.generation, held.expires_at);
    let result = Err("no space left on device".into());
    record(slot, entry, JobResult::Delivered { sink: sink_of(name), generation, expires_at, result }, now);
}

/// Nobody answered; the request had not left.
pub fn unreachable() -> Failure {
    Failure::Unreachable { reason: "connection refused".into(), reach: Reach::NotSent }
}

/// No answer came to a request that had left.
pub fn lost() -> Failure {
    Failure::Unreachable { reason: "no answer within 10s".into(), reach: Reach::Sent }
}

/// `status`, with `Retry-After` if so many seconds are given.
pub fn busy(status: u16, retry_after: Option<u64>) -> Failure {
    Failure::Busy { reason: format!("HTTP {status}"), status, retry_after: retry_after.map(secs) }
}

/// A no with the OAuth error `code`.
pub fn refused(code: &str) -> Failure {
    let credentials = code == "invalid_client";
    Failure::Refused(Refusal {
        status: 400,
        code: Some(code.into()),
        description: None,
        credentials,
        retry_after: None,
    })
}

/// The jobs as they are printed, sorted.
pub fn printed(jobs: &[Job]) -> Vec<String> {
    let mut printed: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    printed.sort();
    printed
}
