//! Restarts, kills, signals, and a state that is lost: what is held is not asked for again.

use std::fs::{self, OpenOptions};
use std::time::Duration;

use rustix::process::Signal;
use tokend::demo::standin::{Fault, Vendor};
use tokend::status::TokenState;

use crate::setup::{Daemon, PATIENCE, Setup, wait_until};

/// One exclusive slot, one that is not.
fn setup() -> Setup {
    let setup = Setup::new();
    let corporate = "psu_context = \"corporate\"\nscopes = [\"accountinformation\"]";
    setup.configure(&[
        setup.open_payments("op", "budget = { issues = 1000, per = \"1h\" }"),
        setup.token("shared", "op", corporate),
        setup.oauth2("own", ""),
        setup.token("own", "own", ""),
    ]);
    setup
}

fn generations(daemon: &Daemon<'_>) -> (u64, u64) {
    (daemon.slot("shared").generation.0, daemon.slot("own").generation.0)
}

fn wait_for_request(setup: &Setup, vendor: Vendor) {
    assert!(setup.standin.block_until(PATIENCE, |journal| journal.tally(vendor).in_flight > 0).unwrap());
}

#[test]
fn twenty_restarts_and_kills_ask_for_nothing_that_is_held() {
    let setup = setup();
    let mut daemon = setup.run_ready();
    let held = (setup.read("tokens/shared"), setup.read("tokens/own"));
    for round in 0..20 {
        match round % 4 {
            0 => assert_eq!(daemon.stop().code(), Some(0)),
            1 => daemon.kill(),
            vendor => {
                // In the middle of a request, which then issues nothing.
                let (vendor, name) =
                    if vendor == 2 { (Vendor::OpenPayments, "shared") } else { (Vendor::OAuth2, "own") };
                setup.standin.fault_once(vendor, Fault::Hang);
                let _asking = daemon.send("POST", &format!("/v1/tokens/{name}/refresh"), "Content-Length: 0\r\n");
                wait_for_request(&setup, vendor);
                daemon.kill();
            }
        }
        daemon = setup.run_ready();
        assert_eq!(generations(&daemon), (1, 1), "round {round}");
    }
    assert_eq!((setup.issued(Vendor::OpenPayments), setup.issued(Vendor::OAuth2)), (1, 1));
    assert_eq!((setup.read("tokens/shared"), setup.read("tokens/own")), held);
    let budget = daemon.slot("shared").budget.unwrap();
    assert_eq!((budget.issued, budget.possibly_issued), (1, 5), "every request cut off counts as possibly issued");
}

#[test]
fn a_kill_before_the_first_answer_is_made_up_by_one_request() {
    let setup = setup();
    setup.standin.fault_once(Vendor::OpenPayments, Fault::Slow(PATIENCE));
    let daemon = setup.run();
    wait_for_request(&setup, Vendor::OpenPayments);
    daemon.kill();
    let daemon = setup.run_ready();
    assert_eq!(setup.issued(Vendor::OpenPayments), 1);
    assert_eq!(daemon.slot("shared").budget.unwrap().possibly_issued, 1);
}

#[test]
fn on_sigterm_a_request_under_way_comes_home_and_is_delivered() {
    let setup = setup();
    setup.standin.fault_once(Vendor::OpenPayments, Fault::Slow(Duration::from_millis(700)));
    let daemon = setup.run();
    wait_for_request(&setup, Vendor::OpenPayments);
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(setup.issued(Vendor::OpenPayments), 1);
    assert!(!setup.path("tokend.sock").exists(), "the socket is removed");
    assert!(setup.standin.is_active(&setup.read("tokens/shared").unwrap()));
    let daemon = setup.run_ready();
    assert_eq!(setup.issued(Vendor::OpenPayments), 1);
    assert_eq!(daemon.slot("shared").generation.0, 1);
    assert!(setup.standin.is_active(&setup.read("tokens/shared").unwrap()));
}

#[test]
fn a_second_sigterm_ends_at_once() {
    let setup = setup();
    setup.standin.fault(Vendor::OpenPayments, Fault::Hang);
    let daemon = setup.run();
    wait_for_request(&setup, Vendor::OpenPayments);
    daemon.signal(Signal::TERM);
    wait_until("it is stopping", || setup.log().contains("stopping"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait_end().code(), None, "ended by the signal");
}

#[test]
fn a_lost_answer_leaves_the_token_that_is_held_and_counts_as_possibly_issued() {
    let setup = setup();
    let daemon = setup.run_ready();
    let held = setup.read("tokens/shared");
    setup.standin.fault_once(Vendor::OpenPayments, Fault::ResetAfter);
    let answer = daemon.post("/v1/tokens/shared/refresh");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.detail().contains("closed before an answer came"), "{answer:?}");
    let slot = daemon.slot("shared");
    assert_eq!((slot.state, slot.generation.0), (TokenState::Valid, 1));
    assert_eq!(slot.budget.unwrap().possibly_issued, 1);
    assert_eq!(setup.read("tokens/shared"), held);
    daemon.kill();
    let daemon = setup.run_ready();
    assert_eq!(setup.issued(Vendor::OpenPayments), 2, "nothing is asked for at the restart");
    assert_eq!(daemon.slot("shared").budget.unwrap().possibly_issued, 1, "nor forgotten");
}

