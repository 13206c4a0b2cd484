//! What happened, in order, and how often: issues, refusals, requests under way at once.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use crate::demo::standin::account::{Account, Target};
use crate::time::Timestamp;

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was decided.
    pub at: Timestamp,
    /// Who asked.
    pub account: Account,
    /// What became of it.
    pub event: Event,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new access token was issued.
    Issued(Issue),
    /// The same access token was given again.
    Repeated(Fingerprint),
    /// The request was refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The vendor's word for it: `invalid_client`.
        code: String,
    },
    /// A scripted fault came in place of an answer; its name.
    Disturbed(&'static str),
}

/// An access token as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Which.
    pub fingerprint: Fingerprint,
    /// As granted; `None` where the vendor knows no scopes.
    pub scope: Option<String>,
    /// Until when it is active.
    pub expires_at: Timestamp,
    /// Whether its answer reached the client in a usable form.
    pub arrival: Arrival,
}

/// What became of an access token's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was sent whole.
    Sent,
    /// A scripted fault spoiled it.
    Spoiled,
}

/// The first eight bytes of an access token's SHA-256. Prints as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// That of an access token.
    #[must_use]
    pub fn of(access_token: &str) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&digest(&SHA256, access_token.as_bytes()).as_ref()[..8]);
        Self(first)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// New access tokens.
    pub issued: u64,
    /// Access tokens given again.
    pub repeated: u64,
    /// Refusals.
    pub refused: u64,
    /// Faults in place of an answer.
    pub disturbed: u64,
    /// Requests under way now.
    pub in_flight: u64,
    /// The most requests of one account that were ever under way at once.
    pub most_in_flight: u64,
}

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: Vec<Entry>,
    tallies: BTreeMap<Account, Tally>,
    issued: HashMap<Fingerprint, Timestamp>,
}

impl Journal {
    /// All answered requests, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Who asked so far.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.tallies.keys()
    }

    /// The access tokens issued to these accounts, oldest first, with the moment of each.
    pub fn issues(&self, target: impl Into<Target>) -> impl Iterator<Item = (Timestamp, &Issue)> {
        let target = target.into();
        self.entries.iter().filter_map(move |entry| match &entry.event {
            Event::Issued(issue) if target.covers(&entry.account) => Some((entry.at, issue)),
            _ => None,
        })
    }

    /// How often what happened to these accounts, all together.
    #[must_use]
    pub fn tally(&self, target: impl Into<Target>) -> Tally {
        let target = target.into();
        let counted = self.tallies.iter().filter(|(account, _)| target.covers(account));
        counted.fold(Tally::default(), |sum, (_, one)| Tally {
            issued: sum.issued + one.issued,
            repeated: sum.repeated + one.repeated,
            refused: sum.refused + one.refused,
            disturbed: sum.disturbed + one.disturbed,
            in_flight: sum.in_flight + one.in_flight,
            most_in_flight: sum.most_in_flight.max(one.most_in_flight),
        })
    }

    /// Whether an access token was issued here and has not expired.
    #[must_use]
    pub fn is_active(&self, access_token: &str, now: Timestamp) -> bool {
        self.issued.get(&Fingerprint::of(access_token)).is_some_and(|expires_at| now < *expires_at)
    }

    /// How many access tokens of these accounts are active.
    #[must_use]
    pub fn active(&self, target: impl Into<Target>, now: Timestamp) -> usize {
        self.issues(target).filter(|(_, issue)| now < issue.expires_at).count()
    }

    /// Notes what became of a request.
    pub(super) fn note(&mut self, at: Timestamp, account: &Account, event: Event) {
        let tally = self.tally_of(account);
        match &event {
            Event::Issued(_) => tally.issued += 1,
            Event::Repeated(_) => tally.repeated += 1,
            Event::Refused { .. } => tally.refused += 1,
            Event::Disturbed(_) => tally.disturbed += 1,
        }
        if let Event::Issued(issue) = &event {
            self.issued.insert(issue.fingerprint, issue.expires_at);
        }
        self.entries.push(Entry { at, account: account.clone(), event });
    }

    /// Notes that a request is under way.
    pub(super) fn enter(&mut self, account: &Account) {
        let tally = self.tally_of(account);
        tally.in_flight += 1;
        tally.most_in_flight = tally.most_in_flight.max(tally.in_flight);
    }

    /// Notes that a request is over.
    pub(super) fn leave(&mut self, account: &Account) {
        self.tally_of(account).in_flight -= 1;
    }

    fn tally_of(&mut self, account: &Account) -> &mut Tally {
        self.tallies.entry(account.clone()).or_default()
    }
}
