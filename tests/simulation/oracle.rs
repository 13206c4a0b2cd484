//! The judge. It sees what a bystander sees: requests at the provider, contents of sinks, what is on
//! the shelf and in the state; and holds it against the laws, worked out from the operator's wishes
//! and its own notes. It never asks the library's decisions what would have been right.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::moment::{HOUR, MINUTE, Ms, SECOND};
use super::provider::Truth;
use super::sky::Sky;
use super::spec::Spec;

pub mod deliveries;
pub mod requests;
pub mod watches;

/// A law was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub at: Ms,
    /// `L1` to `L17`, or `numbers`.
    pub law: &'static str,
    pub words: String,
}

/// Everything that the judge knows.
pub struct Judge {
    pub spec: Spec,
    pub violation: Option<Violation>,
    now: Ms,
    slots: Vec<Case>,
    index: HashMap<String, usize>,
    endpoints: BTreeMap<usize, Endpoint>,
    /// Requests a minute, by endpoint.
    rates: BTreeMap<usize, u32>,
    /// Until when an account asked for patience.
    patience: HashMap<usize, Ms>,
    /// When the daemon was started last, and when its configuration was changed last.
    started_at: Ms,
    adopted_at: Ms,
    /// When the daemon was not there, or slept.
    pauses: VecDeque<(Ms, Ms)>,
    /// Whether it is not there or asleep: nothing is expected of it.
    pub is_away: bool,
    failing_since: Option<Ms>,
    /// When a save failed last.
    failed_at: Option<Ms>,
    watches: BTreeSet<(Ms, Watch)>,
    /// What each sink should hold: the slot, and the index of the token.
    wishes: BTreeMap<usize, (usize, usize)>,
    /// Since when a sink is not wished for.
    unwished: BTreeMap<usize, Ms>,
    pub contents: BTreeMap<usize, Content>,
    /// What was delivered since the daemon knows its present configuration.
    delivered: HashMap<usize, (usize, u64)>,
    /// How often in a row a sink could not be written, and before when it is not tried again.
    failing_sinks: HashMap<usize, (u32, Ms)>,
    shelf: HashMap<String, Option<(usize, String)>>,
    /// Which slots something happened to since the last turn.
    touched: BTreeSet<usize>,
    /// How much longer things may take where many slots share an endpoint.
    slack: Ms,
}

/// What the state holds when the daemon starts, besides access tokens.
#[derive(Debug, Default)]
pub struct Saved {
    pub is_lost: bool,
    /// Requests that were about to leave, or under way: for which slot, since when, for what.
    pub intentions: Vec<(usize, Ms, BTreeSet<String>)>,
    /// Sinks that it knows to have written, and with what.
    pub sinks: BTreeMap<usize, [u8; 16]>,
}

/// What a sink holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub slot: usize,
    pub text: String,
    pub generation: u64,
    pub expires_at: Ms,
    pub json: bool,
    pub fingerprint: [u8; 16],
}

/// Something to look at when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Watch {
    /// Whether the next access token was asked for in time.
    Renewal(usize),
    /// Whether there is a successor.
    Expiry(usize),
    /// Whether a slot without an access token got one.
    Alive(usize),
    /// Whether a wider union was asked for.
    Union(usize),
    /// Whether a sink holds what it should.
    Sink(usize),
    /// Whether a sink that left the configuration is empty.
    Gone(usize),
    /// Whether everything is saved.
    Saved,
}

#[derive(Default)]
struct Endpoint {
    in_flight: usize,
    /// When requests left.
    left: VecDeque<Ms>,
    held_until: Ms,
    /// When which account was asked for patience, lately.
    pleas: Vec<(Ms, usize)>,
}

/// What the judge knows of one slot.
struct Case {
    key: String,
    account: usize,
    wanted: Option<Wanted>,
    asking: Option<Asking>,
    /// An admin asked for a refresh, and no request has left for it.
    refresh_is_asked: bool,
    held: Option<Held>,
    /// What the state holds of it.
    kept: Option<Held>,
    generation: u64,
    /// The generation that the state holds.
    kept_generation: u64,
    /// Access tokens lately issued, with the generation under which they were seen first.
    truths: VecDeque<(Truth, Option<u64>)>,
    counted: VecDeque<Counted>,
    denied: Option<Denied>,
    granted: Option<BTreeSet<String>>,
    unreachable: u32,
    refused: u32,
    secrets_refused: usize,
    /// Not asked before this: the shortest wait that the laws allow.
    not_before: Ms,
    /// When it waited for a reason.
    waits: VecDeque<(Ms, Ms)>,
    requests: VecDeque<Ms>,
}

/// What the operator wants of a slot.
#[derive(Clone, Debug)]
struct Wanted {
    since: Ms,
    union: BTreeSet<String>,
    tokens: Vec<WantedToken>,
}

#[derive(Clone, Debug)]
struct WantedToken {
    name: String,
    scopes: BTreeSet<String>,
    sinks: Vec<usize>,
    removes: bool,
}

#[derive(Clone, Debug)]
struct Asking {
    at: Ms,
    forced: bool,
    scopes: BTreeSet<String>,
}