#[test]
fn sigusr1_logs_how_things_stand() {
    let setup = setup();
    let daemon = setup.run_ready();
    daemon.signal(Signal::USR1);
    wait_until("the status is in the log", || {
        let log = setup.log();
        log.contains("status slot=\"op/corporate\" generation=1") && log.contains("status ready=true tokens=2 valid=2")
    });
    assert!(setup.log().contains("SIGUSR1 from pid"), "{}", setup.log());
}

#[test]
fn a_second_daemon_on_the_same_state_is_turned_away_with_the_pid_of_the_first() {
    let setup = setup();
    let daemon = setup.run_ready();
    let pid = format!("process {}", daemon.pid());
    setup.tokend(&["run"]).must_fail(73, &[&pid, "holds the state", setup.path("state").to_str().unwrap()]);
    setup.tokend(&["run", "--once"]).must_fail(73, &[&pid]);
    assert_eq!(daemon.get("/healthz").status, 200, "the first one goes on");
    drop(daemon);
    setup.run_ready();
}

/// Starts over a state that `spoil` made useless.
fn survives(what: &str, spoil: impl Fn(&Setup)) {
    let setup = setup();
    assert_eq!(setup.run_ready().stop().code(), Some(0));
    spoil(&setup);
    let daemon = setup.run_ready();
    let notice = daemon.status().state_notice.unwrap();
    assert!(notice.contains("the state is lost") && notice.contains("state.db.damaged-"), "{what}: {notice}");
    let shown = setup.tokend(&["status"]);
    assert!(shown.out().contains(&notice), "{what}: {shown:?}");
    assert!(setup.log().contains("ERROR starting without what was known before"), "{what}: {}", setup.log());
    let kept = fs::read_dir(setup.path("state")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(kept.into_iter().any(|name| name.to_string_lossy().starts_with("state.db.damaged-")), "{what}");
    assert_eq!((setup.issued(Vendor::OpenPayments), setup.issued(Vendor::OAuth2)), (2, 2), "{what}");
    assert_eq!(daemon.slot("shared").budget.unwrap().possibly_issued, 1, "{what}");
    assert!(setup.standin.is_active(&setup.read("tokens/shared").unwrap()), "{what}");
    drop(daemon);
    let daemon = setup.run_ready();
    assert_eq!(daemon.status().state_notice, None, "{what}: said once");
    assert_eq!(setup.issued(Vendor::OpenPayments), 2, "{what}");
}

#[test]
fn a_damaged_state_is_kept_aside_and_told_and_one_token_is_asked_for() {
    survives("garbage", |setup| fs::write(setup.path("state/state.db"), b"garbage".repeat(3000)).unwrap());
    survives("truncated", |setup| {
        let file = OpenOptions::new().write(true).open(setup.path("state/state.db")).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2 + 7).unwrap();
    });
    survives("the key is gone", |setup| fs::remove_file(setup.path("state/state.key")).unwrap());
}

#[test]
fn a_state_of_a_newer_version_is_left_alone() {
    let setup = setup();
    assert_eq!(setup.run_ready().stop().code(), Some(0));
    let database = rusqlite::Connection::open(setup.path("state/state.db")).unwrap();
    database.pragma_update(None, "user_version", 1_000).unwrap();
    drop(database);
    let before = fs::read(setup.path("state/state.db")).unwrap();
    setup.tokend(&["run"]).must_fail(78, &["state.db was written by a newer tokend", "schema 1000"]);
    assert_eq!(fs::read(setup.path("state/state.db")).unwrap(), before);
}

#[test]
fn a_higher_generation_in_a_json_file_is_left_alone_and_what_is_issued_next_is_numbered_above_it() {
    let setup = Setup::new();
    let sink = format!("sinks = [{{ file = \"{}\", format = \"json\" }}]", setup.path("tokens/own").display());
    let token = format!("[tokens.own]\nprovider = \"own\"\n{sink}\n");
    setup.configure(&[setup.oauth2("own", ""), token]);
    setup.run_ready().stop();
    let forgotten = setup.read("tokens/own").unwrap().replace("\"generation\":1", "\"generation\":6");
    setup.write("tokens/own", &forgotten);
    let daemon = setup.run_ready();
    wait_until("status says so", || {
        let error = daemon.slot("own").tokens[0].sinks[0].error.clone();
        error.is_some_and(|why| why.contains("another tokend writes there") && why.contains("generation 6"))
    });
    assert_eq!(setup.read("tokens/own").unwrap(), forgotten);
    assert_eq!((daemon.slot("own").generation.0, setup.issued(Vendor::OAuth2)), (1, 1), "nothing was asked for");
    assert_eq!(daemon.post("/v1/tokens/own/refresh").json()["generation"], 7);
    wait_until("ours is above", || setup.read("tokens/own").unwrap().contains("\"generation\":7"));
}
