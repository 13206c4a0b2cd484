//! A server that goes away with all it has and comes back with it: files and refreshing go on meanwhile,
//! it is not swamped, and it has the newest afterwards.

use std::time::{Duration, Instant};

use crate::bao::{Bao, certificate};
use crate::door::Door;
use crate::setup::{Daemon, Setup, wait_until};
use crate::sinks::token;

const MINUTE: Duration = Duration::from_mins(1);

const APP_ROLE: &str = "method = \"approle\", role_id = { file = \"@DIR@/secrets/role\" }, \
                        secret_id = { file = \"@DIR@/secrets/secret-id\" }";

/// One token in a file and in `secret/psd2/api` of the server at `address`.
fn both(setup: &Setup, bao: &Bao, address: &str) {
    let (role, secret_id) = bao.app_role("secret/data/psd2/*", &[]);
    setup.write("secrets/role", &role);
    setup.write("secrets/secret-id", &secret_id);
    let vault = format!("[vaults.main]\naddress = \"{address}\"\nauth = {{ {APP_ROLE} }}\n");
    let file = setup.path("tokens/api");
    let sinks = format!("{{ vault = \"secret/psd2/api\" }}, {{ file = \"{}\" }}", file.display());
    setup.configure(&[vault, setup.oauth2("api", ""), token("api", &sinks)]);
}

fn next_in_file(setup: &Setup, daemon: &Daemon<'_>) {
    let before = setup.read("tokens/api");
    daemon.post("/v1/tokens/api/refresh");
    wait_until("the file has the next", || setup.read("tokens/api") != before);
}

fn told(daemon: &Daemon<'_>, words: &str) {
    wait_until(&format!("status says {words}"), || {
        let sinks = daemon.slot("api").tokens[0].sinks.clone();
        sinks.iter().any(|sink| sink.error.as_ref().is_some_and(|why| why.contains(words)))
    });
}

fn newest_is_there(bao: &Bao, daemon: &Daemon<'_>) -> bool {
    bao.secret("secret/psd2/api")["access_token"] == daemon.get("/v1/tokens/api").json()["access_token"]
}

fn logins(bao: &Bao) -> usize {
    bao.requests().iter().filter(|path| path.ends_with("login")).count()
}

/// How often the secret of the sink was read or written.
fn uses(bao: &Bao) -> usize {
    bao.requests().iter().filter(|path| *path == "secret/data/psd2/api").count()
}

#[test]
fn a_server_that_is_killed_and_back_after_a_minute_has_the_newest_within_another() {
    let Some(mut bao) = Bao::lasting_or_skip() else { return };
    let setup = Setup::with_lifetime(Duration::from_secs(30));
    let door = Door::before(&bao.address());
    both(&setup, &bao, door.address());
    let daemon = setup.run_ready();
    bao.kill();
    let (killed, before) = (Instant::now(), door.connections());
    next_in_file(&setup, &daemon);
    told(&daemon, "closed before an answer came");
    while killed.elapsed() < MINUTE {
        let held = setup.read("tokens/api");
        wait_until("the file has the next", || setup.read("tokens/api") != held);
    }
    bao.start_again();
    let back = Instant::now();
    while !newest_is_there(&bao, &daemon) {
        assert!(back.elapsed() < MINUTE + Duration::from_secs(10), "{:?}", daemon.slot("api").tokens[0].sinks);
        std::thread::sleep(Duration::from_millis(100));
    }
    let attempts = door.connections() - before;
    assert!(attempts <= 12 + 4, "{attempts} connections in two minutes");
    assert_eq!(logins(&bao), 1, "the login from before still holds");
}

#[test]
fn a_server_that_is_restarted_with_its_data_takes_the_token_from_before() {
    let Some(mut bao) = Bao::lasting_or_skip() else { return };
    let setup = Setup::new();
    both(&setup, &bao, &bao.address());
    let daemon = setup.run_ready();
    assert_eq!(uses(&bao), 3, "read for its history, read, written");
    bao.stop();
    next_in_file(&setup, &daemon);
    told(&daemon, &format!("connection refused by {}", bao.address().trim_start_matches("http://")));
    assert_eq!(daemon.get("/readyz").status, 200, "the older generation in Vault is still valid");
    bao.start_again();
    wait_until("the newest is there", || newest_is_there(&bao, &daemon));
    assert_eq!(logins(&bao), 1);
    let attempts = uses(&bao);
    assert!(attempts <= 3 + 8, "{attempts} requests for one generation");
}