/// The access token that the daemon holds.
#[derive(Clone, Debug)]
struct Held {
    text: String,
    asked_at: Ms,
    expires_at: Ms,
    scopes: BTreeSet<String>,
    asked: BTreeSet<String>,
    /// Not asked before this, because the same access token came again.
    same_again: Option<Ms>,
    is_saved: bool,
    /// When it was saved first.
    saved_at: Ms,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    at: Ms,
    arrived: bool,
    is_saved: bool,
    /// Whether the daemon knows of it; what was never saved it forgets when it is killed.
    is_known: bool,
}

#[derive(Clone, Debug)]
struct Denied {
    scopes: BTreeSet<String>,
    at: Ms,
    outright: bool,
}

impl Held {
    fn is_live(&self, now: Ms) -> bool {
        now < self.expires_at
    }

    fn covers(&self, scopes: &BTreeSet<String>) -> bool {
        scopes.is_subset(&self.scopes)
    }
}

impl Case {
    fn new(key: String, account: usize) -> Self {
        Self {
            key,
            account,
            wanted: None,
            asking: None,
            refresh_is_asked: false,
            held: None,
            kept: None,
            generation: 0,
            kept_generation: 0,
            truths: VecDeque::new(),
            counted: VecDeque::new(),
            denied: None,
            granted: None,
            unreachable: 0,
            refused: 0,
            secrets_refused: 0,
            not_before: Ms::MIN,
            waits: VecDeque::new(),
            requests: VecDeque::new(),
        }
    }

    fn live(&self, now: Ms) -> Option<&Held> {
        self.held.as_ref().filter(|held| held.is_live(now))
    }

    fn wait(&mut self, from: Ms, to: Ms) {
        while self.waits.front().is_some_and(|(_, end)| *end + 2 * HOUR < from) {
            self.waits.pop_front();
        }
        self.waits.push_back((from, to));
    }
}

impl Judge {
    pub fn new(spec: Spec, slack: Ms) -> Self {
        Self {
            spec,
            violation: None,
            now: 0,
            slots: Vec::new(),
            index: HashMap::new(),
            endpoints: BTreeMap::new(),
            rates: BTreeMap::new(),
            patience: HashMap::new(),
            started_at: 0,
            adopted_at: 0,
            pauses: VecDeque::new(),
            is_away: false,
            failing_since: None,
            failed_at: None,
            watches: BTreeSet::new(),
            wishes: BTreeMap::new(),
            unwished: BTreeMap::new(),
            contents: BTreeMap::new(),
            delivered: HashMap::new(),
            failing_sinks: HashMap::new(),
            shelf: HashMap::new(),
            touched: BTreeSet::new(),
            slack,
        }
    }

    /// Notes the first law that is broken.
    fn broken(&mut self, law: &'static str, words: impl Into<String>) {
        let at = self.now;
        self.violation.get_or_insert_with(|| Violation { at, law, words: words.into() });
    }

    pub fn accuse(&mut self, law: &'static str, words: String) {
        self.broken(law, words);
    }

    /// The number of the slot with this key.
    pub fn slot(&mut self, key: &str, account: usize) -> usize {
        if let Some(slot) = self.index.get(key) {
            return *slot;
        }
        self.slots.push(Case::new(key.to_owned(), account));
        self.index.insert(key.to_owned(), self.slots.len() - 1);
        self.slots.len() - 1
    }

    pub fn key(&self, slot: usize) -> &str {
        &self.slots[slot].key
    }

    /// The daemon starts, with what was saved; whatever it knew besides is gone.
    pub fn start(&mut self, down_since: Ms, saved: &Saved) {
        let now = self.now;
        self.started_at = now;
        self.pauses.push_back((down_since, now));
        self.is_away = false;
        self.failing_since = None;
        self.patience.clear();
        self.endpoints.clear();
        self.shelf.clear();
        for slot in &mut self.slots {
            slot.asking = None;
            slot.counted.iter_mut().filter(|counted| !counted.is_saved).for_each(|counted| counted.is_known = false);
            slot.held.clone_from(&slot.kept);
            slot.renumber();
            slot.refresh_is_asked = false;
            (slot.unreachable, slot.refused, slot.secrets_refused) = (0, 0, 0);
            slot.not_before = Ms::MIN;
            if saved.is_lost {
                slot.forget(now);
            }
        }
        for (slot, at, scopes) in &saved.intentions {
            let possibly = Counted { at: *at, arrived: false, is_saved: true, is_known: true };
            let case = &mut self.slots[*slot];
            if case.live(*at).is_some_and(|held| !held.covers(scopes)) {
                case.denied = Some(Denied { scopes: scopes.clone(), at: *at, outright: false });
            }
            let counted = &mut case.counted;
            if counted.iter().all(|counted| counted.at != *at || counted.arrived) {
                counted.push_back(possibly);
            }
        }
        // What was written last and not noted before it was killed is not known to be ours.
        let is_known = |sink: &usize, content: &Content| saved.sinks.get(sink) == Some(&content.fingerprint);
        let wishes = self.spec.wished_sinks();
        self.contents.retain(|sink, content| wishes.contains(sink) || is_known(sink, content));
        self.adopt();
    }

