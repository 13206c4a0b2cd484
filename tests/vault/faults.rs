//! A server that is there and does not do what it should, and secrets that others change: its own sinks
//! alone are held up, it is not swamped, and has the newest afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokend::demo::standin::Vendor;
use tokend::status::SinkState;

use crate::bao::Bao;
use crate::door::Door;
use crate::outage::{Outage, add, configure, in_both, vault_with_role};
use crate::setup::{Setup, wait_until};
use crate::sinks::token;

#[test]
fn policies_taken_away_are_named_and_given_back_are_noticed() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    bao.policy("tokend", "path \"secret/other\" { capabilities = [\"read\"] }");
    outage.delays_its_own_sinks_alone("need read and update");
    outage.lasts_until_asked("/api", 2);
    outage.is_no_storm(1);
    bao.app_role("secret/data/psd2/*", &[]);
    outage.is_over(&bao);
    assert_eq!(outage.asked("/login"), 0, "no denial is taken for a spent login");
}

#[test]
fn a_server_that_accepts_and_never_answers_holds_up_nothing_else() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let answers = Arc::new(AtomicBool::new(true));
    let keeper = Arc::clone(&answers);
    let door = Door::kept(&bao.address(), move |_| keeper.load(Ordering::SeqCst));
    let vault = vault_with_role(&setup, &bao, door.address(), &[]);
    let spare_vault = vault.replace("main", "spare").replace(door.address(), &bao.address());
    let spare = token("spare", "{ vault = \"secret/psd2/spare\", server = \"spare\" }");
    configure(&setup, vault);
    add(&setup, &(spare_vault + &setup.oauth2("spare", "") + &spare));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    answers.store(false, Ordering::SeqCst);
    outage.refreshing_goes_on();
    daemon.post("/v1/tokens/spare/refresh");
    outage.newest_is_there(&bao, "spare");
    assert_eq!(outage.told(), None, "nothing waited until the silent one was given up");
    outage.delays_its_own_sinks_alone("no answer from 127.0.0.1");
    outage.is_no_storm(1);
    answers.store(true, Ordering::SeqCst);
    door.hang_up();
    outage.is_over(&bao);
}

#[test]
fn a_server_that_is_silent_does_not_hold_up_the_end() {
    let setup = Setup::new();
    let door = Door::kept("http://127.0.0.1:9", |_| false);
    setup.write("secrets/token", "hvs.something");
    let auth = "method = \"token\", token = { file = \"@DIR@/secrets/token\" }";
    let vault = format!("[vaults.main]\naddress = \"{}\"\nauth = {{ {auth} }}\n", door.address());
    setup.configure(&[vault, in_both(&setup, "api")]);
    let daemon = setup.run();
    wait_until("it is asked", || !door.asked().is_empty());
    assert!(daemon.stop().success());
}

#[test]
fn a_secret_that_others_write_at_the_same_moment_is_read_again() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let racing = Arc::new(AtomicBool::new(false));
    let door = {
        let racing = Arc::clone(&racing);
        let racers = ["api", "late"].map(|name| {
            let put = ["kv", "put", &format!("secret/psd2/{name}"), "other=1"];
            (format!("/v1/secret/data/psd2/{name}"), Mutex::new(bao.command(&put)))
        });
        // Whatever is about to be written, somebody else writes first.
        Door::kept(&bao.address(), move |asked| {
            let (method, path) = asked.split_once(' ').unwrap();
            let racer = racers.iter().find(|(raced, _)| method != "GET" && raced == path);
            if let Some((_, racer)) = racer.filter(|_| racing.load(Ordering::SeqCst)) {
                assert!(racer.lock().unwrap().output().unwrap().status.success());
            }
            true
        })
    };
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    racing.store(true, Ordering::SeqCst);
    outage.delays_its_own_sinks_alone("others write there all the time");
    // Four times it is written, and read before all but the first where what we wrote last is known.
    outage.is_no_storm(8);
    racing.store(false, Ordering::SeqCst);
    outage.is_over(&bao);
}

