//! `follow = { … }`: a token that another tokend asks for, and this one takes from where that writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::compile::LIFETIME;
use crate::config::keys::Keys;
use crate::config::node::Node;
use crate::config::place::At;
use crate::config::problems::Problems;
use crate::config::read::{Section, file_path};
use crate::config::token::{Draft, Source};
use crate::config::vaults;
use crate::name::{Identity, Name, SinkId, SlotId};
use crate::settings::{Followed, Persist, Provider};
use crate::slot::{Policy, Slot};

pub(super) const FOLLOW: Keys<'static> = Keys { table: "follow", accepted: &["file", "vault", "server", "mount"] };

/// What only means something where a provider is asked.
const OF_PROVIDERS: [&str; 3] = ["provider", "psu_context", "scopes"];
/// The same of `refresh`.
const OF_REQUESTS: [&str; 2] = ["schedule", "timezone"];

/// Reads where another tokend writes.
pub fn read(node: &Node<'_>, problems: &mut Problems<'_>) -> Option<Followed> {
    let section = Section::of(node, "follow", problems)?;
    problems.check_keys(section.table, &FOLLOW);
    match (section.node("file"), section.node("vault")) {
        (Some(_), Some(_)) => {
            let remedy = "a token follows a file or a secret in Vault; keep one of them";
            problems.add_value(section.at_key("vault"), "vault", remedy);
            None
        }
        (Some(_), None) => {
            for key in ["server", "mount"].into_iter().filter(|key| section.node(key).is_some()) {
                problems.add_value(section.at_key(key), key, "it belongs to vault, and a file is followed; remove it");
            }
            section.read("file", problems, file_path).map(Followed::file)
        }
        (None, Some(_)) => {
            let at = section.at_key("vault");
            let (place, field) = vaults::place(section, "vault", problems)?;
            if field.is_some() {
                problems.add_value(at, "vault", "a whole secret is followed; remove # and the field");
            }
            Some(Followed::vault(place))
        }
        (None, None) => {
            let remedy = "follow needs the place where the other tokend writes: { vault = \"secret/path\" } or \
                          { file = \"/path\" } (format json)";
            problems.add_missing(section.at, remedy);
            None
        }
    }
}

/// Reports what stands beside `follow` and is for those who ask a provider.
pub fn check_beside(token: Section<'_, '_>, problems: &mut Problems<'_>) {
    let why = "this token takes what another tokend asked for, and asks no provider";
    for key in OF_PROVIDERS.into_iter().filter(|key| token.node(key).is_some()) {
        problems.add_value(token.at_key(key), key, &format!("{why}; remove it, or follow"));
    }
    let refresh = token.node("refresh").and_then(Node::table);
    let Some(table) = refresh else { return };
    let refresh = Section { at: token.at_key("refresh"), table };
    for key in OF_REQUESTS.into_iter().filter(|key| refresh.node(key).is_some()) {
        problems.add_value(refresh.at_key(key), key, &format!("{why}; remove it"));
    }
}

/// Reports every token that follows its own sink, or what another follower here writes: round in a circle.
pub fn check_places(tokens: &[Draft<'_>], problems: &mut Problems<'_>) {
    let followers = || tokens.iter().filter(|token| matches!(token.source, Source::Followed(..)));
    let mut written: BTreeMap<&SinkId, (At, &Name)> = BTreeMap::new();
    for token in followers() {
        let sinks = token.sinks_at.iter().zip(&token.settings.sinks);
        written.extend(sinks.map(|(at, sink)| (&sink.id, (*at, &token.settings.name))));
    }
    for follower in followers() {
        let Source::Followed(at, followed) = &follower.source else { continue };
        let Some((sink_at, author)) = written.get(&followed.id) else { continue };
        let place = problems.places().find(*sink_at);
        let text = if *author == &follower.settings.name {
            format!("it would follow its own sink (at {place}); give the sink another place")
        } else {
            format!("{author} writes this (at {place}) and follows as well; follow what it follows")
        };
        problems.add_value(*at, "follow", &text);
    }
}

/// The slot of a token that follows. `namesake` finds another slot that would be called the same.
pub fn slot(
    token: Draft<'_>,
    persist: Persist,
    namesake: impl Fn(&SlotId) -> Option<SlotId>,
    problems: &mut Problems<'_>,
) -> Option<Slot> {
    let Source::Followed(at, followed) = token.source else { return None };
    let id = SlotId::new(&Name::of_followers(), token.settings.name.as_str());
    if let Some(other) = namesake(&id) {
        let text = format!("its slot would be called {other}, as one of [providers.follow]; rename that table");
        problems.add_value(at, "follow", &text);
        return None;
    }
    Some(Slot {
        id,
        identity: Identity::new(&["follow", followed.id.as_str(), token.settings.name.as_str()]),
        provider: Arc::new(Provider::followed(followed, persist)),
        context: None,
        scopes: Vec::new(),
        policy: Policy {
            exclusive: false,
            lead: token.lead.map(|(_, lead)| lead),
            max_lead: None,
            budget: None,
            persist,
            expected_lifetime: LIFETIME,
        },
        tokens: vec![token.settings],
        schedule: None,
    })
}
