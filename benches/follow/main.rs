//! How far those who follow are behind the one that asks: 100 tokens of two minutes are renewed once,
//! written to files and to Vault, and taken from there by one daemon each.
//!
//! `cargo bench --bench follow`. It takes two minutes, needs no privilege and no network but loopback,
//! tells figures and asserts none. The delay is that between two lines of logs: "access token issued"
//! there, and "access token taken" here.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "measures the world, with what tests start from"
)]

#[path = "../../tests/vault/bao.rs"]
mod bao;
#[path = "../../tests/binary/setup.rs"]
mod setup;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokend::time::Timestamp;

use crate::bao::{Bao, ROOT};
use crate::setup::Setup;

const TOKENS: usize = 100;
const LIFETIME: Duration = Duration::from_mins(2);
/// As on an exclusive slot: a tenth of the lifetime.
const LEAD: &str = "12s";

fn names() -> impl Iterator<Item = String> {
    (0..TOKENS).map(|number| format!("token{number}"))
}

fn vault(setup: &Setup, bao: &Bao) -> String {
    setup.write("secrets/vault-token", ROOT);
    let auth = "{ method = \"token\", token = { file = \"@DIR@/secrets/vault-token\" } }";
    format!("[vaults.main]\naddress = \"{}\"\nauth = {auth}\n", bao.address())
}

fn issuer(bao: &Bao) -> Setup {
    let issuer = Setup::with_lifetime(LIFETIME);
    let mut parts = vec![vault(&issuer, bao), issuer.oauth2("bank", "")];
    parts.extend(names().map(|name| {
        let file = issuer.path("tokens").join(&name).display().to_string();
        format!(
            "[tokens.{name}]\nprovider = \"bank\"\nrefresh = {{ lead = \"{LEAD}\" }}\n\
             sinks = [{{ file = \"{file}\", format = \"json\" }}, {{ vault = \"secret/psd2/{name}\" }}]\n"
        )
    }));
    issuer.configure(&parts);
    issuer
}

/// A daemon whose every token follows `place` of its name.
fn follower(head: impl FnOnce(&Setup) -> String, place: impl Fn(&str) -> String) -> Setup {
    let follower = Setup::new();
    let tokens = names().map(|name| format!("[tokens.{name}]\nfollow = {}\n", place(&name)));
    let parts: Vec<String> = std::iter::once(head(&follower)).chain(tokens).collect();
    follower.configure(&parts);
    follower
}

/// When each token's second generation was told of in a line with `words`.
fn moments(setup: &Setup, words: &str) -> BTreeMap<String, Timestamp> {
    let log = setup.log();
    let lines = log.lines().filter(|line| line.contains(words) && line.contains(" generation=2 "));
    let moment = |line: &str| {
        let slot = line.split_whitespace().find_map(|word| word.strip_prefix("slot="))?;
        let (_, name) = slot.split_once('/')?;
        Some((name.to_owned(), Timestamp::parse_rfc3339(line.split_whitespace().next()?)?))
    };
    lines.filter_map(moment).collect()
}

/// The same once there is one for every token.
fn all(setup: &Setup, words: &str) -> BTreeMap<String, Timestamp> {
    let began = Instant::now();
    loop {
        let moments = moments(setup, words);
        if moments.len() == TOKENS || began.elapsed() > 2 * LIFETIME {
            return moments;
        }
        sleep(Duration::from_millis(200));
    }
}

fn tell(what: &str, issued: &BTreeMap<String, Timestamp>, taken: &BTreeMap<String, Timestamp>) {
    let mut delays: Vec<f64> =
        taken.iter().filter_map(|(name, at)| Some(at.since(*issued.get(name)?).as_secs_f64())).collect();
    delays.sort_by(f64::total_cmp);
    let of = |share: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = ((delays.len() - 1) as f64 * share).round() as usize;
        delays[rank]
    };
    let count = delays.len();
    println!("{what}: {count} renewals, delay p50 {:.2} s, p99 {:.2} s, longest {:.2} s", of(0.5), of(0.99), of(1.0));
}

fn main() {
    let Some(bao) = Bao::or_skip() else { return };
    let issuer = issuer(&bao);
    let by_file = {
        let directory = issuer.path("tokens");
        follower(|_| String::new(), move |name| format!("{{ file = \"{}\" }}", directory.join(name).display()))
    };
    let by_vault = follower(|setup| vault(setup, &bao), |name| format!("{{ vault = \"secret/psd2/{name}\" }}"));
    let daemons = [issuer.run_ready(), by_file.run_ready(), by_vault.run_ready()];
    let reads = || bao.requests().len();
    let before = reads();
    let moments_there = all(&issuer, "access token issued");
    for (what, setup) in [("file", &by_file), ("Vault", &by_vault)] {
        tell(what, &moments_there, &all(setup, "access token taken"));
    }
    println!("requests to Vault for {TOKENS} tokens over one life, the issuer's among them: {}", reads() - before);
    drop(daemons);
}
