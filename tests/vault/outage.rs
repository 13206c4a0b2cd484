//! What holds whatever is the matter with a server: other sinks and refreshing go on, nobody asks more
//! often than the back-off allows, status and readyz tell why, and the newest is there afterwards.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::bao::Bao;
use crate::door::Door;
use crate::setup::{Daemon, Setup, wait_until};
use crate::sinks::token;

const APP_ROLE: &str = "method = \"approle\", role_id = { file = \"@DIR@/secrets/role\" }, \
                        secret_id = { file = \"@DIR@/secrets/secret-id\" }";

/// The server at `address`, where a role with these keys logs in.
pub fn vault_with_role(setup: &Setup, bao: &Bao, address: &str, keys: &[&str]) -> String {
    let (role, secret_id) = bao.app_role("secret/data/psd2/*", keys);
    setup.write("secrets/role", &role);
    setup.write("secrets/secret-id", &secret_id);
    format!("[vaults.main]\naddress = \"{address}\"\nauth = {{ {APP_ROLE} }}\n")
}

/// The token `name` in a file and in `secret/psd2/NAME`.
pub fn in_both(setup: &Setup, name: &str) -> String {
    let file = setup.path("tokens").join(name).display().to_string();
    let sinks = format!("{{ vault = \"secret/psd2/{name}\", server = \"main\" }}, {{ file = \"{file}\" }}");
    setup.oauth2(name, "") + &token(name, &sinks)
}

/// The token `api` in a file and in `secret/psd2/api` of the server that `vault` names, and `other` in a
/// file alone.
pub fn configure(setup: &Setup, vault: String) {
    let other = setup.oauth2("other", "") + &setup.token("other", "other", "");
    setup.configure(&[vault, in_both(setup, "api"), other]);
}

/// Adds `part` to the configuration.
pub fn add(setup: &Setup, part: &str) {
    setup.write_config(&(setup.read("tokend.toml").unwrap() + part));
}

/// What the server behind `door` is asked for from now on.
pub struct Outage<'o> {
    setup: &'o Setup,
    daemon: &'o Daemon<'o>,
    door: &'o Door,
    before: usize,
    began: Instant,
    reloads: Cell<usize>,
}

impl<'o> Outage<'o> {
    /// Something is about to happen to the server.
    pub fn begins(setup: &'o Setup, daemon: &'o Daemon<'o>, door: &'o Door) -> Self {
        Self { setup, daemon, door, before: door.asked().len(), began: Instant::now(), reloads: Cell::new(0) }
    }

    /// `api` and `other` are refreshed, and their files have the next.
    pub fn refreshing_goes_on(&self) {
        for name in ["api", "other"] {
            let file = format!("tokens/{name}");
            let before = self.setup.read(&file);
            assert_eq!(self.daemon.post(&format!("/v1/tokens/{name}/refresh")).status, 200);
            wait_until("the file has the next", || self.setup.read(&file) != before);
        }
    }

    /// Refreshing goes on; status says `words` of the secret of `api`, and readyz of that of `late`, a
    /// token that comes in the middle, whose file is there.
    pub fn delays_its_own_sinks_alone(&self, words: &str) {
        self.refreshing_goes_on();
        add(self.setup, &in_both(self.setup, "late"));
        assert_eq!(self.daemon.post("/v1/reload").status, 200);
        self.reloads.update(|reloads| reloads + 1);
        wait_until("the file of another token is there", || self.setup.read("tokens/late").is_some());
        self.is_told(words);
        wait_until(&format!("readyz says {words}"), || {
            let answer = self.daemon.get("/readyz");
            let late = answer.body.lines().find(|line| line.contains("vault:main/secret/psd2/late"));
            answer.status == 503 && late.is_some_and(|why| why.contains(words))
        });
    }

    /// Status says `words` of the secret of `api`.
    pub fn is_told(&self, words: &str) {
        wait_until(&format!("status says {words}"), || self.told().is_some_and(|why| why.contains(words)));
    }

    /// Why the secret of `api` is not as it should be.
    pub fn told(&self) -> Option<String> {
        let sinks = self.daemon.slot("api").tokens.remove(0).sinks;
        sinks.into_iter().find(|sink| sink.sink == "vault:main/secret/psd2/api").and_then(|sink| sink.error)
    }

    /// What was asked since it began and ends in `path`.
    pub fn asked(&self, path: &str) -> usize {
        self.door.asked()[self.before..].iter().filter(|asked| asked.ends_with(path)).count()
    }

    /// Waits until the door has seen `path` asked for so often.
    pub fn lasts_until_asked(&self, path: &str, times: usize) {
        wait_until(&format!("{path} is asked for {times} times"), || self.asked(path) >= times);
    }

    /// What ends in `path` was asked for at most as often as `most` says of so many attempts of one sink;
    /// it is one more for each reload that was asked for.
    pub fn is_asked_within(&self, path: &str, most: impl Fn(usize) -> usize) {
        let (times, time) = (self.asked(path), self.began.elapsed());
        let most = most(attempts_within(time) + self.reloads.get());
        assert!(times <= most, "{path}: {times} times and not {most} in {time:?}: {:?}", self.door.asked());
    }

    /// Each secret was asked for as the back-off allows, where an attempt takes so many requests, and the
    /// login no more often than if one sink wanted it.
    pub fn is_no_storm(&self, requests: usize) {
        self.is_asked_within("/api", |attempts| attempts * requests);
        // Here it was looked for a history as well.
        self.is_asked_within("/late", |attempts| attempts * requests + 1);
        self.is_asked_within("/login", |attempts| attempts);
        // Whoever is denied looks whether the login still holds.
        self.is_asked_within("", |attempts| 2 * attempts * (requests + 1) + 2);
    }

    /// The newest is there, and everything is well.
    pub fn is_over(&self, bao: &Bao) {
        for name in ["api", "late"] {
            self.newest_is_there(bao, name);
        }
        wait_until("all is well", || self.told().is_none());
        self.daemon.wait_ready();
    }

    /// The newest of `name` is in its secret.
    pub fn newest_is_there(&self, bao: &Bao, name: &str) {
        wait_until(&format!("the newest {name} is in Vault"), || self.is_newest(bao, name));
    }

    /// Whether the newest of `name` is in its secret.
    pub fn is_newest(&self, bao: &Bao, name: &str) -> bool {
        let held = self.daemon.get(&format!("/v1/tokens/{name}")).json()["access_token"].clone();
        bao.secret(&format!("secret/psd2/{name}"))["access_token"] == held
    }
}

/// How often one sink tries at most in this time: after 1 s, doubling to 60 s, each wait shortened by half.
fn attempts_within(time: Duration) -> usize {
    let waits = (0..).map(|failures: u32| Duration::from_secs(1 << failures.min(6)).min(Duration::from_mins(1)) / 2);
    let moments = waits.scan(Duration::ZERO, |passed, wait| {
        *passed += wait;
        Some(*passed)
    });
    1 + moments.take_while(|moment| *moment <= time).count()
}
