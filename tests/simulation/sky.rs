//! What goes wrong outside, and when: the troubles of a scenario, as far as they are near.

use super::moment::{DAY, HOUR, Ms};

/// Something goes wrong for a while.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub from: Ms,
    pub to: Ms,
    pub what: What,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum What {
    /// Every account at an endpoint is answered in this mood.
    Endpoint(usize, Mood),
    /// One account is.
    Account(usize, Mood),
    /// The sink with this number cannot be written.
    SinkFails(usize),
    /// It answers only when the trouble is over.
    SinkHangs(usize),
    /// The programs that hooks run fail.
    HooksFail,
    /// The state cannot be written.
    State,
    /// Whoever writes the state hears of it only when the trouble is over.
    StateHangs,
}

/// How it is with the disk under the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    Works,
    Fails,
    Hangs(Ms),
}

/// How a provider answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    /// Connections are refused.
    Unreachable,
    /// The request is taken, and no answer comes; perhaps an access token was issued.
    TimesOut,
    /// This status, and no word on how long to wait.
    Busy(u16),
    /// 429 with `Retry-After`.
    Patience(u64),
    /// 503 with `Retry-After`.
    Closed(u64),
    /// Answers after so long.
    Slow(Ms),
    /// Issues, and the connection breaks.
    Loses,
    /// Answers 200 with something that is no access token.
    Junk,
    /// Knows the client secret with this number no more.
    Forgets(usize),
    /// Does not grant the scope with this number: `invalid_scope`.
    Denies(usize),
    /// Grants all but the scope with this number.
    Withholds(usize),
    /// Says that its access tokens live ten times as long as they do.
    Lies,
}

impl Mood {
    /// Whether it counts as an outage: nobody is issued anything, and nobody asks for patience.
    pub fn is_outage(self) -> bool {
        matches!(self, Self::Unreachable | Self::TimesOut | Self::Busy(_))
    }
}

/// The troubles of a scenario.
#[derive(Clone, Debug)]
pub struct Sky {
    troubles: Vec<Trouble>,
    next: usize,
    /// Those that have begun, and ended less than a while ago.
    near: Vec<usize>,
}

const WHILE: Ms = 2 * HOUR;

impl Sky {
    pub fn new(troubles: &[Trouble]) -> Self {
        let mut troubles = troubles.to_vec();
        troubles.sort_by_key(|trouble| trouble.from);
        Self { troubles, next: 0, near: Vec::new() }
    }

    /// Moves on to `now`; names what has ended since `before`.
    pub fn advance(&mut self, before: Ms, now: Ms) -> Vec<Trouble> {
        while self.troubles.get(self.next).is_some_and(|trouble| trouble.from <= now) {
            self.near.push(self.next);
            self.next += 1;
        }
        let troubles = &self.troubles;
        self.near.retain(|index| troubles[*index].to + WHILE > now);
        let ended = |trouble: &&Trouble| trouble.to > before && trouble.to <= now;
        self.near.iter().map(|index| &self.troubles[*index]).filter(ended).cloned().collect()
    }

    /// The next moment at which something begins or ends.
    pub fn next_change(&self, now: Ms) -> Ms {
        let begins = self.troubles.get(self.next).map_or(Ms::MAX, |trouble| trouble.from);
        let ends = self.near().map(|trouble| trouble.to).filter(|to| *to > now).min();
        begins.min(ends.unwrap_or(Ms::MAX))
    }

    /// What has begun, and ended not long ago.
    pub fn near(&self) -> impl Iterator<Item = &Trouble> {
        self.near.iter().map(|index| &self.troubles[*index])
    }

    fn now(&self, now: Ms) -> impl Iterator<Item = &Trouble> {
        self.near().filter(move |trouble| (trouble.from..trouble.to).contains(&now))
    }

    /// How the provider answers `account` at `endpoint`.
    pub fn mood(&self, endpoint: usize, account: usize, now: Ms) -> Option<Mood> {
        self.now(now).find_map(|trouble| trouble.mood_for(endpoint, account))
    }

    /// What is the matter with a sink: until when, and whether it hangs.
    pub fn sink(&self, number: usize, now: Ms) -> Option<(Ms, bool)> {
        self.now(now).find_map(|trouble| Some((trouble.to, trouble.at_sink(number)?)))
    }

    /// When the last trouble of a sink ended or will end that had begun by `now`.
    pub fn sink_is_well_after(&self, number: usize) -> Ms {
        let ends = self.near().filter(|trouble| trouble.at_sink(number).is_some()).map(|trouble| trouble.to);
        ends.max().unwrap_or(-DAY)
    }

    pub fn hooks_fail(&self, now: Ms) -> bool {
        self.now(now).any(|trouble| matches!(trouble.what, What::HooksFail))
    }

    /// When the last trouble of hooks ended or will end.
    pub fn hooks_are_well_after(&self) -> Ms {
        let ends = self.near().filter(|trouble| matches!(trouble.what, What::HooksFail)).map(|trouble| trouble.to);
        ends.max().unwrap_or(-DAY)
    }

    pub fn disk(&self, now: Ms) -> Disk {
        let disk = |trouble: &Trouble| match trouble.what {
            What::State => Some(Disk::Fails),
            What::StateHangs => Some(Disk::Hangs(trouble.to)),
            _ => None,
        };
        self.now(now).find_map(disk).unwrap_or(Disk::Works)
    }
}

impl Trouble {
    pub fn mood_for(&self, endpoint: usize, account: usize) -> Option<Mood> {
        match self.what {
            What::Endpoint(at, mood) if at == endpoint => Some(mood),
            What::Account(at, mood) if at == account => Some(mood),
            _ => None,
        }
    }

    fn at_sink(&self, number: usize) -> Option<bool> {
        match self.what {
            What::SinkFails(at) if at == number => Some(false),
            What::SinkHangs(at) if at == number => Some(true),
            _ => None,
        }
    }
}