#[test]
fn a_secret_that_is_deleted_is_there_again_with_the_next_generation() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    for (deleted, requests) in [
        (&["kv", "delete", "secret/psd2/api"][..], 1),
        (&["kv", "destroy", "-versions=2", "secret/psd2/api"], 1),
        // Its versions are counted from the beginning: what we wrote last is no longer there.
        (&["kv", "metadata", "delete", "secret/psd2/api"], 3),
    ] {
        let outage = Outage::begins(&setup, &daemon, &door);
        bao.run(deleted);
        outage.refreshing_goes_on();
        outage.newest_is_there(&bao, "api");
        wait_until("all is well", || outage.told().is_none());
        assert_eq!(outage.asked("/api"), requests, "{deleted:?}: {:?}", door.asked());
        assert_eq!(daemon.get("/readyz").status, 200);
    }
    bao.run(&["kv", "delete", "secret/psd2/api"]);
    daemon.stop();
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    assert!(outage.is_newest(&bao, "api"), "a start looks what is there");
    assert_eq!(setup.issued(Vendor::OAuth2), 2 + 2 * 3, "and asks nobody for it");
}

#[test]
fn a_higher_generation_is_left_alone_while_it_lives_and_gone_above_when_it_has_expired() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let daemon = setup.run_ready();
    let other = |generation: u64, lives: Duration| {
        let expires_at = tokend::clock::now() + lives;
        let fields = [format!("generation={generation}"), format!("expires_at={expires_at}")];
        bao.run(&["kv", "put", "secret/psd2/api", "slot=api/api", "access_token=other", &fields[0], &fields[1]]);
    };
    let outage = Outage::begins(&setup, &daemon, &door);
    other(9, Duration::from_secs(8));
    outage.refreshing_goes_on();
    outage.is_told("another tokend writes there");
    assert_eq!(bao.secret("secret/psd2/api")["access_token"], "other");
    assert_eq!(daemon.get("/readyz").status, 200, "there is one that is valid");
    assert_eq!(outage.asked("/api"), 2, "written in vain, read: {:?}", door.asked());
    outage.newest_is_there(&bao, "api");
    assert_eq!(bao.secret("secret/psd2/api")["generation"], 10);
    wait_until("all is well", || outage.told().is_none());
    assert_eq!(outage.asked("/api"), 5, "it was not looked at before its end: {:?}", door.asked());

    let outage = Outage::begins(&setup, &daemon, &door);
    other(20, Duration::ZERO);
    outage.refreshing_goes_on();
    outage.newest_is_there(&bao, "api");
    assert_eq!(bao.secret("secret/psd2/api")["generation"], 21);
    wait_until("all is well", || outage.told().is_none());
    assert_eq!(outage.asked("/api"), 4, "{:?}", door.asked());
    assert_eq!(daemon.get("/readyz").status, 200);
    assert_eq!(setup.issued(Vendor::OAuth2), 2 + 2 * 2, "nothing was asked for because of it");
}

#[test]
fn a_hundred_sinks_at_once_are_no_storm_on_a_sealed_server_and_all_have_the_newest_afterwards() {
    let Some(bao) = Bao::lasting_or_skip() else { return };
    let setup = Setup::new();
    let door = Door::before(&bao.address());
    configure(&setup, vault_with_role(&setup, &bao, door.address(), &[]));
    let sinks: Vec<String> = (1..100).map(|number| format!("{{ vault = \"secret/psd2/{number}\" }}")).collect();
    let many = setup.oauth2("many", "") + &token("many", &sinks.join(", "));
    add(&setup, &many);
    let daemon = setup.run_ready();
    let outage = Outage::begins(&setup, &daemon, &door);
    bao.run(&["operator", "seal"]);
    daemon.post("/v1/tokens/many/refresh");
    outage.delays_its_own_sinks_alone("is sealed: unseal it");
    let sinks = || daemon.slot("many").tokens.remove(0).sinks;
    wait_until("all say why", || {
        sinks().iter().all(|sink| sink.error.as_ref().is_some_and(|why| why.contains("is sealed: unseal it")))
    });
    outage.lasts_until_asked("/api", 3);
    for number in 1..100 {
        outage.is_asked_within(&format!("/psd2/{number}"), |attempts| attempts);
    }
    bao.unseal();
    outage.is_over(&bao);
    wait_until("all have the newest", || sinks().iter().all(|sink| sink.state == SinkState::Current));
    let held = daemon.get("/v1/tokens/many").json()["access_token"].clone();
    for number in [1, 50, 99] {
        assert_eq!(bao.secret(&format!("secret/psd2/{number}"))["access_token"], held);
    }
    assert_eq!(outage.asked("/login"), 0);
}
