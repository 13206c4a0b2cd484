//! `[providers.NAME]`: one account at one authorization server.

use std::sync::Arc;
use std::time::Duration;

use crate::config::address::{self, Address};
use crate::config::daemon::persist;
use crate::config::keys::Keys;
use crate::config::node::Node;
use crate::config::parameters::{self, Values};
use crate::config::place::At;
use crate::config::presets::Presets;
use crate::config::problems::Problems;
use crate::config::read::{Section, budget, file_path, positive, rate, text};
use crate::name::Name;
use crate::preset::{Parameters, Preset, RefreshRules};
use crate::settings::{Budget, Endpoint, Persist, Provider, Proxy, Rate, TlsFiles};

/// What holds unless something else is said.
pub const DEFAULTS: [(&str, &str); 1] = [("timeout", "10s")];

/// The keys that mean the same for every preset.
pub(super) const COMMON: [&str; 9] =
    ["preset", "token_url", "timeout", "tls", "rate", "budget", "proxy", "persist", "ttl"];
pub(super) const TLS: Keys<'static> = Keys { table: "tls", accepted: &["ca_file", "cert_file", "key_file"] };

/// A provider table as far as it could be read.
pub struct Draft {
    /// Its header.
    pub at: At,
    /// Its preset, where that is known and whole.
    pub preset: Option<Arc<Preset>>,
    /// The account, where nothing in the table is wrong.
    pub account: Option<Account>,
}

/// A provider and what its preset makes of it.
pub struct Account {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The URL of its endpoint in normal form.
    pub url: String,
    /// Whether tokens of this account share slots.
    pub exclusive: bool,
    /// When to refresh.
    pub rules: RefreshRules,
}

/// What every preset takes.
struct Common {
    token_url: Option<Address>,
    timeout: Duration,
    tls: TlsFiles,
    rate: Option<Rate>,
    budget: Option<Budget>,
    proxy: Proxy,
    persist: Persist,
    ttl: Option<(String, Duration)>,
}

/// Reads the table called `name`.
pub fn read(name: &str, section: Section<'_, '_>, presets: &Presets<'_, '_>, problems: &mut Problems<'_>) -> Draft {
    let before = problems.count();
    let named = Name::parse(name).map_err(|text| problems.add(section.at, text)).ok();
    let preset = preset(section, presets, problems);
    let common = common(section, problems);
    let values = preset.as_ref().map(|preset| {
        check_keys(preset, section, problems);
        let values = parameters::read(preset, section, &COMMON, problems);
        if common.persist == Persist::Off && preset.is_exclusive(&values.plain) {
            let at = section.node("persist").map_or(section.at, |node| node.at);
            problems.add_value(at, "persist", &exclusive_needs_state(name));
        }
        values
    });
    let endpoint = preset
        .as_ref()
        .zip(values.as_ref())
        .and_then(|(preset, values)| endpoint(preset, section, values, common.token_url.clone(), problems));
    let account = match (named, &preset, values, endpoint) {
        (Some(name), Some(preset), Some(values), Some(endpoint)) if problems.count() == before => {
            account(Particular { name, preset: Arc::clone(preset), endpoint, values }, common)
                .map_err(|text| problems.add(section.at, format!("preset {:?}: {text}", preset.name)))
                .ok()
        }
        _ => None,
    };
    Draft { at: section.at, preset, account }
}

fn exclusive_needs_state(name: &str) -> String {
    format!(
        "\"off\" would ask for a new access token at every restart, and the accounts of [providers.{name}] are \
         exclusive; give it persist = \"encrypted\""
    )
}

fn preset(section: Section<'_, '_>, presets: &Presets<'_, '_>, problems: &mut Problems<'_>) -> Option<Arc<Preset>> {
    if section.node("preset").is_none() {
        let remedy = match section.at {
            At::File { .. } => "write preset = \"NAME\"; `tokend presets` lists them",
            At::Variable(_) => "no file has this provider; check its name in the variable",
        };
        problems.add_missing(section.at, format!("a provider needs a preset; {remedy}"));
    }
    section.read("preset", problems, |node| presets.find(text(node)?)).flatten()
}

fn check_keys(preset: &Preset, section: Section<'_, '_>, problems: &mut Problems<'_>) {
    let own = preset.parameters.keys().map(String::as_str).filter(|key| !COMMON.contains(key));
    let accepted: Vec<&str> = own.chain(COMMON).collect();
    let table = format!("a provider with preset {:?}", preset.name);
    problems.check_keys(section.table, &Keys { table: &table, accepted: &accepted });
}

