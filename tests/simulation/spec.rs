//! What the operator of the simulation wants: accounts and tokens, written down as the TOML that a
//! person would write, and edited at random. What the laws say of it (which tokens share a slot,
//! what its union of scopes is) is worked out here a second time, without the library's help.

use std::collections::{BTreeMap, BTreeSet};

use super::moment::{Ms, SECOND};

mod written;

/// What kind of provider an account is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One slot for each PSU context.
    OpenPayments,
    /// One slot for the account.
    Shared,
    /// One slot for each token.
    Own,
}

pub const CONTEXTS: [&str; 2] = ["private", "corporate"];
const VENDOR_SCOPES: [&str; 3] = ["aspspinformation", "accountinformation", "paymentinitiation"];
const OWN_SCOPES: [&str; 3] = ["read", "write", "admin"];
/// How many scopes there are of each kind.
pub const SCOPES: usize = 3;

/// An account at an endpoint: what the operator says of it, and what it is like.
#[derive(Clone, Debug)]
pub struct Account {
    pub endpoint: usize,
    pub kind: Kind,
    /// How often its table was renamed.
    pub renamed: usize,
    /// So many access tokens in so long.
    pub budget: Option<(u32, Ms)>,
    /// Requests a minute.
    pub rate: Option<u32>,
    /// Client secrets that the operator lists.
    pub secrets: usize,
    pub persists: bool,
    pub lead: Option<Ms>,
    /// How long its access tokens live.
    pub lifetime: Ms,
    /// How long it takes to answer.
    pub latency: Ms,
    /// Answers with the same access token until so little of it is left.
    pub same_until: Option<Ms>,
    /// Whether its answers name no scopes.
    pub silent: bool,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub name: String,
    pub account: usize,
    pub context: usize,
    pub scopes: BTreeSet<usize>,
    /// Numbers of sinks, and whether each is a JSON file.
    pub sinks: BTreeMap<usize, bool>,
    pub removes: bool,
    /// Whether a program is run when it changed.
    pub hooked: bool,
    /// `refresh.schedule`: every so many minutes, where slots are not shared.
    pub every: Option<u32>,
}

/// Everything that the operator wants.
#[derive(Clone, Debug)]
pub struct Spec {
    pub accounts: Vec<Account>,
    pub tokens: Vec<Token>,
}

/// What the laws make of the tokens that share a slot.
#[derive(Clone, Debug)]
pub struct Wish {
    pub account: usize,
    pub union: BTreeSet<String>,
    /// Indices of tokens.
    pub tokens: Vec<usize>,
}

/// A change of mind.
#[derive(Clone, Debug)]
pub enum Change {
    Drop(String),
    Add(Token),
    RenameTable(usize),
    RenameToken(String, String),
    Widen(String, usize),
    Narrow(String, usize),
    /// A token takes a sink, wherever it was before.
    TakeSink(String, usize, bool),
    DropSink(String, usize),
    FlipRemoval(String),
    FlipHook(String),
    Lead(usize, Option<Ms>),
    /// Back to what was before the last edit.
    TakeBack,
}

impl Account {
    pub fn is_exclusive(&self) -> bool {
        self.kind != Kind::Own
    }

    /// Whether requests are counted, so that each must be noted before it leaves.
    pub fn counts(&self) -> bool {
        self.is_exclusive() || self.budget.is_some()
    }

    /// L7, in the words of the law.
    pub fn lead_of(&self, lifetime: Ms) -> Ms {
        let natural = if self.is_exclusive() {
            (60 * SECOND).min(lifetime / 10)
        } else {
            (lifetime / 10).clamp(60 * SECOND, 600 * SECOND)
        };
        self.lead.unwrap_or(natural).min(lifetime / 2)
    }

    pub fn scope(&self, number: usize) -> &'static str {
        match self.kind {
            Kind::OpenPayments => VENDOR_SCOPES[number],
            Kind::Shared | Kind::Own => OWN_SCOPES[number],
        }
    }

    pub fn url(&self) -> String {
        format!("https://endpoint{}.example/token", self.endpoint)
    }
}

/// The client ID of the account with this number.
pub fn client_of(account: usize) -> String {
    format!("client{account}")
}

