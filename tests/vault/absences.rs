//! A server that goes away with all it has and comes back with it: files and refreshing go on meanwhile,
//! it is not swamped, and it has the newest afterwards.

use std::time::{Duration, Instant};

use crate::bao::{Bao, certificate};
use crate::door::Door;
use crate::outage::{Outage, configure, vault_with_role};
use crate::setup::{Setup, wait_until};

const MINUTE: Duration = Duration::from_mins(1);

fn logins(bao: &Bao) -> usize {
    bao.requests().iter().filter(|path| path.ends_with("login")).count()
}

#[test]
fn a_server_that_is_killed_and_back_after_a_minute_has_the_newest_within_another() {
    let Some(mut bao) = Bao::lasting_or_skip() else { return };
    let setup = Setup::with_lifetime(Duration::from_secs(30));
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    bao.kill();
    let killed = Instant::now();
    outage.delays_its_own_sinks_alone("closed before an answer came");
    while killed.elapsed() < MINUTE {
        let held = ["api", "other", "late"].map(|name| setup.read(&format!("tokens/{name}")));
        wait_until("the files have the next", || {
            let now = ["api", "other", "late"].map(|name| setup.read(&format!("tokens/{name}")));
            now.iter().zip(&held).all(|(now, held)| now != held)
        });
    }
    outage.is_no_storm(1);
    bao.start_again();
    let back = Instant::now();
    while !(outage.is_newest(&bao, "api") && outage.is_newest(&bao, "late")) {
        assert!(back.elapsed() < MINUTE + Duration::from_secs(10), "{:?}", outage.told());
        std::thread::sleep(Duration::from_millis(100));
    }
    outage.is_no_storm(2);
    daemon.wait_ready();
    assert_eq!(logins(&bao), 1, "the login from before still holds");
}

#[test]
fn a_server_that_is_restarted_with_its_data_takes_the_token_from_before() {
    let Some(mut bao) = Bao::lasting_or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    bao.stop();
    outage.delays_its_own_sinks_alone("closed before an answer came");
    outage.lasts_until_asked("/api", 3);
    outage.is_no_storm(1);
    bao.start_again();
    outage.is_over(&bao);
    assert_eq!(logins(&bao), 1);
}

#[test]
fn a_server_that_is_sealed_in_the_middle_is_why_a_daemon_started_then_is_not_ready() {
    let Some(bao) = Bao::lasting_or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    bao.run(&["operator", "seal"]);
    outage.delays_its_own_sinks_alone("is sealed: unseal it");
    outage.lasts_until_asked("/api", 3);
    outage.is_no_storm(1);
    daemon.stop();
    let daemon = setup.run();
    let outage = Outage::begins(&setup, &daemon, &door);
    wait_until("readyz says why", || {
        let answer = daemon.get("/readyz");
        answer.status == 503 && answer.body.contains("secret/psd2/api") && answer.body.contains("is sealed: unseal it")
    });
    outage.refreshing_goes_on();
    outage.is_no_storm(1);
    bao.unseal();
    outage.is_over(&bao);
    assert_eq!(logins(&bao), 1, "the login from before still holds");
}

#[test]
fn a_mount_that_is_deleted_is_named_and_one_made_anew_is_filled() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    bao.run(&["secrets", "disable", "secret"]);
    outage.delays_its_own_sinks_alone("answered 404 Not Found: no handler for route");
    outage.lasts_until_asked("/api", 2);
    outage.is_no_storm(1);
    bao.run(&["secrets", "enable", "-path=secret", "-version=2", "kv"]);
    outage.is_over(&bao);
    assert_eq!(logins(&bao), 1);
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
    let door = Door::before(&bao.tls_address());
    let ours = |name: &str, from: &str| {
        setup.write(&format!("secrets/{name}"), &std::fs::read_to_string(certificate(from)).unwrap());
    };
    for (name, from) in [("ca", "ca.pem"), ("client", "client.pem"), ("client-key", "client.key")] {
        ours(name, from);
    }
    let vault = format!(
        "[vaults.main]\naddress = \"{}\"\nca_file = \"@DIR@/secrets/ca\"\nauth = {{ method = \"cert\", \
         cert_file = \"@DIR@/secrets/client\", key_file = \"@DIR@/secrets/client-key\" }}\n",
        door.address()
    );
    configure(&setup, vault);
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    bao.take_certificate("next-server");
    door.hang_up();
    outage.delays_its_own_sinks_alone("its certificate is not trusted; ca_file names a CA of your own");
    outage.is_no_storm(1);
    ours("ca", "next-ca.pem");
    outage.is_over(&bao);
    assert_eq!(logins(&bao), 1, "the login from before still holds");

    trust("next-ca.pem");
    bao.run(&["token", "revoke", "-mode=path", "auth/cert"]);
    outage.refreshing_goes_on();
    outage.is_told("invalid certificate or no client certificate supplied");
    ours("client", "next-client.pem");
    ours("client-key", "next-client.key");
    outage.is_over(&bao);
    let logins = logins(&bao);
    assert!((2..=6).contains(&logins), "{logins}: one with each certificate, and those that were refused");
}