#[test]
fn a_server_that_is_sealed_in_the_middle_is_why_a_daemon_started_then_is_not_ready() {
    let Some(bao) = Bao::lasting_or_skip() else { return };
    let setup = Setup::new();
    both(&setup, &bao, &bao.address());
    let daemon = setup.run_ready();
    bao.run(&["operator", "seal"]);
    next_in_file(&setup, &daemon);
    told(&daemon, "is sealed: unseal it");
    daemon.stop();
    let daemon = setup.run();
    wait_until("readyz says why", || {
        let answer = daemon.get("/readyz");
        answer.status == 503 && answer.body.contains("secret/psd2/api") && answer.body.contains("is sealed: unseal it")
    });
    next_in_file(&setup, &daemon);
    bao.unseal();
    wait_until("the newest is there", || newest_is_there(&bao, &daemon));
    daemon.wait_ready();
    assert_eq!(logins(&bao), 1, "the login from before still holds");
}

#[test]
fn a_mount_that_is_deleted_is_named_and_one_made_anew_is_filled() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    both(&setup, &bao, &bao.address());
    let daemon = setup.run_ready();
    bao.run(&["secrets", "disable", "secret"]);
    let before = bao.requests().len();
    next_in_file(&setup, &daemon);
    told(&daemon, "vault:main/secret/psd2/api: ");
    assert_eq!(daemon.get("/readyz").status, 200, "what it held is still valid");
    bao.run(&["secrets", "enable", "-path=secret", "-version=2", "kv"]);
    wait_until("the newest is there", || newest_is_there(&bao, &daemon));
    assert_eq!(logins(&bao), 1);
    let requests = bao.requests().split_off(before);
    assert!(requests.iter().filter(|path| !path.starts_with("sys/")).count() <= 30, "{requests:?}");
}

#[test]
fn certificates_of_both_sides_are_read_again_when_they_change() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.app_role("secret/data/psd2/*", &[]);
    bao.run(&["auth", "enable", "cert"]);
    let trust = |name: &str| {
        let trusted = format!("certificate=@{}", certificate(name).display());
        bao.run(&["write", "auth/cert/certs/tokend", "token_policies=tokend", &trusted]);
    };
    trust("ca.pem");
    let setup = Setup::new();
    let ours = |prefix: &str| {
        for (name, from) in [("ca", "ca.pem"), ("client", "client.pem"), ("client-key", "client.key")] {
            let text = std::fs::read_to_string(certificate(&format!("{prefix}{from}"))).unwrap();
            setup.write(&format!("secrets/{name}"), &text);
        }
    };
    ours("");
    let vault = format!(
        "[vaults.main]\naddress = \"{}\"\nca_file = \"@DIR@/secrets/ca\"\nauth = {{ method = \"cert\", \
         cert_file = \"@DIR@/secrets/client\", key_file = \"@DIR@/secrets/client-key\" }}\n",
        bao.tls_address()
    );
    let file = setup.path("tokens/api");
    let sinks = format!("{{ vault = \"secret/psd2/api\" }}, {{ file = \"{}\" }}", file.display());
    setup.configure(&[vault, setup.oauth2("api", ""), token("api", &sinks)]);
    let daemon = setup.run_ready();
    bao.take_certificate("next-server");
    trust("next-ca.pem");
    bao.run(&["token", "revoke", "-mode=path", "auth/cert"]);
    next_in_file(&setup, &daemon);
    let address = bao.tls_address();
    told(&daemon, address.trim_start_matches("https://"));
    ours("next-");
    wait_until("the newest is there", || newest_is_there(&bao, &daemon));
    let logins = logins(&bao);
    assert!((2..=6).contains(&logins), "{logins}: one with each certificate, and those that were refused");
}