fn common(section: Section<'_, '_>, problems: &mut Problems<'_>) -> Common {
    Common {
        token_url: section.read("token_url", problems, |node| address::read(text(node)?)),
        timeout: section.read("timeout", problems, positive).unwrap_or_default(),
        tls: tls(section, problems),
        rate: section.read("rate", problems, rate),
        budget: section.node("budget").and_then(|node| budget(node, problems)),
        proxy: section.read("proxy", problems, proxy).unwrap_or_default(),
        persist: section.read("persist", problems, persist).unwrap_or_default(),
        ttl: section.read("ttl", problems, |node| Ok((text(node)?.into(), positive(node)?))),
    }
}

fn tls(section: Section<'_, '_>, problems: &mut Problems<'_>) -> TlsFiles {
    let Some(tls) = section.node("tls").and_then(|node| Section::of(node, "tls", problems)) else {
        return TlsFiles::default();
    };
    problems.check_keys(tls.table, &TLS);
    for (given, missing) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if tls.node(given).is_some() && tls.node(missing).is_none() {
            problems.add_missing(tls.at_key(given), format!("{given} needs {missing} beside it"));
        }
    }
    TlsFiles {
        ca_file: tls.read("ca_file", problems, file_path),
        cert_file: tls.read("cert_file", problems, file_path),
        key_file: tls.read("key_file", problems, file_path),
    }
}

fn proxy(node: &Node<'_>) -> Result<Proxy, String> {
    match text(node)? {
        "environment" => Ok(Proxy::Environment),
        url => address::proxy(url).map(Proxy::Url),
    }
}

/// Where to ask, and its URL in normal form. Silent where a parameter that builds the URL is wrong: that was told.
fn endpoint(
    preset: &Preset,
    section: Section<'_, '_>,
    values: &Values,
    token_url: Option<Address>,
    problems: &mut Problems<'_>,
) -> Option<(Endpoint, String)> {
    if let Some(address) = token_url {
        return Some((Endpoint::TokenUrl(address.sent), address.normal));
    }
    let builds_url = |key: &str| preset.parameters.get(key).is_some_and(|known| known.only_builds_url);
    let is_told = |key: &String| {
        let is_due = section.node(key).is_some() || preset.is_required(key, &values.plain);
        builds_url(key) && is_due && !values.plain.contains_key(key)
    };
    if section.node("token_url").is_some() || preset.parameters.keys().any(is_told) {
        return None;
    }
    let built = built_endpoint(preset, &values.plain);
    built
        .map_err(|text| match section.table.iter().find(|(key, _)| builds_url(key)) {
            Some((key, entry)) => problems.add_value(entry.node.at, key, &text),
            None => problems.add_missing(section.at, format!("preset {:?}: {text}", preset.name)),
        })
        .ok()
}

/// Where the parameters say to ask.
fn built_endpoint(preset: &Preset, parameters: &Parameters) -> Result<(Endpoint, String), String> {
    if let Some(url) = preset.token_url(parameters)? {
        let address = address::read(&url)?;
        return Ok((Endpoint::TokenUrl(address.sent), address.normal));
    }
    let issuer = preset.issuer(parameters)?.ok_or("token_url is missing (or issuer)")?;
    let address = address::read(&issuer)?;
    Ok((Endpoint::Issuer(issuer), address.normal))
}

/// What is particular to a provider's preset.
struct Particular {
    name: Name,
    preset: Arc<Preset>,
    endpoint: (Endpoint, String),
    values: Values,
}

/// The account of a table in which nothing is wrong.
fn account(particular: Particular, common: Common) -> Result<Account, String> {
    let Particular { name, preset, endpoint: (endpoint, url), mut values } = particular;
    let mut rules = preset.refresh_rules(&values.plain)?;
    if let Some((text, ttl)) = common.ttl {
        rules.ttl = Some(ttl);
        values.plain.insert("ttl".into(), text.into());
    }
    let exclusive = preset.is_exclusive(&values.plain);
    let provider = Provider {
        name,
        preset,
        parameters: values.plain,
        secrets: values.secrets,
        endpoint,
        timeout: common.timeout,
        tls: common.tls,
        proxy: common.proxy,
        rate: common.rate,
        budget: common.budget,
        persist: common.persist,
    };
    Ok(Account { provider: Arc::new(provider), url, exclusive, rules })
}
