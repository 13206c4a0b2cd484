//! The configuration: from text to one finished value, or to all its problems at once.
//!
//! Nothing here opens a file, reads the environment or looks at the host: the texts and variables
//! are handed in, and what only the world can make true is never an error here.

mod address;
mod compile;
mod daemon;
mod described;
mod difference;
mod files;
mod follow;
mod hooks;
mod keys;
mod layers;
mod node;
mod own_files;
mod parameters;
mod place;
mod presets;
mod problems;
mod provider;
mod read;
mod readers;
mod secret_source;
mod sinks;
#[cfg(test)]
mod tests;
mod token;
mod variables;
mod vaults;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

pub use crate::config::difference::Changes;
#[cfg(test)]
pub use crate::config::keys::accepted_keys;
pub use crate::config::variables::is_ours;

use crate::config::compile::Compiled;
use crate::config::files::{Named, Part, Sections, merge, sections};
use crate::config::node::{Entry, Table};
use crate::config::own_files::OwnFiles;
use crate::config::place::{At, Places};
use crate::config::presets::{BuiltIn, Presets};
use crate::config::problems::Problems;
use crate::config::read::Section;
use crate::config::token::Providers;
use crate::config::variables::Variables;
use crate::name::{Name, SinkId};
use crate::preset::Preset;
use crate::problem::{Place, Problem};
use crate::settings::{DaemonSettings, LogSettings, Provider, VaultServer, default_state_dir};
use crate::slot::Slot;

/// More is not read twice.
const LONGEST_BEGINNING: usize = 64 * 1024;

/// One file of the configuration.
#[derive(Clone, Debug)]
pub struct SourceText {
    /// As the person named it.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
    /// Who can read it: decides whether it may hold secrets.
    pub privacy: Privacy,
}

/// Who can read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Its owner, and at most the daemon's own group.
    Private,
    /// Another group.
    Group,
    /// Everyone.
    World,
}

