//! One run: what the operator wants at first, and all that happens to it. Plain data made from a
//! seed, so that it can be run again, printed and made smaller.

use std::collections::{BTreeMap, BTreeSet};

use super::moment::{DAY, HOUR, MINUTE, Ms, SECOND};
use super::rng::Rng;
use super::sky::{Mood, Trouble, What};
use super::spec::{Account, Change, Kind, SCOPES, Spec, Token};

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub end: Ms,
    pub spec: Spec,
    pub troubles: Vec<Trouble>,
    /// Ordered by time.
    pub acts: Vec<(Ms, Act)>,
    /// Whether requests and answers pass through the presets as text.
    pub speaks: bool,
}

/// Something that people, or the host, do to the daemon.
#[derive(Clone, Debug)]
pub enum Act {
    Edit(Change),
    /// An admin asks for a refresh of a token.
    Refresh(String),
    /// It is killed so many steps later, and comes back after a while.
    Kill {
        steps: usize,
        down: Ms,
        loses_state: bool,
    },
    /// It is stopped, and comes back after a while.
    Stop {
        down: Ms,
    },
    /// The host sleeps.
    Suspend(Ms),
    /// Somebody sets the wall clock.
    SetClock(Ms),
    /// The machine goes down at once, and comes back after a while with a wall clock that is so far off.
    Reboot {
        down: Ms,
        off: Ms,
    },
    /// An admin wants no requests for a token, or wants them again.
    Pause(String),
    Resume(String),
}

impl Scenario {
    /// A short run with everything in it.
    pub fn short(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let end = rng.stretched(20 * MINUTE, 8 * HOUR);
        let accounts: Vec<Account> = (0..=rng.below(3)).map(|_| account(&mut rng)).collect();
        let mut sinks = 0;
        let tokens: Vec<Token> =
            (0..=rng.below(5)).map(|number| token(&mut rng, &accounts, number, &mut sinks)).collect();
        let spec = Spec { accounts, tokens };
        let troubles = (0..rng.below(7)).map(|_| trouble(&mut rng, &spec, end)).collect();
        let mut acts: Vec<(Ms, Act)> =
            (0..rng.below(8)).map(|number| (rng.between(0, end), act(&mut rng, &spec, number))).collect();
        let wrong = |(at, act): &(Ms, Act)| match act {
            Act::Reboot { down, off } if *off != 0 => Some((at + down, -off)),
            _ => None,
        };
        // Somebody sets a wrong clock right.
        let right: Vec<(Ms, Ms)> = acts.iter().filter_map(wrong).collect();
        acts.extend(right.into_iter().map(|(at, by)| (at + rng.stretched(SECOND, 2 * HOUR), Act::SetClock(by))));
        acts.sort_by_key(|(at, _)| *at);
        Self { seed, end, spec, troubles, acts, speaks: true }
    }

    /// Nothing ever goes wrong.
    pub fn healthy(seed: u64) -> Self {
        Self { troubles: Vec::new(), acts: Vec::new(), ..Self::short(seed) }
    }

    /// Many slots at one endpoint, all of them due when the daemon comes back.
    pub fn crowd(seed: u64, slots: usize) -> Self {
        let fleet = Self::fleet(seed, slots, 3 * HOUR);
        let mut spec = fleet.spec;
        for account in &mut spec.accounts {
            (account.endpoint, account.lifetime, account.kind) = (0, HOUR, Kind::Own);
        }
        let acts = vec![(10 * MINUTE, Act::Stop { down: 90 * MINUTE })];
        Self { spec, acts, troubles: Vec::new(), ..fleet }
    }