/// The path of the sink with this number.
pub fn path_of(sink: usize) -> String {
    format!("/run/simulation/sink{sink}")
}

/// The number of the sink at `path`.
pub fn sink_at(path: &str) -> usize {
    path.trim_start_matches("/run/simulation/sink").parse().unwrap()
}

impl Spec {
    /// What names the slot of `token`, as the laws have it: account and context, or the token.
    pub fn key_of(&self, token: &Token) -> String {
        let client = client_of(token.account);
        match self.accounts[token.account].kind {
            Kind::OpenPayments => format!("{client}/{}", CONTEXTS[token.context]),
            Kind::Shared => format!("{client}/"),
            Kind::Own => format!("{client}/{}", token.name),
        }
    }

    /// What the laws make of the tokens, by slot.
    pub fn wishes(&self) -> BTreeMap<String, Wish> {
        let mut wishes = BTreeMap::new();
        for (index, token) in self.tokens.iter().enumerate() {
            let new = || Wish { account: token.account, union: BTreeSet::new(), tokens: Vec::new() };
            let wish: &mut Wish = wishes.entry(self.key_of(token)).or_insert_with(new);
            wish.union.extend(self.scopes_of(token));
            wish.tokens.push(index);
        }
        wishes
    }

    pub fn scopes_of<'a>(&'a self, token: &'a Token) -> impl Iterator<Item = String> + 'a {
        token.scopes.iter().map(|scope| self.accounts[token.account].scope(*scope).to_owned())
    }

    /// Every how many minutes a fresh access token is wanted for `token`.
    pub fn schedule_of(&self, token: &Token) -> Option<u32> {
        token.every.filter(|_| !self.accounts[token.account].is_exclusive())
    }

    /// Changes its mind; nothing where what is changed is not there (any more).
    pub fn change(&mut self, change: &Change) {
        let Some(token) = change.token().map(|name| self.tokens.iter().position(|token| token.name == name)) else {
            return self.change_whole(change);
        };
        let Some(index) = token else { return };
        if let Change::TakeSink(_, sink, _) = change {
            for token in &mut self.tokens {
                token.sinks.remove(sink);
            }
        }
        let alone = self.tokens.len() == 1;
        let is_taken = |new: &String| self.tokens.iter().any(|token| token.name == *new);
        let free = matches!(change, Change::RenameToken(_, new) if !is_taken(new));
        let token = &mut self.tokens[index];
        match change {
            Change::Drop(_) if !alone => {
                self.tokens.remove(index);
            }
            Change::RenameToken(_, new) if free => token.name.clone_from(new),
            Change::Widen(_, scope) => token.scopes.extend([*scope]),
            Change::Narrow(_, scope) if token.scopes.len() > 1 => token.scopes.retain(|other| other != scope),
            Change::TakeSink(_, sink, json) => token.sinks.extend([(*sink, *json)]),
            Change::DropSink(_, sink) => token.sinks.retain(|other, _| other != sink),
            Change::FlipRemoval(_) => token.removes = !token.removes,
            Change::FlipHook(_) => token.hooked = !token.hooked,
            _ => {}
        }
    }

    fn change_whole(&mut self, change: &Change) {
        match change {
            Change::RenameTable(account) => self.accounts[*account].renamed += 1,
            Change::Lead(account, lead) => self.accounts[*account].lead = *lead,
            Change::Add(token) => {
                let fits = self.tokens.iter().all(|other| other.name != token.name);
                let sinks = |sink: &usize| self.tokens.iter().all(|other| !other.sinks.contains_key(sink));
                if fits && token.sinks.keys().all(sinks) {
                    self.tokens.push(token.clone());
                }
            }
            _ => {}
        }
    }
}

impl Change {
    /// The token that it is about.
    fn token(&self) -> Option<&str> {
        match self {
            Self::Drop(name)
            | Self::RenameToken(name, _)
            | Self::Widen(name, _)
            | Self::Narrow(name, _)
            | Self::TakeSink(name, ..)
            | Self::DropSink(name, _)
            | Self::FlipRemoval(name)
            | Self::FlipHook(name) => Some(name),
            Self::Add(_) | Self::RenameTable(_) | Self::Lead(..) | Self::TakeBack => None,
        }
    }
}
