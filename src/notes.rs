//! What the configuration needs that only the world can make true: users, groups, directories,
//! files with secrets. Never an error; told by `tokend check`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::getegid;

use crate::config::Config;
use crate::disk::{group, user};
use crate::document::Document;
use crate::name::Name;
use crate::peer::{can_tell_units, why_nobody_is_known};
use crate::places::Places;
use crate::settings::{
    Admins, FileContent, FileSettings, FollowedPlace, Hook, HookKind, KvVersion, Provider, SecretSource, TlsFiles,
    VaultPlace, VaultServer,
};
use crate::sink::file::directory_of;
use crate::sink::template_file;
use crate::slot::Slot;
use crate::template;
use crate::template::Fault;

/// The group of a packaged daemon.
const OWN_GROUP: &str = "tokend";

/// One line for everything that is missing on this host now.
#[must_use]
pub fn notes(config: &Config) -> Vec<String> {
    let own_roots = Places::find(&config.daemon).map(|places| places.own_roots).unwrap_or_default();
    let mut notes = BTreeSet::new();
    let admins = &config.daemon.admins;
    // The group that is named unless something is said need not be there.
    let named = admins.groups.iter().filter(|_| *admins != Admins::default());
    let unknown = admins.users.iter().filter_map(|name| user(name).err());
    let unknown = unknown.chain(named.filter_map(|name| group(name).err()));
    notes.extend(unknown.map(|why| lets_nobody_in("daemon.admins", &why)));
    if let Some(address) = config.daemon.metrics.filter(|address| !address.ip().is_loopback()) {
        notes.insert(format!(
            "daemon.metrics: who can reach {address} reads the names of tokens and files, unasked; no secrets"
        ));
    }
    for provider in config.providers.values() {
        notes.extend(provider_notes(provider));
    }
    let state_key = config.daemon.state_key.as_ref().and_then(missing_secret);
    notes.extend(state_key.map(|missing| format!("daemon.state_key: {missing}")));
    notes.extend(config.vaults.values().flat_map(|server| server_notes(server)));
    notes.extend(reader_notes(config));
    for slot in &config.slots {
        for file in slot.sinks().filter_map(|(_, sink)| sink.file()) {
            notes.extend(file_notes(file, &own_roots));
            notes.extend(template_note(file, slot));
        }
    }
    for (token, kind, hook) in config.slots.iter().flat_map(|slot| hooks_of(slot)) {
        notes.extend(hook_note(hook).map(|missing| format!("token {token}: {kind}: {missing}")));
    }
    notes.extend(config.slots.iter().filter_map(|slot| followed_note(slot)));
    notes.extend(vault_notes(config));
    notes.into_iter().collect()
}

/// Only what is so whoever asks.
fn followed_note(slot: &Slot) -> Option<String> {
    let FollowedPlace::File(path) = &slot.follows()?.place else { return None };
    let token = &slot.tokens.first()?.name;
    let missing = matches!(path.metadata(), Err(error) if error.kind() == ErrorKind::NotFound);
    missing.then(|| format!("token {token}: follow: {} does not exist; another tokend is to write it", path.display()))
}

/// What the policies in Vault must allow.
fn vault_notes(config: &Config) -> Vec<String> {
    let note = |place: &VaultPlace, capabilities: &str| {
        let data = match config.vaults.get(&place.server).map(|server| server.kv) {
            Some(KvVersion::V2) => "data/",
            _ => "",
        };
        let (server, mount, path) = (&place.server, &place.mount, &place.path);
        format!("vault {server}: its policies must allow {capabilities} on {mount}/{data}{path}")
    };
    let sinks = config.slots.iter().flat_map(|slot| slot.sinks()).filter_map(|(_, sink)| sink.vault());
    let sinks = sinks.map(|vault| note(&vault.place, "create, read and update"));
    let sources = config.providers.values().flat_map(|provider| provider.secrets.values().flatten());
    let secrets = sources.chain(&config.daemon.state_key).filter_map(|source| match source {
        SecretSource::Vault(place, _) => Some(note(place, "read")),
        _ => None,
    });
    let followed = config.slots.iter().filter_map(|slot| match &slot.follows()?.place {
        FollowedPlace::Vault(place) => Some(note(place, "read")),
        FollowedPlace::File(_) => None,
    });
    sinks.chain(secrets).chain(followed).collect()
}

fn hooks_of(slot: &Slot) -> impl Iterator<Item = (&Name, HookKind, &Hook)> {
    slot.tokens.iter().flat_map(|token| token.hooks().map(|(kind, hook)| (&token.name, kind, hook)))
}

fn hook_note(hook: &Hook) -> Option<String> {
    match hook {
        Hook::ReloadUnit(unit) => Some(format!(
            "the daemon's user needs the right to manage {unit}: root has it, others by a polkit rule; a .path unit of \
             root that watches the token's file needs none"
        )),
        Hook::Command(words) => {
            let program = words.first()?;
            match Path::new(program).metadata() {
                Ok(data) if !data.is_file() => Some(format!("{program} is no program")),
                Ok(data) if data.mode() & 0o111 == 0 => Some(format!("{program} is not executable: chmod 0755 it")),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    Some(format!("the program {program} does not exist"))
                }
                _ => None,
            }
        }
    }
}

fn lets_nobody_in(key: &str, why: &str) -> String {
    let (why, _) = why.split_once(": ").unwrap_or((why, ""));
    format!("{key}: {why}, so it lets nobody in")
}