    /// The daemon was told of another configuration: `spec` is what is wanted from now on.
    pub fn adopt(&mut self) {
        let now = self.now;
        let wishes = self.spec.wishes();
        self.adopted_at = now;
        self.delivered.clear();
        self.failing_sinks.clear();
        for slot in &mut self.slots {
            if !wishes.contains_key(&slot.key) {
                slot.wanted = None;
                slot.refresh_is_asked = false;
            }
        }
        self.rates.clear();
        for wish in wishes.values() {
            let account = &self.spec.accounts[wish.account];
            if let Some(rate) = account.rate {
                let lowest = self.rates.entry(account.endpoint).or_insert(rate);
                *lowest = rate.min(*lowest);
            }
        }
        let before: Vec<usize> = self.wishes.keys().copied().collect();
        self.wishes.clear();
        for (key, wish) in wishes {
            let slot = self.slot(&key, wish.account);
            let tokens: Vec<WantedToken> = wish.tokens.iter().map(|index| self.wanted_token(*index)).collect();
            for (index, token) in tokens.iter().enumerate() {
                self.wishes.extend(token.sinks.iter().map(|sink| (*sink, (slot, index))));
            }
            let case = &mut self.slots[slot];
            let since = case.wanted.as_ref().map_or(now, |wanted| wanted.since);
            case.wanted = Some(Wanted { since, union: wish.union, tokens });
            case.not_before = Ms::MIN;
            self.watches.insert((now + MINUTE, Watch::Alive(slot)));
            self.watches.insert((now + 2 * MINUTE, Watch::Union(slot)));
            self.touched.insert(slot);
        }
        let contents = self.contents.keys().copied();
        for sink in before.into_iter().chain(contents).filter(|sink| !self.wishes.contains_key(sink)) {
            self.unwished.entry(sink).or_insert(now);
            self.watches.insert((now + 5 * SECOND, Watch::Gone(sink)));
        }
        self.unwished.retain(|sink, _| !self.wishes.contains_key(sink));
        self.watches.extend(self.wishes.keys().map(|sink| (now + 2 * SECOND, Watch::Sink(*sink))));
        let names: BTreeSet<&String> = self.spec.tokens.iter().map(|token| &token.name).collect();
        self.shelf.retain(|name, _| names.contains(name));
    }

    fn wanted_token(&self, index: usize) -> WantedToken {
        let token = &self.spec.tokens[index];
        WantedToken {
            name: token.name.clone(),
            scopes: self.spec.scopes_of(token).collect(),
            sinks: token.sinks.keys().copied().collect(),
            removes: token.removes,
        }
    }

    /// The host slept.
    pub fn slept(&mut self, from: Ms, to: Ms) {
        self.is_away = false;
        self.pauses.push_back((from, to));
    }

    /// Moves on to `to`; on the way everything is looked at whose time has come.
    pub fn advance(&mut self, to: Ms, sky: &Sky) {
        while let Some((at, watch)) = self.watches.first().copied().filter(|(at, _)| *at <= to && !self.is_away) {
            self.watches.pop_first();
            self.now = self.now.max(at);
            self.look(watch, at, sky);
        }
        self.now = to;
        while self.pauses.front().is_some_and(|(_, end)| *end + 12 * HOUR < to) {
            self.pauses.pop_front();
        }
    }

    /// An admin asks for a refresh of the token called `name`.
    pub fn refresh_asked(&mut self, name: &str) -> Option<usize> {
        let slot = self.slots.iter().position(|slot| slot.wanted.as_ref().is_some_and(|wanted| wanted.has(name)))?;
        if self.slots[slot].asking.is_none() {
            self.slots[slot].refresh_is_asked = true;
        }
        Some(slot)
    }

    /// The admin was answered.
    pub fn refresh_answered(&mut self, slot: usize) {
        if self.slots[slot].asking.is_none() {
            self.slots[slot].refresh_is_asked = false;
        }
    }

    /// Saving failed for so long that access tokens come first (L16).
    fn memory_comes_first(&self) -> bool {
        self.failing_since.is_some_and(|since| self.now >= since + 5 * SECOND)
    }
}

impl Wanted {
    fn has(&self, name: &str) -> bool {
        self.tokens.iter().any(|token| token.name == name)
    }
}

impl Case {
    /// What was never saved may be counted again; so may what is not held any more and comes again.
    fn renumber(&mut self) {
        self.generation = self.kept_generation;
        let held = self.held.as_ref().map(|held| held.text.as_str());
        for (truth, generation) in &mut self.truths {
            if held != Some(truth.text.as_str()) {
                *generation = None;
            }
        }
    }

    /// The state was lost, and with it all that was known.
    fn forget(&mut self, now: Ms) {
        (self.held, self.kept, self.denied, self.granted) = (None, None, None, None);
        (self.generation, self.kept_generation) = (0, 0);
        self.renumber();
        self.counted = VecDeque::from([Counted { at: now, arrived: false, is_saved: true, is_known: true }]);
    }
}
