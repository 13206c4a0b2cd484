//! The judge. It sees what a bystander sees: requests at the provider, contents of sinks, what is on
//! the shelf and in the state; and holds it against the laws, worked out from the operator's wishes
//! and its own notes. It never asks the library's decisions what would have been right.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::moment::{HOUR, Ms, SECOND};
use super::sky::Sky;
use super::spec::Spec;

pub mod admins;
mod answers;
mod case;
mod clocks;
pub mod deliveries;
mod hooks;
mod lives;
pub mod requests;
mod schedules;
pub mod watches;

use case::{Asking, Case, Counted, Denied, Endpoint, Held, Wanted, WantedToken};
use hooks::Hook;

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
    /// What the state holds of that: as which slot was told, and until when.
    kept_patience: HashMap<usize, (usize, Ms)>,
    /// When the daemon was started last, and when its configuration was changed last.
    started_at: Ms,
    adopted_at: Ms,
    /// When the daemon was not there, or slept.
    pauses: VecDeque<(Ms, Ms)>,
    /// Whether it is not there or asleep: nothing is expected of it.
    pub is_away: bool,
    failing_since: Option<Ms>,
    /// How far the clock that the daemon follows is ahead of true time, and since when.
    ahead: Ms,
    clock_set_at: Ms,
    watches: BTreeSet<(Ms, Watch)>,
    /// What each sink should hold: the slot, and the index of the token.
    wishes: BTreeMap<usize, (usize, usize)>,
    /// Since when a sink is not wished for.
    unwished: BTreeMap<usize, Ms>,
    pub contents: BTreeMap<usize, Content>,
    /// What was delivered since the daemon knows its present configuration.
    delivered: HashMap<usize, (usize, u64)>,
    /// When the last delivery to a sink began.
    begun: HashMap<usize, Ms>,
    /// Requests in outages, and how long those were, of all slots that asked at all.
    pub outages: (u64, Ms),
    /// How often in a row a sink could not be written, and before when it is not tried again.
    failing_sinks: HashMap<usize, (u32, Ms)>,
    shelf: HashMap<String, Option<(usize, String)>>,
    /// By the names of their tokens.
    hooks: BTreeMap<String, Hook>,
    /// It was told to stop: nothing but deliveries begins.
    pub is_stopping: bool,
    /// Which slots something happened to since the last turn.
    touched: BTreeSet<usize>,
    /// How much longer things may take where many slots share an endpoint.
    slack: Ms,
}

/// What the state holds when the daemon starts, besides access tokens.
#[derive(Debug, Default)]
pub struct Saved {
    pub is_lost: bool,
    /// The machine was booted.
    pub booted: bool,
    /// How far the clock that it goes by is ahead of true time.
    pub ahead: Ms,
    /// Slots that an admin wants no requests for.
    pub paused: Vec<usize>,
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
    /// When it says that it expires, by the wall clock.
    pub says: Ms,
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
    /// Whether a moment of the schedule was honoured.
    Moment(usize),
    /// Whether a sink holds what it should.
    Sink(usize),
    /// Whether a sink that left the configuration is empty.
    Gone(usize),
    /// Whether the hooks of a slot were run.
    Hooks(usize),
    /// Whether everything is saved.
    Saved,
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
            kept_patience: HashMap::new(),
            started_at: 0,
            adopted_at: 0,
            pauses: VecDeque::new(),
            is_away: false,
            failing_since: None,
            ahead: 0,
            clock_set_at: 0,
            watches: BTreeSet::new(),
            wishes: BTreeMap::new(),
            unwished: BTreeMap::new(),
            contents: BTreeMap::new(),
            delivered: HashMap::new(),
            begun: HashMap::new(),
            outages: (0, 0),
            failing_sinks: HashMap::new(),
            shelf: HashMap::new(),
            hooks: BTreeMap::new(),
            is_stopping: false,
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

    /// Saving failed for so long that access tokens come first (L16).
    fn memory_comes_first(&self) -> bool {
        self.failing_since.is_some_and(|since| self.now >= since + 5 * SECOND)
    }
}
