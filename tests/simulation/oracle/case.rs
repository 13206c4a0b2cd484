//! What the judge knows of one slot, and of one endpoint.

use std::collections::{BTreeSet, VecDeque};

use super::schedules::Honoured;
use crate::simulation::moment::{HOUR, Ms, SECOND};
use crate::simulation::provider::Truth;

#[derive(Default)]
pub(super) struct Endpoint {
    pub(super) in_flight: usize,
    /// When requests left.
    pub(super) left: VecDeque<Ms>,
    pub(super) held_until: Ms,
    /// What the state holds of it: as which slot was told, and until when.
    pub(super) kept: Option<(usize, Ms)>,
    /// When which account was asked for patience, lately.
    pub(super) pleas: Vec<(Ms, usize)>,
}

/// A provider asked for patience.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plea {
    pub(super) at: Ms,
    pub(super) until: Ms,
    /// Of the whole endpoint.
    pub(super) whole: bool,
}

/// What the judge knows of one slot.
pub(super) struct Case {
    pub(super) key: String,
    pub(super) account: usize,
    pub(super) wanted: Option<Wanted>,
    pub(super) asking: Option<Asking>,
    /// An admin asked for a refresh, and no request has left for it.
    pub(super) refresh_is_asked: bool,
    /// Since when an admin wants no requests; and whether the daemon said so, and that it is saved.
    pub(super) paused: Option<Ms>,
    pub(super) pause_is_told: bool,
    pub(super) resumed_at: Ms,
    /// When the last usable answer came, when the last failure, and when it left the configuration.
    pub(super) granted_at: Ms,
    pub(super) failed_at: Ms,
    pub(super) gone_at: Ms,
    /// The provider asked for patience, and that is not saved yet.
    pub(super) plea: Option<Plea>,
    pub(super) honoured: Option<Honoured>,
    pub(super) kept_honoured: Option<Honoured>,
    pub(super) held: Option<Held>,
    /// What the state holds of it.
    pub(super) kept: Option<Held>,
    pub(super) generation: u64,
    /// The generation that the state holds.
    pub(super) kept_generation: u64,
    /// Access tokens lately issued, with the generation under which they were seen first.
    pub(super) truths: VecDeque<(Truth, Option<u64>)>,
    pub(super) counted: VecDeque<Counted>,
    pub(super) denied: Option<Denied>,
    pub(super) granted: Option<BTreeSet<String>>,
    pub(super) unreachable: u32,
    pub(super) refused: u32,
    pub(super) secrets_refused: usize,
    /// Not asked before this: the shortest wait that the laws allow.
    pub(super) not_before: Ms,
    /// When it waited for a reason.
    pub(super) waits: VecDeque<(Ms, Ms)>,
    /// When it waited because it was refused (L11).
    pub(super) refusals: VecDeque<(Ms, Ms)>,
    pub(super) requests: VecDeque<Ms>,
}

/// What the operator wants of a slot.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) since: Ms,
    pub(super) union: BTreeSet<String>,
    pub(super) tokens: Vec<WantedToken>,
}

#[derive(Clone, Debug)]
pub(super) struct WantedToken {
    pub(super) name: String,
    pub(super) scopes: BTreeSet<String>,
    pub(super) sinks: Vec<usize>,
    pub(super) removes: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) at: Ms,
    pub(super) forced: bool,
    pub(super) scopes: BTreeSet<String>,
}

/// The access token that the daemon holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) text: String,
    /// When it truly was asked for; the next two are as the daemon believes.
    pub(super) came_at: Ms,
    pub(super) asked_at: Ms,
    pub(super) expires_at: Ms,
    pub(super) scopes: BTreeSet<String>,
    pub(super) asked: BTreeSet<String>,
    /// Not asked before this, because the same access token came again.
    pub(super) same_again: Option<Ms>,
    /// It is from before a reboot: the wall clock says when it ends.
    pub(super) by_wall: bool,
    pub(super) is_saved: bool,
    /// When it was saved first.
    pub(super) saved_at: Ms,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) at: Ms,
    pub(super) arrived: bool,
    pub(super) is_saved: bool,
    /// Whether the daemon knows of it; what was never saved it forgets when it is killed.
    pub(super) is_known: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Denied {
    pub(super) scopes: BTreeSet<String>,
    pub(super) at: Ms,
    pub(super) outright: bool,
}

impl Held {
    pub(super) fn is_live(&self, now: Ms) -> bool {
        now < self.expires_at
    }

    pub(super) fn covers(&self, scopes: &BTreeSet<String>) -> bool {
        scopes.is_subset(&self.scopes)
    }
}

impl Case {
    pub(super) fn new(key: String, account: usize) -> Self {
        Self {
            key,
            account,
            wanted: None,
            asking: None,
            refresh_is_asked: false,
            paused: None,
            pause_is_told: false,
            resumed_at: Ms::MIN,
            granted_at: Ms::MIN,
            failed_at: Ms::MIN,
            gone_at: Ms::MIN,
            plea: None,
            honoured: None,
            kept_honoured: None,
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
            refusals: VecDeque::new(),
            requests: VecDeque::new(),
        }
    }

    pub(super) fn live(&self, now: Ms) -> Option<&Held> {
        self.held.as_ref().filter(|held| held.is_live(now))
    }

    pub(super) fn wait(&mut self, from: Ms, to: Ms) {
        while self.waits.front().is_some_and(|(_, end)| *end + 2 * HOUR < from) {
            self.waits.pop_front();
        }
        self.waits.push_back((from, to));
    }

    /// It was refused, and may wait until `to`.
    pub(super) fn wait_refused(&mut self, from: Ms, to: Ms) {
        while self.refusals.front().is_some_and(|(_, end)| *end + 2 * HOUR < from) {
            self.refusals.pop_front();
        }
        self.refusals.push_back((from, to));
    }
}

impl Wanted {
    pub(super) fn has(&self, name: &str) -> bool {
        self.tokens.iter().any(|token| token.name == name)
    }
}

impl Case {
    /// Requests are wanted again.
    pub(super) fn resume(&mut self, now: Ms) {
        self.pause_is_told = false;
        if let Some(since) = self.paused.take() {
            self.wait(since, now + 3 * SECOND);
            self.resumed_at = now;
        }
    }

    /// What was never saved may be counted again; so may what is not held any more and comes again.
    pub(super) fn renumber(&mut self) {
        self.generation = self.kept_generation;
        let held = self.held.as_ref().map(|held| held.text.as_str());
        for (truth, generation) in &mut self.truths {
            if held != Some(truth.text.as_str()) {
                *generation = None;
            }
        }
    }

    /// The state was lost, and with it all that was known.
    pub(super) fn forget(&mut self, now: Ms) {
        (self.held, self.kept, self.denied, self.granted) = (None, None, None, None);
        (self.generation, self.kept_generation) = (0, 0);
        (self.honoured, self.kept_honoured) = (None, None);
        self.resume(now);
        self.renumber();
        self.counted = VecDeque::from([Counted { at: now, arrived: false, is_saved: true, is_known: true }]);
    }
}