    /// Many slots for a long time: vendors' lifetimes, and now and then an outage of each kind.
    pub fn fleet(seed: u64, slots: usize, end: Ms) -> Self {
        let mut rng = Rng::new(seed);
        let endpoints = 5;
        let mut spec = Spec { accounts: Vec::new(), tokens: Vec::new() };
        for number in 0..slots {
            let kind = match number % 50 {
                0 | 1 => Kind::OpenPayments,
                2 | 3 => Kind::Shared,
                _ => Kind::Own,
            };
            let lifetime = match number % 250 {
                0 => HOUR,
                1 | 2 => 8 * HOUR,
                3..25 => DAY,
                _ => 7 * DAY,
            };
            // What the preset says for production.
            let budget = (kind == Kind::OpenPayments).then_some((3, HOUR));
            let account = Account { kind, lifetime, budget, endpoint: number % endpoints, ..plain_account(&mut rng) };
            let sinks = BTreeMap::from([(number, number % 3 == 0)]);
            spec.tokens.push(Token { account: number, sinks, ..plain_token(number) });
            spec.accounts.push(account);
        }
        let mut scenario = Self { seed, end, spec, troubles: Vec::new(), acts: Vec::new(), speaks: false };
        let mut at = 0;
        while at < end {
            at += rng.between(2 * DAY, 6 * DAY);
            let to = at + rng.stretched(10 * SECOND, 3 * HOUR);
            scenario.troubles.push(Trouble { from: at, to, what: common_trouble(&mut rng, endpoints, slots) });
            let down = rng.stretched(SECOND, 10 * MINUTE);
            let kill = Act::Kill { steps: rng.below(40), down, loses_state: false };
            scenario.acts.push((at + rng.between(0, DAY), kill));
            let other = match rng.below(6) {
                0 => Act::Reboot { down, off: 0 },
                1 => Act::Suspend(rng.stretched(MINUTE, 3 * HOUR)),
                2 | 3 => Act::SetClock(rng.stretched(6 * SECOND, DAY) * rng.pick(&[1, -1])),
                _ => continue,
            };
            scenario.acts.push((at + rng.between(0, DAY), other));
        }
        scenario.acts.sort_by_key(|(at, _)| *at);
        scenario
    }
}

fn common_trouble(rng: &mut Rng, endpoints: usize, slots: usize) -> What {
    let endpoint = rng.below(endpoints);
    match rng.below(9) {
        0 => What::State,
        1 => What::SinkFails(rng.below(slots)),
        2 => What::SinkHangs(rng.below(slots)),
        3 => What::Endpoint(endpoint, Mood::TimesOut),
        4 => What::Endpoint(endpoint, Mood::Busy(503)),
        5 => What::Endpoint(endpoint, Mood::Closed(120)),
        6 => What::Account(rng.below(slots), Mood::Patience(300)),
        7 => What::HooksFail,
        _ => What::Endpoint(endpoint, Mood::Unreachable),
    }
}

fn plain_account(rng: &mut Rng) -> Account {
    Account {
        endpoint: 0,
        kind: Kind::Own,
        renamed: 0,
        budget: None,
        rate: None,
        secrets: 1,
        persists: true,
        lead: None,
        lifetime: HOUR,
        latency: rng.between(20, 400),
        same_until: None,
        silent: false,
    }
}

fn plain_token(number: usize) -> Token {
    Token {
        name: format!("token{number}"),
        account: 0,
        context: number % 2,
        scopes: BTreeSet::from([0]),
        sinks: BTreeMap::new(),
        removes: false,
        hooked: number.is_multiple_of(20),
        every: None,
    }
}

fn account(rng: &mut Rng) -> Account {
    let kind = rng.pick(&[Kind::OpenPayments, Kind::OpenPayments, Kind::Shared, Kind::Own]);
    let lifetime = rng.pick(&[2 * MINUTE, 5 * MINUTE, 20 * MINUTE, HOUR, HOUR, 4 * HOUR]);
    let budgets = [None, Some((3, HOUR)), Some((20, HOUR)), Some((4, 20 * MINUTE))];
    let open_payments = kind == Kind::OpenPayments;
    let budget = rng.pick(&budgets).or(open_payments.then_some((30, HOUR)));
    let leads = [None, None, None, Some(0), Some(30 * SECOND), Some(2 * MINUTE)];
    Account {
        endpoint: rng.below(2),
        kind,
        budget,
        rate: rng.chance(15).then(|| rng.pick(&[2, 6, 60])),
        secrets: rng.pick(&[1, 1, 2, 3]),
        persists: kind != Kind::Own || rng.chance(80),
        lead: rng.pick(&leads),
        lifetime,
        same_until: rng.chance(15).then(|| rng.pick(&[15 * SECOND, MINUTE])),
        silent: rng.chance(40),
        ..plain_account(rng)
    }
}