/// Everything the operator wants, parsed and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[daemon]`.
    pub daemon: DaemonSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[providers.*]`.
    pub providers: BTreeMap<Name, Arc<Provider>>,
    /// `[vaults.*]`.
    pub vaults: BTreeMap<Name, Arc<VaultServer>>,
    /// What is asked of providers, by id.
    pub slots: Vec<Arc<Slot>>,
    /// For each token the index of its slot in `slots`.
    pub tokens: BTreeMap<Name, usize>,
    /// For each sink the index of its slot in `slots`.
    pub sinks: BTreeMap<SinkId, usize>,
}

impl Config {
    /// Reads `sources` (the main file first) and the `TOKEND_…__…` variables among `environment`.
    ///
    /// Errors: every problem found, in the order of the files.
    pub fn parse(sources: &[SourceText], environment: &[(String, String)]) -> Result<Self, Vec<Problem>> {
        Self::parse_readable(sources, environment, &[])
    }

    /// The same where something else could not be read: it is wrong as well, and what is missing may stand
    /// there.
    ///
    /// Errors: every problem found, `unread` first.
    pub fn parse_readable(
        sources: &[SourceText],
        environment: &[(String, String)],
        unread: &[Problem],
    ) -> Result<Self, Vec<Problem>> {
        let built_in = BuiltIn { names: Preset::built_in_names(), find: &Preset::built_in };
        Self::parse_with((sources, environment), unread, built_in)
    }

    /// What `[daemon]` seems to say, by the main file as far as its first provider or token and by the
    /// environment; `None` where that is not plain. What comes after it, and other files, may say otherwise.
    #[must_use]
    pub fn glance(sources: &[SourceText], environment: &[(String, String)]) -> Option<DaemonSettings> {
        let main = sources.first()?;
        let sources = [SourceText { path: main.path.clone(), text: beginning(&main.text)?.into(), ..*main }];
        let variables = variables::ours(environment);
        let places = Places::new(&sources, variables.iter().map(|(name, _)| *name).collect());
        let mut problems = Problems::new(&places);
        let documents = files::parse(&sources, &mut problems);
        let sections = sections(&documents, &mut problems);
        let variables = variables::sort(&variables, (&[], &[]), &mut problems);
        let defaults = layers::defaults(&daemon::DEFAULTS);
        let (at, table) = layered(&sections.daemon, &variables.daemon, &defaults, &mut problems);
        let daemon = daemon::daemon(Section { at, table: &table }, &mut problems);
        (problems.count() == 0).then_some(daemon)
    }

    fn parse_with(
        (sources, environment): (&[SourceText], &[(String, String)]),
        unread: &[Problem],
        built_in: BuiltIn<'_>,
    ) -> Result<Self, Vec<Problem>> {
        let variables = variables::ours(environment);
        let places = Places::new(sources, variables.iter().map(|(name, _)| *name).collect());
        let mut problems = Problems::new(&places);
        if unread.iter().any(|problem| matches!(problem.place, Place::File { .. })) {
            problems.sources_are_partial();
        }
        let documents = files::parse(sources, &mut problems);
        let sections = sections(&documents, &mut problems);
        let names: Vec<&str> = sections.providers.keys().copied().collect();
        let vaults: Vec<&str> = sections.vaults.keys().copied().collect();
        let mut variables = variables::sort(&variables, (&names, &vaults), &mut problems);
        variables.state_dir =
            default_state_dir(|name| Some(environment.iter().find(|(known, _)| known == name)?.1.clone().into()));
        let config = Self::read(&sections, &variables, built_in, &mut problems);
        let all: Vec<Problem> = unread.iter().cloned().chain(problems.finish()).collect();
        if all.is_empty() { Ok(config) } else { Err(all) }
    }

    /// What the tables say. It is whole if there were no problems.
    fn read(
        sections: &Sections<'_>,
        variables: &Variables<'_>,
        built_in: BuiltIn<'_>,
        problems: &mut Problems<'_>,
    ) -> Self {
        let in_files = sections.vaults.keys().map(|name| (*name).to_owned());
        let names: BTreeSet<String> = in_files.chain(variables.vaults.keys().cloned()).collect();
        problems.know_vaults(names.into_iter().collect());
        let (at, table) = layered(&sections.daemon, &variables.daemon, &layers::defaults(&daemon::DEFAULTS), problems);
        let persist = table.get("persist").cloned();
        let daemon = daemon::daemon(Section { at, table: &table }, problems);
        let (at, table) = layered(&sections.log, &variables.log, &layers::defaults(&daemon::LOG_DEFAULTS), problems);
        let log = daemon::log(Section { at, table: &table }, problems);
        let presets = Presets::read(built_in, &sections.presets, problems);
        let vaults = read_vaults(sections, variables, problems);
        let providers = read_providers(sections, variables, persist, &presets, problems);
        compile::check_accounts(&providers, problems);
        let tokens = read_tokens(&sections.tokens, &providers, problems);
        compile::check_sinks(&tokens, &vaults, problems);
        OwnFiles::new(
            (&daemon, variables.state_dir.as_deref()),
            &providers,
            vaults.values().map(AsRef::as_ref),
            problems,
        )
        .check(&tokens, problems);
        follow::check_places(&tokens, problems);
        let compiled = compile::slots(tokens, &providers, daemon.persist, problems);
        let accounts = providers.into_values().filter_map(|draft| draft.account);
        let providers = accounts.map(|account| (account.provider.name.clone(), account.provider)).collect();
        let Compiled { slots, tokens, sinks } = compiled;
        Self { daemon, log, providers, vaults, slots, tokens, sinks }
    }

    /// The slot that serves the token called `name`.
    #[must_use]
    pub fn slot_of(&self, name: &Name) -> Option<&Arc<Slot>> {
        self.tokens.get(name).map(|&index| &self.slots[index])
    }
}

/// The text before the first provider or token; `None` where that is long.
fn beginning(text: &str) -> Option<&str> {
    let tables = ["\n[providers.", "\n[tokens."];
    let end = tables.iter().filter_map(|table| text.find(table)).min().unwrap_or(text.len());
    text.get(..end).filter(|beginning| beginning.len() <= LONGEST_BEGINNING)
}

/// One table in which defaults, files and environment are laid over each other.
fn layered<'a>(
    parts: &[Part<'a>],
    variables: &Table<'a>,
    defaults: &Table<'a>,
    problems: &mut Problems<'_>,
) -> (At, Table<'a>) {
    let variable = variables.values().next().map_or(At::START, |entry| entry.at);
    let (at, files) = merge(parts, problems).unwrap_or((variable, Table::new()));
    (at, layers::stack(defaults, &files, variables))
}

/// Every provider table. One without `persist` takes that of the daemon, with its place.
fn read_providers<'s>(
    sections: &'s Sections<'_>,
    variables: &'s Variables<'_>,
    persist: Option<Entry<'_>>,
    presets: &Presets<'_, '_>,
    problems: &mut Problems<'_>,
) -> Providers<'s> {
    let mut defaults = layers::defaults(&provider::DEFAULTS);
    defaults.extend(persist.map(|entry| ("persist".into(), entry)));
    let in_files = sections.providers.keys().copied();
    let names: BTreeSet<&str> = in_files.chain(variables.providers.keys().map(String::as_str)).collect();
    let (no_parts, no_variables) = (Vec::new(), Table::new());
    let mut providers = Providers::new();
    for name in names {
        let parts = sections.providers.get(name).unwrap_or(&no_parts);
        let variables = variables.providers.get(name).unwrap_or(&no_variables);
        let (at, table) = layered(parts, variables, &defaults, problems);
        providers.insert(name, provider::read(name, Section { at, table: &table }, presets, problems));
    }
    providers
}

/// Every `[vaults.*]` table.
fn read_vaults(
    sections: &Sections<'_>,
    variables: &Variables<'_>,
    problems: &mut Problems<'_>,
) -> BTreeMap<Name, Arc<VaultServer>> {
    let (no_parts, no_variables) = (Vec::new(), Table::new());
    let mut vaults = BTreeMap::new();
    for name in problems.vaults().to_vec() {
        let parts = sections.vaults.get(name.as_str()).unwrap_or(&no_parts);
        let variables = variables.vaults.get(&name).unwrap_or(&no_variables);
        let (at, table) = layered(parts, variables, &Table::new(), problems);
        let server = vaults::read(&name, Section { at, table: &table }, problems);
        vaults.extend(server.map(|server| (server.name.clone(), server)));
    }
    vaults
}

/// Every token table, one at a time.
fn read_tokens<'s>(
    tables: &Named<'s>,
    providers: &Providers<'_>,
    problems: &mut Problems<'_>,
) -> Vec<token::Draft<'s>> {
    if tables.is_empty() {
        problems.add_missing(At::START, "there is no token to keep fresh; add a [tokens.NAME] table");
    }
    let mut tokens = Vec::with_capacity(tables.len());
    for (name, parts) in tables {
        if let Some((at, table)) = merge(parts, problems) {
            tokens.extend(token::read(name, Section { at, table: &table }, providers, problems));
        }
    }
    tokens
}