/// Readers whom this host does not know, and what it cannot tell of any.
fn reader_notes(config: &Config) -> Vec<String> {
    let tokens = || config.slots.iter().flat_map(|slot| &slot.tokens).filter(|token| !token.readers.is_empty());
    if tokens().next().is_none() {
        return Vec::new();
    }
    if let Some(why) = why_nobody_is_known() {
        return vec![format!("readers: {why}")];
    }
    let (mut users, mut groups) = (BTreeMap::new(), BTreeMap::new());
    for token in tokens() {
        users.extend(token.readers.users.iter().map(|name| (name, &token.name)));
        groups.extend(token.readers.groups.iter().map(|name| (name, &token.name)));
    }
    let unknown = users.into_iter().filter_map(|(name, token)| Some((token, user(name).err()?)));
    let unknown = unknown.chain(groups.into_iter().filter_map(|(name, token)| Some((token, group(name).err()?))));
    let mut notes: Vec<String> =
        unknown.map(|(token, why)| lets_nobody_in(&format!("tokens.{token}.readers"), &why)).collect();
    if tokens().any(|token| !token.readers.units.is_empty()) && !can_tell_units() {
        notes.push("readers: this kernel (before 6.5) cannot prove who asks: `units` grants nothing".into());
    }
    notes
}

fn provider_notes(provider: &Provider) -> Vec<String> {
    let named = |parameter: &str, missing: String| format!("provider {}: {parameter}: {missing}", provider.name);
    let secrets = provider.secrets.iter().flat_map(|(parameter, sources)| sources.iter().map(move |s| (parameter, s)));
    let secrets =
        secrets.filter_map(|(parameter, source)| missing_secret(source).map(|missing| named(parameter, missing)));
    secrets.chain(missing_tls(&provider.tls).map(|missing| named("tls", missing))).collect()
}

/// What a login in Vault needs.
fn server_notes(server: &VaultServer) -> Vec<String> {
    let secrets = server.login.method.secrets();
    let secrets = secrets.into_iter().filter_map(missing_secret).map(|missing| ("auth", missing));
    let tls = missing_tls(&server.tls).map(|missing| ("tls", missing));
    secrets.chain(tls).map(|(what, missing)| format!("vault {}: {what}: {missing}", server.name)).collect()
}

fn missing_tls(files: &TlsFiles) -> impl Iterator<Item = String> {
    let files = [&files.ca_file, &files.cert_file, &files.key_file].into_iter().flatten();
    files.filter(|path| !path.exists()).map(|path| format!("{} does not exist", path.display()))
}

fn missing_secret(source: &SecretSource) -> Option<String> {
    match source {
        SecretSource::File(path) => missing_file(path),
        SecretSource::Env(name) => match std::env::var_os(name) {
            None => Some(format!("the variable {name} is not set here")),
            Some(value) if value.is_empty() => Some(format!("the variable {name} is empty here")),
            Some(_) => None,
        },
        SecretSource::Credential(name) if std::env::var_os("CREDENTIALS_DIRECTORY").is_none() => {
            Some(format!("the credential {name} comes from systemd: `tokend check --unit` prints its LoadCredential="))
        }
        SecretSource::Command(command) => {
            let program = command.first().filter(|program| program.contains('/') && !Path::new(program).exists())?;
            Some(format!("the program {program} does not exist"))
        }
        _ => None,
    }
}

/// Only what is so whoever asks: the person who checks is seldom the daemon's user.
fn missing_file(path: &Path) -> Option<String> {
    let shown = path.display();
    let own_group = |gid| gid == getegid().as_raw() || group(OWN_GROUP).is_ok_and(|own| own.as_raw() == gid);
    match path.metadata() {
        Ok(data) if !data.is_file() => Some(format!("{shown} is no regular file")),
        Ok(data) if data.len() == 0 => Some(format!("{shown} is empty, and an empty secret is not a secret")),
        Ok(data) if Mode::from_raw_mode(data.mode()).contains(Mode::ROTH) => {
            Some(format!("everyone on this host can read {shown}: chmod 0600 it and chown it to the daemon's user"))
        }
        Ok(data) if Mode::from_raw_mode(data.mode()).contains(Mode::RGRP) && !own_group(data.gid()) => Some(format!(
            "group {} can read {shown}, and may only if it is the daemon's own: else chmod 0600 it and chown it to the \
             daemon's user",
            data.gid()
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(format!("the file {shown} does not exist")),
        _ => None,
    }
}

fn template_note(file: &FileSettings, slot: &Slot) -> Option<String> {
    let FileContent::TemplateFile(path) = &file.content else { return None };
    let exported: Vec<&str> = slot.provider.preset.exports().collect();
    let checked = template_file::read(path).map(|text| match slot.follows() {
        Some(_) => template::check_open(&text, &Document::FIELDS),
        None => template::check(&text, &Document::FIELDS, &exported),
    });
    match checked {
        Err(why) => Some(why),
        Ok(Err(Fault { line, text })) => Some(format!("{}:{}: {text}", path.display(), line.unwrap_or(1))),
        Ok(Ok(())) => None,
    }
}

fn file_notes(file: &FileSettings, own_roots: &[std::path::PathBuf]) -> Vec<String> {
    let directory = directory_of(&file.path);
    let mut notes = Vec::new();
    if !directory.exists() && !own_roots.iter().any(|root| directory.starts_with(root)) {
        notes.push(format!("the directory {} does not exist: create it", directory.display()));
    }
    notes.extend(file.owner.as_deref().and_then(|owner| user(owner).err()));
    notes.extend(file.group.as_deref().and_then(|name| group(name).err()));
    notes
}