fn token(rng: &mut Rng, accounts: &[Account], number: usize, sinks: &mut usize) -> Token {
    let scopes = (0..SCOPES).filter(|_| rng.chance(40)).collect::<BTreeSet<usize>>();
    let first = *sinks;
    *sinks += rng.pick(&[0, 1, 1, 2]);
    Token {
        account: rng.below(accounts.len()),
        context: rng.below(2),
        scopes: if scopes.is_empty() { BTreeSet::from([rng.below(SCOPES)]) } else { scopes },
        sinks: (first..*sinks).map(|sink| (sink, rng.chance(30))).collect(),
        removes: rng.chance(30),
        hooked: rng.chance(40),
        every: rng.chance(40).then(|| rng.pick(&[5, 10, 30, 60])),
        ..plain_token(number)
    }
}

fn trouble(rng: &mut Rng, spec: &Spec, end: Ms) -> Trouble {
    let (mut from, mut to) = (rng.between(0, end), 0);
    if rng.chance(40) {
        // Around the end of a first access token: the moments that matter most.
        let expiry = rng.pick(&spec.accounts.iter().map(|account| account.lifetime).collect::<Vec<_>>());
        from = (expiry - rng.stretched(SECOND, 10 * MINUTE)).max(0);
        to = expiry - rng.between(-5 * SECOND, 90 * SECOND);
    }
    if to <= from {
        to = from + rng.stretched(SECOND, 2 * HOUR);
    }
    let sink = rng.below(6);
    let what = match rng.below(12) {
        0 => What::SinkFails(sink),
        1 => What::SinkHangs(sink),
        2 => What::State,
        10 => What::StateHangs,
        11 => What::HooksFail,
        3..=6 => What::Endpoint(rng.below(2), mood(rng)),
        _ => What::Account(rng.below(spec.accounts.len()), mood(rng)),
    };
    Trouble { from, to, what }
}

fn mood(rng: &mut Rng) -> Mood {
    let patience = rng.pick(&[1, 30, 300, 7200]);
    match rng.below(13) {
        0 | 1 => Mood::Unreachable,
        2 => Mood::TimesOut,
        3 => Mood::Busy(rng.pick(&[302, 408, 429, 500, 503])),
        4 => Mood::Patience(patience),
        5 => Mood::Closed(patience),
        6 => Mood::Slow(rng.between(SECOND, 9 * SECOND)),
        7 => Mood::Loses,
        8 => Mood::Junk,
        9 => Mood::Forgets(rng.below(2)),
        10 => Mood::Denies(rng.below(SCOPES)),
        11 => Mood::Withholds(rng.below(SCOPES)),
        _ => Mood::Lies,
    }
}

fn act(rng: &mut Rng, spec: &Spec, number: usize) -> Act {
    let down = rng.stretched(100, 20 * MINUTE);
    let some_token = |rng: &mut Rng| format!("token{}", rng.below(spec.tokens.len()));
    match rng.below(18) {
        0..=2 => Act::Kill { steps: rng.below(12), down, loses_state: rng.chance(10) },
        3 => Act::Stop { down },
        4 => Act::Suspend(rng.stretched(SECOND, 3 * HOUR)),
        5 | 6 => Act::Refresh(some_token(rng)),
        7 | 8 => Act::SetClock(rng.stretched(6 * SECOND, 3 * DAY) * rng.pick(&[1, -1])),
        9 => Act::Reboot { down, off: rng.pick(&[0, 1, -1]) * rng.stretched(6 * SECOND, 3 * DAY) },
        10 => Act::Pause(some_token(rng)),
        11 | 12 => Act::Resume(some_token(rng)),
        _ => Act::Edit(change(rng, spec, number)),
    }
}

fn change(rng: &mut Rng, spec: &Spec, number: usize) -> Change {
    let token = format!("token{}", rng.below(spec.tokens.len()));
    let account = rng.below(spec.accounts.len());
    match rng.below(13) {
        0 => Change::Drop(token),
        1 => {
            let mut sinks = 20 + number;
            Change::Add(self::token(rng, &spec.accounts, 10 + number, &mut sinks))
        }
        2 => Change::RenameTable(account),
        3 => Change::RenameToken(token, format!("token{}", 20 + number)),
        4 | 5 => Change::Widen(token, rng.below(SCOPES)),
        6 => Change::Narrow(token, rng.below(SCOPES)),
        7 => Change::TakeSink(token, rng.below(6), rng.chance(30)),
        8 => Change::DropSink(token, rng.below(6)),
        9 => Change::FlipRemoval(token),
        11 => Change::FlipHook(token),
        10 => Change::Lead(account, rng.pick(&[None, Some(0), Some(30 * SECOND), Some(2 * MINUTE)])),
        _ => Change::TakeBack,
    }
}
