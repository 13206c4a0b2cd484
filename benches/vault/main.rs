//! The figures of deliveries to Vault, on a real server (`OpenBao`), each held against its limit:
//!
//! `cargo bench --bench vault`
//!
//! The server is installed where the tests install it; where that cannot be had this says so and
//! measures nothing. Where a figure is a ratio, both sides run in turn against one server, several
//! rounds, and the median counts. Ends with 1 when a limit is missed.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "measures the world; what goes wrong ends the run"
)]

#[path = "../../tests/vault/bao.rs"]
#[allow(dead_code, reason = "tests start from it as well")]
mod bao;
mod bare;
#[path = "../../tests/binary/setup.rs"]
#[allow(dead_code, reason = "tests start from it as well")]
mod setup;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::bao::Bao;
use crate::setup::{Daemon, LOG, Setup, wait_until};

const ROUNDS: usize = 7;
/// So many that the issue before the first of them, and the look after the last, do not count.
const SINKS: usize = 4000;
/// As many has one token.
const OF_A_TOKEN: usize = 500;
const STORM: usize = 100;
/// How long the token of a login lives while its renewals are counted.
const LEASE: Duration = Duration::from_secs(12);
const RENEWALS: usize = 4;
const DAY: f64 = 86_400.0;

fn main() -> ExitCode {
    let (Some(quick), Some(bao)) = (Bao::quick_or_skip(), Bao::or_skip()) else { return ExitCode::SUCCESS };
    let ratio = deliveries(&quick);
    drop(quick);
    let logins = storm(&bao);
    at_rest(&bao);
    if ratio >= 0.8 && logins == 1 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One token in so many secrets below `secret/psd2/`, with a login of this role.
fn fleet(bao: &Bao, role: &[&str], count: usize) -> Setup {
    let (role, secret_id) = bao.app_role("secret/data/psd2/*", role);
    let setup = Setup::new();
    setup.write("secrets/role", &role);
    setup.write("secrets/secret-id", &secret_id);
    let keys = "method = \"approle\", role_id = { file = \"@DIR@/secrets/role\" }, \
                secret_id = { file = \"@DIR@/secrets/secret-id\" }";
    configure(bao, setup, keys, count)
}

/// The same with the token that the bare loop uses: of one with policies a server checks every request, which
/// takes it nearly as long again as the write.
fn fleet_of_the_operator(bao: &Bao, count: usize) -> Setup {
    let setup = Setup::new();
    setup.write("secrets/operator", bao::ROOT);
    configure(bao, setup, "method = \"token\", token = { file = \"@DIR@/secrets/operator\" }", count)
}

fn configure(bao: &Bao, setup: Setup, login: &str, count: usize) -> Setup {
    let vault = format!("[vaults.main]\naddress = \"{}\"\nauth = {{ {login} }}\n", bao.address());
    let sinks: Vec<String> = (0..count).map(|number| format!("{{ vault = \"secret/psd2/{number}\" }}")).collect();
    let token = |(name, sinks): (String, &[String])| {
        format!("[tokens.{name}]\nprovider = \"api\"\nsinks = [{}]\n", sinks.join(", "))
    };
    let tokens = names(count).zip(sinks.chunks(OF_A_TOKEN)).map(token);
    setup.configure(&[vault, setup.oauth2("api", "")].into_iter().chain(tokens).collect::<Vec<_>>());
    setup
}

/// The tokens that have `count` sinks together.
fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count.div_ceil(OF_A_TOKEN)).map(|number| format!("api-{number}"))
}

/// Issues the next, and waits until it is in all secrets.
fn deliver(setup: &Setup, daemon: &Daemon<'_>, count: usize) -> Duration {
    let mut log = File::open(setup.path(LOG)).unwrap();
    log.seek(SeekFrom::End(0)).unwrap();
    let (mut said, mut delivered) = (String::new(), 0);
    let began = Instant::now();
    for name in names(count) {
        daemon.post(&format!("/v1/tokens/{name}/refresh"));
    }
    // Each line is read once: looking takes no processor from those who are looked at.
    wait_until("all have the next", || {
        log.read_to_string(&mut said).unwrap();
        let whole = said.rfind('\n').map_or(0, |end| end + 1);
        delivered += said.drain(..whole).as_str().matches(" delivered token=").count();
        delivered == count
    });
    began.elapsed()
}

fn deliveries(bao: &Bao) -> f64 {
    let setup = fleet_of_the_operator(bao, SINKS);
    let daemon = setup.run_ready();
    let fields = bao.secret("secret/psd2/0");
    let (mut ratios, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (one, other) = (deliver(&setup, &daemon, SINKS), bare::write(&bao.address(), &fields, SINKS));
        ratios.push(other.as_secs_f64() / one.as_secs_f64());
        ours.push(f64::from(u32::try_from(SINKS).unwrap()) / one.as_secs_f64());
    }
    let (ratio, ours) = (median(&mut ratios), median(&mut ours));
    println!(
        "{:<66} {ratio:>7.2}   at least 0.8 ({ours:.0} a second)",
        "deliveries, of a bare vaultrs loop with 8 at a time"
    );
    ratio
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// All secrets are due, and the token of the login was revoked.
fn storm(bao: &Bao) -> usize {
    let setup = fleet(bao, &[], STORM);
    let daemon = setup.run_ready();
    bao.run(&["token", "revoke", "-mode=path", "auth/approle"]);
    let before = bao.requests().len();
    deliver(&setup, &daemon, STORM);
    let requests = bao.requests().split_off(before);
    let logins = requests.iter().filter(|path| path.ends_with("login")).count();
    println!("{:<66} {logins:>7}   1", "logins when 100 secrets are due and the token was revoked");
    logins
}

/// Counts what one delivery and one lease cost, and reckons what a day does.
fn at_rest(bao: &Bao) {
    let setup = fleet(bao, &[&format!("token_ttl={}s", LEASE.as_secs()), "token_max_ttl=1h"], STORM);
    let daemon = setup.run_ready();
    let count = |ends: &str| bao.requests().iter().filter(|path| path.contains(ends)).count();
    let before = count("secret/data/psd2/");
    deliver(&setup, &daemon, STORM);
    let per_delivery = ratio(count("secret/data/psd2/") - before, STORM);
    let renewed = count("renew-self");
    // From one renewal to another.
    while count("renew-self") == renewed {
        std::thread::sleep(Duration::from_millis(10));
    }
    let first = Instant::now();
    while count("renew-self") < renewed + 1 + RENEWALS {
        std::thread::sleep(Duration::from_millis(10));
    }
    let per_lease = LEASE.as_secs_f64() * ratio(RENEWALS, 1) / first.elapsed().as_secs_f64();
    println!("{:<66} {per_delivery:>7.2}", "requests for a delivery");
    println!("{:<66} {per_lease:>7.2}", "renewals in the lifetime of a login's token");
    let a_day = |access: f64, lease: f64, tokens: f64| DAY / access * per_delivery + DAY / lease * per_lease / tokens;
    for (what, access, lease, tokens) in [
        ("  one token of an hour, login of 32 days: requests a day", 3600.0, 768.0 * 3600.0, 1.0),
        ("  one token of an hour, login of an hour: requests a day", 3600.0, 3600.0, 1.0),
        ("  100 tokens of an hour, login of an hour: requests a day and token", 3600.0, 3600.0, 100.0),
    ] {
        println!("{what:<66} {:>7.2}", a_day(access, lease, tokens));
    }
}

fn ratio(one: usize, other: usize) -> f64 {
    f64::from(u32::try_from(one).unwrap()) / f64::from(u32::try_from(other).unwrap())
}
